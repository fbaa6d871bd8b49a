"""The settings change as a state machine: dialogues of events and orders."""

import pytest
from tests.support.playbook import Playbook

from miroir.core.broadcast import step
from miroir.core.broadcast_messages import (
    ApplySettings,
    AwaitTask,
    BackoffElapsed,
    Begin,
    CanaryJudged,
    CommitDoubted,
    CommitVersion,
    Drain,
    Drained,
    Freeze,
    Frozen,
    NodeSilent,
    PatchAccepted,
    PatchRejected,
    PatchUnanswered,
    Probe,
    Probed,
    ProbeRefused,
    PutCanary,
    ReadFailed,
    ReadSettings,
    Refused,
    SettingsRead,
    StartBackoff,
    TaskEnded,
    VersionCommitted,
)
from miroir.core.broadcast_types import Broadcast, Decision, NodeState, Phase, Progress

V = "1.50.0"
NEW, OLD = "fingerprint of the target", "fingerprint of the base"
NO = {"message": "no", "code": "invalid_settings_stop_words"}


def plain(**changes):
    """Return a change of one shard with two replicas, all at once."""
    return Broadcast("movies", **{"columns": (("a", "b"),), "waves": (("a", "b"),), **changes})


def sequential(**changes):
    """Return the same, one node after the other."""
    return plain(**{"waves": (("a",), ("b",)), "commit_after": 2, **changes})


def halves(**changes):
    """Return a change of two disjoint covers of two shards, committed after the first."""
    wanted = {"columns": (("a0", "b0"), ("a1", "b1")), "waves": (("a0", "a1"), ("b0", "b1"))}
    return plain(**{**wanted, **changes})


def read(node, round_=1, *, seen=NEW, faults=(), engine=V):
    """Say what a node shows."""
    return SettingsRead(node, round_, seen, engine, tuple(faults))


def differs(node, round_=1):
    """Say that a node shows something else than it should."""
    return read(node, round_, seen=OLD, faults=["stopWords: not as wanted"])


def begun(state, expected=None):
    """Return a dialogue that has just asked the probe; by default it has shown the target."""
    shown = {V: NEW} if expected is None else expected
    return Playbook(state) >> Begin() << Probe() >> Probed(shown)


def proposed(state, *nodes, expected=None):
    """Return a dialogue in which the first wave has been sent the target."""
    return begun(state, expected) << {ApplySettings(n, 1) for n in nodes}


def applied(play, *nodes, round_=1):
    """Let each node take the patch and end its task; the last one leads to the read-back."""
    for uid, n in enumerate(nodes):
        play = play >> PatchAccepted(n, round_, uid) << AwaitTask(n, uid, round_)
    for n in nodes[:-1]:
        play = play >> TaskEnded(n, round_) << set()
    return play >> TaskEnded(nodes[-1], round_)


def verifying(state, *nodes, expected=None):
    """Return a dialogue in which the nodes of the first wave are being read."""
    play = applied(proposed(state, *nodes, expected=expected), *nodes)
    return play << {ReadSettings(n, 1) for n in nodes}


# ---- the straight road


def test_every_node_agrees_and_the_version_is_committed():
    """The plain form: propose to all, read all, commit once."""
    (
        Playbook(plain())
        >> Begin()
        << Probe()
        >> Probed({V: NEW})
        << {ApplySettings("a", 1), ApplySettings("b", 1)}
        >> PatchAccepted("b", 1, 70)
        << AwaitTask("b", 70, 1)
        >> TaskEnded("b", 1)
        << set()
        >> PatchAccepted("a", 1, 7)
        << AwaitTask("a", 7, 1)
        >> TaskEnded("a", 1)
        << {ReadSettings("a", 1), ReadSettings("b", 1)}
        >> read("a")
        << set()
        >> read("b")
        << CommitVersion()
        >> VersionCommitted(8)
        << set()
    ).is_in(Phase.CONVERGED, a=NodeState.VERIFIED, b=NodeState.VERIFIED)


def test_the_state_tells_what_was_decided():
    """The task, the metrics and the operator's page read it there."""
    play = verifying(plain(), "a", "b") >> read("a") << set() >> read("b") << CommitVersion()
    assert (play.state.phase, play.state.decision) == (Phase.COMMITTING, None)

    play = play >> VersionCommitted(8) << set()

    assert (play.state.decision, play.state.version) == (Decision.COMMIT, 8)
    assert play.state.error is None
    assert play.state.nodes["a"].fingerprint == NEW


def test_a_node_that_needs_nothing_is_read_all_the_same():
    """Only what a node shows counts, not what it was sent."""
    (
        proposed(plain(), "a", "b")
        >> TaskEnded("a", 1)
        << set()
        >> TaskEnded("b", 1)
        << {ReadSettings("a", 1), ReadSettings("b", 1)}
    ).is_in(Phase.VERIFYING)


def test_sequential_verifies_each_node_before_the_next_is_touched():
    """The legacy strategy: the first bad node stops the change at the smallest damage."""
    (
        verifying(sequential(), "a")
        >> read("a")
        << ApplySettings("b", 2)
        >> PatchAccepted("b", 2, 5)
        << AwaitTask("b", 5, 2)
        >> TaskEnded("b", 2)
        << ReadSettings("b", 2)
        >> read("b", 2)
        << CommitVersion()
        >> VersionCommitted(3)
        << set()
    ).is_in(Phase.CONVERGED, a=NodeState.VERIFIED, b=NodeState.VERIFIED)


def test_half_and_half_commits_between_the_waves():
    """The commit is the switch: readers move to the first half while the second follows."""
    play = (
        verifying(halves(), "a0", "a1")
        >> read("a0")
        << set()
        >> read("a1")
        << CommitVersion()
        >> VersionCommitted(3)
        << {ApplySettings("b0", 2), ApplySettings("b1", 2)}
    )
    assert play.state.decision is Decision.COMMIT
    play = applied(play, "b0", "b1", round_=2) << {ReadSettings("b0", 2), ReadSettings("b1", 2)}

    (play >> read("b0", 2) << set() >> read("b1", 2) << set()).is_in(
        Phase.CONVERGED, b0=NodeState.VERIFIED, b1=NodeState.VERIFIED
    )


def test_searches_are_waited_for_before_each_half_is_touched():
    """A search that began on the old settings must end on them, or be thrown away."""
    play = begun(halves(drains=True)) << Drain(("a0", "a1"), 1)
    assert play.state.drained == {"a0", "a1"}
    assert play.state.touched == (), "they still serve"

    play = play >> Drained(1) << {ApplySettings("a0", 2), ApplySettings("a1", 2)}
    assert play.state.drained == set()
    play = applied(play, "a0", "a1", round_=2) << {ReadSettings("a0", 2), ReadSettings("a1", 2)}
    play = play >> read("a0", 2) << set() >> read("a1", 2) << CommitVersion()
    play = play >> VersionCommitted(3) << Drain(("b0", "b1"), 3)

    assert play.state.drained == {"b0", "b1"}
    (play >> Drained(1) << set() >> Drained(3)) << {
        ApplySettings("b0", 4),
        ApplySettings("b1", 4),
    }


def test_who_takes_over_while_searches_are_waited_for_waits_anew():
    """Searches of this process run, too; and the dead one's order has no answer."""
    play = begun(halves(drains=True)) << Drain(("a0", "a1"), 1)

    play = play >> Begin() << Drain(("a0", "a1"), 2) >> Drained(1) << set() >> Drained(2)

    play << {ApplySettings("a0", 3), ApplySettings("a1", 3)}


def test_a_foreign_change_before_the_commit_has_everything_read_again():
    """What was verified may be overwritten by now; to commit it would prove what is not there."""
    play = verifying(plain(), "a", "b") >> read("a") << set() >> read("b") << CommitVersion()

    play = play >> CommitDoubted({"b"}, 0) << {ReadSettings("a", 1), ReadSettings("b", 1)}
    play = play >> read("a") << set() >> read("b") << CommitVersion(1)
    play = play >> CommitDoubted({"b"}, 0) << set()  # An answer to the first order.

    (play >> VersionCommitted(4) << set()).is_in(Phase.CONVERGED)


def test_golden_queries_come_last_before_the_commit():
    """They are put to nodes that show the target, while the others still serve."""
    play = verifying(halves(canary=True), "a0", "a1") >> read("a0") << set() >> read("a1")
    play = play << PutCanary(("a0", "a1"))
    assert play.state.phase is Phase.CHECKING

    assert (play >> CanaryJudged() << CommitVersion()).state.decision is None


def test_golden_queries_that_do_not_hold_end_the_change():
    """Nobody has seen the new settings yet, and nobody will."""
    play = verifying(halves(canary=True), "a0", "a1") >> read("a0") << set() >> read("a1")

    play = play << PutCanary(("a0", "a1")) >> CanaryJudged(NO)

    assert (play.state.decision, play.state.error) == (Decision.ABORT, NO)
    play << {ApplySettings("a0", 2), ApplySettings("a1", 2)}


def test_golden_queries_are_put_again_after_a_crash():
    """What was read before it is no evidence, and what was searched is none either."""
    play = verifying(halves(canary=True), "a0", "a1") >> read("a0") << set() >> read("a1")
    play = play << PutCanary(("a0", "a1"))

    play = play >> Begin() << {ReadSettings("a0", 1), ReadSettings("a1", 1)} >> CanaryJudged()
    play = play << set() >> read("a0") << set() >> read("a1")

    play << PutCanary(("a0", "a1"))


def test_somebody_who_never_stops_ends_the_change():
    """Doubt for ever would hold up every later change of the index."""
    play = verifying(plain(retries_max=0), "a", "b") >> read("a") << set() >> read("b")

    play = play << CommitVersion() >> CommitDoubted({"b"}, 0)

    assert play.state.decision is Decision.ABORT
    assert "directly on `b`" in play.state.error["message"]
    play << {ApplySettings("a", 2), ApplySettings("b", 2)}


def test_three_waves_may_be_committed_after_the_second():
    """The number is a plan, not a form: any will do."""
    state = plain(columns=(("a", "b", "c"),), waves=(("a",), ("b",), ("c",)), commit_after=2)
    play = verifying(state, "a") >> read("a") << ApplySettings("b", 2)
    play = applied(play, "b", round_=2) << ReadSettings("b", 2)
    play = play >> read("b", 2) << CommitVersion() >> VersionCommitted(1) << ApplySettings("c", 3)
    play = applied(play, "c", round_=3) << ReadSettings("c", 3) >> read("c", 3) << set()

    play.is_in(Phase.CONVERGED)


# ---- refusals before a live node is touched


def test_a_target_that_the_probe_refuses_touches_nobody():
    """The client's mistake must cost no node anything."""
    play = Playbook(plain()) >> Begin() << Probe() >> ProbeRefused(NO) << set()

    play.is_in(Phase.REFUSED)
    assert play.state.error == NO
    assert play.state.touched == ()


@pytest.mark.parametrize("phase", [Phase.QUEUED, Phase.PROBING])
def test_an_intent_that_cannot_begin_is_refused(phase):
    """Its index may have gone while it stood in the queue."""
    (Playbook(plain(phase=phase)) >> Refused(NO) << set()).is_in(Phase.REFUSED)


def test_a_refusal_after_live_nodes_were_touched_is_a_bug():
    """It would leave them as they are: from here on only an abort may say no."""
    play = proposed(plain(), "a", "b")

    with pytest.raises(AssertionError):
        play >> Refused(NO)


# ---- what the read-back must show


def test_other_settings_than_the_probe_showed_are_not_verified():
    """Same words, other normal form: a foreign change has come in between."""
    (
        verifying(plain(), "a", "b")
        >> read("a", seen="something else")
        << set()
        >> read("b")
        << StartBackoff(1, 1)
    ).is_in(Phase.WAITING, a=NodeState.DIFFERENT, b=NodeState.VERIFIED)


def test_a_fault_is_no_verification_even_under_the_right_fingerprint():
    """The judge of the read-back knows more than the hash."""
    (
        verifying(plain(), "a", "b")
        >> read("a", faults=["synonyms: not as wanted"])
        << set()
        >> read("b")
        << StartBackoff(1, 1)
    ).is_in(Phase.WAITING, a=NodeState.DIFFERENT)


def test_without_a_probe_nodes_of_one_engine_must_agree():
    """Two normal forms of one target cannot both be what was meant: nobody is believed."""
    (
        verifying(plain(), "a", "b", expected={})
        >> read("a", seen="one")
        << set()
        >> read("b", seen="other")
        << StartBackoff(1, 1)
        >> BackoffElapsed(1)
        << {ApplySettings("a", 2), ApplySettings("b", 2)}
    ).is_in(Phase.PROPOSING)


def test_nodes_of_different_engines_may_show_different_forms():
    """A rolling upgrade is not drift."""
    (
        verifying(plain(), "a", "b", expected={})
        >> read("a", seen="old form", engine="1.49.0")
        << set()
        >> read("b", seen="new form", engine="1.50.0")
        << CommitVersion()
    ).is_in(Phase.COMMITTING)


def test_without_a_probe_a_later_wave_must_agree_with_an_earlier_one():
    """Else nodes that never agreed would be committed as one version."""
    play = (
        verifying(sequential(retries_max=1), "a", expected={})
        >> read("a", seen="one")
        << ApplySettings("b", 2)
    )
    for round_ in (2, 3):
        play = applied(play, "b", round_=round_) << ReadSettings("b", round_)
        play = play >> read("b", round_, seen="other")
        if round_ == 2:
            play = play << StartBackoff(1, 2) >> BackoffElapsed(2) << ApplySettings("b", 3)

    play = play << {ApplySettings("a", 4), ApplySettings("b", 4)}
    assert play.state.decision is Decision.ABORT


def test_a_late_wave_that_differs_cannot_shake_the_committed_one():
    """The first half serves; only the second is doubted and corrected."""
    play = (
        verifying(halves(), "a0", "a1", expected={})
        >> read("a0")
        << set()
        >> read("a1")
        << CommitVersion()
        >> VersionCommitted(3)
        << {ApplySettings("b0", 2), ApplySettings("b1", 2)}
    )
    play = applied(play, "b0", "b1", round_=2) << {ReadSettings("b0", 2), ReadSettings("b1", 2)}

    (play >> read("b0", 2, seen="other") << set() >> read("b1", 2) << StartBackoff(1, 2)).is_in(
        Phase.WAITING,
        a0=NodeState.VERIFIED,
        a1=NodeState.VERIFIED,
        b0=NodeState.DIFFERENT,
        b1=NodeState.VERIFIED,
    )


# ---- retries


def test_only_the_differing_node_is_proposed_to_again_and_all_are_read_again():
    """A repair is cheap; but what was read a backoff ago is no evidence for a commit."""
    (
        verifying(plain(), "a", "b")
        >> read("a")
        << set()
        >> differs("b")
        << StartBackoff(1, 1)
        >> BackoffElapsed(1)
        << ApplySettings("b", 2)
        >> PatchAccepted("b", 2, 9)
        << AwaitTask("b", 9, 2)
        >> TaskEnded("b", 2)
        << {ReadSettings("a", 2), ReadSettings("b", 2)}
        >> read("b", 2)
        << set()
        >> read("a", 2)
        << CommitVersion()
    ).is_in(Phase.COMMITTING)


def test_a_failed_task_is_issued_again():
    """A node that had no disk space for a moment does not end the change."""
    play = proposed(plain(), "a", "b")
    play = (
        play >> PatchAccepted("a", 1, 1) << AwaitTask("a", 1, 1) >> TaskEnded("a", 1, NO) << set()
    )
    play = play >> PatchAccepted("b", 1, 2) << AwaitTask("b", 2, 1) >> TaskEnded("b", 1)
    play = play << {ReadSettings("a", 1), ReadSettings("b", 1)}

    play = (
        play
        >> differs("a")
        << set()
        >> read("b")
        << StartBackoff(1, 1)
        >> BackoffElapsed(1)
        << ApplySettings("a", 2)
    )
    play = applied(play, "a", round_=2) << {ReadSettings("a", 2), ReadSettings("b", 2)}
    play = play >> read("a", 2) << set() >> read("b", 2) << CommitVersion()

    assert play.state.nodes["a"].proposals == 2
    assert play.state.nodes["a"].error is None
    assert play.state.error is None


def test_silence_is_not_counted_as_a_difference():
    """A node that restarts needs patience, not an abort: its deadline is the silence."""
    play = verifying(plain(retries_max=0), "a", "b")
    for round_ in (1, 2, 3):
        play = play >> ReadFailed("a", round_) << set() >> read("b", round_)
        play = play << StartBackoff(0, round_) >> BackoffElapsed(round_)
        play = play << ApplySettings("a", round_ + 1) >> PatchUnanswered("a", round_ + 1)
        play = play << {ReadSettings("a", round_ + 1), ReadSettings("b", round_ + 1)}

    play = play >> read("a", 4) << set() >> read("b", 4) << CommitVersion()
    assert play.state.retries == 0


def test_each_wave_has_its_own_retries():
    """A late node must not pay for an early one."""
    play = verifying(sequential(retries_max=1), "a") >> differs("a") << StartBackoff(1, 1)
    play = play >> BackoffElapsed(1) << ApplySettings("a", 2)
    play = applied(play, "a", round_=2) << ReadSettings("a", 2)
    play = play >> read("a", 2) << ApplySettings("b", 3)
    play = applied(play, "b", round_=3) << ReadSettings("b", 3)

    (play >> differs("b", 3) << StartBackoff(1, 3)).is_in(Phase.WAITING)


# ---- silent nodes


def test_a_silent_node_is_left_behind_while_the_others_cover():
    """One dead machine must not block the settings of the living ones."""
    play = proposed(plain(), "a", "b") >> PatchAccepted("a", 1, 1) << AwaitTask("a", 1, 1)
    play = play >> TaskEnded("a", 1) << set() >> NodeSilent("b") << ReadSettings("a", 1)

    play = play >> read("a") << CommitVersion() >> VersionCommitted(2) << set()

    play.is_in(Phase.CONVERGED, a=NodeState.VERIFIED, b=NodeState.SILENT)


def test_a_silent_node_that_nobody_can_stand_in_for_aborts_the_change():
    """Committing without its shard would answer with half the documents."""
    state = plain(columns=(("a",), ("b",)))
    play = proposed(state, "a", "b") >> PatchAccepted("a", 1, 1) << AwaitTask("a", 1, 1)
    play = play >> TaskEnded("a", 1) << set() >> NodeSilent("b") << ReadSettings("a", 1)

    play = play >> read("a") << {ApplySettings("a", 2), ApplySettings("b", 2)}

    assert play.state.decision is Decision.ABORT


@pytest.mark.parametrize("when", ["sending", "sent", "reading", "waiting"])
def test_a_node_may_fall_silent_at_any_moment(when):
    """Wherever it is waited for, the round goes on without it."""
    play = proposed(plain(), "a", "b") >> TaskEnded("a", 1) << set()
    if when == "sending":
        play = play >> NodeSilent("b") << ReadSettings("a", 1) >> read("a")
    elif when == "sent":
        play = play >> PatchAccepted("b", 1, 3) << AwaitTask("b", 3, 1)
        play = play >> NodeSilent("b") << ReadSettings("a", 1) >> read("a")
    else:
        play = play >> TaskEnded("b", 1) << {ReadSettings("a", 1), ReadSettings("b", 1)}
        play = play >> read("a") << set()
        if when == "reading":
            play = play >> NodeSilent("b")
        else:
            play = play >> ReadFailed("b", 1) << StartBackoff(0, 1) >> NodeSilent("b") << set()
            play = play >> BackoffElapsed(1)

    play = play << CommitVersion()
    play.is_in(Phase.COMMITTING, b=NodeState.SILENT)


def test_a_node_known_to_be_down_is_left_out_from_the_start():
    """It would only cost the silence deadline once more."""
    play = Playbook(plain()) >> Begin(frozenset({"b", "stranger"})) << Probe()
    play = play >> Probed({V: NEW}) << ApplySettings("a", 1)
    play = applied(play, "a") << ReadSettings("a", 1) >> read("a") << CommitVersion()

    play.is_in(Phase.COMMITTING, b=NodeState.SILENT)


def test_a_node_that_is_down_but_needed_is_tried():
    """There is nobody else for its shard: wait for it rather than give up unasked."""
    state = plain(columns=(("a",), ("b",)))

    (
        Playbook(state)
        >> Begin(frozenset({"b"}))
        << Probe()
        >> Probed({V: NEW})
        << {ApplySettings("a", 1), ApplySettings("b", 1)}
    ).is_in(Phase.PROPOSING)


def test_a_wave_of_only_absent_nodes_is_passed_over():
    """Sequential goes to the next node, not to an end."""
    play = Playbook(sequential()) >> Begin(frozenset({"a"})) << Probe()
    play = play >> Probed({V: NEW}) << ApplySettings("b", 1)
    play = applied(play, "b") << ReadSettings("b", 1) >> read("b") << CommitVersion()

    (play >> VersionCommitted(1) << set()).is_in(Phase.CONVERGED, a=NodeState.SILENT)


def test_a_silent_node_of_an_early_wave_is_covered_by_a_wave_before_the_commit():
    """The second node of the sequence is still to be verified before anything is committed."""
    play = proposed(sequential(), "a") >> NodeSilent("a") << ApplySettings("b", 2)
    play = applied(play, "b", round_=2) << ReadSettings("b", 2) >> read("b", 2)

    (play << CommitVersion()).is_in(Phase.COMMITTING, a=NodeState.SILENT)


def test_a_wave_after_the_commit_covers_nothing_before_it():
    """It serves the old settings at the switch: it cannot stand in for a silent new one."""
    play = proposed(halves(), "a0", "a1") >> NodeSilent("a0") << set() >> TaskEnded("a1", 1)
    play = play << ReadSettings("a1", 1) >> read("a1")

    play = play << {ApplySettings("a0", 2), ApplySettings("a1", 2)}
    assert play.state.decision is Decision.ABORT


def test_nodes_outside_the_waves_count_as_they_are():
    """A repair changes one node; its healthy siblings serve the same settings already."""
    state = plain(columns=(("a", "b"),), waves=(("b",),), undoable=False)

    play = proposed(state, "b") >> NodeSilent("b") << CommitVersion()
    play.is_in(Phase.COMMITTING)


def test_silence_after_the_commit_ends_the_change_all_the_same():
    """The version is true; who lags behind stays out until the sweep finds it in order."""
    play = (
        verifying(halves(), "a0", "a1")
        >> read("a0")
        << set()
        >> read("a1")
        << CommitVersion()
        >> VersionCommitted(3)
        << {ApplySettings("b0", 2), ApplySettings("b1", 2)}
        >> NodeSilent("b0")
        << set()
        >> NodeSilent("b1")
        << set()
    )

    play.is_in(Phase.CONVERGED, b0=NodeState.SILENT, b1=NodeState.SILENT)
    assert play.state.version == 3


def test_differences_after_the_commit_are_retried_and_then_left_to_the_repair():
    """No abort any more: the decision has been told to the client."""
    play = (
        verifying(halves(retries_max=1), "a0", "a1")
        >> read("a0")
        << set()
        >> read("a1")
        << CommitVersion()
        >> VersionCommitted(3)
        << {ApplySettings("b0", 2), ApplySettings("b1", 2)}
        >> PatchRejected("b1", 2, NO)
        << set()
        >> TaskEnded("b0", 2)
        << ReadSettings("b0", 2)
        >> differs("b0", 2)
        << StartBackoff(1, 2)
        >> BackoffElapsed(2)
        << ApplySettings("b0", 3)
        >> TaskEnded("b0", 3)
        << ReadSettings("b0", 3)
        >> differs("b0", 3)
        << set()
    )

    play.is_in(Phase.CONVERGED, b0=NodeState.DIFFERENT, b1=NodeState.REJECTED)
    assert (play.state.decision, play.state.error) == (Decision.COMMIT, None)


# ---- abort


def test_a_rejection_aborts_and_undoes_who_has_changed():
    """The node's own error goes to the client; who said no did nothing and is left alone."""
    play = (
        proposed(plain(), "a", "b")
        >> PatchRejected("b", 1, NO)
        << set()
        >> TaskEnded("a", 1)
        << ReadSettings("a", 1)
        >> read("a")
        << ApplySettings("a", 2)
        >> PatchAccepted("a", 2, 4)
        << AwaitTask("a", 4, 2)
        >> TaskEnded("a", 2)
        << ReadSettings("a", 2)
        >> read("a", 2, seen=OLD)
        << set()
    )

    play.is_in(Phase.ABORTED, a=NodeState.VERIFIED)
    assert (play.state.decision, play.state.error) == (Decision.ABORT, NO)
    assert play.state.version is None


def test_a_rejection_by_all_undoes_nothing():
    """Nobody did anything."""
    play = proposed(plain(), "a", "b") >> PatchRejected("a", 1, NO) << set()

    (play >> PatchRejected("b", 1, NO) << set()).is_in(Phase.ABORTED)
    assert play.state.error == NO


def test_a_node_that_rejects_the_second_proposal_may_show_the_first():
    """It took one: it has to be brought back like the others."""
    play = verifying(plain(), "a", "b") >> differs("a") << set() >> read("b")
    play = play << StartBackoff(1, 1) >> BackoffElapsed(1) << ApplySettings("a", 2)

    play = play >> PatchRejected("a", 2, NO) << ReadSettings("b", 2) >> read("b", 2)

    play = play << {ApplySettings("a", 3), ApplySettings("b", 3)}
    assert play.state.undoing


def test_a_node_left_out_from_the_start_is_not_undone():
    """It was never sent anything, and waiting for it would only delay the answer."""
    state = plain(columns=(("a", "b", "c"),), waves=(("a", "b", "c"),))
    play = Playbook(state) >> Begin(frozenset({"c"})) << Probe() >> Probed({V: NEW})
    play = play << {ApplySettings("a", 1), ApplySettings("b", 1)}
    play = play >> PatchRejected("a", 1, NO) << set() >> TaskEnded("b", 1) << ReadSettings("b", 1)

    (play >> read("b") << ApplySettings("b", 2)).is_in(Phase.PROPOSING)


def test_sequential_undoes_the_nodes_before_the_bad_one():
    """Reverse on failure: the first nodes must not keep what the last one cannot take."""
    play = verifying(sequential(), "a") >> read("a") << ApplySettings("b", 2)
    play = play >> PatchRejected("b", 2, NO) << ApplySettings("a", 3)
    play = applied(play, "a", round_=3) << ReadSettings("a", 3)

    (play >> read("a", 3, seen=OLD) << set()).is_in(Phase.ABORTED, a=NodeState.VERIFIED)


def test_an_abort_does_not_touch_the_waves_that_were_not_reached():
    """With waves an abort before the switch is invisible: the second half serves on."""
    play = proposed(halves(), "a0", "a1") >> PatchRejected("a1", 1, NO) << set()
    play = play >> TaskEnded("a0", 1) << ReadSettings("a0", 1) >> read("a0")

    play = play << ApplySettings("a0", 2) >> TaskEnded("a0", 2) << ReadSettings("a0", 2)

    play = play >> read("a0", 2, seen=OLD) << set()
    play.is_in(Phase.ABORTED, a0=NodeState.VERIFIED)
    assert set(play.state.nodes) == {"a0"}


def test_retries_that_are_used_up_abort_with_the_nodes_error():
    """What three proposals could not do a fourth will not."""
    play = verifying(plain(retries_max=1), "a", "b") >> read("a") << set() >> differs("b")
    play = play << StartBackoff(1, 1) >> BackoffElapsed(1) << ApplySettings("b", 2)
    play = play >> PatchAccepted("b", 2, 5) << AwaitTask("b", 5, 2) >> TaskEnded("b", 2, NO)
    play = play << {ReadSettings("a", 2), ReadSettings("b", 2)} >> read("a", 2) << set()

    play = play >> differs("b", 2) << {ApplySettings("a", 3), ApplySettings("b", 3)}

    assert (play.state.decision, play.state.error) == (Decision.ABORT, NO)


def test_an_abort_without_an_error_of_a_node_says_what_differed():
    """A failed task without an error would be no answer at all."""
    play = verifying(plain(retries_max=0), "a", "b") >> read("a") << set()

    play = play >> differs("b") << {ApplySettings("a", 2), ApplySettings("b", 2)}

    assert play.state.error["code"] == "miroir_settings_not_verified"
    assert "b: stopWords: not as wanted" in play.state.error["message"]
    assert "a:" not in play.state.error["message"]


def test_the_error_of_a_node_that_was_verified_is_not_the_cause():
    """Its task failed and its settings are right all the same: the other one is to blame."""
    play = proposed(plain(retries_max=0), "a", "b") >> TaskEnded("a", 1, NO) << set()
    play = play >> TaskEnded("b", 1) << {ReadSettings("a", 1), ReadSettings("b", 1)}

    play = play >> read("a") << set() >> differs("b")

    play = play << {ApplySettings("a", 2), ApplySettings("b", 2)}
    assert play.state.error["code"] == "miroir_settings_not_verified"


def test_the_base_counts_as_restored_whatever_the_probe_showed():
    """Its fingerprint is another one; what counts is that nothing differs from the base."""
    play = verifying(plain(retries_max=0), "a", "b") >> read("a") << set() >> differs("b")
    play = play << {ApplySettings("a", 2), ApplySettings("b", 2)} >> TaskEnded("a", 2) << set()
    play = play >> TaskEnded("b", 2) << {ReadSettings("a", 2), ReadSettings("b", 2)}

    play = play >> read("a", 2, seen=OLD) << set() >> read("b", 2, seen="older form") << set()

    play.is_in(Phase.ABORTED, a=NodeState.VERIFIED, b=NodeState.VERIFIED)


def test_the_undo_is_retried_like_the_change():
    """The way back deserves as much patience as the way forward."""
    play = verifying(plain(retries_max=1), "a", "b") >> differs("a") << set() >> differs("b")
    play = play << StartBackoff(1, 1) >> BackoffElapsed(1)
    play = play << {ApplySettings("a", 2), ApplySettings("b", 2)} >> TaskEnded("a", 2) << set()
    play = play >> TaskEnded("b", 2) << {ReadSettings("a", 2), ReadSettings("b", 2)}
    play = play >> differs("a", 2) << set() >> differs("b", 2)
    play = play << {ApplySettings("a", 3), ApplySettings("b", 3)}
    assert play.state.undoing
    assert play.state.nodes["a"].proposals == 1

    play = play >> TaskEnded("a", 3) << set() >> TaskEnded("b", 3)
    play = play << {ReadSettings("a", 3), ReadSettings("b", 3)} >> read("a", 3, seen=OLD) << set()
    play = play >> differs("b", 3) << StartBackoff(1, 3) >> BackoffElapsed(3)
    play = play << ApplySettings("b", 4) >> TaskEnded("b", 4)
    play = play << {ReadSettings("a", 4), ReadSettings("b", 4)} >> read("a", 4, seen=OLD) << set()

    (play >> read("b", 4, seen=OLD) << set()).is_in(Phase.ABORTED)


def test_without_a_way_back_an_abort_ends_at_once():
    """A repair has no other base than its target."""
    play = verifying(plain(undoable=False, retries_max=0), "a", "b") >> read("a") << set()

    (play >> differs("b") << set()).is_in(
        Phase.ABORTED, a=NodeState.VERIFIED, b=NodeState.DIFFERENT
    )


# ---- what goes only forward


def deletion(**changes):
    """Return what has no way back, of two shards with one replica each."""
    wanted = {"columns": (("a",), ("b",)), "undoable": False, "forward": True}
    return plain(**{**wanted, **changes})


def test_a_deletion_is_committed_although_a_shard_is_silent():
    """The silent node may carry it out later: the index must not live on without its documents."""
    play = proposed(deletion(), "a", "b", expected={}) >> TaskEnded("a", 1) << set()
    play = play >> NodeSilent("b") << ReadSettings("a", 1) >> read("a") << CommitVersion()

    (play >> VersionCommitted(3) << set()).is_in(
        Phase.CONVERGED, a=NodeState.VERIFIED, b=NodeState.SILENT
    )


def test_a_deletion_that_every_node_has_left_unanswered_is_committed():
    """Each of them may have acted; the sweep takes away what is found afterwards."""
    play = proposed(deletion(), "a", "b", expected={}) >> NodeSilent("a") << set()

    play = play >> NodeSilent("b") << CommitVersion()

    play.is_in(Phase.COMMITTING, a=NodeState.SILENT, b=NodeState.SILENT)


def test_a_node_that_refuses_a_deletion_is_left_behind_once_another_may_have_acted():
    """A wrong key on one node cannot bring back what the other has deleted."""
    play = proposed(deletion(), "a", "b", expected={}) >> PatchRejected("b", 1, NO) << set()
    play = play >> TaskEnded("a", 1) << ReadSettings("a", 1) >> read("a") << CommitVersion()

    play.is_in(Phase.COMMITTING, a=NodeState.VERIFIED, b=NodeState.REJECTED)


def test_a_deletion_that_every_node_refuses_is_aborted_with_their_words():
    """Nothing has acted: the client hears of it and the index stays."""
    play = proposed(deletion(), "a", "b", expected={}) >> PatchRejected("a", 1, NO) << set()

    (play >> PatchRejected("b", 1, NO) << set()).is_in(Phase.ABORTED)
    assert play.state.error == NO


def test_a_deletion_refused_by_all_who_were_asked_is_aborted_although_one_was_absent():
    """Who was left out from the start got no request, so it cannot have acted."""
    state = deletion(columns=(("a", "b"),))
    play = Playbook(state) >> Begin(frozenset({"b"})) << Probe() >> Probed({})
    play = play << ApplySettings("a", 1) >> PatchRejected("a", 1, NO) << set()

    play.is_in(Phase.ABORTED, a=NodeState.REJECTED, b=NodeState.SILENT)


def test_a_refusal_of_the_second_deletion_is_no_way_back():
    """The first went unanswered and may be carried out at any time."""
    state = deletion(columns=(("a",),), waves=(("a",),))
    play = proposed(state, "a", expected={}) >> PatchUnanswered("a", 1) << ReadSettings("a", 1)
    play = play >> ReadFailed("a", 1) << StartBackoff(0, 1) >> BackoffElapsed(1)

    play = play << ApplySettings("a", 2) >> PatchRejected("a", 2, NO) << CommitVersion()

    play.is_in(Phase.COMMITTING, a=NodeState.REJECTED)


def test_a_deletion_that_fails_on_one_node_to_the_last_is_committed_on_the_others():
    """What stays there is a leftover of a deleted index."""
    play = verifying(deletion(retries_max=0), "a", "b", expected={}) >> read("a") << set()

    (play >> differs("b") << CommitVersion()).is_in(
        Phase.COMMITTING, a=NodeState.VERIFIED, b=NodeState.DIFFERENT
    )


def test_a_deletion_waits_for_who_does_not_answer_even_if_another_is_out_of_retries():
    """Nothing is committed before everybody had its patience: the fewer leftovers the better."""
    play = verifying(deletion(retries_max=0), "a", "b", expected={}) >> ReadFailed("a", 1) << set()

    (play >> differs("b") << StartBackoff(1, 1)).is_in(
        Phase.WAITING, a=NodeState.UNANSWERED, b=NodeState.DIFFERENT
    )


def test_a_successor_commits_a_deletion_of_which_nobody_can_be_asked_any_more():
    """The old leader had given everybody up; there is no evidence left to read again."""
    state = deletion(
        phase=Phase.COMMITTING,
        nodes={n: Progress(NodeState.SILENT, proposals=1) for n in ("a", "b")},
    )

    (Playbook(state) >> Begin() << CommitVersion()).is_in(Phase.COMMITTING)


# ---- abort and freeze


def aborting(**changes):
    """Return a dialogue in which both nodes have been sent the base."""
    play = verifying(plain(retries_max=0, **changes), "a", "b") >> read("a") << set()
    return play >> differs("b") << {ApplySettings("a", 2), ApplySettings("b", 2)}


def test_an_unreachable_node_does_not_hold_up_an_abort_that_covers():
    """What lags behind stays unproved and is repaired when it is back."""
    play = aborting() >> TaskEnded("a", 2) << set() >> PatchUnanswered("b", 2)
    play = play << {ReadSettings("a", 2), ReadSettings("b", 2)} >> read("a", 2, seen=OLD) << set()
    play = play >> ReadFailed("b", 2) << StartBackoff(0, 2) >> BackoffElapsed(2)
    play = play << ApplySettings("b", 3) >> NodeSilent("b") << ReadSettings("a", 3)

    (play >> read("a", 3, seen=OLD) << set()).is_in(
        Phase.ABORTED, a=NodeState.VERIFIED, b=NodeState.SILENT
    )


def unrestorable(**changes):
    """Return a dialogue at the moment when neither node could be brought back."""
    return aborting(**changes) >> PatchRejected("a", 2, NO) << set() >> NodeSilent("b")


def test_an_index_that_can_be_neither_changed_nor_restored_is_frozen():
    """Writes into settings that nobody knows would corrupt what can still be saved."""
    play = unrestorable() << Freeze()
    assert play.state.phase is not Phase.FROZEN  # Not before the store has taken it.

    play = play >> Frozen() << set()

    play.is_in(Phase.FROZEN, a=NodeState.REJECTED, b=NodeState.SILENT)
    assert play.state.decision is Decision.ABORT


def test_freezing_can_be_switched_off():
    """Then the change has failed, and the operator hears of it by the alert alone."""
    (unrestorable(freeze=False) << set()).is_in(Phase.ABORTED)


def test_a_freeze_that_nobody_asked_for_is_a_bug():
    """It would close an index whose change is going well."""
    with pytest.raises(AssertionError):
        proposed(plain(), "a", "b") >> Frozen()


def test_an_abort_counts_the_untouched_nodes_as_restored():
    """They never left the base."""
    play = proposed(halves(), "a0", "a1") >> PatchRejected("a1", 1, NO) << set()
    play = (
        play >> TaskEnded("a0", 1) << ReadSettings("a0", 1) >> read("a0") << ApplySettings("a0", 2)
    )

    (play >> NodeSilent("a0") << set()).is_in(Phase.ABORTED, a0=NodeState.SILENT)


# ---- crash and take-over


def test_a_successor_asks_the_probe_again():
    """Nothing has been sent yet; who was down then may be back."""
    play = Playbook(plain()) >> Begin(frozenset({"b"})) << Probe()

    play = play >> Begin() << Probe() >> Probed({V: NEW})

    (play << {ApplySettings("a", 1), ApplySettings("b", 1)}).is_in(Phase.PROPOSING)


def test_a_successor_sends_again_what_may_not_have_arrived_and_awaits_what_has():
    """The target is whole: sending it twice is the same as once."""
    state = plain(columns=(("a", "b", "c"),), waves=(("a", "b", "c"),))
    play = proposed(state, "a", "b", "c") >> PatchAccepted("a", 1, 7) << AwaitTask("a", 7, 1)
    play = play >> TaskEnded("c", 1) << set()

    play = play >> Begin() << {AwaitTask("a", 7, 1), ApplySettings("b", 1)}

    play = play >> TaskEnded("a", 1) << set() >> TaskEnded("b", 1)
    (play << {ReadSettings(n, 1) for n in "abc"}).is_in(Phase.VERIFYING)


def test_a_patch_sent_again_by_a_successor_makes_a_refusal_doubtful():
    """The first one may have been applied before the crash: its node has to be undone."""
    play = proposed(plain(), "a", "b") >> Begin() << {ApplySettings("a", 1), ApplySettings("b", 1)}
    play = play >> PatchRejected("a", 1, NO) << set() >> TaskEnded("b", 1) << ReadSettings("b", 1)

    play = play >> read("b") << {ApplySettings("a", 2), ApplySettings("b", 2)}

    assert play.state.undoing


def test_a_successor_reads_every_node_of_the_wave_again():
    """What its predecessor has read is history."""
    play = verifying(plain(), "a", "b") >> read("a") << set()

    play = play >> Begin() << {ReadSettings("a", 1), ReadSettings("b", 1)}

    play.is_in(Phase.VERIFYING, a=NodeState.READING, b=NodeState.READING)


def test_a_successor_begins_a_backoff_anew():
    """Shorter would be rude to a node in trouble; longer does no harm."""
    play = verifying(plain(), "a", "b") >> differs("a") << set() >> read("b") << StartBackoff(1, 1)

    (play >> Begin() << StartBackoff(1, 1) >> BackoffElapsed(1) << ApplySettings("a", 2)).is_in(
        Phase.PROPOSING
    )


def test_a_successor_verifies_again_before_it_commits():
    """Between the read-back and the commit anything may have happened to the nodes."""
    play = verifying(plain(), "a", "b") >> read("a") << set() >> read("b") << CommitVersion()

    play = play >> Begin() << {ReadSettings("a", 1), ReadSettings("b", 1)}

    play = play >> read("a") << set() >> read("b") << CommitVersion()
    (play >> VersionCommitted(4) << set()).is_in(Phase.CONVERGED)


def test_a_successor_of_a_sequential_commit_goes_over_all_waves_again():
    """The first node was read longest ago."""
    play = verifying(sequential(), "a") >> read("a") << ApplySettings("b", 2)
    play = applied(play, "b", round_=2) << ReadSettings("b", 2) >> read("b", 2) << CommitVersion()

    play = play >> Begin() << ReadSettings("a", 2) >> read("a", 2) << ApplySettings("b", 3)

    play = play >> TaskEnded("b", 3) << ReadSettings("b", 3) >> read("b", 3) << CommitVersion()
    play.is_in(Phase.COMMITTING)


def test_a_commit_that_was_durable_before_the_crash_goes_on_from_there():
    """The store remembers; the machine is told instead of begun."""
    play = verifying(halves(), "a0", "a1") >> read("a0") << set() >> read("a1") << CommitVersion()

    play = play >> VersionCommitted(3) << {ApplySettings("b0", 2), ApplySettings("b1", 2)}

    play = play >> Begin() << {ApplySettings("b0", 2), ApplySettings("b1", 2)}
    assert play.state.version == 3


@pytest.mark.parametrize("answered", [False, True])
def test_a_successor_carries_an_abort_to_its_end(answered):
    """A decision is taken once, by whoever leads; its successors only carry it out."""
    play = aborting()
    if answered:
        play = play >> TaskEnded("a", 2) << set() >> Begin() << ApplySettings("b", 2)
    else:
        play = play >> Begin() << {ApplySettings("a", 2), ApplySettings("b", 2)}
        play = play >> TaskEnded("a", 2) << set()
    play = play >> TaskEnded("b", 2) << {ReadSettings("a", 2), ReadSettings("b", 2)}
    play = play >> Begin() << {ReadSettings("a", 2), ReadSettings("b", 2)}

    play = play >> read("a", 2, seen=OLD) << set() >> read("b", 2, seen=OLD) << set()
    play.is_in(Phase.ABORTED)


def test_a_successor_looks_once_more_before_it_freezes():
    """Perhaps the nodes are restored by now; if not, the freeze is asked for again."""
    play = unrestorable() << Freeze()

    (play >> Begin() << Freeze() >> Frozen() << set()).is_in(Phase.FROZEN)


# ---- late and repeated events


def test_repeated_answers_change_nothing():
    """The network repeats itself."""
    play = proposed(plain(), "a", "b") >> PatchAccepted("a", 1, 7) << AwaitTask("a", 7, 1)
    play.ignores(PatchAccepted("a", 1, 7), Probed({}), ProbeRefused(NO), BackoffElapsed(1))
    play = play >> TaskEnded("a", 1) << set()
    play.ignores(
        TaskEnded("a", 1, NO),
        PatchAccepted("a", 1, 7),
        PatchRejected("a", 1, NO),
        PatchUnanswered("a", 1),
        NodeSilent("a"),
        read("a"),
        ReadFailed("a", 1),
    )
    play = play >> TaskEnded("b", 1) << {ReadSettings("a", 1), ReadSettings("b", 1)}
    play = play >> read("a") << set()
    play.ignores(differs("a"), ReadFailed("a", 1), NodeSilent("a"), TaskEnded("b", 1, NO))
    play = play >> read("b") << CommitVersion()
    play.ignores(differs("b"), NodeSilent("b"), BackoffElapsed(1))


def test_answers_of_an_older_round_change_nothing():
    """They speak of a proposal that has been replaced."""
    play = verifying(plain(), "a", "b") >> differs("a") << set() >> read("b")
    play = play << StartBackoff(1, 1)
    play.ignores(BackoffElapsed(0), TaskEnded("a", 1), read("a"))
    play = play >> BackoffElapsed(1) << ApplySettings("a", 2)
    play.ignores(
        PatchAccepted("a", 1, 3),
        PatchRejected("a", 1, NO),
        PatchUnanswered("a", 1),
        TaskEnded("a", 1, NO),
        BackoffElapsed(1),
        PatchAccepted("b", 2, 3),  # Was not asked in this round.
    )
    play = play >> TaskEnded("a", 2) << {ReadSettings("a", 2), ReadSettings("b", 2)}
    play.ignores(read("a", 1), ReadFailed("b", 1))


def test_a_commit_that_is_told_twice_is_one():
    """The store answers the same version however often it is asked."""
    play = verifying(halves(), "a0", "a1") >> read("a0") << set() >> read("a1") << CommitVersion()
    play = play >> VersionCommitted(3) << {ApplySettings("b0", 2), ApplySettings("b1", 2)}

    play.ignores(VersionCommitted(3))


def test_a_commit_that_nobody_asked_for_is_a_bug():
    """Nothing has been verified."""
    with pytest.raises(AssertionError):
        proposed(plain(), "a", "b") >> VersionCommitted(3)


def test_a_node_that_was_given_up_is_not_heard_any_more():
    """It left the covering sets; it returns by way of the sweep."""
    play = proposed(plain(), "a", "b") >> NodeSilent("b") << set()
    play.ignores(TaskEnded("b", 1), PatchAccepted("b", 1, 2), NodeSilent("b"), read("b"))
    play = play >> PatchRejected("a", 1, NO) << ApplySettings("b", 2)
    assert play.state.undoing


@pytest.mark.parametrize("phase", [Phase.CONVERGED, Phase.ABORTED, Phase.REFUSED, Phase.FROZEN])
def test_an_ended_change_hears_nothing_any_more(phase):
    """Its end was told to the client."""
    state = plain(phase=phase)
    for event in (
        Begin(),
        Refused(NO),
        Probed({}),
        ProbeRefused(NO),
        PatchAccepted("a", 0, 1),
        TaskEnded("a", 0),
        read("a", 0),
        NodeSilent("a"),
        BackoffElapsed(0),
        VersionCommitted(1),
        Frozen(),
    ):
        assert step(state, event) == (state, ())
