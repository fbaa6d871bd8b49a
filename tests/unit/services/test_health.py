"""Who is held for healthy: what the data path says counts at once, and is looked into."""

import asyncio
from typing import Any

from tests.support.virtual_loop import VirtualClock, run_virtual

from miroir.core.topology import GroupId, Node, NodeId, ShardId, Topology
from miroir.services.cluster import Cluster
from miroir.services.health import Health

A, B = NodeId("a"), NodeId("b")
INTERVAL_S = 10.0


class AnsweringNodes:
    """Nodes that answer every health check, each in a second; `asked`: in their order."""

    def __init__(self) -> None:
        self.asked: list[NodeId] = []

    async def check_health(self, node_id: NodeId) -> None:
        self.asked.append(node_id)
        await asyncio.sleep(1)

    async def engine(self, node_id: NodeId) -> str:
        return "1.50.0"


def watched(loop: Any, nodes: AnsweringNodes, names: tuple[NodeId, ...]) -> tuple[Health, Cluster]:
    """Return one shard on these nodes, and who watches it."""
    grid = (Node(n, ShardId(0), GroupId(i), "http://x") for i, n in enumerate(names))
    cluster = Cluster(Topology(1, 1, len(names), tuple(grid)))
    control: Any = nodes
    clock = VirtualClock(loop)
    return Health(control=control, cluster=cluster, clock=clock, interval_s=INTERVAL_S), cluster


def test_the_last_node_of_a_shard_is_checked_at_once_when_a_search_was_slow() -> None:
    """On one node, one search beyond its time limit must not refuse all others until the check."""

    async def main(loop: Any) -> None:
        nodes = AnsweringNodes()
        health, cluster = watched(loop, nodes, (A,))
        running = asyncio.ensure_future(health.run())
        await asyncio.sleep(2)
        assert cluster.view.healthy == {A}
        health.suspect(A)
        assert cluster.view.healthy == set()
        await asyncio.sleep(1.5)
        assert cluster.view.healthy == {A}
        running.cancel()

    run_virtual(main)


def test_a_suspect_with_siblings_stays_out_until_its_turn() -> None:
    """It may answer health checks and nothing else: a search on it would cost its time limit."""

    async def main(loop: Any) -> None:
        nodes = AnsweringNodes()
        health, cluster = watched(loop, nodes, (A, B))
        running = asyncio.ensure_future(health.run())
        await asyncio.sleep(2)
        health.suspect(A)
        await asyncio.sleep(5)
        assert cluster.view.healthy == {B}
        assert nodes.asked == [A, B]
        await asyncio.sleep(6)
        assert cluster.view.healthy == {A, B}
        running.cancel()

    run_virtual(main)
