"""
Suspects: (index, node) pairs that a task may have changed. Out at once, judged when it has ended.

    suspected ─▶ demoted ─▶ its tasks have ended ─▶ a look (inspector): right, or wrong ─▶ dropped

A look while a foreign task is queued says nothing, and one while a change of ours is open neither:
the pair stays suspected until a look has said something. What took documents away (deletion,
creation, swap, rename) has the replica filled again. Which tasks are foreign is decided by whoever
reads them (`feed.py`).
"""

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog

from miroir.core.drift import Mode
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeError
from miroir.ports.clock import Clock
from miroir.ports.node import NodeTask
from miroir.services.cluster import Cluster, IndexView
from miroir.services.inspector import Evidence, Inspector
from miroir.services.ledger import Ledger

_ASKED_MAX: Final = 100
"""Tasks asked for in one request."""
_TASKS_MAX: Final = 50
"""Foreign tasks remembered of one pair; what comes before the newest ones has ended before."""
_TICK_MIN_S: Final = 0.05
_TICK_MAX_S: Final = 2.0
_TICK_GROWTH: Final = 1.5
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Suspicion:
    """
    A node that has been changed, or is about to be, and has to be looked at.

    Attributes:
        tasks: The tasks that may have changed it, oldest first.
        order: Grows with every detection.
        since_ms: Wall time of the first one.
        proved: Whether the node was proved when it was first suspected.
        foreign: False: the tasks are ours, and nothing is wrong with them.
    """

    index_uid: IndexUid
    node_id: NodeId
    tasks: tuple[NodeTask, ...]
    order: int
    since_ms: int
    proved: bool
    foreign: bool = True

    @property
    def pair(self) -> tuple[IndexUid, NodeId]:
        """What is suspected."""
        return self.index_uid, self.node_id


class Suspects:
    """Keeps pairs out until they are judged."""

    def __init__(
        self, *, ledger: Ledger, cluster: Cluster, inspector: Inspector, clock: Clock
    ) -> None:
        self._ledger = ledger
        self._cluster = cluster
        self._inspector = inspector
        self._clock = clock
        self._pairs: dict[tuple[IndexUid, NodeId], Suspicion] = {}
        self._order = 0
        self._news: dict[NodeId, asyncio.Event] = {}

    @property
    def all(self) -> tuple[Suspicion, ...]:
        """What was demoted and not judged yet, oldest first."""
        found = (s for s in self._pairs.values() if s.foreign)
        return tuple(sorted(found, key=lambda s: s.order))

    def clear(self) -> None:
        """Forget all: a sweep follows."""
        self._pairs.clear()

    async def suspect(
        self, index_uid: IndexUid, node_id: NodeId, task: NodeTask, *, exposed_s: float
    ) -> None:
        """Demote at once, also while a change is open; judge later."""
        index = self._cluster.view.live(index_uid)
        ours = index is not None or self._cluster.view.will_exist(index_uid)
        if not ours or self._inspector.rules.of(index_uid) is Mode.OFF:
            return  # Not ours, or not to be looked after.
        if index is not None and self._undone_already(index, node_id, task):
            return
        _log.warning("foreign_task", index=index_uid, node=node_id, uid=task.uid, type=task.type)
        known = self._pairs.get((index_uid, node_id))
        before = known.tasks if known and known.foreign else ()
        proved = index is not None and index.proved.get(node_id) == index.record.version
        self._order += 1
        self._pairs[index_uid, node_id] = Suspicion(
            index_uid,
            node_id,
            (*before, task)[-_TASKS_MAX:],
            self._order,
            known.since_ms if known else self._clock.wall_ms(),
            known.proved if known else proved,
        )
        self._tell(node_id)
        await self._inspector.demote(index_uid, node_id, exposed_s=exposed_s)

    def _undone_already(self, index: IndexView, node_id: NodeId, task: NodeTask) -> bool:
        """Whether the node was changed by us after that, and has been proved since."""
        if task.type not in {"settingsUpdate", "indexUpdate"}:
            return False  # Documents may be gone, which no proof tells.
        proved = index.proved.get(node_id) == index.record.version
        return proved and task.uid < self._ledger.last(node_id, index.record.uid)

    def expect(self, index_uid: IndexUid, node_id: NodeId, task: NodeTask) -> None:
        """An index that we have given back to a node wants its settings."""
        index = self._cluster.view.live(index_uid)
        if index is None or index.accepted or node_id in index.proved:
            return
        pair = (index_uid, node_id)
        self._order += 1
        now_ms = self._clock.wall_ms()
        given = Suspicion(*pair, (task,), self._order, now_ms, proved=False, foreign=False)
        self._pairs.setdefault(pair, given)
        self._tell(node_id)

    def _tell(self, node_id: NodeId) -> None:
        self._news.setdefault(node_id, asyncio.Event()).set()

    async def judge_for_ever(self, node_id: NodeId) -> None:
        """Judge one node's suspicions for ever; the tick grows while nothing new comes."""
        news, tick_s = self._news.setdefault(node_id, asyncio.Event()), _TICK_MIN_S
        while True:
            if not any(node == node_id for _, node in self._pairs):
                await news.wait()
            if news.is_set():
                news.clear()
                tick_s = _TICK_MIN_S
            await self._clock.sleep(tick_s)
            tick_s = min(_TICK_MAX_S, tick_s * _TICK_GROWTH)
            try:
                await self._judge(node_id)
            except NodeError as error:
                _log.info("feed_unanswered", node=node_id, why=str(error))

    async def _judge(self, node_id: NodeId) -> None:
        """Have every pair of a node looked at whose foreign tasks have ended."""
        mine = [s for s in self._pairs.values() if s.node_id == node_id]
        if node_id not in self._cluster.view.healthy:
            return
        uids = sorted({task.uid for s in mine for task in s.tasks})[:_ASKED_MAX]
        known = {task.uid: task for task in await self._ledger.tasks(node_id, tuple(uids))}
        for suspicion in mine:
            if self._cluster.view.live(suspicion.index_uid) is None:
                if not self._cluster.view.will_exist(suspicion.index_uid):
                    self._drop(suspicion)
                continue  # It is being made, and may be proved before the task takes effect.
            asked = [task.uid in uids for task in suspicion.tasks]
            now = [known.get(task.uid) for task in suspicion.tasks]
            if all(asked) and all(task is None or task.ended for task in now):
                await self._conclude(suspicion, now)
            else:
                await self._keep_out(suspicion)

    async def _keep_out(self, suspicion: Suspicion) -> None:
        """A commit may have proved a node again that a foreign task is still waiting on."""
        index = self._cluster.view.live(suspicion.index_uid)
        node_id, newest = suspicion.node_id, suspicion.tasks[-1].uid
        if index is None or node_id not in index.proved or not suspicion.foreign:
            return
        if newest > self._ledger.last(node_id, suspicion.index_uid):
            await self._inspector.demote(suspicion.index_uid, node_id, exposed_s=None)

    async def _conclude(self, suspicion: Suspicion, tasks: list[NodeTask | None]) -> None:
        index_uid, node_id = suspicion.pair
        if self._outdone(suspicion):
            return
        if suspicion.foreign and any(task and _takes_documents(task) for task in tasks):
            await self._inspector.miss(index_uid, node_id, "somebody else changed it")
        acted = [task for task in tasks if task is None or task.status == "succeeded"]
        evidence = Evidence(
            foreign=suspicion.foreign and any(t and t.type == "settingsUpdate" for t in acted),
            sure=suspicion.proved and not any(_may_hide(task) for task in acted),
        )
        if await self._inspector.look(index_uid, node_id, evidence):
            self._drop(suspicion)

    def _outdone(self, suspicion: Suspicion) -> bool:
        """Whether another node of an index that adopts was changed later: that one counts."""
        if self._inspector.rules.of(suspicion.index_uid) is not Mode.ADOPT:
            return False
        healthy = self._cluster.view.healthy
        return any(
            s.foreign and s.index_uid == suspicion.index_uid and s.order > suspicion.order
            for s in self._pairs.values()
            if s.node_id in healthy
        )

    def _drop(self, suspicion: Suspicion) -> None:
        known = self._pairs.get(suspicion.pair)
        if known is not None and known.order == suspicion.order:
            del self._pairs[suspicion.pair]


def _takes_documents(task: NodeTask) -> bool:
    """Whether an ended task has taken the documents of its index away, or put others there."""
    if task.status != "succeeded":
        return False
    renamed = bool((task.details or {}).get("newIndexUid"))
    return task.type in {"indexDeletion", "indexCreation", "indexSwap"} or renamed


def _may_hide(task: NodeTask | None) -> bool:
    """Whether a task may have changed what a node does not show."""
    if task is None or task.type != "settingsUpdate":
        return True
    return "embedders" in (task.details or {"embedders": None})
