"""Two lists of hits, each over all shards, and the rule that makes one of them."""

import json
from typing import Any

import pytest
from tests.support.search_answers import answer, hit

from miroir.core.merge import (
    CannotMerge,
    HybridPlan,
    SearchSettings,
    good_enough,
    merge_hybrid,
    plan_hybrid,
    ranked_body,
    told_of,
)
from miroir.errors import NodeAnswerUnreadable

QUERY = {"q": "boat", "vector": [1.0], "hybrid": {"embedder": "e", "semanticRatio": 0.5}}
PLAIN = SearchSettings(primary_key="id")


def plan(query: dict[str, Any] | None = None, settings: SearchSettings = PLAIN) -> HybridPlan:
    made = plan_hybrid({**QUERY, **(query or {})}, 2, settings)
    assert isinstance(made, HybridPlan)
    return made


def word(number: int, score: float, **fields: Any) -> dict[str, Any]:
    """Return a hit by keywords; `score` is its share of words."""
    rule = ("words", {"matchingWords": int(score * 100), "maxMatchingWords": 100, "score": score})
    return hit({"id": number, **fields}, rule, score=score)


def near(number: int, similarity: float, **fields: Any) -> dict[str, Any]:
    """Return a hit by meaning."""
    rule = ("vectorSort", {"similarity": similarity})
    return hit({"id": number, **fields}, rule, score=similarity)


def merged(words: list, meaning: list | None, made: HybridPlan | None = None) -> dict[str, Any]:
    bodies = [answer(hits) for hits in words]
    others = None if meaning is None else [answer(hits, semanticHitCount=9) for hits in meaning]
    found = merge_hybrid(bodies, others, made or plan())
    assert isinstance(found, bytes), found
    whole: dict[str, Any] = json.loads(found)
    return whole


def ids(found: dict[str, Any]) -> list[int]:
    return [one["id"] for one in found["hits"]]


def test_the_better_of_two_shares_goes_first_and_a_document_comes_once() -> None:
    """Scores count by their share; of one document the better place is taken."""
    found = merged([[word(1, 0.9)], [word(2, 0.4)]], [[near(3, 0.8)], [near(2, 0.6)]])
    assert (ids(found), found["semanticHitCount"]) == ([1, 3, 2], 2)


def test_ids_that_differ_by_their_case_are_two_documents() -> None:
    """Unlike values of an attribute."""
    letters = [{**word(0, 0.9), "id": "A"}], []
    found = merged(list(letters), [[{**near(0, 0.8), "id": "a"}], []])
    assert [one["id"] for one in found["hits"]] == ["A", "a"]


def test_a_tie_goes_to_the_meaning() -> None:
    """As a node merges its two lists."""
    found = merged([[word(1, 0.5)], []], [[near(2, 0.5)], []])
    assert ids(found) == [2, 1]


def test_keywords_of_other_shards_in_the_second_round_count_for_nothing() -> None:
    """Nodes fill up the list by meaning with hits by keywords; those are known already."""
    found = merged([[word(1, 0.2)], []], [[near(2, 0.9), word(1, 0.2)], [word(5, 0.1)]])
    assert ids(found) == [2, 1]


def test_the_window_is_cut_from_both() -> None:
    """Both rounds ask for everything up to its end."""
    made = plan({"offset": 1, "limit": 2})
    assert (made.keywords["limit"], made.meaning["limit"]) == (3, 3)
    words = [[word(1, 0.9), word(2, 0.7)], []]
    found = merged(words, [[near(3, 0.8)], [near(4, 0.1)]], made)
    assert ids(found) == [3, 2]


def test_totals_and_facets_are_those_of_the_second_round() -> None:
    """Its nodes count what either of their lists has found."""
    words = [answer([word(1, 0.1)], estimatedTotalHits=1), answer([])]
    both = [answer([near(1, 0.9)], estimatedTotalHits=40), answer([], estimatedTotalHits=2)]
    found = merge_hybrid(words, both, plan())
    assert isinstance(found, bytes)
    assert json.loads(found)["estimatedTotalHits"] == 42


@pytest.mark.parametrize(
    ("scores", "ratio", "limit", "enough"),
    [
        ([0.9, 0.9], 0.5, 2, True),
        ([0.9, 0.89], 0.5, 2, False),
        ([0.9], 0.5, 2, False),
        ([0.51, 0.51], 0.1, 2, True),
        ([0.5, 0.5], 0.1, 2, False),  # A share of 0.9 is less in 32 bits.
        ([1.0, 1.0], 0.6, 2, False),
        ([], 0.5, 0, True),
    ],
)
def test_keywords_do_if_all_are_there_and_worth_it(scores, ratio, limit, enough) -> None:
    """The decision is made once, over all shards."""
    made = plan({"hybrid": {"embedder": "e", "semanticRatio": ratio}, "limit": limit})
    lists = [answer([word(n, s)]) for n, s in enumerate(scores)] or [answer([])]
    assert good_enough(lists, made) is enough


def test_keywords_that_do_are_the_answer() -> None:
    """As one node would have it, which never looked at vectors then."""
    found = merged([[word(1, 1.0)], [word(2, 0.95)]], None, plan({"limit": 1}))
    assert (ids(found), found["semanticHitCount"]) == ([1], 0)


def test_a_distinct_value_comes_once() -> None:
    """The lists may hold different documents of one value."""
    made = plan(settings=SearchSettings(primary_key="id", distinct_attribute="color"))
    words = [[word(1, 0.9, color="red")], []]
    found = merged(words, [[near(2, 0.8, color="Red")], [near(3, 0.7, color="blue")]], made)
    assert ids(found) == [1, 3]


def test_the_key_is_asked_for_and_taken_out_again() -> None:
    """Without it nobody could tell that two hits are one document."""
    made = plan({"attributesToRetrieve": ["title"]})
    assert made.keywords["attributesToRetrieve"] == ["title", "id"]
    found = merged([[word(1, 0.9, title="a")], []], [[near(1, 0.5, title="a")], []], made)
    assert found["hits"] == [{"title": "a"}]


def test_one_list_is_asked_with_no_share_and_the_other_with_nearly_all() -> None:
    """A node that has nearly all of one list still counts and highlights for both."""
    made = plan()
    assert made.keywords["hybrid"] == {"embedder": "e", "semanticRatio": 0.0}
    assert 0.999 < made.meaning["hybrid"]["semanticRatio"] < 1
    by_query_string = plan_hybrid({"q": "a", "hybridEmbedder": "e"}, 2, PLAIN)
    assert isinstance(by_query_string, HybridPlan)
    assert by_query_string.keywords["hybridSemanticRatio"] == 0.0
    assert by_query_string.ratio == 0.5


@pytest.mark.parametrize(
    "query",
    [
        {"q": " "},
        {"q": None},
        {"hybrid": None},
        {"hybrid": {"embedder": "e", "semanticRatio": 0}},
        {"hybrid": {"embedder": "e", "semanticRatio": 1}},
        {"hybrid": {"embedder": "e", "semanticRatio": "x"}},
        {"hybrid": {"embedder": "e", "semanticRatio": True}},
        {"hybrid": {"semanticRatio": 0.5}},
        {"hybrid": {"embedder": "e", "semanticRatio": 7}},
    ],
)
def test_what_is_no_hybrid_search_is_left_to_the_nodes(query) -> None:
    """Searches of one kind merge as they are, and errors are worded by nodes."""
    assert plan_hybrid({**QUERY, **query}, 2, PLAIN) is None


def test_a_key_that_is_not_displayed_is_a_refusal() -> None:
    """Hits could not be told apart."""
    hidden = SearchSettings(primary_key="id", displayed_attributes=("title",))
    refused = plan_hybrid(QUERY, 2, hidden)
    assert isinstance(refused, CannotMerge)
    assert refused.reason.startswith("`id` is the primary key and not displayed")


MIDST = SearchSettings(primary_key="id", ranking_rules=("words", "sort", "exactness"))


def told(*hits: tuple[int, float, float]) -> bytes:
    """Return a federated answer that tells two runs and the value between them."""
    rows = [
        {
            "id": number,
            "_federation": {
                "queriesPosition": 0,
                "weightedRankingScore": 0.1,
                "weightedScoreValues": [
                    {"weightedScore": first},
                    {"sort": {"asc": True, "value": 1}},
                    {"weightedScore": second},
                ],
            },
        }
        for number, first, second in hits
    ]
    return json.dumps({"hits": rows, "processingTimeMs": 1}).encode()


def test_hits_sorted_in_the_midst_of_the_rules_are_compared_by_what_is_told() -> None:
    """What they show leaves out the score before the sort."""
    made = plan({"sort": ["size:asc"]}, MIDST)
    rest = [("size:asc", {"value": 1}), ("exactness", {})]
    words = [
        answer([hit({"id": number}, ("words", {"matchingWords": number}), *rest)])
        for number in (1, 3)
    ]
    meaning = [answer([near(2, 0.6)]), answer([near(4, 0.2)])]
    values = told_of([told((1, 0.4, 1.0)), told((3, 0.7, 0.1))], made)
    found = merge_hybrid(words, meaning, made, told=values)
    assert isinstance(found, bytes)
    assert ids(json.loads(found)) == [3, 2, 1, 4]
    gone = merge_hybrid(words, meaning, made, told=told_of([told((1, 0.4, 1.0)), told()], made))
    assert isinstance(gone, bytes)
    assert ids(json.loads(gone)) == [2, 1, 4]


def test_what_is_told_is_asked_for_by_keywords_alone() -> None:
    """With whatever ranks them, and no more than their ids."""
    asked = {"sort": ["size:asc"], "filter": ["a = 1"], "limit": 3, "facets": ["a"]}
    body = ranked_body(plan(asked, MIDST), "movies")
    query = {"q": "boat", "filter": ["a = 1"], "sort": ["size:asc"], "indexUid": "movies"}
    assert body["queries"] == [{**query, "attributesToRetrieve": ["id"]}]
    assert body["federation"] == {"offset": 0, "limit": 3}
    assert plan({"sort": ["size:asc"]}).ranked is None


def test_a_query_string_is_asked_as_a_body() -> None:
    """Federated searches have no other form."""
    question = {
        "q": "boat", "hybridEmbedder": "e", "sort": "a:asc,_geoPoint(1,2):asc",
        "filter": '["a = 1"]', "attributesToSearchOn": "x,y", "rankingScoreThreshold": "0.5",
    }  # fmt: skip
    made = plan_hybrid(question, 2, MIDST)
    assert isinstance(made, HybridPlan)
    assert made.ranked == {
        "q": "boat",
        "sort": ["a:asc", "_geoPoint(1,2):asc"],
        "filter": ["a = 1"],
        "attributesToSearchOn": ["x", "y"],
        "rankingScoreThreshold": 0.5,
        "attributesToRetrieve": ["id"],
    }
    plain = plan_hybrid({**question, "filter": "a = 1"}, 2, MIDST)
    assert isinstance(plain, HybridPlan)
    assert plain.ranked is not None
    assert plain.ranked["filter"] == "a = 1"


def test_an_answer_that_tells_nothing_readable_is_nobodys() -> None:
    """The shard is named."""
    with pytest.raises(NodeAnswerUnreadable) as error:
        told_of([told(), b"[]"], plan({"sort": ["size:asc"]}, MIDST))
    assert error.value.position == 1


def test_what_both_lists_hide_is_to_be_looked_up() -> None:
    """As of any search."""
    settings = SearchSettings(primary_key="id", displayed_attributes=("id",))
    made = plan({"sort": ["price:asc"]}, settings)
    assert made.hidden is not None
    assert made.hidden == made.asked.hidden
    assert plan().hidden is None


def test_a_sort_in_the_midst_of_the_rules_is_a_refusal() -> None:
    """Nodes do not show the score before it."""
    rules = [("words", {"matchingWords": 1}), ("size:asc", {"value": 1}), ("exactness", {})]
    both = [answer([hit({"id": 1}, *rules)]), answer([])]
    meaning = [answer([hit({"id": 2}, ("vectorSort", {"similarity": 0.5}))]), answer([])]
    assert isinstance(merge_hybrid(both, meaning, plan()), CannotMerge)
