"""Gauges that follow from the view, set when somebody asks: they cannot be out of date."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from miroir.core.broadcast_types import CLOSED_PHASES, Broadcast, NodeState, Phase
from miroir.core.topology import NodeId
from miroir.errors import Unavailable
from miroir.ports.records import IntentKind
from miroir.ports.store import Store
from miroir.services.cluster import IndexView, View
from miroir.telemetry import BroadcastPhase, Metrics

_OPEN: Final = tuple(phase for phase in Phase if phase not in CLOSED_PHASES)
_UNENDED: Final = ("enqueued", "processing")
_GIVEN_UP: Final = frozenset({NodeState.SILENT, NodeState.REJECTED})
_PHASES: Final[Mapping[Phase, BroadcastPhase]] = {
    Phase.QUEUED: BroadcastPhase.IDLE,
    Phase.PROBING: BroadcastPhase.PROPOSE,
    Phase.DRAINING: BroadcastPhase.PROPOSE,
    Phase.PROPOSING: BroadcastPhase.PROPOSE,
    Phase.VERIFYING: BroadcastPhase.VERIFY,
    Phase.WAITING: BroadcastPhase.VERIFY,
    Phase.CHECKING: BroadcastPhase.VERIFY,
    Phase.COMMITTING: BroadcastPhase.COMMIT,
}


async def refresh(
    metrics: Metrics, view: View, commons: View, *, store: Store, readers: int
) -> None:
    """Set every gauge: from the views, and the number of tasks from the store."""
    _refresh(metrics, view)
    metrics.processes(1 + readers)
    # By number: one that moves several indexes stands in the queue of each.
    phases = {
        intent.intent_id: intent.state.phase
        for index in (*view.indexes.values(), *commons.indexes.values())
        for intent in index.accepted
    }
    states = Counter(phases.values())
    metrics.intents({phase.value: states[phase] for phase in _OPEN})
    try:
        unfinished = await store.unfinished_tasks()
    except Unavailable:
        metrics.tasks({})  # Nobody knows; the other metrics are wanted now more than ever.
    else:
        metrics.tasks({status: unfinished.get(status, 0) for status in _UNENDED})


def _refresh(metrics: Metrics, view: View) -> None:
    for node_id in view.topology.node_ids:
        metrics.node_up(node_id, healthy=node_id in view.healthy)
    quarantined: set[NodeId] = set()
    for uid, index in view.indexes.items():
        if index.record.deleted:
            metrics.forget_index(uid)
            continue
        metrics.broadcast_phase(uid, phase_of(index))
        metrics.settings_version(uid, index.record.version)
        current = [n for n, v in index.proved.items() if v == index.record.version]
        metrics.unproved_nodes(uid, len(view.topology.nodes) - len(current))
        quarantined |= set(view.topology.node_ids).difference(current, _in_work(index))
    for uid in view.deleted:
        metrics.forget_index(uid)
    metrics.quarantined_nodes(len(quarantined))
    frozen = [i for i in view.indexes.values() if i.record.frozen_reason is not None]
    metrics.frozen_indexes(len(frozen))


def _in_work(index: IndexView) -> set[NodeId]:
    """Nodes that an open change is about to bring to a version; a repair is a way out instead."""
    if index.intent is None or index.intent.kind is IntentKind.REPAIR:
        return set()
    state = index.intent.state
    given_up = {n for n, progress in state.nodes.items() if progress.state in _GIVEN_UP}
    return {node_id for wave in state.waves for node_id in wave} - given_up


def phase_of(index: IndexView) -> BroadcastPhase:
    """Return the phase of an index's settings, as the metric counts them."""
    if index.intent is not None:
        return _of_machine(index.intent.state)
    return BroadcastPhase.FROZEN if index.record.frozen_reason else BroadcastPhase.IDLE


def _of_machine(state: Broadcast) -> BroadcastPhase:
    if state.undoing:
        return BroadcastPhase.ABORT
    return _PHASES[state.phase]
