"""Hits of several queries in one order: what a node compares, and what it does not show."""

import json

import msgspec
import pytest

from miroir.core.merge.hits import Hit
from miroir.core.merge.ranking import Incomparable, decode_details
from miroir.core.merge.weighted import Candidate, Told, merge_candidates, values_of, values_told

RELEVANT = {"words": {"order": 0, "score": 1.0}, "typo": {"order": 1, "score": 1.0}}


def candidate(place: int, score: float, details: dict | None = None) -> Candidate:
    decoded = decode_details(json.dumps(RELEVANT if details is None else details).encode())
    return Candidate(Hit(b"{}", 1), "movies", place, score, values_of(decoded, score))


def sort(value: object, direction: str = "asc") -> dict:
    return {f"rank:{direction}": {"order": 0, "value": value}}


def geo(distance: float | None, direction: str = "asc") -> dict:
    return {f"_geoPoint(1, 2):{direction}": {"order": 0, "distance": distance}}


def vector(similarity: float) -> dict:
    return {"vectorSort": {"order": 0, "similarity": similarity}}


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ((1, 0.9), (0, 0.8)),
        ((0, 0.8), (1, 0.8)),
        ((0, 0.8), (1, 0.8 + 1e-16)),
        ((1, 0.9, vector(0.9)), (0, 0.8)),
        ((1, 0.1, sort(1)), (0, 0.9, sort(2))),
        ((1, 0.1, sort(2, "desc")), (0, 0.9, sort(1, "desc"))),
        ((1, 0.1, sort(2)), (0, 0.9, sort("a"))),
        ((1, 0.1, sort("a")), (0, 0.9, sort(None))),
        ((1, 0.1, sort("b", "desc")), (0, 0.9, sort("a", "desc"))),
        ((1, 0.1, geo(9.0)), (0, 0.9, geo(1.0))),
        ((1, 0.1, geo(1.0, "desc")), (0, 0.9, geo(None, "desc"))),
        ((1, 0.9, sort(1)), (0, 0.8, sort(0, "desc"))),
        ((1, 0.9, sort(1)), (0, 0.8)),
        ((1, 0.1, sort(1) | {"typo": {"order": 1}}), (0, 0.9, geo(1.0))),
        ((1, 0.1, sort(1) | {"typo": {"order": 1}}), (0, 0.1, sort(1))),
        ((0, 0.0, {}), (1, 0.0, {})),
    ],
)
def test_the_better_of_two_hits_goes_first(better, worse):
    """Read off weighted_scores.rs: values, then how many are left, then the score, then place."""
    one, other = candidate(*better), candidate(*worse)
    assert one.goes_before(other)
    assert not other.goes_before(one)


def test_lists_are_merged_by_their_heads():
    """A list keeps its own order, whatever its scores: its query has decided it."""
    first = [candidate(0, score) for score in (0.5, 0.9, 0.4)]
    second = [candidate(1, score) for score in (0.8, 0.5)]
    merged = merge_candidates([iter(first), iter(()), iter(second)])
    assert [(each.place, each.score) for each in merged] == [
        (1, 0.8),
        (0, 0.5),
        (0, 0.9),
        (1, 0.5),
        (0, 0.4),
    ]


def test_a_sort_in_the_midst_of_the_rules_cannot_be_compared():
    """Nodes show one number for both runs; a list of one query needs no comparison."""
    midst = {**RELEVANT, "rank:asc": {"order": 2, "value": 1}, "exactness": {"order": 3}}
    alone = [candidate(0, 0.9, midst), candidate(0, 0.8, midst)]
    assert list(merge_candidates([iter(alone)])) == alone
    with pytest.raises(Incomparable, match="in the midst"):
        list(merge_candidates([iter(alone), iter([candidate(1, 0.1)])]))


@pytest.mark.parametrize(("direction", "better", "worse"), [("desc", 2, 1), ("asc", 1, 2)])
def test_a_hidden_value_is_compared_in_its_direction(direction, better, worse):
    """It was looked up; the name of its rule tells nothing."""
    first, second = (
        {"<hidden-rule-0>": {"order": 0, "value": value, "hidden": direction}}
        for value in (better, worse)
    )
    assert candidate(1, 0.1, first).goes_before(candidate(0, 0.9, second))


def test_what_a_node_tells_in_a_network_is_compared_as_it_is_told():
    """Each run of relevancy for itself, which its details do not tell."""
    told = msgspec.json.decode(
        b'[{"weightedScore":0.5},{"sort":{"asc":false,"value":7.0}},{"geoSort":{"asc":true,'
        b'"distance":null}},{"vectorSort":0.25},{"weightedScore":0.125}]',
        type=list[Told],
    )
    rest = (("sort desc", 7.0), ("geo asc", None))
    assert values_told(told) == (("number", 0.5), *rest, ("number", 0.25), ("number", 0.125))
    assert values_told(told, 0.5)[0] == ("number", 0.25)
    first = Candidate(Hit(b"{}", 1), "a", 1, 0.1, values_told(told))
    worse = Candidate(Hit(b"{}", 1), "a", 0, 0.9, (*values_told(told)[:-1], ("number", 0.1)))
    assert first.goes_before(worse)
