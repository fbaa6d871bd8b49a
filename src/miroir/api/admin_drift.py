"""
Admin routes about drift: nodes that stray, breakers that are open, indexes that nobody manages.

Behind the admin key. An order (repair, adopt) is carried out as an intent like any other; the
answer says where things stand then, not that they are right already.
"""

from collections.abc import Mapping
from typing import Any

from miroir.api.edge import Edge, uid_of
from miroir.api.http import Reply, Request, reply_json
from miroir.api.router import Access, Route
from miroir.api.views import moment, task_summary
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import BadParameter
from miroir.services.drift_book import Drift
from miroir.services.suspects import Suspicion


def routes(edge: Edge) -> tuple[Route, ...]:
    """Return the rows of these routes."""
    admin = AdminDrift(edge)
    base = "/_miroir/drift"
    return (
        Route("GET", base, admin.drift, Access.ADMIN),
        Route("POST", f"{base}/{{uid}}/repair", admin.repair, Access.ADMIN),
        Route("POST", f"{base}/{{uid}}/adopt", admin.adopt_settings, Access.ADMIN),
        Route("POST", "/_miroir/indexes/{uid}/adopt", admin.adopt_index, Access.ADMIN),
    )


class AdminDrift:
    """Shows the book of the inspector, and gives it orders."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def drift(self, _request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /_miroir/drift`: strayed and suspected nodes, modes, unmanaged indexes."""
        view, modes = self._edge.cluster.view, self._edge.inspector.modes
        live = sorted(uid for uid in view.indexes if view.live(uid) is not None)
        unmanaged = [
            {"index": u.index_uid, "nodes": list(u.node_ids), "why": u.why}
            for u in self._edge.adoption.unmanaged
        ]
        body = {
            "results": self._results(),
            "modes": {uid: modes.of(uid).value for uid in live},
            "unmanaged": unmanaged,
        }
        return reply_json(body)

    async def repair(self, _request: Request, named: Mapping[str, str]) -> Reply:
        """`POST /_miroir/drift/{index}/repair`: close its breakers and repair now."""
        uid = self._edge.index(named["uid"]).record.uid
        await self._edge.inspector.repair_now(uid)
        return reply_json({"results": self._results(uid)})

    async def adopt_settings(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`POST /_miroir/drift/{index}/adopt?node=...`: want what this node shows."""
        uid = self._edge.index(named["uid"]).record.uid
        node_id = NodeId(request.query.get("node", ""))
        if node_id not in self._edge.cluster.view.topology.by_id:
            known = ", ".join(f"`{n}`" for n in self._edge.cluster.view.topology.node_ids)
            said = f"Invalid value in parameter `node`: `{node_id}` is no node; expected {known}."
            raise BadParameter("bad_request", said)
        await self._edge.inspector.adopt_now(uid, node_id)
        return reply_json({"results": self._results(uid)})

    async def adopt_index(self, _request: Request, named: Mapping[str, str]) -> Reply:
        """`POST /_miroir/indexes/{index}/adopt`: take over an index that every node holds."""
        return reply_json(task_summary(await self._edge.adoption.adopt(uid_of(named))), 202)

    def _results(self, index_uid: IndexUid | None = None) -> list[dict[str, Any]]:
        drifts = sorted(self._edge.inspector.book.drifts.values(), key=lambda d: d.first_seen_ms)
        rows = [self._drifted(d) for d in drifts]
        known = {(d.index_uid, d.node_id) for d in drifts}
        rows += [self._suspected(s) for s in self._edge.suspects.all if s.pair not in known]
        return [row for row in rows if index_uid is None or row["index"] == index_uid]

    def _drifted(self, drift: Drift) -> dict[str, Any]:
        return {
            **self._pair(drift.index_uid, drift.node_id),
            "state": drift.finding.state.value,
            "faults": list(drift.finding.faults),
            "fingerprint": drift.finding.fingerprint,
            "action": drift.action.value,
            "why": drift.why or None,
            "firstSeenAt": moment(drift.first_seen_ms),
            "lastSeenAt": moment(drift.last_seen_ms),
        }

    def _suspected(self, suspicion: Suspicion) -> dict[str, Any]:
        return {
            **self._pair(suspicion.index_uid, suspicion.node_id),
            "state": "suspected",
            "faults": [f"task {task.uid}: {task.type}" for task in suspicion.tasks],
            "fingerprint": None,
            "action": "wait",
            "why": None,
            "firstSeenAt": moment(suspicion.since_ms),
            "lastSeenAt": moment(suspicion.since_ms),
        }

    def _pair(self, index_uid: IndexUid, node_id: NodeId) -> dict[str, Any]:
        inspector = self._edge.inspector
        return {
            "index": index_uid,
            "node": node_id,
            "mode": inspector.modes.of(index_uid).value,
            "breaker": "open" if inspector.breaker_open(index_uid, node_id) else "closed",
        }
