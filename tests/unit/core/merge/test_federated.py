"""Federated searches: what shards are asked, and one list of hits."""

import json

import pytest

from miroir.core.merge import CannotMerge, SearchSettings, merge_federated, plan_federated
from miroir.core.merge.multi_search import read_multi_search
from miroir.errors import NodeAnswerUnreadable

SETTINGS = {"a": SearchSettings(), "b": SearchSettings(max_total_hits=2)}


def plan(*queries: dict, settings: dict = SETTINGS, **federation):
    asked = read_multi_search({"queries": list(queries), "federation": federation})
    assert asked is not None
    return plan_federated(asked, settings)


def hit(number: int, position: int, score: float) -> dict:
    details = {"words": {"order": 0, "matchingWords": int(score * 100), "score": score}}
    federation = {
        "indexUid": "?", "queriesPosition": position, "weightedRankingScore": score
    }  # fmt: skip
    return {
        "id": number,
        "_federation": federation,
        "_rankingScore": score,
        "_rankingScoreDetails": details,
    }


def answer(*hits: dict, total: int = 10, **more) -> bytes:
    body = {"hits": hits, "processingTimeMs": 1, "estimatedTotalHits": total, **more}
    return json.dumps(body, separators=(",", ":")).encode()


def merged(answers: dict, asked) -> dict:
    found = merge_federated(answers, asked, "an uid")
    assert isinstance(found, bytes), found
    return json.loads(found)


def places(answer: dict) -> list[tuple[int, int]]:
    return [(h["id"], h["_federation"]["queriesPosition"]) for h in answer["hits"]]


def test_hits_carry_the_clients_place_of_their_query():
    """Shards count the queries of one index."""
    asked = plan({"indexUid": "a"}, {"indexUid": "b"}, {"indexUid": "a"})
    found = merged(
        {
            "a": [answer(hit(1, 1, 0.9), hit(2, 0, 0.5)), answer(hit(3, 0, 0.7))],
            "b": [answer(hit(4, 0, 0.8)), answer(hit(5, 0, 0.6))],
        },
        asked,
    )
    assert places(found) == [(1, 2), (4, 1), (3, 0), (5, 1), (2, 0)]
    assert found["estimatedTotalHits"] == 40
    assert set(found["hits"][0]) == {"id", "_federation"}


def test_equals_of_one_query_are_put_in_the_order_of_their_ids():
    """As in a search of one index."""
    settings = {"a": SearchSettings(primary_key="id")}
    asked = plan({"indexUid": "a"}, settings=settings)
    shards = [answer(hit(10, 0, 0.9), hit(4, 0, 0.9)), answer(hit(9, 0, 0.9), hit(11, 0, 0.5))]
    assert places(merged({"a": shards}, asked)) == [(9, 0), (10, 0), (4, 0), (11, 0)]


def test_an_index_gives_no_more_than_its_max_total_hits():
    """As on one node, whatever the shards send."""
    asked = plan({"indexUid": "b"})
    shards = [answer(hit(1, 0, 0.9), hit(2, 0, 0.5)), answer(hit(3, 0, 0.7), hit(4, 0, 0.6))]
    assert places(merged({"b": shards}, asked)) == [(1, 0), (3, 0)]


def test_shards_that_rank_by_different_rules_are_put_in_order_only_if_the_answer_says_so():
    """For the moment of a settings change that is flagged; any other time it is refused."""
    other = hit(2, 0, 0.8)
    other["_rankingScoreDetails"] = {"typo": {"order": 0, "score": 0.8}}
    answers = {"a": [answer(hit(1, 0, 0.5), hit(3, 0, 0.4)), answer(other)]}
    asked = plan({"indexUid": "a"}, limit=2)
    assert isinstance(merge_federated(answers, asked, "an uid"), CannotMerge)
    found = merge_federated(answers, asked, "an uid", mixed=True)
    assert isinstance(found, bytes)
    assert places(json.loads(found)) == [(2, 0), (1, 0)]


def test_facets_of_all_indexes_are_added_up_in_their_order():
    """By text, or by count and then by text."""
    by_count = {uid: SearchSettings(sort_facet_values_by={"g": "count"}) for uid in "ab"}
    asked = plan({"indexUid": "a"}, {"indexUid": "b"}, settings=by_count, mergeFacets={})
    part = {"distribution": {"g": {"x": 2, "y": 1}, "f": {"y": 2, "x": 1}}, "stats": {}}
    more = {"distribution": {"g": {"y": 5}, "f": {"a": 1}}, "stats": {"f": {"min": 1, "max": 2}}}
    found = merged(
        {
            "a": [answer(facetsByIndex={"a": part}), answer(facetsByIndex={"a": part})],
            "b": [answer(facetsByIndex={"b": more}), answer()],
        },
        asked,
    )
    assert json.dumps(found["facetDistribution"]) == (
        '{"f": {"a": 1, "x": 2, "y": 4}, "g": {"y": 7, "x": 4}}'
    )
    assert found["facetStats"] == {"f": {"min": 1, "max": 2}}


def test_of_all_queries_and_indexes_the_best_hit_of_a_value_is_kept():
    """`federation.distinct`; what was dropped is no hit, and is taken from the total."""
    asked = plan({"indexUid": "a"}, {"indexUid": "b"}, {"indexUid": "a"}, distinct="g")

    def of(number: int, position: int, score: float, value: str) -> dict:
        return {"g": value, **hit(number, position, score)}

    answers = {
        "a": [
            answer(of(1, 0, 0.9, "x"), of(2, 1, 0.5, "y"), total=2),
            answer(of(3, 1, 0.8, "X "), of(4, 0, 0.4, "z"), total=2),
        ],
        "b": [answer(of(5, 0, 0.7, "y"), of(6, 0, 0.1, "z"), total=2), answer(total=0)],
    }
    found = merged(answers, asked)
    assert places(found) == [(1, 0), (5, 1), (4, 0)]
    assert found["estimatedTotalHits"] == 3


def test_a_hidden_sort_value_is_compared_and_not_shown():
    """It was looked up, and stands in the details until the hits are in order."""
    asked = plan(
        {"indexUid": "a", "sort": ["s:desc"], "showRankingScoreDetails": True},
        settings={"a": SearchSettings(displayed_attributes=("id",), primary_key="id")},
    )

    def of(number: int, value: float) -> dict:
        shown = hit(number, 0, 1.0)
        rule = {"order": 0, "value": value, "hidden": "desc"}
        return {**shown, "_rankingScoreDetails": {"<hidden-rule-0>": rule}}

    found = merged({"a": [answer(of(1, 5.0)), answer(of(2, 7.0))]}, asked)
    assert [h["id"] for h in found["hits"]] == [2, 1]
    details = {"<hidden-rule-0>": {"order": 0, "value": "<hidden>"}}
    assert all(h["_rankingScoreDetails"] == details for h in found["hits"])


def test_hits_are_compared_by_what_is_told_and_do_not_show_it():
    """The weighted score alone would put them the other way round."""
    asked = plan({"indexUid": "a"}, {"indexUid": "b"})

    def of(number: int, score: float, first: float) -> dict:
        shown = hit(number, 0, score)
        told = [{"weightedScore": first}, {"sort": {"asc": True, "value": 1}}]
        shown["_federation"] |= {"weightedScoreValues": told, "extra_document": {"x": 1}}
        return shown

    found = merged({"a": [answer(of(1, 0.9, 0.4))], "b": [answer(of(2, 0.1, 0.5))]}, asked)
    assert places(found) == [(2, 1), (1, 0)]
    names = {"indexUid", "queriesPosition", "weightedRankingScore"}
    assert all(h["_federation"].keys() == names for h in found["hits"])


def test_an_answer_to_another_question_is_nobodys_answer():
    """The caller learns whose it was."""
    with pytest.raises(NodeAnswerUnreadable) as error:
        merge_federated({"a": [answer(), b"[]"]}, plan({"indexUid": "a"}), "an uid")
    assert error.value.position == 1
