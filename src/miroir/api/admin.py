"""
Admin routes under `/_miroir`: what the cluster is and does, as JSON, and the metrics.

Behind the admin key. Read only, but for thawing. Secrets are masked in everything that is shown.
"""

from collections.abc import Mapping
from typing import Any

from miroir.api.edge import Edge, uid_of
from miroir.api.http import Reply, Request, reply_json
from miroir.api.metrics import refresh
from miroir.api.parameters import number
from miroir.api.router import Access, Route
from miroir.api.views import moment
from miroir.core import settings as rules
from miroir.core.broadcast_types import Progress
from miroir.core.numbers import U32_MAX
from miroir.core.topology import NodeId
from miroir.ports.records import HistoryEntry, Intent
from miroir.services.cluster import IndexView, View

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def routes(edge: Edge) -> tuple[Route, ...]:
    """Return the rows of these routes."""
    admin = Admin(edge)
    return (
        Route("GET", "/_miroir/topology", admin.topology, Access.ADMIN),
        Route("GET", "/_miroir/settings/{uid}", admin.settings, Access.ADMIN),
        Route("POST", "/_miroir/settings/{uid}/thaw", admin.thaw, Access.ADMIN),
        Route("GET", "/_miroir/intents", admin.intents, Access.ADMIN),
        Route("GET", "/_miroir/drift", admin.drift, Access.ADMIN),
        Route("GET", "/_miroir/metrics", admin.metrics, Access.ADMIN),
    )


class Admin:
    """Shows the view and the store."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def topology(self, _request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /_miroir/topology`: nodes, and per index the version each is proved to serve."""
        view = self._edge.cluster.view
        live = [index for _, index in sorted(view.indexes.items()) if not index.record.deleted]
        return reply_json(
            {"topology": _topology(view), "indexes": [_index(view, index) for index in live]}
        )

    async def settings(self, _request: Request, named: Mapping[str, str]) -> Reply:
        """`GET /_miroir/settings/{index}`: version, settings, phase, nodes, history."""
        index = self._edge.index(named["uid"])
        history = await self._edge.store.history(index.record.uid)
        body = {
            **_index(self._edge.cluster.view, index),
            "fingerprints": dict(index.record.fingerprints),
            "settings": rules.shown(index.record.settings or {}),
            "intent": _intent(index.intent) if index.intent else None,
            "queued": [_intent(intent) for intent in index.queued],
            "history": [_entry(entry) for entry in history],
        }
        return reply_json(body)

    async def thaw(self, _request: Request, named: Mapping[str, str]) -> Reply:
        """`POST /_miroir/settings/{index}/thaw`: let document writes through again."""
        index = self._edge.index(named["uid"])
        await self._edge.store.thaw(index.record.uid)
        record = await self._edge.store.index(uid_of(named))
        assert record is not None, "a live index is known to the store"
        self._edge.cluster.apply_record(record)
        return reply_json(_index(self._edge.cluster.view, self._edge.index(named["uid"])))

    async def intents(self, request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /_miroir/intents`: the newest, open or closed."""
        limit = number(request.query, "limit", 20, "bad_request", most=U32_MAX)
        found = await self._edge.store.recent_intents(limit)
        return reply_json({"results": [_intent(intent) for intent in found]})

    async def drift(self, _request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /_miroir/drift`: nodes that show something else than what was committed."""
        results = [
            {
                "index": d.index_uid,
                "node": d.node_id,
                "state": d.finding.state.value,
                "faults": list(d.finding.faults),
                "fingerprint": d.finding.fingerprint,
                "action": d.action.value,
                "firstSeenAt": moment(d.first_seen_ms),
                "lastSeenAt": moment(d.last_seen_ms),
            }
            for d in self._edge.reconciler.drifts
        ]
        return reply_json({"results": results})

    async def metrics(self, _request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /_miroir/metrics`, in Prometheus's text form."""
        refresh(self._edge.metrics, self._edge.cluster.view)
        return Reply(200, self._edge.metrics.exposition(), content_type=_METRICS_TYPE)


def _topology(view: View) -> dict[str, Any]:
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


def _index(view: View, index: IndexView) -> dict[str, Any]:
    engines = index.record.fingerprints
    return {
        "uid": index.record.uid,
        "version": index.record.version,
        "fingerprint": next(iter(engines.values()), None),
        "primaryKey": index.record.primary_key,
        "phase": index.intent.state.phase.value if index.intent else "idle",
        "frozen": index.record.frozen_reason,
        "nodes": {n: _node(view, index, n) for n in view.topology.node_ids},
    }


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


def _intent(intent: Intent) -> dict[str, Any]:
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
        "expected": dict(state.expected),
        "nodes": {n: _progress(p) for n, p in state.nodes.items()},
        "error": state.error,
        "by": intent.by,
        "reason": intent.reason,
        "createdAt": moment(intent.at_ms),
    }


def _progress(progress: Progress) -> dict[str, Any]:
    return {
        "state": progress.state.value,
        "taskUid": progress.task_uid,
        "fingerprint": progress.fingerprint,
        "engine": progress.engine,
        "faults": list(progress.faults),
        "proposals": progress.proposals,
        "error": progress.error,
    }


def _entry(entry: HistoryEntry) -> dict[str, Any]:
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
