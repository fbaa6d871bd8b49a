"""
A moment in which nothing moves: the lane of a shard held, and nothing queued on its nodes.

What is read in it is what all earlier writes have led to, and what comes later comes after it.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import quote

import orjson

from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeUnreachable
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl, NodeRequest
from miroir.services.cluster import Cluster
from miroir.services.lanes import Lanes

_IDLE_TICK_S: Final = 0.05


class Quiet:
    """Makes such moments."""

    def __init__(
        self, *, control: NodeControl, cluster: Cluster, clock: Clock, lanes: Lanes
    ) -> None:
        self._control = control
        self._cluster = cluster
        self._clock = clock
        self._lanes = lanes

    @asynccontextmanager
    async def held(
        self, index_uid: IndexUid, nodes: Sequence[NodeId], *, within_s: float
    ) -> AsyncIterator[None]:
        """
        Hold the lane of these nodes' shard while they have nothing queued for the index.

        Raises:
            TimeoutError: Something was queued for longer than `within_s`.
            NodeUnreachable: A node does not tell.
        """
        topology = self._cluster.view.topology
        lane = self._lanes.turn(index_uid, topology.by_id[nodes[0]].shard_id)
        async with lane:  # What is queued now is all there is: nothing more comes in meanwhile.
            until_s = self._clock.monotonic_s() + within_s
            while not all([await self._idle(index_uid, node_id) for node_id in nodes]):
                if self._clock.monotonic_s() > until_s:
                    raise TimeoutError("the queue does not run dry in time")
                await self._clock.sleep(_IDLE_TICK_S)
            yield

    async def _idle(self, index_uid: IndexUid, node_id: NodeId) -> bool:
        query = f"indexUids={quote(index_uid)}&statuses=enqueued,processing&limit=1"
        reply = await self._control.forward(node_id, NodeRequest("GET", f"/tasks?{query}"))
        try:
            return int(orjson.loads(reply.body)["total"]) == 0
        except (orjson.JSONDecodeError, LookupError, TypeError, ValueError):
            raise NodeUnreachable(f"node {node_id}: an unexpected list of tasks") from None
