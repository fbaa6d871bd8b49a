"""
Carries document writes to the replicas, in one order per (index, shard).

A write is durable before the first byte leaves: its parts and one unsent share per replica are in
the store, so that a restarted process goes on where the old one stopped. A lane is the queue of
one (index, shard): a part is sent to every in-sync replica at once, and the next part waits until
all have answered or are out of sync. Repetition is harmless (documents are put or deleted by id).

A replica that misses a part while a sibling takes it leaves the in-sync set, durably, before the
write is acknowledged. When nobody takes it the lane waits: the last in-sync replica of a shard is
never dropped.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import orjson
import structlog

from miroir.core.topology import IndexUid, NodeId, ShardId
from miroir.errors import IndexNotFound, NodeError
from miroir.ports.clock import Clock
from miroir.ports.node import NodeReply, NodeRequest, NodeTransport
from miroir.ports.records import NodeTaskRecord, TaskRecord, WritePart
from miroir.ports.store import Store
from miroir.services.cluster import Cluster
from miroir.services.health import Health

_RETRY_FIRST_S = 0.2
_RETRY_MAX_S = 5.0
_log = structlog.get_logger(__name__)

Gate = Callable[[], Awaitable[None]]
"""Waits until a part may leave: the settings changes accepted before it have ended."""


@dataclass(frozen=True)
class Write:
    """A durable write with everything needed to send it."""

    task: TaskRecord
    parts: tuple[WritePart, ...]
    shares: tuple[NodeTaskRecord, ...]
    gate: Gate | None = None


class Lanes:
    """Sends parts; tells `on_sent` when every share of a write is sent or missed."""

    def __init__(
        self,
        *,
        transport: NodeTransport,
        store: Store,
        cluster: Cluster,
        health: Health,
        clock: Clock,
        timeout_s: float,
    ) -> None:
        self._transport = transport
        self._store = store
        self._cluster = cluster
        self._health = health
        self._clock = clock
        self._timeout_s = timeout_s
        self._locks: dict[tuple[IndexUid, ShardId], asyncio.Lock] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Give the lanes a home until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await asyncio.get_running_loop().create_future()  # For ever.

    def lock(self, index_uid: IndexUid, shard_id: ShardId) -> asyncio.Lock:
        """Return the lane's lock; first come, first served."""
        return self._locks.setdefault((index_uid, shard_id), asyncio.Lock())

    @asynccontextmanager
    async def drained(self, index_uid: IndexUid) -> AsyncIterator[None]:
        """Hold every lane of an index when all that was queued before has been sent."""
        async with AsyncExitStack() as stack:
            for shard in range(self._cluster.view.topology.shard_count):
                await stack.enter_async_context(self.lock(index_uid, ShardId(shard)))
            yield

    def put(self, write: Write) -> "asyncio.Task[tuple[NodeTaskRecord, ...]]":
        """Queue a write; calls in order give sends in order. The task ends with all its shares."""
        assert self._group is not None, "run() comes first"
        return self._group.create_task(self._send(write))

    async def _send(self, write: Write) -> tuple[NodeTaskRecord, ...]:
        async with asyncio.TaskGroup() as parts:
            sent = [parts.create_task(self._send_part(write, part)) for part in write.parts]
        return tuple(share for part in sent for share in part.result())

    async def _send_part(self, write: Write, part: WritePart) -> tuple[NodeTaskRecord, ...]:
        index_uid = write.task.index_uid
        assert index_uid is not None
        unsent = [s for s in write.shares if s.shard_id == part.shard_id and s.status == "unsent"]
        async with self.lock(index_uid, part.shard_id):
            if write.gate is not None:
                await write.gate()
            return await self._until_taken(index_uid, part, unsent)

    async def _until_taken(
        self, index_uid: IndexUid, part: WritePart, unsent: Sequence[NodeTaskRecord]
    ) -> tuple[NodeTaskRecord, ...]:
        index = self._cluster.view.live(index_uid)
        if index is None:
            return await self._too_late(index_uid, unsent)
        able = [share for share in unsent if share.node_id not in index.lagging]
        in_sync = {share.node_id for share in able} - index.out_of_sync.keys()
        assert in_sync, "the last in-sync replica of a shard is never dropped"
        pause_s = _RETRY_FIRST_S
        while True:
            replies = await self._to_all(part, [share.node_id for share in able])
            shares = tuple(_judged(share, replies.get(share.node_id)) for share in unsent)
            if any(share.status != "missed" for share in shares if share.node_id in in_sync):
                break
            _log.warning("shard_takes_no_write", index=index_uid, shard=part.shard_id)
            await self._clock.sleep(pause_s)
            pause_s = min(_RETRY_MAX_S, pause_s * 2)
        lost = {n: why for n, why in _out_of_sync(shares).items() if n not in index.lagging}
        await self._store.save_shares(shares, out_of_sync=lost)
        for node_id, why in lost.items():
            _log.warning("replica_out_of_sync", index=index_uid, node=node_id, why=why)
            if self._cluster.view.live(index_uid) is not None:
                self._cluster.apply_sync(index_uid, node_id, why)
        return shares

    async def _too_late(
        self, index_uid: IndexUid, unsent: Sequence[NodeTaskRecord]
    ) -> tuple[NodeTaskRecord, ...]:
        """Fail what waited so long that its index is gone; a node would create it anew."""
        error = IndexNotFound(f"Index `{index_uid}` not found.").body()
        shares = tuple(replace(share, status="failed", error=error) for share in unsent)
        await self._store.save_shares(shares, out_of_sync={})
        return shares

    async def _to_all(
        self, part: WritePart, node_ids: Sequence[NodeId]
    ) -> Mapping[NodeId, NodeReply | None]:
        """Write to every node, then await every answer; None for no answer."""
        request = NodeRequest(part.method, part.path, part.body, part.content_type)
        calls = {
            node_id: asyncio.ensure_future(
                self._transport.send(node_id, request, timeout_s=self._timeout_s)
            )
            for node_id in node_ids
        }
        replies: dict[NodeId, NodeReply | None] = {}
        try:
            for node_id, call in calls.items():
                replies[node_id] = await self._reply(node_id, call)
        finally:
            for call in calls.values():
                call.cancel()  # Only at the end of the process are there any left.
        return replies

    async def _reply(self, node_id: NodeId, call: Awaitable[NodeReply]) -> NodeReply | None:
        try:
            reply = await call
        except NodeError as error:
            _log.info("write_unanswered", node=node_id, why=str(error))
            self._health.suspect(node_id)
            return None
        return reply if reply.status < 500 else None


def _judged(share: NodeTaskRecord, reply: NodeReply | None) -> NodeTaskRecord:
    if reply is None:
        return replace(share, status="missed")
    answer: Mapping[str, Any] = orjson.loads(reply.body)
    if reply.status >= 400:
        return replace(share, status="failed", error=answer)
    return replace(share, status="sent", node_task_uid=int(answer["taskUid"]))


def _out_of_sync(shares: Sequence[NodeTaskRecord]) -> dict[NodeId, str]:
    """Name who did not do what a sibling did."""
    taken = any(share.status == "sent" for share in shares)
    lost = {s.node_id: f"missed task {s.task_uid}" for s in shares if s.status == "missed"}
    if taken:
        refused = [share for share in shares if share.status == "failed"]
        lost.update({s.node_id: f"refused task {s.task_uid}" for s in refused})
    return lost
