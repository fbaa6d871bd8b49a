"""What the store tells of a node that is not proved: left behind by us, or changed by others."""

from collections.abc import Mapping

from miroir.core.broadcast_types import Broadcast, Decision, NodeState, Progress
from miroir.core.topology import IndexUid, NodeId
from miroir.ports.records import Intent, IntentKind
from miroir.services.verified import left_right

MOVIES, A, B = IndexUid("movies"), NodeId("a"), NodeId("b")
RIGHT, SILENT = NodeState.VERIFIED, NodeState.SILENT


def intent(
    nodes: Mapping[NodeId, NodeState], version: int | None, decision: Decision = Decision.COMMIT
) -> Intent:
    """Return a closed change that left nodes in these states."""
    state = Broadcast(
        MOVIES,
        columns=((A, B),),
        waves=((A, B),),
        decision=decision,
        nodes={n: Progress(state=s) for n, s in nodes.items()},
    )
    return Intent(
        index_uid=MOVIES, kind=IntentKind.CHANGE, patch={}, target={}, undo={}, primary_key=None,
        by="", reason="", state=state, at_ms=0, intent_id=1, base_version=0, task_uid=None,
        revision=0, committed_version=version,
    )  # fmt: skip


def test_what_differs_on_a_node_that_was_read_back_is_somebody_elses() -> None:
    """In mode `adopt` it is wanted: a restart in the wrong second must not throw it away."""
    assert left_right([intent({A: RIGHT, B: RIGHT}, 3)], A, 3)


def test_a_node_that_was_left_behind_has_nothing_to_adopt() -> None:
    """It shows what was in force before: adopting that would undo the change everywhere."""
    assert not left_right([intent({A: RIGHT, B: SILENT}, 3)], B, 3)
    assert not left_right([intent({A: RIGHT, B: RIGHT}, 2)], B, 3)
    assert not left_right([], B, 3)


def test_the_newest_change_that_asked_the_node_counts() -> None:
    """A repair of another node says nothing of this one; one of this node that failed does."""
    before = intent({A: RIGHT, B: RIGHT}, 3)
    assert left_right([intent({A: RIGHT}, 3), before], B, 3)
    assert not left_right([intent({B: SILENT}, None), before], B, 3)


def test_an_abort_that_read_the_base_back_is_no_evidence_of_the_version() -> None:
    """Its nodes were verified at what it went back to."""
    assert not left_right([intent({A: RIGHT}, None, Decision.ABORT)], A, 3)
