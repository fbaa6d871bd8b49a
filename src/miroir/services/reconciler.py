"""
The sweep: has every node of every index looked at, and at once what returns or was left behind.

Runs under one lease, so that of several processes one sweeps; the feed runs beside it. What a look
is and what follows from it: `inspector.py`.
"""

import asyncio
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from miroir.core.topology import IndexUid, NodeId
from miroir.errors import LeaseLost, Unavailable
from miroir.ports.clock import Clock
from miroir.services.cluster import Cluster
from miroir.services.drift_book import Drift
from miroir.services.inspector import Inspector
from miroir.services.leader import Leader
from miroir.services.urgent import Urgent

_AGAIN_S: Final = 1.0
_log = structlog.get_logger(__name__)


class Beside(Protocol):
    """What else is done by whoever leads."""

    async def begin(self) -> None:
        """Take one's bearings, before the first sweep."""
        ...

    async def run(self) -> None:
        """Go on until cancelled."""
        ...


@dataclass(frozen=True)
class SweepTools:
    """
    What the reconciler works with.

    Attributes:
        interval_s: One sweep in this time.
    """

    cluster: Cluster
    clock: Clock
    leader: Leader
    inspector: Inspector
    interval_s: float


class Reconciler:
    """Finds and repairs out-of-band changes."""

    def __init__(self, tools: SweepTools) -> None:
        self._tools = tools
        self._urgent = Urgent[tuple[IndexUid | None, NodeId]]()
        """An index of a node, or all that it has."""
        self._beside: list[Beside] = []

    @property
    def drifts(self) -> tuple[Drift, ...]:
        """What is drifted or missing now, oldest first."""
        return tuple(
            sorted(self._tools.inspector.book.drifts.values(), key=lambda d: d.first_seen_ms)
        )

    def lead_beside(self, work: Beside) -> None:
        """Have `work` done by whoever leads the sweep."""
        self._beside.append(work)

    def nudge(self, node_id: NodeId, healthy: bool) -> None:  # noqa: FBT001 - a listener
        """A node's health or engine has changed; if it answers it is looked at without delay."""
        if healthy:
            self.look_soon(node_id)

    def look_soon(self, node_id: NodeId) -> None:
        """Have every index of a node looked at without delay."""
        self._urgent.put((None, node_id))

    def look_again(self, index_uid: IndexUid) -> None:
        """
        A change of this index has ended; nodes that it left unproved are looked at without delay.

        One that refused the change did nothing and is right as it is; one that fell silent and is
        back wants repair. So are those that could not be judged because of it.
        """
        view = self._tools.cluster.view
        index = view.live(index_uid)
        if index is None or index.accepted:
            return
        passed_over = self._tools.inspector.book.passed_over
        for node_id in sorted(view.healthy):
            proved = index.proved.get(node_id) == index.record.version
            if not proved or (index_uid, node_id) in passed_over:
                self._urgent.put((index_uid, node_id))

    async def run(self) -> None:
        """Sweep for ever, every `interval_s`, spread evenly over the interval."""
        while True:
            try:
                async with self._tools.leader.lead("drift"), asyncio.TaskGroup() as group:
                    for work in self._beside:
                        await work.begin()
                    for work in self._beside:
                        group.create_task(work.run())
                    group.create_task(self._sweep_for_ever())
                    group.create_task(self._look_at_returning())
            except* (LeaseLost, Unavailable) as lost:
                _log.warning("deposed", scope="drift", why=str(lost.exceptions[0]))
            await self._tools.clock.sleep(_AGAIN_S)

    async def sweep(self, *, over_s: float = 0.0) -> None:
        """Look at every healthy node of every index once, spread over `over_s` seconds."""
        view = self._tools.cluster.view
        self._tools.inspector.book.forget(frozenset(view.indexes))
        pairs = [(i, n) for i in view.indexes for n in view.topology.node_ids]
        pause_s = over_s / max(1, len(pairs))
        for index_uid, node_id in pairs:
            await self._tools.inspector.look(index_uid, node_id)
            if pause_s:
                await self._tools.clock.sleep(pause_s)

    async def _sweep_for_ever(self) -> None:
        started_s = self._tools.clock.monotonic_s()
        await self._first_sweep()
        while True:
            passed_s = self._tools.clock.monotonic_s() - started_s
            await self._tools.clock.sleep(max(0.05, self._tools.interval_s - passed_s))
            started_s = self._tools.clock.monotonic_s()
            await self.sweep(over_s=self._tools.interval_s * 0.5)

    async def _first_sweep(self) -> None:
        """Look at all nodes, each as fast as it answers: who knows what was changed before."""
        async with asyncio.TaskGroup() as nodes:
            for node_id in self._tools.cluster.view.topology.node_ids:
                nodes.create_task(self.look_at_node(node_id))

    async def _look_at_returning(self) -> None:
        while True:
            index_uid, node_id = await self._urgent.take()
            if index_uid is None:
                await self.look_at_node(node_id)
            else:
                await self._tools.inspector.look(index_uid, node_id)

    async def look_at_node(self, node_id: NodeId) -> None:
        """Look at every index of a node now."""
        for index_uid in list(self._tools.cluster.view.indexes):
            await self._tools.inspector.look(index_uid, node_id)
