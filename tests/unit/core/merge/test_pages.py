"""Listing documents over shards."""

import json

import pytest

from miroir.core.merge.pages import PageQuery, merge_documents_page, rewrite_page
from miroir.core.merge.query import CannotMerge
from miroir.errors import NodeAnswerUnreadable


def page(*ids: int, total: int) -> bytes:
    results = [{"id": number} for number in ids]
    return json.dumps({"results": results, "offset": 0, "limit": 9, "total": total}).encode()


ANSWERS = [page(1, 2, 3, total=3), page(total=0), page(4, 5, total=7)]


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
    [(0, 20, [1, 2, 3, 4, 5]), (2, 2, [3, 4]), (4, 1, [5]), (9, 9, []), (0, 0, [])],
)
def test_the_window_runs_over_the_shards_in_order(offset, limit, ids):
    """Each document once; the same order on every page."""
    found = json.loads(merge_documents_page(ANSWERS, PageQuery({}, offset, limit)))
    assert [document["id"] for document in found["results"]] == ids
    assert {name: found[name] for name in ("offset", "limit", "total")} == {
        "offset": offset,
        "limit": limit,
        "total": 10,
    }


def test_documents_are_not_rewritten():
    """Raw bytes go through."""
    raw = b'{"results":[{"n":1.50,"big":12345678901234567890123}],"total":1}'
    found = merge_documents_page([raw, page(total=0)], PageQuery({}, 0, 20))
    assert found.startswith(b'{"results":[{"n":1.50,"big":12345678901234567890123}],')


def test_sorted_listing_is_refused():
    """The documents carry no values to merge by."""
    found = rewrite_page({"sort": ["price:asc"]}, 2)
    assert isinstance(found, CannotMerge)
    assert "`sort`" in found.reason


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
