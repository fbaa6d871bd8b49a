"""
The feed: reads each node's task list for changes that are not ours, and demotes the node at once.

    every feed_interval_s, one request per node: the tasks above the last seen one
      ours, or not about an index of ours ─▶ nothing
      foreign ─▶ the (index, node) is demoted ─▶ its task has ended ─▶ a look (inspector) judges

Rules
1. Demoted while the task is still queued: before it takes effect. Judged after it has ended.
2. The last task seen is asked for again and has to be there, unchanged: else the node was restored
   or replaced, and nothing of it is believed. That shows also in a newest uid that went down.
3. What took documents away (deletion, creation, swap, another list) has the replica filled again.
4. Where a feed begins, a full sweep follows; what was queued before is part of it.

No settings are read or written here.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import structlog

from miroir.core.topology import NodeId
from miroir.errors import NodeError, NodeUnreachable
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl, NodeRequest, NodeTask
from miroir.services.cluster import Cluster
from miroir.services.inspector import Inspector
from miroir.services.ledger import Ledger, Origin, concerned
from miroir.services.patience import rest
from miroir.services.suspects import Suspects

_NEWEST_EVERY: Final = 15
"""Readings between two questions for the newest task of any type."""
_DEFERRED_MAX: Final = 1_000
_TYPES: Final = "settingsUpdate,indexCreation,indexUpdate,indexDeletion,indexSwap"
_log = structlog.get_logger(__name__)


@dataclass
class _Desk:
    """
    Where the reading of one node stands.

    Attributes:
        cursor: Uid up to which the list was read; None: nothing is known yet.
        anchor: The last task of the feed that was seen.
        newest: Highest uid of any type that was seen.
        deferred: Tasks that could not be judged yet.
        clean_s: When the last reading began that left nothing open.
        readings: How many there were since the newest uid was asked for.
        wake: Set when there is reason not to wait for the next tick.
    """

    cursor: int | None = None
    anchor: NodeTask | None = None
    newest: int = -1
    deferred: list[NodeTask] = field(default_factory=list)
    clean_s: float = 0.0
    readings: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class FeedTools:
    """
    What the feed works with.

    Attributes:
        ledger: Tells our tasks from others, and asks the nodes.
        cluster: Which indexes are ours.
        inspector: Demotes a node that is not the one it was.
        suspects: Keeps out what a foreign task names.
        look_at: Has every index of a node looked at soon.
        interval_s: Between two readings of a node.
    """

    ledger: Ledger
    cluster: Cluster
    inspector: Inspector
    suspects: Suspects
    clock: Clock
    look_at: Callable[[NodeId], None]
    interval_s: float


class Feed:
    """Reads every node's task list."""

    def __init__(self, tools: FeedTools) -> None:
        self._ledger = tools.ledger
        self._cluster = tools.cluster
        self._inspector = tools.inspector
        self._suspects = tools.suspects
        self._clock = tools.clock
        self._look_at = tools.look_at
        self._interval_s = tools.interval_s
        self._desks: dict[NodeId, _Desk] = {}

    def nudge(self, node_id: NodeId, healthy: bool) -> None:  # noqa: FBT001 - a listener
        """A node's health or engine has changed; who returns may be another than who went."""
        desk = self._desks.get(node_id)
        if healthy and desk is not None:
            desk.readings = 0
            desk.wake.set()

    # ---- under the lease

    async def begin(self) -> None:
        """Take every node's newest task for the start; the sweep that follows does the rest."""
        self._desks = {n: _Desk() for n in self._cluster.view.topology.node_ids}
        self._suspects.clear()
        for index in self._cluster.view.indexes.values():
            for intent in index.accepted:
                for node_id, progress in intent.state.nodes.items():
                    if progress.task_uid is not None:
                        self._ledger.know(node_id, intent.index_uid, progress.task_uid)
        async with asyncio.TaskGroup() as group:
            for node_id, desk in self._desks.items():
                if node_id in self._cluster.view.healthy:
                    group.create_task(self._begin_soon(node_id, desk))

    async def _begin_soon(self, node_id: NodeId, desk: _Desk) -> None:
        """Begin, unless the node is slow: nobody is read before all have begun, or been left."""
        try:
            async with asyncio.timeout(self._interval_s / 2):
                await self._begin(node_id, desk)
        except TimeoutError:
            # Its first reading begins it, and has it looked at.
            _log.info("feed_unanswered", node=node_id, why="too slow for the start")

    async def _begin(self, node_id: NodeId, desk: _Desk) -> bool:
        """Begin behind the newest task, or before the oldest to come; False if not answered."""
        began_s = self._clock.monotonic_s()
        try:
            newest = await self._ledger.newest_task_uid(node_id)
            waiting = await _oldest_unfinished(self._ledger, node_id)
        except NodeError as error:
            _log.info("feed_unanswered", node=node_id, why=str(error))
            return False
        desk.newest, desk.anchor, desk.deferred = newest, None, []
        desk.cursor = newest if waiting is None else min(newest, waiting - 1)
        desk.clean_s = began_s
        return True

    async def run(self) -> None:
        """Read every node for ever, each at its own pace."""
        async with asyncio.TaskGroup() as group:
            for node_id, desk in self._desks.items():
                group.create_task(self._read_for_ever(node_id, desk))
                group.create_task(self._suspects.judge_for_ever(node_id))

    async def _read_for_ever(self, node_id: NodeId, desk: _Desk) -> None:
        while True:
            if node_id in self._cluster.view.healthy:
                await self._read(node_id, desk)
            await rest(self._clock, desk.wake, at_most_s=self._interval_s)

    # ---- reading

    async def _read(self, node_id: NodeId, desk: _Desk) -> None:
        """Read what is new in one node's task list, and demote what that names."""
        began_s = self._clock.monotonic_s()
        if desk.cursor is None:
            if await self._begin(node_id, desk):
                self._look_at(node_id)
            return
        try:
            tasks = await self._new_tasks(node_id, desk)
        except NodeError as error:
            _log.info("feed_unanswered", node=node_id, why=str(error))
            return
        if tasks is None:
            await self._began_anew(node_id, desk)
            return
        waiting, desk.deferred = desk.deferred, []
        for task in (*waiting, *tasks):
            await self._sort(node_id, desk, task)
        if not desk.deferred:
            desk.clean_s = began_s

    async def _new_tasks(self, node_id: NodeId, desk: _Desk) -> tuple[NodeTask, ...] | None:
        """Return the tasks above the cursor; None if the list is not the one that was read."""
        if desk.readings % _NEWEST_EVERY == 0:
            # What we know before asking: our own tasks, too, though the feed may not be there yet.
            before = max(desk.newest, self._ledger.newest(node_id))
            desk.newest = await self._ledger.newest_task_uid(node_id)
            if desk.newest < before:
                return None
        assert desk.cursor is not None
        anchor = desk.anchor
        tasks = await self._ledger.feed(node_id, anchor.uid - 1 if anchor else desk.cursor)
        if anchor is not None and not _is_first(anchor, tasks):
            known = await self._ledger.tasks(node_id, (anchor.uid,))
            if known or await self._ledger.newest_task_uid(node_id) < anchor.uid:
                return None
            _log.warning("tasks_deleted", node=node_id, uid=anchor.uid)
            desk.anchor = None
            self._look_at(
                node_id
            )  # Somebody has deleted finished tasks; perhaps also unseen ones.
        fresh = tuple(task for task in tasks if task.uid > desk.cursor)
        if fresh:
            desk.anchor, desk.cursor = fresh[-1], fresh[-1].uid
            desk.newest = max(desk.newest, desk.cursor)
        desk.readings += 1
        return fresh

    async def _began_anew(self, node_id: NodeId, desk: _Desk) -> None:
        """Believe nothing of a node that was restored or replaced."""
        _log.warning("node_began_anew", node=node_id)
        self._ledger.forget(node_id)
        exposed_s = self._clock.monotonic_s() - desk.clean_s
        for index_uid in list(self._cluster.view.indexes):
            await self._inspector.demote(index_uid, node_id, exposed_s=exposed_s)
            await self._inspector.miss(index_uid, node_id, "its task list began anew")
        desk.cursor = None
        await self._begin(node_id, desk)
        self._look_at(node_id)

    async def _sort(self, node_id: NodeId, desk: _Desk, task: NodeTask) -> None:
        if task.type == "upgradeDatabase":
            self._look_at(node_id)  # No foreign change, but another engine.
            return
        origin = self._ledger.origin(node_id, task)
        if origin is Origin.UNDECIDED and len(desk.deferred) < _DEFERRED_MAX:
            desk.deferred.append(task)
            return
        for index_uid in concerned(task):
            if origin is not Origin.OURS:
                exposed_s = self._clock.monotonic_s() - desk.clean_s
                await self._suspects.suspect(index_uid, node_id, task, exposed_s=exposed_s)
            elif task.type == "indexCreation":
                self._suspects.expect(index_uid, node_id, task)


def _is_first(anchor: NodeTask, tasks: tuple[NodeTask, ...]) -> bool:
    """
    Whether a list begins with this task, and not with another of its uid.

    The index is no mark of it: a swap gives tasks of the past the uids that indexes have now.
    """
    if not tasks:
        return False
    first = tasks[0]
    return (anchor.uid, anchor.type, anchor.enqueued_at) == (
        first.uid,
        first.type,
        first.enqueued_at,
    )


async def _oldest_unfinished(control: NodeControl, node_id: NodeId) -> int | None:
    """Return the oldest task of the feed's kinds that has not ended, or None."""
    query = f"types={_TYPES}&statuses=enqueued,processing&reverse=true&limit=1"
    reply = await control.forward(node_id, NodeRequest("GET", f"/tasks?{query}"))
    try:
        rows: list[Mapping[str, Any]] = orjson.loads(reply.body)["results"]
        return int(rows[0]["uid"]) if rows else None
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError) as error:
        raise NodeUnreachable(f"node {node_id}: an unexpected list of tasks") from error
