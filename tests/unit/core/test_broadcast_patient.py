"""A patient change: a node that the cover needs is asked until it tells what it did."""

import pytest
from tests.unit.core.test_broadcast import proposed, read

from miroir.core.broadcast import step
from miroir.core.broadcast_messages import (
    ApplySettings,
    AwaitTask,
    BackoffElapsed,
    Begin,
    CommitVersion,
    NodeSilent,
    PatchAccepted,
    PatchUnanswered,
    ReadFailed,
    ReadSettings,
    StartBackoff,
    TaskEnded,
)
from miroir.core.broadcast_types import Broadcast, NodeState, Phase

DONE = "done"


def swap(*nodes, columns, **more):
    """Return a swap on these nodes."""
    return Broadcast("a", **{"columns": columns, "waves": (nodes,), "patient": True, **more})


def test_the_only_node_is_never_given_up():
    """It may have swapped: whatever else was decided, its documents could be somebody else's."""
    state = swap("n", columns=(("n",),))
    talk = proposed(state, "n", expected={}) >> PatchUnanswered("n", 1) << ReadSettings("n", 1)
    for round_ in range(1, 5):
        talk = talk >> NodeSilent("n") << StartBackoff(round_, round_)
        talk = talk >> BackoffElapsed(round_) << ApplySettings("n", round_ + 1)
        talk = talk >> PatchUnanswered("n", round_ + 1) << ReadSettings("n", round_ + 1)
    talk = talk >> read("n", 5, seen=DONE) << CommitVersion(0)
    assert talk.state.nodes["n"].state is NodeState.VERIFIED


def test_the_pace_of_asking_has_an_end():
    """A node that is away for a day must not cost a disk write every moment."""
    state = swap("n", columns=(("n",),), phase=Phase.WAITING, round=3000)
    assert step(state, Begin())[1] == (StartBackoff(6, 3000),)


def test_a_replica_that_others_stand_in_for_is_left_behind():
    """One dead node must not hold up the others."""
    state = swap("n", "m", columns=(("n", "m"),))
    talk = proposed(state, "n", "m", expected={}) >> PatchAccepted("m", 1, 7)
    talk = (
        talk
        << AwaitTask("m", 7, 1)
        >> NodeSilent("n")
        >> TaskEnded("m", 1)
        << {ReadSettings("m", 1)}
    )
    talk = talk >> read("m", 1, seen=DONE) << CommitVersion(0)
    assert talk.state.nodes["n"].state is NodeState.SILENT


@pytest.mark.parametrize("first", ["n", "m"])
def test_of_two_silent_replicas_one_is_waited_for(first):
    """Given up both at once, the swap would end without anybody who knows how."""
    second = {"n": "m", "m": "n"}[first]
    state = swap("n", "m", columns=(("n", "m"),))
    talk = proposed(state, "n", "m", expected={}) >> NodeSilent(first) >> NodeSilent(second)
    talk = talk << ReadSettings(second, 1)
    talk = talk >> ReadFailed(second, 1) << StartBackoff(1, 1)
    assert talk.state.nodes[first].state is NodeState.SILENT


def test_an_abort_does_not_end_before_a_cover_is_back():
    """Ended with an index on a node under another's name, it would serve wrong documents."""
    state = swap("n", "m", columns=(("n",), ("m",)), retries_max=0)
    talk = proposed(state, "n", "m", expected={}) >> TaskEnded("n", 1)
    talk = talk >> TaskEnded("m", 1, {"a": 1}) << {ReadSettings("n", 1), ReadSettings("m", 1)}
    talk = talk >> read("n", 1, seen=DONE) >> read("m", 1, seen="", faults=["not swapped"])
    talk = talk << {ApplySettings("n", 2), ApplySettings("m", 2)}
    talk = talk >> TaskEnded("n", 2, {"a": 1}) >> TaskEnded("m", 2)
    talk = talk << {ReadSettings("n", 2), ReadSettings("m", 2)}
    talk = talk >> read("m", 2) >> read("n", 2, faults=["still swapped"]) << StartBackoff(2, 2)
    talk = talk >> BackoffElapsed(2) << ApplySettings("n", 3) >> TaskEnded("n", 3)
    talk = talk << {ReadSettings("n", 3), ReadSettings("m", 3)} >> read("m", 3) >> read("n", 3)
    assert talk.state.phase is Phase.ABORTED
