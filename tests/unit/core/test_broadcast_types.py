"""The machine's values: what they refuse, what they tell, and that they survive the store."""

import pytest
from tests.support.playbook import stored

from miroir.core.broadcast_types import (
    CLOSED_PHASES,
    Broadcast,
    Decision,
    NodeState,
    Phase,
    Progress,
)


def broadcast(**changes):
    """Return a machine over two shards with two nodes each."""
    wanted = {
        "columns": (("a0", "b0"), ("a1", "b1")),
        "waves": (("a0", "a1"), ("b0", "b1")),
        **changes,
    }
    return Broadcast("movies", **wanted)


@pytest.mark.parametrize(
    "changes",
    [
        {"waves": ()},
        {"waves": (("a0",), ())},
        {"commit_after": 0},
        {"commit_after": 3},
        {"wave": 2},
        {"waves": (("a0", "b0"), ("a1", "b1"))},
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(changes):
    """Its commit would rest on nobody, or on half of the shards."""
    with pytest.raises(AssertionError):
        broadcast(**changes)


def test_a_cover_has_a_node_of_every_shard():
    """It is what decides whether the silent can be left behind."""
    state = broadcast()

    assert state.covers(["a0", "b1"])
    assert state.covers(("a0", "a1", "b0"))
    assert not state.covers({"a0", "b0"})
    assert not state.covers([])
    assert not state.covers(["a0", "stranger"])


def test_touched_and_verified_are_read_off_the_progress():
    """The store takes its proofs from them."""
    state = broadcast(
        nodes={
            "a0": Progress(NodeState.VERIFIED),
            "a1": Progress(NodeState.UNTOUCHED),
            "b0": Progress(NodeState.SILENT),
        }
    )

    assert state.touched == ("a0", "b0")
    assert state.verified == ("a0",)


@pytest.mark.parametrize("phase", Phase)
def test_closed_are_the_five_ends(phase):
    """Whoever asks for open changes must get those and only those that go on."""
    assert broadcast(phase=phase).closed == (phase in CLOSED_PHASES)
    assert len(CLOSED_PHASES) == 5


def test_only_an_abort_undoes():
    """The direction decides what a node is sent."""
    assert not broadcast().undoing
    assert not broadcast(decision=Decision.COMMIT).undoing
    assert broadcast(decision=Decision.ABORT).undoing


def test_every_field_survives_the_store():
    """A successor that knows less than its predecessor decides otherwise."""
    state = broadcast(
        commit_after=2,
        retries_max=9,
        undoable=False,
        freeze=False,
        phase=Phase.WAITING,
        decision=Decision.ABORT,
        wave=1,
        round=4,
        retries=2,
        expected={"1.50.0": "f"},
        nodes={
            "a0": Progress(
                NodeState.DIFFERENT, 7, "f", "1.50.0", ("one", "two"), {"code": {"deep": [1]}}, 3
            )
        },
        error={"message": "é"},
        version=5,
    )

    assert stored(state) == state


def test_the_stored_words_are_never_renamed():
    """Databases of old releases are full of them."""
    assert {str(p) for p in Phase} == {
        "queued",
        "probing",
        "draining",
        "proposing",
        "verifying",
        "waiting",
        "checking",
        "committing",
        "converged",
        "aborted",
        "refused",
        "frozen",
        "canceled",
    }
    assert {str(d) for d in Decision} == {"commit", "abort"}
    assert {str(s) for s in NodeState} == {
        "untouched",
        "sending",
        "sent",
        "ended",
        "unanswered",
        "rejected",
        "reading",
        "verified",
        "different",
        "silent",
    }
