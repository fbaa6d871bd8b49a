"""
One settings change carried to the nodes: propose, verify, commit; else abort; else freeze.

Rule 1: whatever decides a transition stands in this file; what happened is told as events, what is
        to be done is answered as commands. No HTTP, no store, no time, no chance.
Rule 2: the state is a value. The broadcaster stores it before it acts on the commands, so that
        whoever takes over says `Begin` and goes on where the state stands.
Rule 3: every command but `Freeze` is answered by exactly one event, of the same `round`. Events of
        an older round are late and change nothing.

    QUEUED ─Begin─▶ PROBING ─Probed─▶ PROPOSING ─all ended─▶ VERIFYING ─all as expected─┐
      │                │                  ▲                      │                      │
      └─Refused─▶ REFUSED◀─ProbeRefused   └─BackoffElapsed─ WAITING ◀─some differ       │
                                          ▲                      │                      ▼
                                          │            rejected, or retries used up  COMMITTING
                                          │                      ▼                      │
                                          └─ undo the touched ── ABORT            VersionCommitted
                                                                 │                      │
                                          restored: ABORTED ◀────┴─▶ FROZEN  next wave ┴▶ CONVERGED

`decision` is taken once and never changed: before it the way is forward; with ABORT the same
phases carry the undo target to the nodes that were touched; with COMMIT the other waves follow.

The nodes are changed in `waves`; the version is committed when the first `commit_after` waves are
verified. Plain form: one wave of all nodes. Sequential: one node a wave, commit after the last.
Half and half (two disjoint covers): commit after the first. There every wave begins with DRAINING:
searches keep away from its nodes, and those that run there are waited for (`drains`).

A `forward` change (a deletion) cannot be compensated: once a node may have acted it is committed,
and nodes that stay silent, refuse or differ are left behind, with or without a cover.

A `patient` change (a swap) is no use half known: a node without which the others do not cover is
asked until it tells, in both directions.

This is no two-phase commit of the nodes: a node shows new settings as soon as it has applied them,
and cannot roll back. What commits is the *settings version* (BR-1); an abort compensates.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from miroir.core import broadcast_judge as judge, broadcast_messages as m
from miroir.core.broadcast_types import Broadcast, Decision, NodeState, Phase, Progress
from miroir.core.topology import NodeId

_UNENDED = frozenset({NodeState.SENDING, NodeState.SENT})
_GIVEN_UP = frozenset({NodeState.SILENT, NodeState.REJECTED})
_PACE_MAX = 6


Step = tuple[Broadcast, tuple[m.Command, ...]]


def step(state: Broadcast, event: m.Event) -> Step:  # noqa: PLR0911 - one return per event
    """
    Take one event in; give the next state and the orders that follow from it.

    Late and repeated events are normal on a network and change nothing. An event that no history
    can bring about here is a bug in the caller and fails an assertion.
    """
    if state.closed:
        return state, ()  # Late.
    match event:
        case m.Begin():
            return _begin(state, event)
        case m.Refused() | m.ProbeRefused() | m.Probed():
            return _probe_answered(state, event)
        case m.Drained() | m.BackoffElapsed():
            return _waited(state, event)
        case m.CanaryJudged():
            return _canary_judged(state, event)
        case m.VersionCommitted() | m.CommitDoubted():
            return _commit_answered(state, event)
        case m.Frozen():
            assert state.undoing
            return replace(state, phase=Phase.FROZEN), ()
        case m.NodeSilent(node_id=node_id):
            return _silent(state, node_id)
        case m.PatchAccepted() | m.PatchRejected() | m.PatchUnanswered() | m.TaskEnded():
            return _proposal_answered(state, event)
        case m.SettingsRead() | m.ReadFailed():
            return _read_back(state, event)
        case _:
            assert_never(event)


def _begin(state: Broadcast, event: m.Begin) -> Step:
    """Start, or go on from the stored state after a crash or a take-over."""
    match state.phase:
        case Phase.QUEUED | Phase.PROBING:
            # Nothing has been sent yet: who was left out before a crash may be back.
            fresh = replace(state, phase=Phase.PROBING, nodes={})
            return _leave_out(fresh, event.down), (m.Probe(),)
        case Phase.DRAINING:
            return _enter_wave(state)
        case Phase.PROPOSING:
            return _go_on_proposing(state)
        case Phase.VERIFYING:
            return _verify(state)
        case Phase.WAITING:
            return state, (m.StartBackoff(_pace(state), state.round),)
        case Phase.CHECKING | Phase.COMMITTING:
            # What was read before the crash is no longer evidence, of no wave.
            return _verify(replace(state, wave=0, retries=0))
        case _:
            raise AssertionError(state.phase)


def _go_on_proposing(state: Broadcast) -> Step:
    commands: list[m.Command] = []
    for node_id in state.waves[state.wave]:
        progress = _progress(state, node_id)
        if progress.state is NodeState.SENT:
            assert progress.task_uid is not None
            commands.append(m.AwaitTask(node_id, progress.task_uid, state.round))
        elif progress.state is NodeState.SENDING:  # Unknown outcome: idempotent.
            again = replace(progress, proposals=progress.proposals + 1)
            state = _with(state, node_id, again)
            commands.append(m.ApplySettings(node_id, state.round))
    return (state, tuple(commands)) if commands else _verify(state)


def _leave_out(state: Broadcast, down: frozenset[NodeId]) -> Broadcast:
    """A node known to be down never blocks a change while the others cover (quarantine)."""
    if not state.covers(set().union(*state.columns) - down):
        return state  # They are needed: try them, however long it takes.
    everyone = {n for wave in state.waves for n in wave}
    silent = {n: Progress(NodeState.SILENT) for n in sorted(down & everyone)}
    return replace(state, nodes=silent)


def _probe_answered(state: Broadcast, event: m.Refused | m.ProbeRefused | m.Probed) -> Step:
    if state.phase is not Phase.PROBING and not isinstance(event, m.Refused):
        return state, ()  # Late or repeated: live nodes have been asked by now.
    assert state.phase in {Phase.QUEUED, Phase.PROBING}, "nothing live has been touched"
    if isinstance(event, m.Probed):
        return _enter_wave(replace(state, expected=dict(event.expected)))
    return replace(state, phase=Phase.REFUSED, error=event.error), ()


def _enter_wave(state: Broadcast) -> Step:
    """Begin with the nodes of the wave; they serve until the searches on them are through."""
    wave = state.waves[state.wave]
    if not state.drains:
        return _propose(state, wave)
    after = replace(state, phase=Phase.DRAINING, round=state.round + 1)
    return after, (m.Drain(wave, after.round),)


def _propose(state: Broadcast, node_ids: Iterable[NodeId]) -> Step:
    """Send the target of the present direction to these nodes of the wave."""
    chosen = [n for n in node_ids if _progress(state, n).state not in _GIVEN_UP]
    if not chosen:
        return _judge(state)
    nodes = dict(state.nodes)
    for n in chosen:
        nodes[n] = Progress(NodeState.SENDING, proposals=_progress(state, n).proposals + 1)
    after = replace(state, phase=Phase.PROPOSING, round=state.round + 1, nodes=nodes)
    return after, tuple(m.ApplySettings(n, after.round) for n in chosen)


def _proposal_answered(
    state: Broadcast, event: m.PatchAccepted | m.PatchRejected | m.PatchUnanswered | m.TaskEnded
) -> Step:
    before = _progress(state, event.node_id)
    if state.phase is not Phase.PROPOSING or event.round != state.round:
        return state, ()  # Late.
    if before.state not in _UNENDED:
        return state, ()  # Repeated, or given up meanwhile.
    match event:
        case m.PatchAccepted() if before.state is NodeState.SENT:
            return state, ()  # Repeated: its task is awaited already.
        case m.PatchAccepted(task_uid=task_uid):
            now = replace(before, state=NodeState.SENT, task_uid=task_uid)
            after = _with(state, event.node_id, now)
            return after, (m.AwaitTask(event.node_id, task_uid, state.round),)
        case m.PatchRejected(error=error):
            now = replace(before, state=NodeState.REJECTED, error=error)
        case m.PatchUnanswered():
            now = replace(before, state=NodeState.UNANSWERED)
        case m.TaskEnded(error=error):
            now = replace(before, state=NodeState.ENDED, error=error)
        case _:
            assert_never(event)
    after = _with(state, event.node_id, now)
    return _verify(after) if not _waiting_for(after, _UNENDED) else (after, ())


def _verify(state: Broadcast) -> Step:
    """Read every node of the wave, also one that answered well: only what it shows counts."""
    wave = state.waves[state.wave]
    # What cannot be seen is not believed of a node that has not answered: it is asked again.
    unread = _GIVEN_UP | ({NodeState.UNANSWERED} if state.blind else set())
    chosen = [n for n in wave if _progress(state, n).state not in unread]
    if not chosen:
        return _judge(state)
    nodes = dict(state.nodes)
    for n in chosen:
        nodes[n] = replace(nodes[n], state=NodeState.READING)
    after = replace(state, phase=Phase.VERIFYING, nodes=nodes)
    return after, tuple(m.ReadSettings(n, state.round) for n in chosen)


def _read_back(state: Broadcast, event: m.SettingsRead | m.ReadFailed) -> Step:
    before = _progress(state, event.node_id)
    if state.phase is not Phase.VERIFYING or event.round != state.round:
        return state, ()  # Late.
    if before.state is not NodeState.READING:
        return state, ()  # Repeated, or given up meanwhile.
    match event:
        case m.SettingsRead(fingerprint=seen, engine=engine, faults=faults):
            fits = not faults and state.expected.get(engine, seen) == seen
            fits = fits or (state.undoing and not faults)
            if state.blind and before.error is not None:
                fits = False  # A failed task has left out what is not seen, too.
            kind = NodeState.VERIFIED if fits else NodeState.DIFFERENT
            now = replace(before, state=kind, fingerprint=seen, engine=engine, faults=faults)
        case m.ReadFailed():
            now = replace(before, state=NodeState.UNANSWERED)
        case _:
            assert_never(event)
    after = _with(state, event.node_id, now)
    return _judge(after) if not _waiting_for(after, {NodeState.READING}) else (after, ())


def _judge(state: Broadcast) -> Step:
    """Decide at the end of a round: the next wave, another round, or the other direction."""
    state = judge.doubt_disagreeing(state)
    wave = state.waves[state.wave]
    states = {n: _progress(state, n).state for n in wave}
    if (
        NodeState.REJECTED in states.values()
        and state.decision is None
        and judge.may_say_no(state)
    ):
        return _abort(state)
    different = [n for n in wave if states[n] is NodeState.DIFFERENT]
    unanswered = [n for n in wave if states[n] is NodeState.UNANSWERED]
    used_up = different and state.retries >= state.retries_max
    if state.patient and state.undoing and not judge.restored(state):
        used_up = []  # Nobody knows what is where before this has an end.
    # Going forward is for ever: who does not answer gets the whole of its patience.
    if (unanswered and state.forward) or ((different or unanswered) and not used_up):
        after = replace(state, phase=Phase.WAITING, retries=state.retries + bool(different))
        return after, (m.StartBackoff(_pace(after), after.round),)
    if state.decision is None and not state.forward and (used_up or not judge.carries(state)):
        return _abort(state)
    return _wave_done(state)


def _pace(state: Broadcast) -> int:
    """Retry faster after mere silence, but where that has no end."""
    return min(_PACE_MAX, max(state.retries, state.round)) if state.patient else state.retries


def _wave_done(state: Broadcast) -> Step:
    if state.undoing:
        return _restored(state)
    state = replace(state, expected={**judge.shown(state), **state.expected})
    if state.decision is None and state.wave + 1 == state.commit_after:
        return _ready_to_commit(replace(state, retries=0))
    if state.wave + 1 == len(state.waves):
        return replace(state, phase=Phase.CONVERGED), ()
    return _enter_wave(replace(state, wave=state.wave + 1, retries=0))


def _ready_to_commit(state: Broadcast) -> Step:
    """Everything before the commit is verified; what only searches can tell comes last."""
    if state.canary:
        return replace(state, phase=Phase.CHECKING), (m.PutCanary(state.verified),)
    return replace(state, phase=Phase.COMMITTING), (m.CommitVersion(state.doubts),)


def _canary_judged(state: Broadcast, event: m.CanaryJudged) -> Step:
    if state.phase is not Phase.CHECKING:
        return state, ()  # Late or repeated.
    if event.error is not None:
        return _abort(replace(state, error=event.error))
    return replace(state, phase=Phase.COMMITTING), (m.CommitVersion(state.doubts),)


def _commit_answered(state: Broadcast, event: m.VersionCommitted | m.CommitDoubted) -> Step:
    if state.decision is Decision.COMMIT:
        return state, ()  # Repeated.
    if isinstance(event, m.CommitDoubted):
        late = state.phase is not Phase.COMMITTING or event.doubts != state.doubts
        return (state, ()) if late else _commit_doubted(state, event)
    assert state.phase is Phase.COMMITTING, state.phase
    after = replace(state, decision=Decision.COMMIT, version=event.version)
    if state.wave + 1 == len(state.waves):
        return replace(after, phase=Phase.CONVERGED), ()
    return _enter_wave(replace(after, wave=state.wave + 1))


def _commit_doubted(state: Broadcast, event: m.CommitDoubted) -> Step:
    """Read everything before the commit again, but not for ever."""
    if state.doubts >= state.retries_max and not state.forward:
        error = judge.meddled(state.index_uid, event.node_ids)
        return _abort(replace(state, error=error))
    return _verify(replace(state, wave=0, doubts=state.doubts + 1))


def _abort(state: Broadcast) -> Step:
    """Take the decision, once, and carry the base back to every node that was touched."""
    assert state.decision is None
    after = replace(state, decision=Decision.ABORT, error=state.error or judge.cause(state))
    touched = tuple(n for n in state.touched if not judge.did_nothing(state.nodes[n]))
    if not state.undoable or not touched:
        return replace(after, phase=Phase.ABORTED), ()
    nodes = {n: Progress(NodeState.ENDED) for n in touched}
    return _propose(
        replace(after, waves=(touched,), commit_after=1, wave=0, retries=0, nodes=nodes), touched
    )


def _restored(state: Broadcast) -> Step:
    """End an abort: a covering set at base is enough, what lags behind stays unproved."""
    if judge.restored(state) or not state.freeze:
        return replace(state, phase=Phase.ABORTED), ()
    return state, (m.Freeze(),)


def _silent(state: Broadcast, node_id: NodeId) -> Step:
    """Give a node up; the round may have been waiting for it alone."""
    before = _progress(state, node_id)
    if before.state in _GIVEN_UP or before.state is NodeState.VERIFIED:
        return state, ()  # Late.
    if judge.is_needed(state, node_id):
        return _unheard(state, node_id)
    if state.phase is Phase.WAITING:
        return _with(state, node_id, replace(before, state=NodeState.SILENT)), ()
    if before.state not in _UNENDED | {NodeState.READING}:
        return state, ()  # Late.
    after = _with(state, node_id, replace(before, state=NodeState.SILENT))
    if state.phase is Phase.PROPOSING and not _waiting_for(after, _UNENDED):
        return _verify(after)
    if state.phase is Phase.VERIFYING and not _waiting_for(after, {NodeState.READING}):
        return _judge(after)
    return after, ()


def _unheard(state: Broadcast, node_id: NodeId) -> Step:
    """Go on asking a node that has been silent for long: the change stands or falls with it."""
    if state.phase is Phase.PROPOSING:
        return _proposal_answered(state, m.PatchUnanswered(node_id, state.round))
    return _read_back(state, m.ReadFailed(node_id, state.round))


def _waited(state: Broadcast, event: m.Drained | m.BackoffElapsed) -> Step:
    awaited = Phase.DRAINING if isinstance(event, m.Drained) else Phase.WAITING
    if state.phase is not awaited or event.round != state.round:
        return state, ()  # Late or repeated.
    wave = state.waves[state.wave]
    if isinstance(event, m.Drained):
        return _propose(state, wave)
    again = {NodeState.DIFFERENT, NodeState.UNANSWERED}
    return _propose(state, [n for n in wave if _progress(state, n).state in again])


def _progress(state: Broadcast, node_id: NodeId) -> Progress:
    return state.nodes.get(node_id, Progress(NodeState.UNTOUCHED))


def _with(state: Broadcast, node_id: NodeId, progress: Progress) -> Broadcast:
    return replace(state, nodes={**state.nodes, node_id: progress})


def _waiting_for(state: Broadcast, states: Iterable[NodeState]) -> bool:
    wanted = set(states)
    return any(_progress(state, n).state in wanted for n in state.waves[state.wave])
