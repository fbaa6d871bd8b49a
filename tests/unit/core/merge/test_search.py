"""The merged answer as a whole."""

import json

import pytest
from tests.support.search_answers import answer, hit

from miroir.core.merge import (
    Asked,
    CannotMerge,
    NodeQuery,
    SearchSettings,
    merge_search,
    rewrite_search,
)
from miroir.errors import NodeAnswerUnreadable


def ranked(number: int, words: int, **document) -> dict:
    return hit({"id": number, **document}, ("words", {"matchingWords": words}))


def merged(answers: list[bytes], query: dict | None = None, settings=None, uid=None) -> dict:
    rewritten = rewrite_search(query or {}, max(len(answers), 2), settings)
    assert isinstance(rewritten, NodeQuery)
    found = merge_search(answers, rewritten.asked, uid)
    assert isinstance(found, bytes), found
    return json.loads(found)


def ids(found: dict) -> list[int]:
    return [one["id"] for one in found["hits"]]


TWO = [answer([ranked(1, 3), ranked(2, 1)]), answer([ranked(3, 2), ranked(4, 1)])]


def test_the_members_of_the_answer_are_those_of_a_node_in_its_order():
    """A client that compares bytes, or a person who reads them, sees no difference."""
    facets = {"facetDistribution": {"f": {"a": 1}}, "facetStats": {"f": {"min": 1.0, "max": 2.0}}}
    answers = [answer([ranked(1, 1)], **facets, requestUid="of the node"), answer([], **facets)]
    found = merged(answers, uid="fresh")
    assert json.dumps(found) == json.dumps(
        {
            "hits": [{"id": 1}],
            "query": "q",
            "processingTimeMs": 1,
            "limit": 20,
            "offset": 0,
            "estimatedTotalHits": 1,
            "facetDistribution": {"f": {"a": 2}},
            "facetStats": {"f": {"min": 1.0, "max": 2.0}},
            "requestUid": "fresh",
        }
    )
    assert "requestUid" not in merged(answers)
    assert "facetDistribution" not in merged(TWO)


def test_hits_are_merged_and_scores_that_nobody_asked_for_are_gone():
    """The scores are ours, not the client's."""
    found = merged(TWO)
    assert found["hits"] == [{"id": 1}, {"id": 3}, {"id": 2}, {"id": 4}]
    assert found["estimatedTotalHits"] == 4


@pytest.mark.parametrize("asked", [["showRankingScore"], ["showRankingScoreDetails"]])
def test_a_score_that_was_asked_for_stays(asked):
    """Each of the two on its own."""
    member = {"showRankingScore": "_rankingScore"}.get(asked[0], "_rankingScoreDetails")
    found = merged(TWO, dict.fromkeys(asked, True))
    assert all(set(one) == {"id", member} for one in found["hits"])


@pytest.mark.parametrize(
    ("offset", "limit", "shown"),
    [(0, 2, [1, 3]), (1, 2, [3, 2]), (3, 5, [4]), (4, 5, []), (0, 0, [])],
)
def test_the_window_is_cut_from_the_merged_list(offset, limit, shown):
    """Not from each shard's."""
    found = merged(TWO, {"offset": offset, "limit": limit})
    assert (ids(found), found["offset"], found["limit"]) == (shown, offset, limit)


def test_no_hit_is_shown_beyond_max_total_hits():
    """One node stops there; three must not show three times as many."""
    settings = SearchSettings(max_total_hits=3)
    assert ids(merged(TWO, {"offset": 1, "limit": 20}, settings)) == [3, 2]
    assert ids(merged(TWO, {"offset": 3, "limit": 20}, settings)) == []


@pytest.mark.parametrize(
    ("page", "size", "pages", "shown"),
    [(1, 3, 3, [1, 3, 2]), (2, 3, 3, [4]), (3, 3, 3, []), (0, 20, 1, []), (1, 0, 0, [])],
)
def test_pages_are_counted_over_all_shards(page, size, pages, shown):
    """Seven hits in all; the nodes' own page numbers mean nothing here."""
    answers = [answer([ranked(1, 3), ranked(2, 1)], totalHits=4, page=1, hitsPerPage=9)]
    answers += [answer([ranked(3, 2), ranked(4, 1)], totalHits=3, page=1, hitsPerPage=9)]
    found = merged(answers, {"page": page, "hitsPerPage": size})
    assert ids(found) == shown
    numbers = [found[name] for name in ("hitsPerPage", "page", "totalPages", "totalHits")]
    assert numbers == [size, page, pages, 7]
    assert "limit" not in found


def test_the_slowest_node_is_the_time_of_the_search():
    """They worked side by side."""
    assert (
        merged([answer([], processingTimeMs=3), answer([], processingTimeMs=8)])[
            "processingTimeMs"
        ]
        == 8
    )


def test_the_slowest_node_tells_where_the_time_went():
    """What the others did was over before."""
    quick = answer([], processingTimeMs=3, performanceDetails={"search": "3ms"})
    slow = answer([], processingTimeMs=8, performanceDetails={"wait": "1ms", "search": "7ms"})
    assert merged([quick, slow])["performanceDetails"] == {"wait": "1ms", "search": "7ms"}
    assert "performanceDetails" not in merged([answer([]), answer([])])


def test_the_query_is_given_back_as_it_is():
    """Quotes, accents and line ends included."""
    answers = [answer([], query='red "xé\n'), answer([], query='red "xé\n')]
    assert merged(answers)["query"] == 'red "xé\n'


def test_a_value_of_the_distinct_attribute_is_shown_once():
    """The better variant stays; hits without a value stay as well."""
    answers = [
        answer([ranked(1, 5, sku="A"), ranked(2, 3, sku=None), ranked(3, 1, sku="b")]),
        answer([ranked(4, 4, sku="a "), ranked(5, 2, sku="B"), ranked(6, 1)]),
    ]
    settings = SearchSettings(distinct_attribute="sku")
    assert ids(merged(answers, {}, settings)) == [1, 2, 5, 6]
    assert ids(merged(answers, {"offset": 1, "limit": 2}, settings)) == [2, 5]
    stripped = merged(answers, {"attributesToRetrieve": ["id"]}, settings)
    assert stripped["hits"] == [{"id": 1}, {"id": 2}, {"id": 5}, {"id": 6}]


@pytest.mark.parametrize("window", [{}, {"limit": 1}, {"offset": 3, "limit": 2}])
def test_a_value_on_two_shards_is_counted_once_if_both_have_shown_it(window):
    """Behind the window, too: where shards have sent all their hits, the total is exact."""
    answers = [
        answer([ranked(1, 5, sku="A"), ranked(2, 3, sku="b")], estimatedTotalHits=2),
        answer(
            [ranked(4, 4, sku="a "), ranked(5, 2, sku="B"), ranked(6, 1)], estimatedTotalHits=3
        ),
    ]
    found = merged(answers, window, SearchSettings(distinct_attribute="sku"))
    assert found["estimatedTotalHits"] == 3
    assert merged(answers, window)["estimatedTotalHits"] == 5


def test_semantic_hits_are_counted_among_what_is_shown():
    """As upstream counts them after merging."""
    near = [hit({"id": i}, ("vectorSort", {"similarity": i / 10})) for i in (9, 8, 1)]
    answers = [answer(near[:2], semanticHitCount=2), answer(near[2:], semanticHitCount=1)]
    assert merged(answers, {"limit": 2})["semanticHitCount"] == 2
    assert "semanticHitCount" not in merged(TWO)


def test_what_only_one_node_says_is_passed_on():
    """A query vector and the metadata that a header asks for."""
    more = {"queryVector": [0.5, 1.0], "metadata": {"indexUid": "m"}}
    found = merged([answer([], **more), answer([])])
    assert {name: found[name] for name in more} == more


def test_hidden_values_put_hits_in_order_and_are_not_shown():
    """They were looked up; the client sees what its nodes have shown."""
    settings = SearchSettings(displayed_attributes=("id",), primary_key="id")
    found = [
        hit({"id": number}, ("<hidden-rule-0>", {"value": value, "hidden": "desc"}))
        for number, value in ((1, 2.0), (2, 7.0))
    ]
    query = {"sort": ["price:desc"], "showRankingScoreDetails": True}
    shown = merged([answer(found[:1]), answer(found[1:])], query, settings)
    assert [one["id"] for one in shown["hits"]] == [2, 1]
    details = {"<hidden-rule-0>": {"order": 0, "value": "<hidden>"}}
    assert all(one["_rankingScoreDetails"] == details for one in shown["hits"])


def test_an_order_that_cannot_be_known_is_a_refusal_with_its_reason():
    """Never a guess."""
    hidden = hit({"id": 1}, ("<hidden-rule-0>", {"value": "<hidden>"}))
    found = merge_search([answer([hidden]), answer([])], Asked())
    assert found == CannotMerge(
        "sorting by an attribute that is not displayed cannot be merged over several shards"
    )


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"results":[]}'])
def test_an_answer_to_another_question_names_its_shard(body):
    """The caller takes that node out, not the whole search."""
    with pytest.raises(NodeAnswerUnreadable, match="not a search answer") as error:
        merge_search([answer([]), body], Asked())
    assert error.value.position == 1


def test_the_answers_that_there_are_are_merged():
    """A degraded answer is merged like any other; who is missing is the caller's to say."""
    assert ids(merged(TWO[1:])) == [3, 4]


RULED_DIFFERENTLY = [
    answer([hit({"id": 1}, ("words", {"matchingWords": 1}), score=0.2)]),
    answer([hit({"id": 2}, ("typo", {"typoCount": 0}), score=0.9)]),
]


def test_shards_that_rank_by_different_rules_are_put_in_order_only_if_the_answer_says_so():
    """While a change is in flight a flagged answer serves people better than an error."""
    asked = rewrite_search({}, 2).asked
    assert isinstance(merge_search(RULED_DIFFERENTLY, asked), CannotMerge)
    assert ids(json.loads(merge_search(RULED_DIFFERENTLY, asked, mixed=True))) == [2, 1]


def test_an_answer_of_one_version_is_merged_by_its_rules_even_if_it_may_be_mixed():
    """The flag is a doubt, not a reason for a worse order."""
    asked = rewrite_search({}, 2).asked
    assert merge_search(TWO, asked, mixed=True) == merge_search(TWO, asked)
