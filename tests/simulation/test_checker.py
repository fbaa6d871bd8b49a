"""
The judge is judged: good histories pass, and every kind of bad one is refused for its reason.

A checker that lets everything through makes every seed green.
"""

import pytest

from tests.support.sim_checker import SECRET, Bounds, Checker, Rules, Violation
from tests.support.sim_engine import NEW, NEXT, OLD, digest
from tests.support.sim_events import (
    Accepted,
    Answered,
    Closed,
    Committed,
    Denied,
    Departed,
    Event,
    Guarded,
    Look,
    NodeChanged,
    NodeRead,
    Opened,
    Proofs,
    Refused,
    Returned,
    Started,
    Switched,
    Upgraded,
    Written,
)

FRESH = digest(NEW.truth({}))
STOPS = {"stopWords": ["the"]}
CHANGED = digest(NEW.truth(NEW.apply({}, [NEW.parse(STOPS)])))
FOREIGN = digest(NEW.truth(NEW.apply({}, [NEW.parse({"stopWords": ["foreign"]})])))
BOTH = {"a": 1, "b": 1}
RULES = Rules(columns=(("a", "b"),), bounds=Bounds(task_s=10.0, other_s=10.0))


def created(index: str = "m") -> list[Event]:
    """Version 1 of an index, committed on both nodes."""
    return [
        Opened(0.0, 1, index, "create"),
        Started(0.1, 1, index),
        NodeChanged(0.2, "a", index, FRESH, "own", "indexCreation"),
        NodeChanged(0.2, "b", index, FRESH, "own", "indexCreation"),
        Committed(0.3, 1, index, "create", 0, 1, raised=True, fingerprints={"1.50.0": "f1"}),
        Proofs(0.3, "store", index, BOTH),
        Closed(0.4, 1, index, "converged"),
        Switched(0.4, index, 1),
        Proofs(0.4, "view", index, BOTH),
    ]


def changed(at_s: float = 1.0) -> list[Event]:
    """Version 2, committed on both."""
    return [
        *created(),
        Opened(at_s, 2, "m", "change", STOPS),
        Started(at_s, 2, "m"),
        Proofs(at_s, "view", "m", {}),
        NodeChanged(at_s, "a", "m", CHANGED, "own"),
        NodeChanged(at_s, "b", "m", CHANGED, "own"),
        Committed(at_s, 2, "m", "change", 1, 2, raised=True, fingerprints={"1.50.0": "f2"}),
        Proofs(at_s, "store", "m", {"a": 2, "b": 2}),
        Closed(at_s, 2, "m", "converged"),
        Switched(at_s, "m", 2),
        Proofs(at_s, "view", "m", {"a": 2, "b": 2}),
    ]


def answer(version: int, truths: dict[str, bytes], **other: object) -> Answered:
    fields = {"began_s": 2.0, "floor": None, "flagged": False, **other}
    looks = tuple(Look(node, truth, 2.0) for node, truth in truths.items())
    return Answered(at_s=2.1, index="m", version=version, looks=looks, **fields)


def judge(history: list[Event], rules: Rules = RULES) -> None:
    checker = Checker({"a": NEW, "b": NEW}, rules, later=(NEXT,))
    for event in history:
        checker.see(event)


ALL_CALM = frozenset({"a", "b"})
GOOD: dict[str, list[Event]] = {
    "a creation": created(),
    "a change": changed(),
    "an aborted change": [
        *created(),
        Opened(1, 2, "m", "change", STOPS),
        Started(1, 2, "m"),
        Proofs(1, "view", "m", {}),
        NodeChanged(1, "a", "m", CHANGED, "own"),
        NodeChanged(2, "a", "m", FRESH, "own"),
        Closed(2, 2, "m", "aborted"),
        Proofs(2, "view", "m", BOTH),
    ],
    "a foreign change that is young": [
        *created(),
        NodeChanged(1, "a", "m", FOREIGN, "foreign"),
        Proofs(5, "view", "m", BOTH, ALL_CALM),
    ],
    "a foreign change that was found": [
        *created(),
        NodeChanged(1, "a", "m", FOREIGN, "foreign"),
        Proofs(5, "view", "m", {"b": 1}, ALL_CALM),
        Proofs(500, "view", "m", {"b": 1}, ALL_CALM),
    ],
    "an old foreign change on a node that cannot be read": [
        *created(),
        NodeChanged(1, "a", "m", FOREIGN, "foreign"),
        Proofs(500, "view", "m", BOTH, frozenset({"b"})),
    ],
    "a repair keeps the version": [
        *created(),
        Opened(1, 2, "m", "repair"),
        Started(1, 2, "m"),
        Committed(1, 2, "m", "repair", 1, 1, raised=False, fingerprints={"1.50.0": "f1"}),
        Closed(1, 2, "m", "converged"),
    ],
    "an answer": [*changed(), answer(2, {"a": CHANGED, "b": CHANGED}, floor=2)],
    "a flagged answer": [*changed(), answer(2, {"a": FOREIGN}, flagged=True)],
    "deleted and created again": [
        *created(),
        Opened(1, 2, "m", "delete"),
        Started(1, 2, "m"),
        NodeChanged(1, "a", "m", None, "own"),
        Committed(1, 2, "m", "delete", 1, 1, raised=False, deleted=True),
        Closed(1, 2, "m", "converged"),
        Opened(2, 3, "m", "create"),
        Started(2, 3, "m"),
        NodeChanged(2, "a", "m", FRESH, "own", "indexCreation"),
    ],
    "a task that succeeds": [Accepted(1, 7, "m", "enqueued"), Accepted(2, 7, "m", "succeeded")],
    "a probe without an intent": [Departed(1, "a", "_miroir_probe", "probe", {}, None)],
}
BAD: dict[str, tuple[str, list[Event]]] = {
    "two fingerprints of one version": (
        "two fingerprints",
        [
            *created(),
            Opened(1, 2, "m", "repair"),
            Committed(1, 2, "m", "repair", 1, 1, raised=False, fingerprints={"1.50.0": "f9"}),
        ],
    ),
    "a number is used again after deletion": (
        "1 -> 2 after 2",
        [
            *changed(),
            Opened(1, 3, "m", "change", {}),
            Committed(1, 3, "m", "change", 1, 2, raised=True),
        ],
    ),
    "a version is left out": (
        "1 -> 3 after 1",
        [
            *created(),
            Opened(1, 2, "m", "change", {}),
            Committed(1, 2, "m", "change", 1, 3, raised=True),
        ],
    ),
    "a commit without a cover": (
        "committed on \\(\\) alone",
        [Opened(0, 1, "m", "create"), Committed(0, 1, "m", "create", 0, 1, True, proved=())],
    ),
    "a version goes back": (
        "0 -> 1 after 2",
        [
            *changed(),
            Opened(3, 3, "m", "change", {}),
            Committed(3, 3, "m", "change", 0, 1, raised=True),
        ],
    ),
    "committed twice": (
        "committed twice",
        [*created(), Committed(1, 1, "m", "create", 1, 2, raised=True)],
    ),
    "two intents at once": (
        "while 1 is open",
        [Started(0, 1, "m"), Started(1, 2, "m")],
    ),
    "a commit that ends aborted": ("ended aborted", [*created(), Closed(1, 1, "m", "aborted")]),
    "converged without a commit": ("ended converged", [Closed(1, 5, "m", "converged")]),
    "an old epoch": ("under epoch 1 of 2", [Guarded(0, "save_intent", 1, 2, 4, 4)]),
    "an old revision": ("over revision 5", [Guarded(0, "save_intent", 2, 2, 4, 5)]),
    "proved without showing it": (
        "holds b proved at 2",
        [*changed(), NodeChanged(2, "b", "m", FRESH, "own"), Proofs(2, "view", "m", {"b": 2})],
    ),
    "proved in the store only": (
        "the store holds a proved",
        [*created(), NodeChanged(2, "a", "m", FOREIGN, "own"), Proofs(2, "store", "m", BOTH)],
    ),
    "proved at base after an abort that left it": (
        "holds a proved at 1",
        [
            *created(),
            Opened(1, 2, "m", "change", STOPS),
            Started(1, 2, "m"),
            Proofs(1, "view", "m", {}),
            NodeChanged(1, "a", "m", CHANGED, "own"),
            Closed(2, 2, "m", "aborted"),
            Proofs(2, "view", "m", BOTH),
        ],
    ),
    "proved without the index": (
        "does not have the index",
        [*created(), NodeChanged(2, "a", "m", None, "own"), Proofs(2, "view", "m", BOTH)],
    ),
    "a foreign change that nobody found": (
        "holds a proved",
        [
            *created(),
            Proofs(0.5, "view", "m", BOTH, ALL_CALM),
            NodeChanged(1, "a", "m", FOREIGN, "foreign"),
            Proofs(12, "view", "m", BOTH, ALL_CALM),
        ],
    ),
    "a foreign change that was read and believed": (
        "holds a proved",
        [
            *created(),
            Proofs(1, "view", "m", {"b": 1}),
            NodeChanged(1, "a", "m", FOREIGN, "foreign"),
            NodeRead(2, "a", "m"),
            Proofs(3, "view", "m", BOTH),
        ],
    ),
    "a patch that no node takes": (
        "refuses was committed",
        [
            *created(),
            Opened(1, 2, "m", "change", {"rankingRules": ["no such"]}),
            Committed(1, 2, "m", "change", 1, 2, raised=True),
        ],
    ),
    "a deleted index comes back": (
        "created again",
        [
            *created(),
            Opened(1, 2, "m", "delete"),
            Started(1, 2, "m"),
            NodeChanged(1, "a", "m", None, "own"),
            Committed(1, 2, "m", "delete", 1, 1, raised=False, deleted=True),
            Closed(1, 2, "m", "converged"),
            NodeChanged(2, "a", "m", CHANGED, "own"),
        ],
    ),
    "sent before it was durable": (
        "while the store says None",
        [*created(), Departed(1, "a", "m", "patch_settings", STOPS, None)],
    ),
    "sent after it was done": (
        "while the store says verified",
        [*created(), Departed(1, "a", "m", "patch_settings", STOPS, "verified")],
    ),
    "a mask is sent": (
        "masked secret",
        [Departed(1, "a", "m", "p", {"embedders": {"e": {"apiKey": "skXXXX..."}}}, "sending")],
    ),
    "a mask is sent to the probe": (
        "masked secret",
        [Departed(1, "a", "_miroir_probe", "p", {"embedders": {"e": {"apiKey": "XXX..."}}}, None)],
    ),
    "a secret in an output": ("a secret in an output", [Written(1, f"key sk-{SECRET}1")]),
    "the header lies": ("the header says 2", [*changed(), answer(2, {"a": FRESH, "b": CHANGED})]),
    "an answer mixes versions": (
        "mixes settings: those of a, b differ",
        [*created(), answer(1, {"a": FRESH, "b": CHANGED})],
    ),
    "a version that is not committed": (
        "was not in force",
        [*created(), answer(2, {"a": CHANGED})],
    ),
    "a version that is over": (
        "was not in force",
        [*changed(), answer(1, {"a": FRESH, "b": FRESH})],
    ),
    "a floor is broken": (
        "floor 2 was answered",
        [*created(), answer(1, {"a": FRESH}, floor=2)],
    ),
    "a floor is answered with a flag": (
        "floor 2 was answered",
        [*changed(), answer(2, {"a": CHANGED}, floor=2, flagged=True)],
    ),
    "a task comes back to life": (
        "was succeeded, is enqueued",
        [Accepted(1, 7, "m", "succeeded"), Accepted(2, 7, "m", "enqueued")],
    ),
    "a task fails after it has succeeded": (
        "was succeeded, is failed",
        [Accepted(1, 7, "m", "succeeded"), Accepted(2, 7, "m", "failed")],
    ),
    "a valid change is refused": ("was refused", [Refused(1, "m", valid=True)]),
}


STRICT = Rules(
    columns=(("a", "b"),), bounds=Bounds(task_s=4.0, other_s=36.0), calm=True, one_version=True
)
"""Nothing goes wrong, and one half can serve while the other is changed."""
UPGRADED = digest(NEXT.truth({}))
STRICTLY_GOOD: dict[str, list[Event]] = {
    "a change in halves": [*changed(), answer(2, {"a": CHANGED, "b": CHANGED})],
    "a floor that nobody has reached": [*created(), Denied(3, 2, "m", 2, "stale")],
    "no such index yet": [Denied(3, 2, "m", None, "index_not_found")],
    "no such index any more": [
        *created(),
        Opened(1, 2, "m", "delete"),
        Started(1, 2, "m"),
        Committed(1, 2, "m", "delete", 1, 1, raised=False, deleted=True),
        Closed(1, 2, "m", "converged"),
        Denied(3, 2, "m", None, "index_not_found"),
    ],
    "a restored snapshot that the sweep has not seen yet": [
        *created(),
        Proofs(0.5, "view", "m", BOTH, ALL_CALM),
        NodeChanged(1, "a", "m", FOREIGN, "foreign", "snapshot"),
        Proofs(30, "view", "m", BOTH, ALL_CALM),
    ],
    "an upgrade": [
        *created(),
        Upgraded(1, "a", "1.51.0"),
        NodeChanged(1, "a", "m", UPGRADED, "own", "upgrade"),
        Proofs(500, "view", "m", BOTH, ALL_CALM),
    ],
    "a repair of what differs": [
        *created(),
        NodeChanged(1, "a", "m", FOREIGN, "foreign"),
        Proofs(2, "view", "m", {"b": 1}, ALL_CALM),
        Opened(3, 2, "m", "repair", nodes=("a",)),
    ],
    "a node that returns with its documents": [*created(), Returned(1, "a", "m", lags=False)],
}
STRICTLY_BAD: dict[str, tuple[str, list[Event]]] = {
    "changed and changed back under an answer": (
        "a was changed at 2.03",
        [
            *created(),
            NodeChanged(2.03, "a", "m", CHANGED, "own"),
            NodeChanged(2.06, "a", "m", FRESH, "own"),
            answer(1, {"a": FRESH, "b": FRESH}),
        ],
    ),
    "a flag though one half could serve": (
        "a flag, though",
        [*changed(), answer(2, {"a": CHANGED, "b": CHANGED}, flagged=True)],
    ),
    "no answer though one half could serve": (
        "was denied with no_cover",
        [*created(), Denied(3, 2, "m", None, "no_cover")],
    ),
    "a floor that was reached is denied": (
        "floor 1 was denied",
        [*created(), Denied(3, 2, "m", 1, "stale")],
    ),
    "an index that is there is not found": (
        "was denied with index_not_found",
        [*created(), Denied(3, 2, "m", None, "index_not_found")],
    ),
    "a foreign task that the feed did not find": (
        "holds a proved",
        [
            *created(),
            Proofs(0.5, "view", "m", BOTH, ALL_CALM),
            NodeChanged(1, "a", "m", FOREIGN, "foreign"),
            Proofs(6, "view", "m", BOTH, ALL_CALM),
        ],
    ),
    "a restored snapshot that the sweep did not find": (
        "holds a proved",
        [
            *created(),
            Proofs(0.5, "view", "m", BOTH, ALL_CALM),
            NodeChanged(1, "a", "m", FOREIGN, "foreign", "snapshot"),
            Proofs(40, "view", "m", BOTH, ALL_CALM),
        ],
    ),
    "a repair of what is right": (
        "a is right, and is to be repaired",
        [*created(), Opened(9, 2, "m", "repair", nodes=("a",))],
    ),
    "an upgrade is taken for drift": (
        "a is right, and is to be repaired",
        [
            *created(),
            Upgraded(1, "a", "1.51.0"),
            NodeChanged(1, "a", "m", UPGRADED, "own", "upgrade"),
            Opened(9, 2, "m", "repair", nodes=("a",)),
        ],
    ),
    "a change that is sent twice": (
        "was sent to a 2 times",
        [
            *created(),
            Opened(1, 2, "m", "change", STOPS),
            Started(1, 2, "m"),
            Departed(1, "a", "m", "patch_settings", STOPS, "sending"),
            Departed(2, "a", "m", "patch_settings", STOPS, "sending"),
        ],
    ),
    "a node that returns before its documents": (
        "a answers before its documents",
        [*created(), Returned(1, "a", "m", lags=True)],
    ),
    "repairs without an end": (
        "a was repaired 6 times in a row",
        [
            *created(),
            NodeChanged(1, "a", "m", FOREIGN, "foreign"),
            *(
                event
                for n in range(2, 8)
                for event in (
                    Opened(n, n, "m", "repair", nodes=("a",)),
                    Committed(n, n, "m", "repair", 1, 1, raised=False),
                )
            ),
        ],
    ),
    "a version before it was committed": (
        "was not in force",
        [*changed(at_s=5.0), answer(2, {"a": CHANGED, "b": CHANGED})],
    ),
}


@pytest.mark.parametrize("name", STRICTLY_GOOD)
def test_what_is_right_in_calm_passes(name: str) -> None:
    """A rule for calm must not be broken by what belongs to it."""
    judge(STRICTLY_GOOD[name], STRICT)


@pytest.mark.parametrize("name", STRICTLY_BAD)
def test_what_is_wrong_in_calm_is_refused_for_its_reason(name: str) -> None:
    """Where nothing goes wrong, and halves can be changed apart, more is promised."""
    reason, history = STRICTLY_BAD[name]
    judge(history[:-1], STRICT)
    with pytest.raises(Violation, match=reason):
        judge(history, STRICT)


def test_the_second_half_may_serve_again_while_the_first_is_lost() -> None:
    """Between the switch and the end of a change there are two versions, and no more."""
    history = changed()
    *begun, closed = history[: history.index(Closed(1.0, 2, "m", "converged")) + 1]
    over = [*begun, Switched(1.0, "m", 2), answer(1, {"a": FRESH, "b": FRESH})]
    judge(over)
    with pytest.raises(Violation, match="was not in force"):
        judge([*begun, closed, *over[len(begun) :]])


@pytest.mark.parametrize("name", GOOD)
def test_a_good_history_passes(name: str) -> None:
    """A judge who convicts the innocent is switched off sooner or later."""
    judge(GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_is_refused_for_its_reason(name: str) -> None:
    """Each invariant has teeth of its own."""
    reason, history = BAD[name]
    judge(history[:-1])
    with pytest.raises(Violation, match=reason):
        judge(history)


def test_defaults_of_one_engine_may_be_explicit_on_another() -> None:
    """Version skew is not drift: what one engine has by default, Miroir may set on another."""
    checker = Checker({"a": NEW, "b": OLD}, RULES)
    stored = OLD.apply({}, [OLD.parse({"pagination": {"maxTotalHits": 1000}})])
    for event in created()[:3]:
        checker.see(event)
    checker.see(NodeChanged(0.2, "b", "m", digest(OLD.truth(stored)), "own", "indexCreation"))
    checker.see(Committed(0.3, 1, "m", "create", 0, 1, raised=True))
    checker.see(Proofs(0.3, "store", "m", BOTH))
    other = OLD.apply({}, [OLD.parse({"pagination": {"maxTotalHits": 5}})])
    checker.see(NodeChanged(0.4, "b", "m", digest(OLD.truth(other)), "own"))
    with pytest.raises(Violation, match="pagination"):
        checker.see(Proofs(0.5, "store", "m", BOTH))


def test_a_key_of_one_engine_is_judged_on_that_engine() -> None:
    """A newer node shows more; what it shows more is not forgotten by the judge."""
    stored = NEXT.apply({}, [NEXT.parse({"rerank": "x"})])
    assert NEXT.shown(stored)["rerank"] == "x"
    assert NEXT.shown({})["rerank"] is None
    assert "rerank" not in NEW.shown({})
