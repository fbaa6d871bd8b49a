"""What shards are asked for a federated search, and what was asked for."""

import pytest

from miroir.core.merge import CannotMerge, FederatedPlan, SearchSettings, plan_federated
from miroir.core.merge.multi_search import read_multi_search
from miroir.core.merge.weighted import head_of

SETTINGS = {"a": SearchSettings(), "b": SearchSettings(max_total_hits=2)}


def plan(*queries: dict, settings: dict = SETTINGS, **federation):
    asked = read_multi_search({"queries": list(queries), "federation": federation})
    assert asked is not None
    return plan_federated(asked, settings)


def test_every_index_is_asked_its_queries_up_to_the_end_of_the_window():
    """Without a window of their own, which nodes refuse in a federated search."""
    queries = [{"indexUid": "b", "q": "x"}, {"indexUid": "a"}, {"indexUid": "b"}]
    asked = plan(*queries, offset=2, limit=3, facetsByIndex={"a": ["f"]})
    assert [q.get("q") for q in asked.bodies["b"]["queries"]] == ["x", None]
    assert asked.bodies["a"]["federation"] == {
        "offset": 0,
        "limit": 5,
        "facetsByIndex": {"a": ["f"]},
    }
    assert not {"limit", "offset"} & asked.bodies["a"]["queries"][0].keys()
    paged = plan(*queries, page=3, hitsPerPage=4).bodies["a"]["federation"]
    assert (paged["page"], paged["hitsPerPage"]) == (1, 12)


def test_a_distinct_attribute_of_all_queries_is_passed_on_and_retrieved():
    """Nodes drop their own; the values of what they keep are compared here."""
    queries = [{"indexUid": "a", "attributesToRetrieve": ["title"]}, {"indexUid": "a"}]
    asked = plan(*queries, distinct="color")
    assert isinstance(asked, FederatedPlan)
    assert asked.distinct
    assert asked.bodies["a"]["federation"]["distinct"] == "color"
    assert asked.bodies["a"]["queries"][0]["attributesToRetrieve"] == ["title", "color"]
    assert not any("distinct" in query for query in asked.bodies["a"]["queries"])
    assert [wanted.distinct for wanted in asked.asked] == ["color", "color"]


def test_a_distinct_attribute_of_a_query_is_left_beside_that_of_all_for_a_node_to_refuse():
    """A node words it."""
    asked = plan({"indexUid": "a", "distinct": "x"}, distinct="color")
    assert asked.bodies["a"]["queries"][0]["distinct"] == "x"


def test_each_query_tells_what_it_hides():
    """Of the hits of one answer some may have to be looked up, and others not."""
    settings = SearchSettings(displayed_attributes=("id",), primary_key="id")
    queries = [{"indexUid": "a", "sort": ["secret:asc"]}, {"indexUid": "b"}, {"indexUid": "a"}]
    asked = plan(*queries, settings={"a": settings, "b": settings})
    assert asked.hides == {"a"}
    first, second = (
        b'{"id":1,"_federation":{"queriesPosition":%d,"weightedRankingScore":1.0}}' % place
        for place in (0, 1)
    )
    assert asked.hidden_of("a", first).fields == ["id", "secret"]
    assert asked.hidden_of("a", second) is None
    assert head_of(second).queries_position == 1


def test_only_hits_that_cannot_be_compared_by_what_they_show_need_to_be_told_of():
    """Several queries, with words, sorted in the midst of the rules."""
    midst = SearchSettings(ranking_rules=("words", "sort", "exactness"))
    settings = {"a": midst, "b": SearchSettings(ranking_rules=("sort", "words"))}
    red = {"indexUid": "a", "q": "red", "sort": ["x:asc"]}
    other = {"indexUid": "b", "q": "red", "sort": ["x:asc"]}
    assert plan(red, other, settings=settings).by_values
    assert not plan(red, settings=settings).by_values
    assert not plan(other, other, settings=settings).by_values
    assert not plan({**red, "q": ""}, {**red, "sort": None}, settings=settings).by_values


@pytest.mark.parametrize(
    "federation",
    [
        {"limit": "1"},
        {"limit": None},
        {"offset": -1},
        {"page": True},
        {"other": 1},
        {"facetsByIndex": []},
        {"mergeFacets": 1},
        {"mergeFacets": {"maxValuesPerFacet": "1"}},
        {"mergeFacets": {"other": 1}},
        {"distinct": 7},
        {"personalize": {}},
        {"showPerformanceDetails": 1},
    ],
)
def test_what_only_a_node_can_judge_is_left_to_it(federation):
    """What is not passed on to shards would be refused by none of them."""
    assert plan({"indexUid": "a"}, **federation) is None


@pytest.mark.parametrize(
    ("queries", "federation", "why"),
    [
        ([{"indexUid": "a"}], {"personalize": {"userContext": "x"}}, "personalized"),
        ([{"indexUid": "a", "distinct": "f"}, {"indexUid": "a"}], {}, "several federated queries"),
        ([{"indexUid": "a", "useNetwork": True}], {}, "`useNetwork`"),
    ],
)
def test_what_cannot_be_merged_is_refused_before_anybody_is_asked(queries, federation, why):
    """Rather than guessed."""
    refused = plan(*queries, **federation)
    assert isinstance(refused, CannotMerge)
    assert why in refused.reason
