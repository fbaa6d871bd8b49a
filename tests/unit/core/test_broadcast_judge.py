"""Questions about the nodes of a change, where a wrong answer would end it the wrong way."""

from miroir.core import broadcast_judge as judge
from miroir.core.broadcast_types import Broadcast, Decision, NodeState, Progress

V = "1.50.0"
GRID = {"columns": (("a0", "b0"), ("a1", "b1")), "waves": (("a0", "a1"), ("b0", "b1"))}


def change(nodes, **more):
    """Return a change of two halves in which the nodes stand as given."""
    return Broadcast("movies", **{**GRID, "nodes": nodes, **more})


def verified(fingerprint="f", engine=V):
    """Return the progress of a verified node."""
    return Progress(NodeState.VERIFIED, fingerprint=fingerprint, engine=engine)


def test_a_silent_node_of_the_first_half_leaves_no_cover():
    """The second half shows the old settings: it cannot stand in for the commit."""
    assert judge.carries(change({"a0": verified(), "a1": verified()}))
    assert not judge.carries(change({"a0": verified(), "a1": Progress(NodeState.SILENT)}))


def test_nodes_outside_the_plan_carry_a_repair():
    """They are as they should be: that is why only the others are repaired."""
    silent = {"a0": Progress(NodeState.SILENT)}

    assert judge.carries(change(silent, waves=(("a0",),)))
    assert not judge.carries(change(silent, waves=(("a0",), ("b0",)), commit_after=1))


def test_without_a_probe_nodes_of_one_engine_must_agree():
    """One of them is wrong, and nobody knows which."""
    torn = judge.doubt_disagreeing(change({"a0": verified("x"), "a1": verified("y")}))
    assert torn.verified == ()

    known = change({"a0": verified("x"), "a1": verified("y")}, expected={V: "x"})
    assert judge.doubt_disagreeing(known) is known
    skewed = change({"a0": verified("x"), "a1": verified("y", "1.49.0")})
    assert judge.doubt_disagreeing(skewed) is skewed


def test_who_refused_every_proposal_did_nothing():
    """Such a node needs no undoing; one that was asked twice may have acted the first time."""
    assert judge.did_nothing(Progress(NodeState.REJECTED, proposals=1))
    assert not judge.did_nothing(Progress(NodeState.REJECTED, proposals=2))
    assert judge.did_nothing(Progress(NodeState.SILENT))


def test_the_cause_is_the_nodes_own_error_if_one_gave_any():
    """Its words tell the operator more than ours."""
    own = {"message": "disk full", "code": "no_space_left_on_device"}
    nodes = {"a0": Progress(NodeState.DIFFERENT, faults=("synonyms: not as wanted",))}
    assert "a0: synonyms: not as wanted" in judge.cause(change(nodes))["message"]

    nodes["a1"] = Progress(NodeState.REJECTED, error=own)
    assert judge.cause(change(nodes)) == own


def test_a_meddler_is_named_by_the_nodes():
    """The operator has to find the tool that does it."""
    error = judge.meddled("movies", {"n2", "n1"})

    assert error["message"] == (
        "Index `movies` was changed directly on `n1`, `n2`, again and again."
    )


def test_a_patient_change_needs_whom_nobody_stands_in_for():
    """Giving up the last one that knows would end the change without knowing how."""
    silent = Progress(NodeState.SILENT)

    assert judge.is_needed(change({"a0": silent}, patient=True), "b0")
    assert not judge.is_needed(change({"a0": silent}, patient=True), "b1")
    assert not judge.is_needed(change({"a0": silent}), "b0")


def test_restored_is_a_cover_that_is_back_or_never_left():
    """An abort may end there; the others are left behind."""
    lost = Progress(NodeState.SILENT, proposals=1)

    assert judge.restored(change({"a0": lost, "a1": lost}))
    assert not judge.restored(change({"a0": lost, "b0": lost}))
    assert judge.restored(change({"a0": verified(), "b0": lost}))


def test_stranded_is_who_may_have_acted_and_cannot_be_asked():
    """Its documents may be another index's: nobody may be served from it."""
    nodes = {
        "a0": verified(),
        "a1": Progress(NodeState.SILENT, proposals=1),
        "b0": Progress(NodeState.SILENT),
        "b1": Progress(NodeState.REJECTED, proposals=1),
    }
    assert judge.stranded(change(nodes)) == ("a1",)


def test_who_was_proved_before_is_not_proved_again_by_a_later_step():
    """A node that somebody changed since must not come back because another node made progress."""
    before = change({"a0": verified(), "a1": verified()}, decision=None)
    decided = change({"a0": verified(), "a1": verified()}, decision=Decision.COMMIT)
    later = change({"a0": verified(), "b0": verified()}, decision=Decision.COMMIT)

    assert judge.verified_anew(None, decided) == {"a0", "a1"}
    assert judge.verified_anew(before, decided) == {"a0", "a1"}
    assert judge.verified_anew(decided, decided) == set()
    assert judge.verified_anew(decided, later) == {"b0"}
