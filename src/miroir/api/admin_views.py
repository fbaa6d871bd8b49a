"""
Indexes, intents and versions in the JSON forms of the admin side.

Secrets are masked in everything that is shown. Moments of node tasks are by the node's own clock,
all others by Miroir's; durations are ISO 8601, as Meilisearch writes them. Only shapes here.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from miroir.api.views import duration, moment
from miroir.core import settings as rules
from miroir.core.broadcast_types import Progress
from miroir.core.topology import NodeId
from miroir.ports.records import HistoryEntry, IndexRecord, Intent, IntentTask
from miroir.services.cluster import IndexView, View
from miroir.services.progress import BatchProgress

Tasks = tuple[IntentTask, ...]
Batches = Mapping[tuple[int, NodeId], BatchProgress]


def topology_view(view: View) -> dict[str, Any]:
    """Return the grid and its nodes."""
    nodes = [
        {
            "id": node.node_id,
            "url": node.url,
            "shard": node.shard_id,
            "replicaGroup": node.group_id,
            "healthy": node.node_id in view.healthy,
            "engine": view.engines.get(node.node_id),
        }
        for node in sorted(view.topology.nodes, key=lambda n: (n.group_id, n.shard_id))
    ]
    return {
        "epoch": view.topology.epoch,
        "shards": view.topology.shard_count,
        "replicaGroups": view.topology.group_count,
        "nodes": nodes,
    }


def index_view(view: View, index: IndexView) -> dict[str, Any]:
    """Return where an index stands, and each node with it."""
    engines = index.record.fingerprints
    return {
        "uid": index.record.uid,
        "version": index.record.version,
        "fingerprint": next(iter(engines.values()), None),
        "primaryKey": index.record.primary_key,
        "phase": index.intent.state.phase.value if index.intent else "idle",
        "frozen": index.record.frozen_reason,
        "unconfirmed": _unconfirmed(index.record),
        "nodes": {n: _node(view, index, n) for n in view.topology.node_ids},
    }


def _unconfirmed(record: IndexRecord) -> dict[str, Any] | None:
    waits = record.unconfirmed
    if waits is None:
        return None
    return {"baseVersion": waits.base_version, "until": moment(waits.until_ms)}


def _node(view: View, index: IndexView, node_id: NodeId) -> dict[str, Any]:
    version = index.proved.get(node_id)
    if node_id not in view.healthy:
        state = "down"
    elif node_id in index.out_of_sync:
        state = "out_of_sync"
    elif version is None:
        state = "unproved"
    else:
        state = "synced" if version == index.record.version else "behind"
    return {"version": version, "state": state}


def intent_view(
    intent: Intent,
    tasks: Tasks = (),
    batches: Batches = MappingProxyType({}),
    waits_for: tuple[NodeId, ...] = (),
) -> dict[str, Any]:
    """Return an intent, open or closed, with what each node did in it, and how far it is now."""
    state = intent.state
    return {
        "id": intent.intent_id,
        "index": intent.index_uid,
        "kind": intent.kind.value,
        "phase": state.phase.value,
        "decision": state.decision.value if state.decision else None,
        "round": state.round,
        "retries": state.retries,
        "baseVersion": intent.base_version,
        "version": intent.committed_version,
        "taskUid": intent.task_uid,
        "patch": rules.shown(intent.patch),
        "swaps": [swap.shown() for swap in intent.swaps],
        "expected": dict(state.expected),
        "nodes": _nodes(intent, tasks, batches),
        "waitsFor": list(waits_for),
        "error": state.error,
        "by": intent.by,
        "reason": intent.reason,
        **_times(intent),
    }


def entry_view(entry: HistoryEntry) -> dict[str, Any]:
    """Return a committed version as it was committed; it never changes."""
    return {
        "version": entry.version,
        "fingerprints": dict(entry.fingerprints),
        "diff": dict(entry.diff),
        "kind": entry.kind,
        "by": entry.by,
        "reason": entry.reason,
        "intent": entry.intent_id,
        "at": moment(entry.at_ms),
    }


def version_view(entry: HistoryEntry, intent: Intent, tasks: Tasks) -> dict[str, Any]:
    """Return a committed version and what became of the intent that made it, on every node."""
    return {
        **entry_view(entry),
        "taskUid": intent.task_uid,
        **_times(intent),
        "nodes": _nodes(intent, tasks),
    }


def _times(intent: Intent) -> dict[str, Any]:
    """`duration` is from leaving the queue to the last node, as with a task of Meilisearch."""
    return {
        "createdAt": moment(intent.at_ms),
        "startedAt": moment(intent.started_at_ms),
        "endedAt": moment(intent.closed_at_ms),
        "duration": duration(intent.started_at_ms, intent.closed_at_ms),
    }


def _nodes(
    intent: Intent, tasks: Tasks, batches: Batches = MappingProxyType({})
) -> dict[str, Any]:
    """A node that has only tasks was brought back by an abort that did not need it any more."""
    progress: Mapping[NodeId, Progress] = intent.state.nodes
    names = dict.fromkeys((*progress, *(task.node_id for task in tasks)))
    return {
        name: {
            **_part(progress.get(name), tuple(t for t in tasks if t.node_id == name)),
            "progress": _batch(batches.get((intent.intent_id, name))),
        }
        for name in names
    }


def _part(progress: Progress | None, tasks: Tasks) -> dict[str, Any]:
    """Return what one node did; the times at the top are those of its last task."""
    uid = progress.task_uid if progress else None
    last = next((task for task in tasks if task.task_uid == uid), None)
    return {
        "state": progress.state.value if progress else None,
        "taskUid": uid,
        "startedAt": moment(last.started_at_ms) if last else None,
        "finishedAt": moment(last.finished_at_ms) if last else None,
        "duration": duration(last.started_at_ms, last.finished_at_ms) if last else None,
        "fingerprint": progress.fingerprint if progress else None,
        "engine": progress.engine if progress else None,
        "faults": list(progress.faults) if progress else [],
        "proposals": progress.proposals if progress else 0,
        "error": progress.error if progress else None,
        "tasks": [_task(task) for task in tasks],
    }


def _batch(batch: BatchProgress | None) -> dict[str, Any] | None:
    if batch is None:
        return None
    left_s = None if batch.left_s is None else round(batch.left_s, 1)
    return {
        "percentage": round(batch.percentage, 1),
        "step": batch.step,
        "estimatedSecondsLeft": left_s,
    }


def _task(task: IntentTask) -> dict[str, Any]:
    return {
        "uid": task.task_uid,
        "status": task.status,
        "error": task.error,
        "startedAt": moment(task.started_at_ms),
        "finishedAt": moment(task.finished_at_ms),
        "duration": duration(task.started_at_ms, task.finished_at_ms),
    }
