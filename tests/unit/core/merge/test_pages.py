"""Listing documents over shards."""

import json

import pytest

from miroir.core.merge.pages import (
    PageQuery,
    fetch_body,
    merge_documents_page,
    rewrite_page,
)
from miroir.core.merge.query import CannotMerge
from miroir.errors import NodeAnswerUnreadable


def page(*ids: int, total: int) -> bytes:
    results = [{"id": number} for number in ids]
    return json.dumps({"results": results, "offset": 0, "limit": 9, "total": total}).encode()


ANSWERS = [page(1, 4, 3, total=3), page(total=0), page(2, 10, total=7)]


@pytest.mark.parametrize(
    ("query", "offset", "limit", "sent"),
    [
        ({}, 0, 20, 20),
        ({"offset": 2, "limit": 2}, 2, 2, 4),
        ({"limit": 0, "fields": ["id"]}, 0, 0, 0),
    ],
)
def test_every_shard_is_asked_from_the_start(query, offset, limit, sent):
    """Nobody knows before how many documents the shards in front have."""
    asked = rewrite_page(query, 3)
    assert asked == PageQuery({**query, "offset": 0, "limit": sent}, offset, limit)


@pytest.mark.parametrize(
    ("offset", "limit", "ids"),
    [(0, 20, [1, 2, 4, 3, 10]), (2, 2, [4, 3]), (4, 1, [10]), (9, 9, []), (0, 0, [])],
)
def test_documents_are_listed_in_the_order_of_their_ids_and_each_shard_keeps_its_own(
    offset, limit, ids
):
    """As they came, where ids are counted up; each once, in the same order on every page."""
    asked = PageQuery({}, offset, limit, primary_key="id")
    found = json.loads(merge_documents_page(ANSWERS, asked))
    assert [document["id"] for document in found["results"]] == ids
    assert {name: found[name] for name in ("offset", "limit", "total")} == {
        "offset": offset,
        "limit": limit,
        "total": 10,
    }


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        (["title"], ["title", "id"]),
        ("title,a.b", "title,a.b,id"),
        ([], ["id"]),
        (["id"], None),
        ("title,id", None),
        ("*", None),
        (["title", 1], None),
        (None, None),
    ],
)
def test_the_primary_key_is_asked_for_where_it_is_missing_and_taken_out_again(fields, sent):
    """It puts the documents of different shards in order."""
    asked = rewrite_page({"fields": fields}, 2, "id")
    assert asked.body["fields"] == (fields if sent is None else sent)
    answers = [b'{"results":[{"t":1.0,"id":2}],"total":1}', page(1, total=1)]
    found = json.loads(merge_documents_page(answers, asked))
    shown = [{"id": 1}, {"t": 1.0, "id": 2}] if sent is None else [{}, {"t": 1.0}]
    assert found["results"] == shown


def test_documents_are_not_rewritten():
    """Raw bytes go through."""
    raw = b'{"results":[{"n":1.50,"big":12345678901234567890123}],"total":1}'
    found = merge_documents_page([raw, page(total=0)], PageQuery({}, 0, 20))
    assert found.startswith(b'{"results":[{"n":1.50,"big":12345678901234567890123}],')


def test_sorted_listing_is_asked_for_with_what_it_is_sorted_by():
    """Fields that decide may not be among those that are shown."""
    asked = rewrite_page({"sort": ["price:asc"], "fields": ["id"], "offset": 3}, 2)
    assert asked == PageQuery(
        {"sort": ["price:asc"], "fields": ["id"], "offset": 0, "limit": 23}, 3, 20, is_sorted=True
    )


def sorted_page(*rows):
    """Return a page of documents that tell what they are sorted by."""
    results = [
        {"id": number, "_federation": {"weightedScoreValues": values}} for number, *values in rows
    ]
    return json.dumps({"results": results, "total": len(rows)}).encode()


def asc(value):
    return {"sort": {"asc": True, "value": value}}


def desc(value):
    return {"sort": {"asc": False, "value": value}}


def far(distance, *, ascending=True):
    return {"geoSort": {"asc": ascending, "distance": distance}}


@pytest.mark.parametrize(
    ("pages", "ids"),
    [
        ([[(1, asc(1)), (2, asc("b"))], [(3, asc(0.5)), (4, asc("a")), (5, asc(None))]],
         [3, 1, 4, 2, 5]),
        ([[(1, desc(1)), (2, desc("b"))], [(3, desc(7)), (4, desc("c")), (5, desc(None))]],
         [3, 1, 4, 2, 5]),
        ([[(1, asc("x"), desc(2))], [(2, asc("x"), desc(3)), (3, asc("x"), desc(2))]], [2, 1, 3]),
        ([[(1, far(5.0)), (2, far(None))], [(3, far(4.0)), (4, far(6.0))]], [3, 1, 4, 2]),
        ([[(1, far(5.0, ascending=False))], [(3, far(9.0, ascending=False))]], [3, 1]),
        ([[(2, asc(12345678901234567890))], [(1, asc(12345678901234567891))]], [1, 2]),
    ],
)  # fmt: skip
def test_sorted_documents_are_merged_as_one_node_sorts_them(pages, ids):
    """Numbers, then text, then nothing, in both directions; equals in the order of their ids."""
    answers = [sorted_page(*rows) for rows in pages]
    asked = PageQuery({}, 0, 20, is_sorted=True, primary_key="id")
    found = json.loads(merge_documents_page(answers, asked))
    assert found["results"] == [{"id": number} for number in ids]
    assert found["total"] == len(ids)


def test_of_long_texts_is_compared_what_a_node_compares():
    """Nodes tell them whole, and compare by what fits into a key of theirs: 468 bytes."""
    answers = [sorted_page((2, asc("x" * 600 + "a"))), sorted_page((1, asc("x" * 600 + "b")))]
    found = json.loads(merge_documents_page(answers, PageQuery({}, 0, 20, is_sorted=True)))
    swapped = json.loads(merge_documents_page(answers[::-1], PageQuery({}, 0, 20, is_sorted=True)))
    assert [document["id"] for document in found["results"]] == [2, 1]
    assert [document["id"] for document in swapped["results"]] == [1, 2]


def test_neighbours_are_told_apart():
    """Half a metre decides here; on one node the next expression would."""
    answers = [sorted_page((1, far(5.5), asc("a"))), sorted_page((2, far(5.0), asc("b")))]
    found = json.loads(merge_documents_page(answers, PageQuery({}, 0, 20, is_sorted=True)))
    assert [document["id"] for document in found["results"]] == [2, 1]


def test_a_node_that_does_not_tell_what_it_sorted_by_is_not_guessed_at():
    """An older engine ignores the header; its order cannot be merged."""
    with pytest.raises(NodeAnswerUnreadable):
        merge_documents_page(
            [sorted_page((1, asc(1))), page(4, total=1)], PageQuery({}, 0, 20, is_sorted=True)
        )


def test_values_of_sorted_documents_are_not_rewritten():
    """Only what we asked for is taken out."""
    raw = (
        b'{"results":[{"n":1.50,"big":12345678901234567890123,"_federation":'
        b'{"weightedScoreValues":[{"sort":{"asc":true,"value":1.5}}]}}],"total":1}'
    )
    found = merge_documents_page([raw, sorted_page()], PageQuery({}, 0, 20, is_sorted=True))
    assert found.startswith(b'{"results":[{"n":1.50,"big":12345678901234567890123}],')


def test_a_network_of_nodes_is_refused():
    """A node would ask others than Miroir does."""
    found = rewrite_page({"useNetwork": True}, 2)
    assert isinstance(found, CannotMerge)
    assert "`useNetwork`" in found.reason
    assert isinstance(rewrite_page({"useNetwork": "false"}, 2), PageQuery)


def test_parameters_are_said_again_as_a_body():
    """GET and POST ask the same; only one of them can ask for what documents are sorted by."""
    assert fetch_body(
        {
            "offset": 0, "limit": 9, "fields": "id,a.b", "ids": "1,x", "retrieveVectors": "true",
            "filter": "a = 1", "sort": "a:asc,_geoPoint(1,2):desc,b:desc", "useNetwork": "false",
        }
    ) == {
        "offset": 0, "limit": 9, "fields": ["id", "a.b"], "ids": ["1", "x"],
        "retrieveVectors": True, "filter": "a = 1", "useNetwork": False,
        "sort": ["a:asc", "_geoPoint(1,2):desc", "b:desc"],
    }  # fmt: skip
    assert fetch_body({"fields": "*", "filter": '["a = 1"]'}) == {"filter": ["a = 1"]}


def test_nonsense_is_passed_on_for_the_node_to_refuse():
    """In its own words, about the client's own value."""
    query = {"limit": -1, "offset": "a"}
    asked = rewrite_page(query, 2)
    assert isinstance(asked, PageQuery)
    assert asked.body == query


def test_an_answer_to_another_question_names_its_shard():
    """See merge_search."""
    with pytest.raises(NodeAnswerUnreadable) as error:
        merge_documents_page([page(total=0), b"{}"], PageQuery({}, 0, 1))
    assert error.value.position == 1
