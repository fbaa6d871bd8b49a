"""
Carries document writes to the replicas, in one order per (index, shard).

A write is durable before the first byte leaves: its parts and one unsent share per replica are in
the store, so that a restarted process goes on where the old one stopped. A lane is the queue of
one (index, shard): a part is sent to every in-sync replica at once, and the next part waits until
all have answered or are out of sync. Repetition is harmless (documents are put or deleted by id).

A replica that misses a part while a sibling takes it leaves the in-sync set, durably, before the
write counts as sent. What the in-sync replicas did is the measure; one that is still being brought
up only follows. When none of them takes it the lane waits: the last in-sync replica of a shard is
never dropped.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson
import structlog

from miroir.core.topology import IndexUid, NodeId, ShardId
from miroir.errors import IndexNotFound
from miroir.ports.clock import Clock
from miroir.ports.node import NodeReply, NodeTransport
from miroir.ports.records import NodeTaskRecord, TaskRecord, WritePart
from miroir.services.arrivals import Arrivals
from miroir.services.cluster import Cluster, IndexView
from miroir.services.health import Health
from miroir.services.part_sender import PartSender, Sending
from miroir.services.recalls import Recall
from miroir.services.replicas import Replicas
from miroir.services.strays import Strays, Tag
from miroir.services.turns import Turn, Turns

_RETRY_FIRST_S: Final = 0.2
_RETRY_MAX_S: Final = 5.0
_log = structlog.get_logger(__name__)

Gate = Callable[[], Awaitable[None]]
"""Waits until a part may leave: the settings changes accepted before it have ended."""

Shares = tuple[NodeTaskRecord, ...]


@dataclass(frozen=True)
class Write:
    """A durable write with everything needed to send it."""

    task: TaskRecord
    parts: tuple[WritePart, ...]
    shares: Shares
    gate: Gate | None = None
    recall: Recall = field(default_factory=Recall)
    arrivals: Arrivals = field(default_factory=Arrivals)

    @property
    def size_bytes(self) -> int:
        """What it holds in memory until it is sent."""
        return sum(len(part.body) for part in self.parts)


@dataclass(frozen=True)
class LaneTools:
    """
    What lanes work with.

    Attributes:
        timeout_s: For the answer to one part; who has not answered then has missed it.
    """

    transport: NodeTransport
    cluster: Cluster
    replicas: Replicas
    health: Health
    strays: Strays
    clock: Clock
    timeout_s: float


class Lanes:
    """Sends parts."""

    def __init__(self, tools: LaneTools) -> None:
        self._sender = PartSender(
            transport=tools.transport,
            cluster=tools.cluster,
            health=tools.health,
            strays=tools.strays,
            timeout_s=tools.timeout_s,
        )
        self._cluster = tools.cluster
        self._replicas = tools.replicas
        self.strays = tools.strays
        self._clock = tools.clock
        self._answered: dict[NodeId, int] = {}
        self._turns: Turns[tuple[IndexUid, ShardId]] = Turns()
        self._group: asyncio.TaskGroup | None = None
        self.waiting_bytes = 0

    async def run(self) -> None:
        """Give the lanes a home until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await asyncio.get_running_loop().create_future()  # For ever.

    def turn(self, index_uid: IndexUid, shard_id: ShardId) -> Turn:
        """Take the next place in a lane; see `Turns`."""
        return self._turns.take((index_uid, shard_id))

    @asynccontextmanager
    async def drained(self, index_uid: IndexUid, *, within_s: float) -> AsyncIterator[None]:
        """
        Hold every lane of an index once all that was put before has been sent.

        Raises:
            TimeoutError: That took longer than `within_s`.
        """
        shards = range(self._cluster.view.topology.shard_count)
        turns = [self.turn(index_uid, ShardId(shard)) for shard in shards]
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(within_s):
                    while turns:
                        await held.enter_async_context(turns.pop(0))
            finally:
                for turn in turns:
                    turn.give_up()
            yield

    def doubt(self, write: Write) -> None:
        """A former process may have sent what is unsent of this write."""
        for share in write.shares:
            if share.status == "unsent":
                self._expect(write.task.index_uid, share)

    def put(self, write: Write) -> "asyncio.Task[Shares]":
        """Queue a write, at once: the order of calls is that of sends. Ends with its shares."""
        assert self._group is not None, "run() comes first"
        assert write.task.index_uid is not None
        turns = [self.turn(write.task.index_uid, part.shard_id) for part in write.parts]
        return self._group.create_task(self._send(write, turns))

    async def _send(self, write: Write, turns: Sequence[Turn]) -> Shares:
        size_bytes = write.size_bytes
        self.waiting_bytes += size_bytes
        try:
            async with asyncio.TaskGroup() as parts:
                sent = [
                    parts.create_task(self._send_part(write, part, turn))
                    for part, turn in zip(write.parts, turns, strict=True)
                ]
        finally:
            self.waiting_bytes -= size_bytes
        return tuple(share for part in sent for share in part.result())

    async def _send_part(self, write: Write, part: WritePart, turn: Turn) -> Shares:
        index_uid = write.task.index_uid
        assert index_uid is not None
        unsent = [s for s in write.shares if s.shard_id == part.shard_id and s.status == "unsent"]
        if not await self._may_leave(write, turn, unsent):
            return await self._taken_back(unsent)
        try:
            return await self._until_taken(write, part, unsent)
        finally:
            turn.leave()

    async def _may_leave(self, write: Write, turn: Turn, unsent: Sequence[NodeTaskRecord]) -> bool:
        """Wait for the turn; False, and it is given up, if the write was taken back before."""
        if write.gate is None and turn.has_come and not write.recall.holds:
            return True
        waiting = asyncio.ensure_future(_its_turn(turn, write.gate))
        if any(share.repeated for share in unsent):  # A former process may have sent it.
            await waiting
            return True
        if not await write.recall.comes_before(waiting):
            return True
        if waiting.done() and not waiting.cancelled():
            turn.leave()
        return False

    async def _taken_back(self, unsent: Sequence[NodeTaskRecord]) -> Shares:
        shares = tuple(replace(share, status="canceled") for share in unsent)
        await self._replicas.save(shares, {})
        return shares

    async def _until_taken(
        self, write: Write, part: WritePart, unsent: Sequence[NodeTaskRecord]
    ) -> Shares:
        index_uid = write.task.index_uid
        assert index_uid is not None
        pause_s = _RETRY_FIRST_S
        while (index := self._cluster.view.live(index_uid)) is not None:
            if write.recall.holds and not any(share.repeated for share in unsent):
                return await self._taken_back(unsent)
            asked, measure = self._takers(index, unsent)
            tag = Tag(unsent[0].task_uid, part.shard_id) if unsent else None
            again = any(share.repeated for share in unsent)
            sending = Sending(index_uid, part, tag, write.arrivals, again=again)
            replies = await self._sender.to_all(sending, asked) if measure else {}
            shares = tuple(_judged(share, replies.get(share.node_id)) for share in unsent)
            self._remember(index_uid, [s for s in shares if s.node_id in replies])
            # Another write may have ended differently on one of them while this one was sent.
            measure = {n for n in measure if self._in_sync(index_uid, n)}
            if any(s.status != "missed" for s in shares if s.node_id in measure):
                left = self._replicas.leave(index_uid, _strays(shares, asked, measure))
                await self._replicas.save(shares, left)
                return shares
            _log.warning("shard_takes_no_write", index=index_uid, shard=part.shard_id)
            if replies:  # Who did not answer may have taken it: then it will have two.
                unsent = [replace(share, repeated=True) for share in unsent]
                write.recall.refused = True
            await self._clock.sleep(pause_s)
            pause_s = min(_RETRY_MAX_S, pause_s * 2)
        return await self._too_late(index_uid, unsent)

    def _takers(
        self, index: IndexView, unsent: Sequence[NodeTaskRecord]
    ) -> tuple[list[NodeId], set[NodeId]]:
        """Return who takes writes, and who of them is the measure: in sync."""
        known = self._cluster.view.topology.by_id
        asked = [s.node_id for s in unsent if s.node_id in known]
        asked = [node_id for node_id in asked if node_id not in index.lagging]
        return asked, set(asked) - index.out_of_sync.keys()

    def _in_sync(self, index_uid: IndexUid, node_id: NodeId) -> bool:
        index = self._cluster.view.live(index_uid)
        return index is None or node_id not in index.out_of_sync

    def _remember(self, index_uid: IndexUid, shares: Sequence[NodeTaskRecord]) -> None:
        """Note what was answered; a request that was not may still reach its node."""
        for share in shares:
            if share.status == "missed":
                self._expect(index_uid, share)
            elif share.node_task_uid is not None:
                self._answered[share.node_id] = share.node_task_uid

    def _expect(self, index_uid: str | None, share: NodeTaskRecord) -> None:
        assert index_uid is not None
        after_uid = self._answered.get(share.node_id, -1)
        tag = Tag(share.task_uid, share.shard_id)
        self.strays.expect(share.node_id, IndexUid(index_uid), tag, after_uid=after_uid)

    async def _too_late(self, index_uid: IndexUid, unsent: Sequence[NodeTaskRecord]) -> Shares:
        """Fail what waited so long that its index is gone; a node would create it anew."""
        error = IndexNotFound(f"Index `{index_uid}` not found.").body()
        shares = tuple(replace(share, status="failed", error=error) for share in unsent)
        await self._replicas.save(shares, {})
        return shares


async def _its_turn(turn: Turn, gate: Gate | None) -> None:
    await turn.__aenter__()
    try:
        if gate is not None:
            await gate()
    except BaseException:
        turn.leave()
        raise


def _judged(share: NodeTaskRecord, reply: NodeReply | None) -> NodeTaskRecord:
    """Read an answer; one that nobody can read says nothing about what the node did."""
    answer = None if reply is None else _object(reply.body)
    if reply is not None and reply.status >= 400:
        return replace(share, status="failed", error=answer or _unworded(share, reply))
    uid = answer.get("taskUid") if answer else None
    if type(uid) is not int:
        return replace(share, status="missed")
    return replace(share, status="sent", node_task_uid=uid)


def _object(body: bytes) -> Mapping[str, Any] | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _unworded(share: NodeTaskRecord, reply: NodeReply) -> Mapping[str, Any]:
    """Word a refusal that came without words, e.g. from a proxy in front of the node."""
    code = "miroir_node_refused"
    return {
        "message": f"{share.node_id} refused a part of this write with status {reply.status}.",
        "code": code,
        "type": "system",
        "link": f"docs/reference/errors.md#{code}",
    }


def _strays(
    shares: Sequence[NodeTaskRecord], asked: Collection[NodeId], measure: Collection[NodeId]
) -> dict[NodeId, str]:
    """Name who did not do what the in-sync replicas did, and why that is so."""
    taken = any(share.status == "sent" for share in shares if share.node_id in measure)
    words = {"missed": "missed", "failed": "refused"} if taken else {"missed": "missed"}
    if not taken:
        words["sent"] = "took what its siblings refused:"
    return {
        share.node_id: f"{words[share.status]} task {share.task_uid}"
        for share in shares
        if share.node_id in asked and share.status in words
    }
