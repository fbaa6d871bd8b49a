"""
Admin routes about drift: nodes that stray, breakers that are open, indexes that nobody manages.

Behind the admin key. An order (repair, adopt) is carried out as an intent like any other; the
answer says where things stand then, not that they are right already. What is wanted of an index
from now on (its mode, keys to be left alone) is a rule, and holds over a restart.
"""

from collections.abc import Mapping
from typing import Any, Final

from miroir.api.edge import Edge, uid_of
from miroir.api.http import Reply, Request, reply_json
from miroir.api.parameters import body_object, described, text_field
from miroir.api.router import Access, Route
from miroir.api.settings_headers import (
    BY_CHARACTERS_MAX,
    REASON_CHARACTERS_MAX,
    by_of,
    check_note,
    reason_of,
)
from miroir.api.views import moment, task_summary
from miroir.core import settings as rules
from miroir.core.drift import Mode
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import BadParameter
from miroir.services.cluster import IndexView
from miroir.services.drift_book import Drift
from miroir.services.drift_rules import Order
from miroir.services.suspects import Suspicion

_CODE: Final = "bad_request"


def routes(edge: Edge) -> tuple[Route, ...]:
    """Return the rows of these routes."""
    admin = AdminDrift(edge)
    base = "/_miroir/drift"
    return (
        Route("GET", base, admin.drift, Access.ADMIN),
        Route("PATCH", f"{base}/{{uid}}", admin.order, Access.ADMIN),
        Route("POST", f"{base}/{{uid}}/repair", admin.repair, Access.ADMIN),
        Route("POST", f"{base}/{{uid}}/adopt", admin.adopt_settings, Access.ADMIN),
        Route("POST", "/_miroir/indexes/{uid}/adopt", admin.adopt_index, Access.ADMIN),
    )


class AdminDrift:
    """Shows the book of the inspector, and gives it orders."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def drift(self, _request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /_miroir/drift`: strayed and suspected nodes, modes, rules, unmanaged indexes."""
        view, wanted = self._edge.cluster.view, self._edge.inspector.rules
        live = sorted(uid for uid in view.indexes if view.live(uid) is not None)
        unmanaged = [
            {"index": u.index_uid, "nodes": list(u.node_ids), "why": u.why}
            for u in self._edge.adoption.unmanaged
        ]
        body = {
            "results": self._results(),
            "modes": {uid: wanted.of(uid).value for uid in live},
            "rules": [self._ordered(order) for order in wanted.rules],
            "orders": [self._ordered(order) for order in wanted.orders],
            "unmanaged": unmanaged,
        }
        return reply_json(body)

    async def order(self, request: Request, named: Mapping[str, str]) -> Reply:
        """
        `PATCH /_miroir/drift/{index}`: its mode, and keys to be left alone, from now on.

        A field that is absent stays as it is, null is as configured.
        """
        uid, wanted = uid_of(named), self._edge.inspector.rules
        body = body_object(request.json(), ("mode", "ignoredKeys", "by", "reason"))
        by, reason = text_field(body, "by", _CODE), text_field(body, "reason", _CODE)
        before = wanted.ordered(uid)
        index = self._edge.cluster.view.live(uid) if not before.empty else self._edge.index(uid)
        order = Order(
            uid,
            mode=_mode(body["mode"]) if "mode" in body else before.mode,
            ignored=_keys(body["ignoredKeys"], index) if "ignoredKeys" in body else before.ignored,
            by=by_of(request) if by is None else check_note(".by", by, BY_CHARACTERS_MAX),
            reason=reason_of(request)
            if reason is None
            else check_note(".reason", reason, REASON_CHARACTERS_MAX),
        )
        made = await wanted.order(order)
        await self._edge.inspector.look_now(uid)
        return reply_json({"rule": self._ordered(made), "results": self._results(uid)})

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
        rows += [
            self._left_alone(d) for _, d in sorted(self._edge.inspector.book.left_alone.items())
        ]
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

    def _left_alone(self, drift: Drift) -> dict[str, Any]:
        return {**self._drifted(drift), "state": "ignored", "faults": list(drift.finding.ignored)}

    def _ordered(self, order: Order) -> dict[str, Any]:
        wanted = self._edge.inspector.rules
        return {
            "index": order.index_uid,
            "mode": (order.mode or wanted.configured.of(order.index_uid)).value,
            "modeIs": "ordered" if order.mode else "configured",
            "ignoredKeys": list(order.ignored),
            "by": order.by,
            "reason": order.reason,
            "at": moment(order.at_ms),
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
            "mode": inspector.rules.of(index_uid).value,
            "breaker": "open" if inspector.breaker_open(index_uid, node_id) else "closed",
        }


def _mode(value: Any) -> Mode | None:
    if value is None:
        return None
    if not isinstance(value, str) or value not in set(Mode):
        expected = ", ".join(f"`{mode}`" for mode in Mode)
        raise BadParameter(
            _CODE,
            f"Invalid value at `.mode`: expected one of {expected}, but found {described(value)}",
        )
    return Mode(value)


def _keys(value: Any, index: IndexView | None) -> tuple[str, ...]:
    """Return names of settings; also of those that a newer engine shows."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BadParameter(
            _CODE,
            "Invalid value type at `.ignoredKeys`: expected an array, but found "
            f"{described(value)}",
        )
    shown = index.record.settings if index is not None else None
    known = {**rules.BY_KEY, **(shown or {})}
    for place, key in enumerate(value):
        if not isinstance(key, str) or key not in known:
            expected = ", ".join(f"`{name}`" for name in known)
            raise BadParameter(
                _CODE,
                f"Invalid value at `.ignoredKeys[{place}]`: expected one of {expected}, but found "
                f"{described(key)}",
            )
    return tuple(value)
