"""
The judges of what clients asked for, and of the commons, are judged: good and bad histories.

A checker that lets everything through makes every seed green.
"""

import pytest

from miroir.core.commons import FEATURES, KEYS
from tests.simulation.test_checker import CHANGED, STOPS, changed, created, judge
from tests.support.sim_checker import Violation
from tests.support.sim_events import (
    Asked,
    Closed,
    Committed,
    CommonAnswered,
    CommonChanged,
    Event,
    Mismatched,
    NodeChanged,
    Opened,
    Proofs,
    Unmoved,
)
from tests.support.sim_node_commons import value_of

UID = "00000000-aaaa-4bbb-8ccc-0123456789ab"
KEY = {"name": "shop", "description": None, "actions": ["*"], "indexes": ["*"], "expiresAt": None}
SHOWN = {UID: {**KEY, "value": value_of(UID)}}
PROVED = {"a": 1, "b": 1}


def key_made() -> list[Event]:
    """A key on both nodes, committed as version 1."""
    return [
        Opened(1, 1, KEYS, "change", {UID: KEY}),
        CommonChanged(1, "a", KEYS, SHOWN, "own"),
        CommonChanged(1, "b", KEYS, SHOWN, "own"),
        Committed(2, 1, KEYS, "change", 0, 1, raised=True),
        Proofs(2, "store", KEYS, PROVED),
        Closed(2, 1, KEYS, "converged"),
    ]


def rolled_back(truth: bytes) -> list[Event]:
    """Back to version 1 as version 3, shown so by both nodes."""
    return [
        *changed(),
        Opened(3, 3, "m", "rollback", asked=Asked(former=1)),
        NodeChanged(3, "a", "m", truth, "own"),
        NodeChanged(3, "b", "m", truth, "own"),
        Committed(3, 3, "m", "rollback", 2, 3, raised=True, fingerprints={"1.50.0": "f3"}),
        Proofs(3, "store", "m", {"a": 3, "b": 3}),
    ]


def made_for(version: int) -> list[Event]:
    """A write with `If-Match` of a version, committed over version 1."""
    return [
        *created(),
        Opened(1, 2, "m", "change", STOPS, asked=Asked(frozenset({version}))),
        Committed(1, 2, "m", "change", 1, 2, raised=True),
    ]


FRESH = next(e.truth for e in created() if isinstance(e, NodeChanged))
assert FRESH is not None
STALE = frozenset({1})
GOOD = {
    "a rollback": rolled_back(FRESH),
    "a write for what is in force": made_for(1),
    "a stale write that is refused": [*changed(), Mismatched(5, 4, "m", STALE)],
    "a write refused because something was under way": [
        *created(),
        Opened(1, 2, "m", "change", STOPS),
        Mismatched(2, 1.5, "m", STALE),
    ],
    "nothing to do": [*changed(), Unmoved(5, 4, "m", STOPS, Asked())],
    "a key": [*key_made(), CommonAnswered(3, 1, KEYS, {UID: {**KEY, "key": value_of(UID)}})],
    "somebody else's key": [
        *key_made(),
        CommonChanged(3, "a", KEYS, {**SHOWN, "x": {**KEY, "value": value_of("x")}}, "foreign"),
        Proofs(4, "view", KEYS, PROVED, frozenset("ab")),
    ],
    "a key that was deleted by somebody a moment ago": [
        *key_made(),
        CommonChanged(3, "a", KEYS, {}, "foreign"),
        Proofs(4, "view", KEYS, PROVED, frozenset("ab")),
    ],
    "a flag that one engine does not know": [
        Opened(1, 1, FEATURES, "change", {"metrics": True}),
        CommonChanged(1, "a", FEATURES, {"metrics": True}, "own"),
        Committed(2, 1, FEATURES, "change", 0, 1, raised=True),
        Proofs(2, "store", FEATURES, PROVED),
    ],
}
BAD = {
    "instead of": [
        rolled_back(CHANGED),
        [
            *key_made(),
            CommonChanged(3, "a", KEYS, {}, "foreign"),
            Proofs(3, "view", KEYS, PROVED, frozenset("ab")),
            Proofs(300, "view", KEYS, PROVED, frozenset("ab")),
        ],
        [
            Opened(1, 1, FEATURES, "change", {"metrics": True}),
            CommonChanged(1, "a", FEATURES, {"metrics": False}, "first"),
            Committed(2, 1, FEATURES, "change", 0, 1, raised=True),
            Proofs(2, "store", FEATURES, {"a": 1}),
        ],
    ],
    "was committed over 1": [made_for(7)],
    "is refused": [[*changed(), Mismatched(5, 4, "m", frozenset({2}))]],
    "nothing to do, but not at": [[*changed(), Unmoved(5, 4, "m", STOPS, Asked(STALE))]],
    "was taken for none": [
        [*changed(), Unmoved(5, 4, "m", {"stopWords": ["a"]}, Asked())],
        [*changed(), Unmoved(5, 4, "m", {}, Asked(former=1))],
    ],
    "was touched": [[*key_made(), CommonChanged(3, "a", KEYS, {**SHOWN, "x": KEY}, "own")]],
    "became what nobody wants": [
        [*key_made(), CommonChanged(3, "a", KEYS, {UID: {**SHOWN[UID], "name": "x"}}, "own")],
        [*key_made(), CommonChanged(3, "a", KEYS, {UID: {**KEY, "value": "another"}}, "own")],
    ],
    "which is not so": [[*key_made(), CommonAnswered(3, 1, KEYS, {UID: None})]],
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_history_passes(name: str) -> None:
    """A judge that finds fault with what is right would have the product made worse."""
    judge(GOOD[name])


@pytest.mark.parametrize(
    ("reason", "history"), [(why, history) for why, all_ in BAD.items() for history in all_]
)
def test_a_bad_history_is_refused_for_its_reason(reason: str, history: list[Event]) -> None:
    """Whatever goes unseen here, no seed will ever find."""
    with pytest.raises(Violation, match=reason):
        judge(history)
