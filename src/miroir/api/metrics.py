"""Gauges that follow from the view, set when somebody asks: they cannot be out of date."""

from collections import Counter

from miroir.core.broadcast_types import Broadcast, Phase
from miroir.services.cluster import IndexView, View
from miroir.telemetry import BroadcastPhase, Metrics

_PHASES = {
    Phase.QUEUED: BroadcastPhase.IDLE,
    Phase.PROBING: BroadcastPhase.PROPOSE,
    Phase.DRAINING: BroadcastPhase.PROPOSE,
    Phase.PROPOSING: BroadcastPhase.PROPOSE,
    Phase.VERIFYING: BroadcastPhase.VERIFY,
    Phase.WAITING: BroadcastPhase.VERIFY,
    Phase.COMMITTING: BroadcastPhase.COMMIT,
}


def refresh(metrics: Metrics, view: View) -> None:
    """Set every gauge from the view."""
    for node_id in view.topology.node_ids:
        metrics.node_up(node_id, healthy=node_id in view.healthy)
    states: Counter[str] = Counter()
    for uid, index in view.indexes.items():
        states.update(intent.state.phase.value for intent in index.accepted)
        if index.record.deleted:
            metrics.forget_index(uid)
            continue
        metrics.broadcast_phase(uid, phase_of(index))
        metrics.settings_version(uid, index.record.version)
        current = [n for n, v in index.proved.items() if v == index.record.version]
        metrics.unproved_nodes(uid, len(view.topology.nodes) - len(current))
    for uid in view.deleted:
        metrics.forget_index(uid)
    metrics.intents(dict(states))
    frozen = [i for i in view.indexes.values() if i.record.frozen_reason is not None]
    metrics.frozen_indexes(len(frozen))


def phase_of(index: IndexView) -> BroadcastPhase:
    """Return the phase of an index's settings, as the metric counts them."""
    if index.intent is not None:
        return _of_machine(index.intent.state)
    return BroadcastPhase.FROZEN if index.record.frozen_reason else BroadcastPhase.IDLE


def _of_machine(state: Broadcast) -> BroadcastPhase:
    if state.undoing:
        return BroadcastPhase.ABORT
    return _PHASES.get(state.phase, BroadcastPhase.IDLE)
