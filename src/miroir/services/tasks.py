"""
Reports on document writes: follows the node tasks of each until it can be settled.

Settings and index tasks are settled by the store itself, together with their intent. Tasks of one
index are settled in order: a later one is never reported ended before an earlier one, but when it
was cancelled. A replica that ended a write differently from its siblings, or no longer answers,
leaves the in-sync set; one that has left has no say in how the write ended. When nobody of a shard
answers, the write waits: its last in-sync replicas are the only ones that can tell.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from typing import Any

from miroir.core import tasks as rules
from miroir.core.topology import IndexUid, NodeId, ShardId
from miroir.ports.clock import Clock
from miroir.ports.node import NodeTask
from miroir.ports.records import NodeTaskRecord, TaskRecord
from miroir.ports.store import Store
from miroir.services.broadcaster import Broadcaster
from miroir.services.cluster import Cluster
from miroir.services.lanes import Lanes, Shares, Write
from miroir.services.patience import until_stored
from miroir.services.recalls import Recall, Recaller
from miroir.services.replicas import Replicas
from miroir.services.watcher import NodeSilenceError, TaskWatcher


@dataclass(frozen=True)
class TaskTools:
    """What the reporter works with."""

    store: Store
    cluster: Cluster
    clock: Clock
    lanes: Lanes
    replicas: Replicas
    watcher: TaskWatcher
    broadcaster: Broadcaster
    recaller: Recaller


@dataclass(frozen=True)
class _Order:
    """What must be reported before a write: the write before it, and changes of its index."""

    before: asyncio.Event | None
    done: asyncio.Event
    changes: tuple[int, ...]


class Tasks:
    """Follows writes to their end."""

    def __init__(self, tools: TaskTools) -> None:
        self._tools = tools
        self._last: dict[IndexUid, asyncio.Event] = {}
        self._recalls: dict[int, Recall] = {}
        self._loaded = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Take up unfinished writes, then give the followers a home until cancelled."""
        tools = self._tools
        async with asyncio.TaskGroup() as group:
            self._group = group
            for task, parts, shares in await until_stored(
                tools.clock, tools.store.unfinished_writes
            ):
                assert task.index_uid is not None
                # Which of them had to wait for a change is not kept: all of them do.
                gate = partial(self._settled, task.index_uid)
                write = Write(task, parts, _doubtful(shares), gate=gate)
                tools.lanes.doubt(write)
                _ = self.follow(write)
            self._loaded.set()
            await asyncio.get_running_loop().create_future()  # For ever.

    def follow(self, write: Write) -> "asyncio.Future[None]":
        """
        Send and follow a write; the future is done when each replica has it or is left out.

        The order of calls is the order of sends and of reports.
        """
        assert self._group is not None, "run() comes first"
        index_uid = write.task.index_uid
        assert index_uid is not None
        index = self._tools.cluster.view.indexes.get(index_uid)
        # A swap waits for the documents itself: what is behind it came later than the write.
        accepted = takewhile(lambda i: not i.kind.moves_indexes, index.accepted if index else ())
        changes = tuple(i.intent_id for i in accepted if i.kind.changes_settings)
        order = _Order(self._last.get(index_uid), asyncio.Event(), changes)
        self._last[index_uid] = order.done
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        write = replace(write, recall=self._recalls.setdefault(write.task.uid, Recall()))
        sending = self._tools.lanes.put(write)
        # Not the write itself: its bytes are needed no longer than until they are sent.
        self._group.create_task(self._follow(write.task, write.shares, sending, sent, order))
        return sent

    def recall(self, task_uid: int) -> None:
        """
        Take a write back as far as that goes (`recalls.py`); repetition changes nothing.

        It ends like any other, or the store lets it go. One that is about to be followed counts.
        """
        self._recalls.setdefault(task_uid, Recall()).ask()

    async def loaded(self) -> None:
        """Wait until what a former process left is followed: what comes now comes behind it."""
        await self._loaded.wait()

    def at_rest(self, index_uid: IndexUid) -> bool:
        """Whether every write followed by now has been settled."""
        return self._loaded.is_set() and index_uid not in self._last

    async def reported(self, index_uid: IndexUid) -> None:
        """Wait until every write followed by now has been settled: who strayed in it has left."""
        await self._loaded.wait()
        last = self._last.get(index_uid)
        if last is not None:
            await last.wait()

    async def _follow(
        self,
        task: TaskRecord,
        shares: Shares,
        sending: "asyncio.Task[Shares]",
        sent: "asyncio.Future[None]",
        order: _Order,
    ) -> None:
        tools = self._tools
        recall = self._recalls[task.uid]
        helpers: list[asyncio.Task[None]] = []
        try:
            fresh = await sending
            if not sent.done():
                sent.set_result(None)
            by_node = {s.node_id: s for s in shares} | {s.node_id: s for s in fresh}
            if not _is_cancelled(by_node.values()):
                await until_stored(
                    tools.clock,
                    lambda: tools.store.start_task(task.uid, at_ms=tools.clock.wall_ms()),
                )
                recall.on_asked(lambda: helpers.append(self._take_back(task, by_node)))
            while True:
                ended = await _Column.all_ended(tools, task, tuple(by_node.values()))
                if not _is_cancelled(ended):  # Who has done nothing is waited for by nobody.
                    await self._turn_to_report(order)
                if not self._nobody_speaks(task, ended, by_node):
                    break
            silent = [s for s in ended if s.status == "missed" and by_node[s.node_id] != s]
            await self._settle(task, ended, tuple(s.node_id for s in silent))
            await self._turn_to_report(order)  # What is behind it waits for what is before it.
        finally:
            sent.cancel()  # Nobody waits for ever, whatever has gone wrong here.
            del self._recalls[task.uid]
            for helper in helpers:
                helper.cancel()
            order.done.set()
            if task.index_uid is not None and self._last.get(task.index_uid) is order.done:
                del self._last[task.index_uid]

    def _take_back(
        self, task: TaskRecord, by_node: Mapping[NodeId, NodeTaskRecord]
    ) -> "asyncio.Task[None]":
        assert self._group is not None
        assert task.index_uid is not None
        taking = self._tools.recaller.take_back(task.index_uid, tuple(by_node.values()))
        return self._group.create_task(self._or_let_go(task, taking))

    async def _or_let_go(self, task: TaskRecord, taking: Coroutine[Any, Any, bool]) -> None:
        if await taking:
            return
        clock = self._tools.clock
        await until_stored(
            clock, lambda: self._tools.store.let_go(task.uid, at_ms=clock.wall_ms())
        )

    def _nobody_speaks(
        self, task: TaskRecord, ended: Shares, sent: Mapping[NodeId, NodeTaskRecord]
    ) -> bool:
        """
        Whether a replica in sync was left behind for one that is not in sync any more.

        It may be the last one by now: what it did is what the write did.
        """
        view = self._tools.cluster.view
        index = view.live(task.index_uid or "")
        if index is None:
            return False
        known = view.topology.by_id.keys() - index.out_of_sync.keys()
        told = {s.shard_id for s in ended if s.node_id in known and _speaks(s)}
        silent = {
            s.shard_id
            for s in ended
            if s.node_id in known and _is_silent(s) and sent[s.node_id].status == "sent"
        }
        return not silent <= told

    async def _turn_to_report(self, order: _Order) -> None:
        if order.before is not None:
            await order.before.wait()
        for intent_id in order.changes:
            await until_stored(
                self._tools.clock, partial(self._tools.broadcaster.ended, intent_id)
            )

    async def _settled(self, index_uid: IndexUid) -> None:
        await until_stored(self._tools.clock, partial(self._tools.broadcaster.settled, index_uid))

    async def _settle(self, task: TaskRecord, shares: Shares, silent: tuple[NodeId, ...]) -> None:
        assert task.index_uid is not None
        index = self._tools.cluster.view.live(task.index_uid)
        heard = _heard(shares, index.out_of_sync if index else {})
        outcome = rules.outcome(task.details, [_share(share) for share in heard])
        assert outcome is not None, "every share has ended"
        strays = _strays(task, shares, heard, outcome.deviants)
        told = {s.shard_id for s in shares if s.status in rules.ENDED}
        strays |= {
            s.node_id: f"did not tell how task {task.uid} ended"
            for s in shares
            if s.node_id in silent and s.shard_id in told
        }
        left = self._tools.replicas.leave(task.index_uid, strays)
        await self._tools.replicas.save(shares, left)
        at_ms = self._tools.clock.wall_ms()
        await until_stored(
            self._tools.clock,
            lambda: self._tools.store.finish_task(
                task.uid,
                status=outcome.status,
                details=outcome.details,
                error=outcome.error,
                at_ms=at_ms,
            ),
        )


class _Column:
    """The replicas of one shard, while one write of theirs is waited for."""

    def __init__(self, tools: TaskTools, task: TaskRecord) -> None:
        self._tools = tools
        self._task = task
        self._tellers: set[NodeId] = set()

    @staticmethod
    async def all_ended(tools: TaskTools, task: TaskRecord, shares: Shares) -> Shares:
        """Return every share as it ended."""
        columns: dict[ShardId, _Column] = {}
        async with asyncio.TaskGroup() as waits:
            ends = [
                waits.create_task(
                    columns.setdefault(share.shard_id, _Column(tools, task)).ended(share)
                )
                for share in shares
            ]
        return tuple(end.result() for end in ends)

    async def ended(self, share: NodeTaskRecord) -> NodeTaskRecord:
        """Wait for one; `missed` if its outcome can no longer be learnt, or need not be."""
        if share.status != "sent":
            self._note(share)
            return share
        while True:
            try:
                task = await self._node_task(share)
            except NodeSilenceError:
                if self._may_be_left_behind(share.node_id):
                    return replace(share, status="missed")
                continue  # It may be the only one that holds this write.
            if task is None or task.index_uid != self._task.index_uid:
                # Its tasks are not those it had: it can never tell.
                return replace(share, status="missed", node_task_uid=None)
            told = replace(share, status=task.status, error=task.error, details=task.details)
            self._note(told)
            return told

    def _note(self, share: NodeTaskRecord) -> None:
        """Once a replica in sync has told, nobody else needs to be waited for."""
        if _speaks(share):
            self._tellers.add(share.node_id)

    async def _node_task(self, share: NodeTaskRecord) -> NodeTask | None:
        assert share.node_task_uid is not None
        return await self._tools.watcher.ended(share.node_id, share.node_task_uid)

    def _may_be_left_behind(self, node_id: NodeId) -> bool:
        view = self._tools.cluster.view
        index = view.live(self._task.index_uid or "")
        gone = index is None or node_id not in view.topology.by_id
        if gone or index is None or node_id in index.out_of_sync:
            return True
        return any(teller not in index.out_of_sync for teller in self._tellers)


def _doubtful(shares: Shares) -> Shares:
    """Note that a former process may have sent what is unsent."""
    return tuple(replace(s, repeated=True) if s.status == "unsent" else s for s in shares)


def _is_cancelled(shares: Iterable[NodeTaskRecord]) -> bool:
    """Whether it was taken back wherever anybody can tell."""
    return {s.status for s in shares if s.status != "missed"} == {"canceled"}


def _heard(shares: Sequence[NodeTaskRecord], out_of_sync: Mapping[NodeId, str]) -> Shares:
    """Take the say from replicas that are out of sync, where one in sync has ended, too."""
    speaking = {s.shard_id for s in shares if _speaks(s) and s.node_id not in out_of_sync}
    return tuple(
        replace(share, status="missed")
        if share.shard_id in speaking and share.node_id in out_of_sync
        else share
        for share in shares
    )


def _strays(
    task: TaskRecord, shares: Shares, heard: Shares, deviants: Sequence[NodeId]
) -> dict[NodeId, str]:
    """Name every replica that ended the write differently from who speaks for its shard."""
    said = {s.shard_id: s.status for s in heard if _speaks(s) and s.node_id not in deviants}
    return {
        share.node_id: f"ended task {task.uid} differently"
        for share in shares
        if _speaks(share) and share.status != said[share.shard_id]
    }


def _speaks(share: NodeTaskRecord) -> bool:
    return share.status in rules.ENDED


def _is_silent(share: NodeTaskRecord) -> bool:
    """Whether it was not waited for any longer; who has forgotten its task has no uid of it."""
    return share.status == "missed" and share.node_task_uid is not None


def _share(record: NodeTaskRecord) -> rules.Share:
    return rules.Share(
        record.node_id, record.shard_id, record.status, record.details, record.error
    )
