"""
Reports on document writes: follows the node tasks of each until it can be settled.

Settings and index tasks are settled by the store itself, together with their intent. Tasks of one
index are settled in order: a later one is never reported ended before an earlier one. A replica
that ended a write differently from its siblings, or no longer answers, leaves the in-sync set.
"""

import asyncio
from dataclasses import dataclass, replace
from functools import partial

import structlog

from miroir.core import tasks as rules
from miroir.core.topology import IndexUid, NodeId
from miroir.ports.clock import Clock
from miroir.ports.records import IntentKind, NodeTaskRecord, TaskRecord
from miroir.ports.store import Store
from miroir.services.broadcaster import Broadcaster
from miroir.services.cluster import Cluster
from miroir.services.lanes import Lanes, Write
from miroir.services.watcher import NodeSilenceError, TaskWatcher

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Order:
    """What must be reported before a write: the write before it, and changes of its index."""

    before: asyncio.Event | None
    done: asyncio.Event
    changes: tuple[int, ...]


class Tasks:
    """Follows writes to their end."""

    def __init__(
        self,
        *,
        store: Store,
        cluster: Cluster,
        lanes: Lanes,
        watcher: TaskWatcher,
        broadcaster: Broadcaster,
        clock: Clock,
    ) -> None:
        self._broadcaster = broadcaster
        self._store = store
        self._cluster = cluster
        self._lanes = lanes
        self._watcher = watcher
        self._clock = clock
        self._last: dict[IndexUid, asyncio.Event] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Take up unfinished writes, then give the followers a home until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for task, parts, shares in await self._store.unfinished_writes():
                assert task.index_uid is not None
                # Which of them had to wait for a change is not kept: all of them do.
                gate = partial(self._broadcaster.settled, task.index_uid)
                _ = self.follow(Write(task, parts, shares, gate=gate))
            await asyncio.get_running_loop().create_future()  # For ever.

    def follow(self, write: Write) -> "asyncio.Future[None]":
        """Send and follow a write; the future is done when each replica has it or is left out."""
        assert self._group is not None, "run() comes first"
        index_uid = write.task.index_uid
        assert index_uid is not None
        before, done = self._last.get(index_uid), asyncio.Event()
        index = self._cluster.view.indexes.get(index_uid)
        accepted = index.accepted if index else ()
        changes = [i.intent_id for i in accepted if i.kind is IntentKind.CHANGE]
        self._last[index_uid] = done
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        order = _Order(before, done, tuple(changes))
        self._group.create_task(self._follow(write, sent, order))
        return sent

    async def _follow(self, write: Write, sent: "asyncio.Future[None]", order: _Order) -> None:
        try:
            fresh = await self._lanes.put(write)
            if not sent.done():
                sent.set_result(None)
            by_node = {s.node_id: s for s in write.shares} | {s.node_id: s for s in fresh}
            await self._store.start_task(write.task.uid, at_ms=self._clock.wall_ms())
            async with asyncio.TaskGroup() as waits:
                ends = [waits.create_task(self._ended(share)) for share in by_node.values()]
            if order.before is not None:
                await order.before.wait()
            for intent_id in order.changes:
                await self._broadcaster.ended(intent_id)
            shares = tuple(end.result() for end in ends)
            lost = [s for s in shares if s.status == "missed" and by_node[s.node_id] != s]
            await self._settle(write.task, shares, tuple(s.node_id for s in lost))
        finally:
            order.done.set()

    async def _ended(self, share: NodeTaskRecord) -> NodeTaskRecord:
        if share.status != "sent":
            return share
        assert share.node_task_uid is not None
        try:
            task = await self._watcher.ended(share.node_id, share.node_task_uid)
        except NodeSilenceError:
            task = None
        if task is None:
            return replace(share, status="missed")  # Its outcome can no longer be learnt.
        return replace(share, status=task.status, error=task.error, details=task.details)

    async def _settle(
        self, task: TaskRecord, shares: tuple[NodeTaskRecord, ...], silent: tuple[NodeId, ...]
    ) -> None:
        outcome = rules.outcome(task.details, [_share(share) for share in shares])
        assert outcome is not None, "every share has ended"
        lost = dict.fromkeys(outcome.deviants, f"ended task {task.uid} differently")
        if any(share.status in rules.ENDED for share in shares):
            lost.update(dict.fromkeys(silent, f"did not tell how task {task.uid} ended"))
        await self._store.save_shares(shares, out_of_sync=lost)
        for node_id, why in lost.items():
            self._leave(task, node_id, why)
        await self._store.finish_task(
            task.uid,
            status=outcome.status,
            details=outcome.details,
            error=outcome.error,
            at_ms=self._clock.wall_ms(),
        )

    def _leave(self, task: TaskRecord, node_id: NodeId, why: str) -> None:
        _log.warning("replica_out_of_sync", index=task.index_uid, node=node_id, why=why)
        if task.index_uid is not None and task.index_uid in self._cluster.view.indexes:
            self._cluster.apply_sync(task.index_uid, node_id, why)


def _share(record: NodeTaskRecord) -> rules.Share:
    return rules.Share(
        record.node_id, record.shard_id, record.status, record.details, record.error
    )
