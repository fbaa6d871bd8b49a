"""A hybrid query of a federated search: a search of its own, then one list among others."""

import json

from tests.support.search_answers import answer, hit

from miroir.core.merge import (
    CannotMerge,
    FederatedPlan,
    SearchSettings,
    as_part,
    merge_federated,
    plan_federated,
)
from miroir.core.merge.federated_hybrid import HybridPart, plan_part
from miroir.core.merge.multi_search import read_multi_search

KEYED = SearchSettings(primary_key="id")
HYBRID = {"indexUid": "a", "q": "boat", "hybrid": {"embedder": "e"}}
WINDOW = {"offset": 0, "limit": 7}


def part_of(query: dict, **of_all) -> HybridPart:
    made = plan_part({**HYBRID, **query}, KEYED, {**WINDOW, **of_all})
    assert isinstance(made, HybridPart)
    return made


def federated(*queries: dict, settings: SearchSettings = KEYED, **federation):
    asked = read_multi_search({"queries": list(queries), "federation": federation})
    assert asked is not None
    return plan_federated(asked, {"a": settings, "b": settings})


def test_the_search_is_for_the_whole_window_and_shows_everything() -> None:
    """What the client wants to see of it is decided when all lists are one."""
    options = {"federationOptions": {"weight": 2}, "attributesToRetrieve": ["title"]}
    made = part_of(options, facets=["x"], distinct="color")
    body = made.plan.keywords
    assert {name: body[name] for name in ("indexUid", "limit", "facets", "distinct")} == {
        "indexUid": "a",
        "limit": 7,
        "facets": ["x"],
        "distinct": "color",
    }
    assert body["attributesToRetrieve"] == ["title", "color", "id"]
    assert "federationOptions" not in body
    assert made.weight == 2.0
    assert (made.plan.asked.show_details, made.plan.asked.added) == (True, ())


def test_a_query_of_one_kind_is_no_part() -> None:
    """Those are federated by the nodes."""
    only = {"hybrid": {"embedder": "e", "semanticRatio": 1}}
    assert plan_part({**HYBRID, **only}, KEYED, WINDOW) is None


def test_its_answer_has_the_form_of_a_federated_one() -> None:
    """With weights, facets of its index, and its vector if it is to be seen."""
    near = hit({"id": 1}, ("vectorSort", {"similarity": 0.5}), score=0.5)
    body = answer(
        [near],
        facetDistribution={"x": {"y": 1}},
        facetStats={},
        queryVector=[1.0],
        metadata={"queryUid": "u"},
        semanticHitCount=1,
    )
    found = json.loads(as_part(body, part_of({"federationOptions": {"weight": 3}})))
    federation = {"indexUid": "a", "queriesPosition": 0, "weightedRankingScore": 1.5}
    assert found["hits"][0]["_federation"] == federation
    assert found["facetsByIndex"] == {"a": {"distribution": {"x": {"y": 1}}, "stats": {}}}
    assert found["metadata"] == [{"queryUid": "u"}]
    assert "queryVectors" not in found
    shown = json.loads(as_part(body, part_of({"retrieveVectors": True})))
    assert shown["queryVectors"] == {"0": [1.0]}


def test_its_list_keeps_its_order_among_others() -> None:
    """Keywords and meaning are compared by their shares within it, and by their scores outside."""
    asked = federated(HYBRID, {"indexUid": "b", "q": "boat", "showRankingScore": True})
    assert isinstance(asked, FederatedPlan)
    assert list(asked.bodies) == ["b"]
    word = ("words", {"matchingWords": 1, "maxMatchingWords": 1, "score": 0.9})
    both = [
        hit({"id": 1}, ("vectorSort", {"similarity": 0.6}), score=0.6),
        hit({"id": 2}, word, score=0.9),
    ]
    part = as_part(answer(both, semanticHitCount=1), asked.hybrid["a"])
    federation = {"indexUid": "b", "queriesPosition": 0, "weightedRankingScore": 0.7}
    plain = answer([{**hit({"id": 3}, word, score=0.7), "_federation": federation}])
    found = merge_federated({"a": [part], "b": [plain]}, asked, "an uid")
    assert isinstance(found, bytes)
    assert [h["id"] for h in json.loads(found)["hits"]] == [3, 1, 2]
    assert json.loads(found)["semanticHitCount"] == 1


def test_a_hybrid_query_has_its_index_to_itself() -> None:
    """Nodes would show a document once, for whichever query of theirs fits it best."""
    refused = federated(HYBRID, {"indexUid": "a", "q": "x"})
    assert isinstance(refused, CannotMerge)
    assert "beside others of its index" in refused.reason


def test_a_hybrid_query_sorted_in_the_midst_is_compared_with_no_other() -> None:
    """Its hits do not show what decides."""
    midst = SearchSettings(primary_key="id", ranking_rules=("words", "sort", "typo"))
    by_size = {**HYBRID, "sort": ["size:asc"]}
    refused = federated(by_size, {"indexUid": "b"}, settings=midst)
    assert isinstance(refused, CannotMerge)
    assert "sorted in the midst" in refused.reason
    assert isinstance(federated(by_size, settings=midst), FederatedPlan)
