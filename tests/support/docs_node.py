"""
A simulated node that holds documents, and one process's way to it.

Adds to `SimNode` what the settings side leaves out: documents by id, replaced or updated, deleted
by id, by filter (`group = N`) or all. The queue, batches, crashes and failing tasks are SimNode's.
"""

import random
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeRefused
from miroir.node.errors import ApiError
from miroir.ports.node import NodeReply, NodeRequest, NodeTask
from tests.support.sim_disk import SimIndex, SimTask
from tests.support.sim_engine import NEW, digest
from tests.support.sim_faults import FaultPlan
from tests.support.sim_network import SimNetwork
from tests.support.sim_node import SimNode

Documents = dict[str, dict[str, Any]]
_ROUTE = re.compile(r"/indexes/(?P<uid>[^/]+)/documents(?P<rest>/[^/]+)?")
_FILTER = re.compile(r"group = (\d+)")


class DocsNode(SimNode):
    """
    One server.

    Attributes:
        documents: Per index, by id; on disk.
        details: Of ended document tasks, by uid.
        births: Per index, the task that made it: what a node shows as its creation.
    """

    def __init__(self, node_id: str, chance: random.Random, faults: FaultPlan) -> None:
        super().__init__(node_id, NEW, chance, faults)
        self.documents: dict[str, Documents] = {}
        self.details: dict[int, Mapping[str, Any]] = {}
        self.births: dict[str, int] = {}
        self._worked: set[int] = set()

    def enqueue_documents(
        self, uid: str, action: str, body: Mapping[str, Any], origin: str
    ) -> int:
        kinds = {"POST": "documentAdditionOrUpdate", "PUT": "documentAdditionOrUpdate"}
        kind = {**kinds, "/edit": "documentEdition"}.get(action, "documentDeletion")
        return self._enqueue(uid, kind, {"action": action, **body}, origin)

    def cancel(self, uid: int) -> None:
        """Cancel a task that waits; one that runs is too far, for this node."""
        if uid < len(self.disk.tasks) and self.disk.tasks[uid].status == "enqueued":
            self.disk.tasks[uid] = replace(self.disk.tasks[uid], status="canceled")

    def port_task(self, uid: int) -> NodeTask:
        task = self.disk.tasks[uid]
        return NodeTask(
            uid,
            IndexUid(task.index_uid),
            task.type,
            task.status,
            task.error,
            self.details.get(uid),
        )

    def _next_batch(self) -> list[SimTask]:
        """Take one at a time, from a queue of any length: documents come faster than settings."""
        return next(([t] for t in self.disk.tasks if t.status == "enqueued"), [])

    def pending_any(self) -> bool:
        return any(t.status in {"enqueued", "processing"} for t in self.disk.tasks)

    def _applied(self, batch: list[SimTask]) -> Mapping[str, Any] | None:
        """Carry a batch out; one that a crash has made run again fails no more: it has worked."""
        uids = {task.uid for task in batch}
        if uids & self._worked:
            return None
        error = super()._applied(batch)
        self._worked |= uids if error is None else set()
        return error

    def _apply(self, batch: list[SimTask]) -> None:
        first = batch[0]
        uid = first.index_uid
        if "action" in first.body:
            self._write(first)
        else:
            super()._apply(batch)
        if first.type == "indexDeletion":
            self.lose(uid)
        elif uid in self.disk.indexes:
            self.documents.setdefault(uid, {})
            self.births.setdefault(uid, first.uid)

    def snapshot(self) -> tuple[Any, ...]:
        """Return everything on its disk, to come back as that one day."""
        contents = (self.documents, self.details, self.births, self._worked)
        return (self.disk.copy(), *(deepcopy(one) for one in contents))

    def come_back_as(self, snapshot: tuple[Any, ...]) -> None:
        """Start again as it was when the snapshot was made."""
        disk, self.documents, self.details, self.births, self._worked = snapshot
        self.restore(disk)

    def lose(self, uid: str) -> None:
        """Have the index no more, without a task that would tell of it."""
        self.disk.indexes.pop(uid, None)
        self.documents.pop(uid, None)
        self.births.pop(uid, None)

    def _write(self, task: SimTask) -> None:
        uid, body = task.index_uid, task.body
        if task.type == "documentAdditionOrUpdate":
            if uid not in self.disk.indexes:
                self.disk.indexes[uid] = SimIndex(
                    body["primaryKey"], {}, self.engine.shown({}), digest(self.engine.truth({}))
                )
                self.documents[uid] = {}
            index = self.disk.indexes[uid]
            index.primary_key = index.primary_key or body["primaryKey"]
            if index.primary_key != body["primaryKey"]:
                raise ApiError("index_primary_key_already_exists", "another primary key")
            for document in body["documents"]:
                key = str(document[index.primary_key])
                old = self.documents[uid].get(key, {}) if body["action"] == "PUT" else {}
                self.documents[uid][key] = {**old, **document}
            self.details[task.uid] = {"indexedDocuments": len(body["documents"])}
            return
        self._existing(uid)
        if task.type == "documentEdition":
            meant = [k for k, d in self.documents[uid].items() if deletes(body, k, d)]
            for key in meant:
                self.documents[uid][key] = edited(self.documents[uid][key])
            self.details[task.uid] = {"editedDocuments": len(meant), "deletedDocuments": 0}
            return
        gone = [k for k, d in self.documents[uid].items() if deletes(body, k, d)]
        for key in gone:
            del self.documents[uid][key]
        self.details[task.uid] = {"deletedDocuments": len(gone)}


def edited(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the one function that these nodes know makes of a document: it counts."""
    return {**document, "edits": document.get("edits", 0) + 1}


def deletes(body: Mapping[str, Any], key: str, document: Mapping[str, Any]) -> bool:
    """Whether a deletion, or an edit, concerns this document."""
    if body["action"] == "DELETE":
        return True
    if body["action"] == "/delete-batch":
        return key in body["ids"]
    match = _FILTER.fullmatch(body["filter"])
    assert match is not None
    return document.get("group") == int(match[1])


@dataclass(frozen=True)
class Parsed:
    """A document request, read."""

    uid: str
    action: str
    body: Mapping[str, Any]


def parsed(method: str, path: str, body: bytes) -> Parsed | None:
    """Read what a request to a documents route wants to write; None if it is no such write."""
    url = urlsplit(path)
    match = _ROUTE.fullmatch(url.path)
    if match is None or method == "GET":
        return None
    uid, rest = unquote(match["uid"]), match["rest"]
    if rest == "/delete-batch":
        return Parsed(uid, rest, {"ids": orjson.loads(body)})
    if rest in {"/delete", "/edit"}:
        return Parsed(uid, rest, {"filter": orjson.loads(body)["filter"]})
    if rest is not None:
        return None
    if method == "DELETE":
        return Parsed(uid, "DELETE", {})
    key = parse_qs(url.query)["primaryKey"][0]
    return Parsed(uid, method, {"documents": orjson.loads(body), "primaryKey": key})


def _tag(path: str) -> str | None:
    return parse_qs(urlsplit(path).query).get("customMetadata", [None])[0]


class DocsNetwork(SimNetwork):
    """One process's way to nodes that hold documents."""

    async def document_count(self, node_id: NodeId, index_uid: IndexUid) -> int:
        """See `NodeControl.document_count`."""

        def act(node: SimNode, _origin: str) -> int:
            assert isinstance(node, DocsNode)
            node.index(index_uid)
            return len(node.documents[index_uid])

        count: int = await self.call(node_id, "document_count", act)
        return count

    async def tasks(self, node_id: NodeId, uids: tuple[int, ...]) -> tuple[NodeTask, ...]:
        """See `NodeControl.tasks`."""

        def act(node: SimNode, _origin: str) -> tuple[NodeTask, ...]:
            assert isinstance(node, DocsNode)
            return tuple(node.port_task(uid) for uid in uids if uid < len(node.disk.tasks))

        found: tuple[NodeTask, ...] = await self.call(node_id, "tasks", act)
        return found

    async def forward(self, node_id: NodeId, request: NodeRequest) -> NodeReply:
        """See `NodeControl.forward`."""
        reply: NodeReply = await self.call(
            node_id, "forward", lambda n, origin: _serve(n, request, origin)
        )
        return reply

    async def send(self, node_id: NodeId, request: NodeRequest, *, timeout_s: float) -> NodeReply:
        """See `NodeTransport.send`."""
        reply: NodeReply = await self.call(
            node_id, "send", lambda n, o: _serve(n, request, o), timeout_s=timeout_s
        )
        return reply


def _serve(node: SimNode, request: NodeRequest, origin: str) -> NodeReply:
    assert isinstance(node, DocsNode)
    try:
        status, body = _route(node, request, origin)
    except NodeRefused as refused:
        status, body = refused.status, refused.error
    return NodeReply(status, {}, orjson.dumps(body))


def _route(node: DocsNode, request: NodeRequest, origin: str) -> tuple[int, Any]:
    write = parsed(request.method, request.path, request.body)
    if write is not None:
        body = {**write.body, "tag": _tag(request.path)}
        uid = node.enqueue_documents(write.uid, write.action, body, origin)
        return 202, {"taskUid": uid, "indexUid": write.uid, "status": "enqueued"}
    url = urlsplit(request.path)
    if url.path == "/tasks/cancel":
        node.cancel(int(parse_qs(url.query)["uids"][0]))
        return 200, {"type": "taskCancelation", "status": "enqueued"}
    if url.path == "/tasks":
        query = parse_qs(url.query)
        if "statuses" not in query and "indexUids" in query:
            return 200, _ended_and_open(node, query)
        types = set(query["types"][0].split(",")) if "types" in query else None
        pending = [
            {"uid": t.uid, "indexUid": t.index_uid, "type": t.type, "status": t.status}
            for t in node.pending(query.get("indexUids", [None])[0])
            if types is None or t.type in types
        ]
        return 200, {"results": pending[: int(query["limit"][0])], "total": len(pending)}
    if url.path == "/stats":
        sizes = {uid: {"numberOfDocuments": len(d)} for uid, d in node.documents.items()}
        return 200, {"indexes": sizes}
    if url.path == "/indexes":
        return 200, {"results": [{"uid": u, "createdAt": b} for u, b in node.births.items()]}
    match = _ROUTE.fullmatch(url.path)
    if match is None:
        if url.path.endswith("/settings"):  # The prober asks in raw form.
            index_uid = unquote(url.path.split("/")[2])
            patch = orjson.loads(request.body)
            return 202, {"taskUid": node.handle_settings_patch(index_uid, patch, origin)}
        raise AssertionError(f"the simulation does not know {request.method} {request.path}")
    node.index(match["uid"])
    return _read(node.documents[match["uid"]], match["rest"], request)


def _ended_and_open(node: DocsNode, query: Mapping[str, list[str]]) -> Mapping[str, Any]:
    """List tasks of one index, newest first, with what they were tagged with."""
    types, uid = set(query["types"][0].split(",")), query["indexUids"][0]
    newest = int(query["from"][0]) if "from" in query else len(node.disk.tasks)
    found = [t for t in node.disk.tasks if t.index_uid == uid and t.type in types]
    found = [t for t in reversed(found) if t.uid <= newest]
    limit = int(query["limit"][0])
    rows = [
        {"uid": t.uid, "type": t.type, "customMetadata": t.body.get("tag")} for t in found[:limit]
    ]
    return {"results": rows, "next": found[limit].uid if len(found) > limit else None}


def _read(documents: Documents, rest: str | None, request: NodeRequest) -> tuple[int, Any]:
    if rest != "/fetch":
        key = unquote((rest or "/")[1:])
        if key not in documents:
            return 404, ApiError("document_not_found", f"Document `{key}` not found.").body()
        return 200, documents[key]
    body = orjson.loads(request.body)
    found = [d for k, d in sorted(documents.items()) if k in body.get("ids", documents)]
    start = body.get("offset", 0)
    return 200, {"results": found[start : start + body["limit"]], "total": len(found)}
