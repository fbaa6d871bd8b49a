"""
Watches the nodes: who answers, with which engine class.

Detection is twofold: the data path reports a node that failed it (`suspect`), which takes effect
at once, and a check per node and interval finds the rest and brings nodes back. Where no sibling
is left to answer for a suspect, it is checked without delay: it may only have been slow. A node is
healthy again only when it has answered a health call, told its engine class, and been admitted:
brought to the API keys of the cluster.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from miroir.core.topology import NodeId
from miroir.errors import NodeError, Unavailable
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl
from miroir.services.cluster import Cluster
from miroir.services.patience import rest

_log = structlog.get_logger(__name__)


class Health:
    """Keeps `Cluster.view.healthy` and `.engines` true."""

    def __init__(
        self, *, control: NodeControl, cluster: Cluster, clock: Clock, interval_s: float
    ) -> None:
        self._control = control
        self._cluster = cluster
        self._clock = clock
        self._interval_s = interval_s
        self._wakes = {n: asyncio.Event() for n in cluster.view.topology.node_ids}
        self._listeners: list[Callable[[NodeId, bool], None]] = []
        self._gates: list[Callable[[NodeId], Awaitable[None]]] = []
        self._finders: list[Callable[[NodeId], None]] = []

    def admit_by(self, gate: Callable[[NodeId], Awaitable[None]]) -> None:
        """Have a node that returns pass `gate` first, which raises `NodeError` to keep it out."""
        self._gates.append(gate)

    def on_change(self, listener: Callable[[NodeId, bool], None]) -> None:
        """Call `listener(node_id, healthy)` on every change, from the event loop."""
        self._listeners.append(listener)

    def on_found_down(self, listener: Callable[[NodeId], None]) -> None:
        """Call `listener(node_id)` each time a node does not answer a check."""
        self._finders.append(listener)

    def suspect(self, node_id: NodeId) -> None:
        """Take a node out because a call to it just failed; the next check may bring it back."""
        self._note(node_id, healthy=False)
        view = self._cluster.view
        if not view.healthy.intersection(view.topology.column_of(node_id)):
            self._wakes[node_id].set()

    async def check(self, node_id: NodeId) -> bool:
        """Ask one node once; note and return whether it is healthy."""
        try:
            await self._control.check_health(node_id)
            engine = await self._control.engine(node_id)
            if node_id not in self._cluster.view.healthy:
                for gate in self._gates:
                    await gate(node_id)
        except (NodeError, Unavailable) as error:  # Without the store no gate can be passed.
            self._note(node_id, healthy=False, why=str(error))
            if isinstance(error, NodeError):
                for listener in self._finders:
                    listener(node_id)
            return False
        self._note(node_id, healthy=True, engine=engine)
        return True

    async def check_all(self) -> None:
        """Ask every node once, in parallel."""
        async with asyncio.TaskGroup() as checks:
            for node_id in self._cluster.view.topology.node_ids:
                checks.create_task(self.check(node_id))

    async def run(self) -> None:
        """Check every node for ever, each at its own pace: a slow one delays no other."""
        async with asyncio.TaskGroup() as loops:
            for node_id in self._cluster.view.topology.node_ids:
                loops.create_task(self._run_one(node_id))

    async def _run_one(self, node_id: NodeId) -> None:
        while True:
            await self.check(node_id)
            await rest(self._clock, self._wakes[node_id], at_most_s=self._interval_s)

    def _note(
        self, node_id: NodeId, *, healthy: bool, engine: str | None = None, why: str = ""
    ) -> None:
        if not self._cluster.apply_health(node_id, healthy=healthy, engine=engine):
            return
        _log.info("node_health_changed", node=node_id, healthy=healthy, engine=engine, why=why)
        for listener in self._listeners:
            listener(node_id, healthy)
