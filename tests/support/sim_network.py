"""
The way between one simulated Miroir process and the nodes: latency, loss, late arrival.

A request travels apart from its caller: a process that gives up, or dies, does not take back what
it has sent. What reaches a node after that is marked `late` there. Implements `NodeControl` and as
much of `NodeTransport` as searches need.
"""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeRefused, NodeUnreachable
from miroir.node.errors import ApiError
from miroir.ports.node import NodeIndex, NodeReply, NodeRequest, NodeTask, Settings
from tests.support.sim_faults import FaultPlan, FaultPoint as F
from tests.support.sim_node import PROBE, SimNode

TIMEOUT_S = 3.0
_SETTINGS_TASKS = {"settingsUpdate", "indexCreation", "indexUpdate", "indexDeletion"}

Handler = Callable[[SimNode, str], Any]
"""Acts on the node; the second argument is the origin, `own` or `late`."""


class Caller(Protocol):
    """The process that calls."""

    @property
    def alive(self) -> bool:
        """False: it is dead, and none of its calls goes on."""
        ...

    @property
    def rules(self) -> bool:
        """False also while another process has taken over: what it sends is nobody's order."""
        ...

    def die(self, why: str) -> None:
        """Die here; the caller's task is cancelled."""
        ...

    def departs(self, node_id: str, name: str, index_uid: str, body: Mapping[str, Any]) -> None:
        """A request that changes something leaves now: a checker looks at it."""
        ...

    async def go_on(self) -> None:
        """Return when the process runs (it may be paused)."""
        ...

    def was_read(self, node_id: str, index_uid: str) -> None:
        """The node has answered a reading of the settings."""
        ...


class SimNetwork:
    """One process's way to all nodes."""

    def __init__(
        self,
        caller: Caller,
        nodes: Mapping[str, SimNode],
        chance: random.Random,
        faults: FaultPlan,
        note: Callable[[str], None],
    ) -> None:
        self._caller = caller
        self._nodes = nodes
        self._chance = chance
        self._faults = faults
        self._note = note
        self._in_flight: dict[str, int] = dict.fromkeys(nodes, 0)

    def in_flight(self, node_id: NodeId) -> int:
        """See `NodeTransport.in_flight`."""
        return self._in_flight[node_id]

    # ---- one call

    async def call(
        self,
        node_id: str,
        name: str,
        act: Handler,
        *,
        timeout_s: float = TIMEOUT_S,
        leaves: Callable[[], None] | None = None,
    ) -> Any:
        """Carry a request to a node and its answer back, or lose one of them."""
        self._die_if(F.MIROIR_CRASHED_BEFORE_CALL, name)
        await self._caller.go_on()
        if not self._caller.alive:
            raise asyncio.CancelledError
        if leaves is not None:
            leaves()
        answer = self._depart(node_id, name, act)
        self._in_flight[node_id] += 1
        timer = asyncio.get_running_loop().call_later(timeout_s, _give_up, answer, node_id)
        try:
            self._die_if(F.MIROIR_CRASHED_IN_CALL, name)
            result = await answer
        finally:
            timer.cancel()
            if not answer.done():
                answer.cancel()
            self._in_flight[node_id] -= 1
        self._die_if(F.MIROIR_CRASHED_AFTER_CALL, name)
        if not self._caller.alive:
            raise asyncio.CancelledError
        return result

    def _die_if(self, point: F, name: str) -> None:
        if self._caller.alive and self._faults.strikes(point, name):
            self._caller.die(f"{point.name} {name}")
            raise asyncio.CancelledError

    def _depart(self, node_id: str, name: str, act: Handler) -> "asyncio.Future[Any]":
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        if self._faults.strikes(F.REQUEST_LOST, name):
            self._note(f"lost: {name} to {node_id}")
            return answer
        if self._faults.strikes(F.REQUEST_RESET, name):
            loop.call_later(0.001, _fail, answer, f"{node_id}: connection reset")
            return answer
        delay_s = self._latency_s()
        if name == "search" and self._chance.random() < 0.2:
            delay_s += self._chance.uniform(0.0, 2.0)  # It waits its turn on a busy node.
        if self._faults.strikes(F.REQUEST_LATE, name):
            delay_s += TIMEOUT_S * self._chance.uniform(0.9, 4.0)
            self._note(f"late: {name} to {node_id}")
        loop.call_later(delay_s, self._arrive, node_id, name, act, answer)
        return answer

    def _latency_s(self) -> float:
        return 0.0005 * self._chance.paretovariate(1.5)

    def _arrive(
        self, node_id: str, name: str, act: Handler, answer: "asyncio.Future[Any]"
    ) -> None:
        node = self._nodes[node_id]
        if not node.reachable:
            return  # A black hole: the caller times out.
        if node.stopped:
            node.inbox.append(lambda: self._arrive(node_id, name, act, answer))
            return  # It is in the kernel's queue, and will be served when the node goes on.
        awaited = not answer.done() and self._caller.rules
        if not node.up:
            _fail(answer, f"{node_id}: connection refused")
            return
        try:
            result, refused = act(node, "own" if awaited else "late"), None
        except NodeRefused as error:
            result, refused = None, error
        if self._faults.strikes(F.ANSWER_LOST, name):
            self._note(f"answer lost: {name} of {node_id}")
            if self._chance.random() < 0.5:
                _fail(answer, f"{node_id}: connection reset by peer")
            return
        back_s = self._latency_s()
        if self._faults.strikes(F.ANSWER_SLOW, name):
            back_s += self._chance.uniform(0.2, TIMEOUT_S * 1.1)
        asyncio.get_running_loop().call_later(back_s, _answer, answer, result, refused)

    # ---- NodeControl

    async def engine(self, node_id: NodeId) -> str:
        """See `NodeControl.engine`."""
        version: str = await self.call(node_id, "engine", lambda n, _: n.engine.version)
        return version

    async def check_health(self, node_id: NodeId) -> None:
        """See `NodeControl.check_health`."""
        await self.call(node_id, "check_health", lambda _n, _o: None)

    async def indexes(self, node_id: NodeId) -> tuple[NodeIndex, ...]:
        """See `NodeControl.indexes`."""
        found: tuple[NodeIndex, ...] = await self.call(
            node_id,
            "indexes",
            lambda n, _: tuple(
                NodeIndex(IndexUid(uid), i.primary_key) for uid, i in n.disk.indexes.items()
            ),
        )
        return found

    async def index(self, node_id: NodeId, index_uid: IndexUid) -> Mapping[str, Any] | None:
        """See `NodeControl.index`."""

        def act(node: SimNode, _origin: str) -> Mapping[str, Any] | None:
            found = node.disk.indexes.get(index_uid)
            return {"uid": index_uid, "primaryKey": found.primary_key} if found else None

        row: Mapping[str, Any] | None = await self.call(node_id, "index", act)
        return row

    async def document_count(self, node_id: NodeId, index_uid: IndexUid) -> int:
        """See `NodeControl.document_count`; there are no documents here."""
        await self.call(node_id, "document_count", lambda n, _: n.index(index_uid))
        return 0

    async def create_index(
        self, node_id: NodeId, index_uid: IndexUid, primary_key: str | None
    ) -> int:
        """See `NodeControl.create_index`."""
        return await self._write(
            node_id,
            "create_index",
            index_uid,
            {},
            lambda n, o: n.handle_create(index_uid, primary_key, o),
        )

    async def update_index(
        self, node_id: NodeId, index_uid: IndexUid, primary_key: str | None
    ) -> int:
        """See `NodeControl.update_index`."""
        return await self._write(
            node_id,
            "update_index",
            index_uid,
            {},
            lambda n, o: n.handle_update(index_uid, primary_key, o),
        )

    async def delete_index(self, node_id: NodeId, index_uid: IndexUid) -> int:
        """See `NodeControl.delete_index`."""
        return await self._write(
            node_id, "delete_index", index_uid, {}, lambda n, o: n.handle_delete(index_uid, o)
        )

    async def patch_settings(self, node_id: NodeId, index_uid: IndexUid, patch: Settings) -> int:
        """See `NodeControl.patch_settings`."""
        body = orjson.loads(orjson.dumps(patch))
        name = "patch_settings" if index_uid != PROBE else "probe"
        return await self._write(
            node_id,
            name,
            index_uid,
            body,
            lambda n, o: n.handle_settings_patch(index_uid, body, o),
        )

    async def _write(
        self, node_id: str, name: str, index_uid: str, body: Mapping[str, Any], act: Handler
    ) -> int:
        def leaves() -> None:
            self._caller.departs(node_id, name, index_uid, body)

        uid: int = await self.call(node_id, name, act, leaves=leaves)
        return uid

    async def read_settings(self, node_id: NodeId, index_uid: IndexUid) -> Settings:
        """See `NodeControl.read_settings`."""

        def act(node: SimNode, _origin: str) -> Settings:
            shown = node.handle_read(index_uid)
            self._caller.was_read(node_id, index_uid)
            return shown

        name = "read_settings" if index_uid != PROBE else "read_probe"
        settings: Settings = await self.call(node_id, name, act)
        return settings

    async def tasks(self, node_id: NodeId, uids: tuple[int, ...]) -> tuple[NodeTask, ...]:
        """See `NodeControl.tasks`."""

        def act(node: SimNode, _origin: str) -> tuple[NodeTask, ...]:
            known = node.disk.tasks
            return tuple(known[uid].as_port() for uid in uids if uid < len(known))

        found: tuple[NodeTask, ...] = await self.call(node_id, "tasks", act)
        return found

    async def newest_task_uid(self, node_id: NodeId) -> int:
        """See `NodeControl.newest_task_uid`."""
        uid: int = await self.call(node_id, "newest_task_uid", lambda n, _: len(n.disk.tasks) - 1)
        return uid

    async def feed(self, node_id: NodeId, after_uid: int) -> tuple[NodeTask, ...]:
        """See `NodeControl.feed`."""
        found: tuple[NodeTask, ...] = await self.call(
            node_id,
            "feed",
            lambda n, _: tuple(
                t.as_port() for t in n.disk.tasks[after_uid + 1 :] if t.type in _SETTINGS_TASKS
            ),
        )
        return found

    async def forward(self, node_id: NodeId, request: NodeRequest) -> NodeReply:
        """See `NodeControl.forward`."""
        reply: NodeReply = await self.call(
            node_id, "forward", lambda n, origin: _serve(n, request, origin)
        )
        return reply

    # ---- NodeTransport

    def send(
        self, node_id: NodeId, request: NodeRequest, *, timeout_s: float
    ) -> Awaitable[NodeReply]:
        """See `NodeTransport.send`; the request is written when the answer is first awaited."""
        return self.call(
            node_id, "search", lambda n, o: _serve(n, request, o), timeout_s=timeout_s
        )


def _give_up(answer: "asyncio.Future[Any]", node_id: str) -> None:
    _fail(answer, f"{node_id}: no answer in time")


def _fail(answer: "asyncio.Future[Any]", why: str) -> None:
    if not answer.done():
        answer.set_exception(NodeUnreachable(why))


def _answer(answer: "asyncio.Future[Any]", result: Any, refused: NodeRefused | None) -> None:
    if answer.done():
        return
    if refused is not None:
        answer.set_exception(refused)
    else:
        answer.set_result(result)


# ---- routes that Miroir asks in raw form

_ROUTE = re.compile(r"/indexes/(?P<uid>[^/]+)(?P<rest>/.*)?")


def _serve(node: SimNode, request: NodeRequest, origin: str) -> NodeReply:
    try:
        status, body = _route(node, request, origin)
    except NodeRefused as refused:
        status, body = refused.status, refused.error
    return NodeReply(status, {}, orjson.dumps(body))


def _route(node: SimNode, request: NodeRequest, origin: str) -> tuple[int, Any]:
    url = urlsplit(request.path)
    if url.path == "/tasks":
        return 200, _pending_tasks(node, parse_qs(url.query))
    if url.path == "/stats":  # There are no documents to be counted here,
        return 200, {"indexes": {}}
    if url.path == "/indexes":  # and no births to be compared.
        return 200, {"results": []}
    match = _ROUTE.fullmatch(url.path)
    assert match is not None, request.path
    uid, rest = unquote(match["uid"]), match["rest"] or ""
    if rest == "/search":
        index = node.index(uid)
        return 200, {"hits": [], "truth": index.truth.decode(), "node": node.node_id}
    if rest == "/settings" and request.method == "DELETE":
        return 202, {"taskUid": node.handle_settings_patch(uid, node.reset(), origin)}
    if rest == "/settings" and request.method == "PATCH":
        try:
            body = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            raise NodeRefused(400, ApiError("malformed_payload", "not JSON").body()) from None
        return 202, {"taskUid": node.handle_settings_patch(uid, body, origin)}
    if rest == "/documents" and request.method == "DELETE":
        node.index(uid)
        return 202, {"taskUid": node.handle_documents(uid, origin)}
    if rest == "/documents/fetch":
        node.index(uid)
        return 200, {"results": [], "total": 0}
    raise AssertionError(f"the simulation does not know {request.method} {request.path}")


def _pending_tasks(node: SimNode, query: Mapping[str, list[str]]) -> dict[str, Any]:
    (uid,) = query.get("indexUids", [None])
    types = set(query["types"][0].split(",")) if "types" in query else None
    tasks = [t for t in node.pending(uid) if types is None or t.type in types]
    rows = [
        {"uid": t.uid, "indexUid": t.index_uid, "type": t.type, "status": t.status} for t in tasks
    ]
    rows = rows[::-1] if "reverse" in query else rows
    return {"results": rows[: int(query["limit"][0])], "total": len(rows)}
