"""Whether a key may be made is asked of a node; the question itself must make none."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.sim_engine import NEW
from tests.support.sim_faults import FaultPlan
from tests.support.sim_node import SimNode
from tests.support.sim_routes import serve

from miroir.core.topology import GroupId, Node, NodeId, ShardId, Topology
from miroir.errors import NodeUnreachable
from miroir.ports.node import NodeReply, NodeRequest
from miroir.services.cluster import Cluster
from miroir.services.commons import Commons
from miroir.services.key_judge import KeyJudge
from miroir.services.registrar import RefusedByNode

A, B = NodeId("a"), NodeId("b")
BODY = {"name": "shop", "actions": ["search"], "indexes": ["*"], "expiresAt": None}


class TwoNodes:
    """Two nodes, each with keys of its own; `before_post` happens right before a key is asked."""

    def __init__(self) -> None:
        self.before_post: Callable[[SimNode], None] = lambda _: None
        self.nodes = {name: self._node(name) for name in (A, B)}

    @staticmethod
    def _node(name: str) -> SimNode:
        node = SimNode(name, NEW, random.Random(name), FaultPlan("calm", random.Random(0), {}))
        node.disk.keys[f"{name}0000000-aaaa-4bbb-8ccc-0123456789ab"] = {**BODY, "name": name}
        return node

    async def forward(self, node_id: NodeId, request: NodeRequest) -> NodeReply:
        node = self.nodes[node_id]
        if request.method == "POST":
            self.before_post(node)
        if not node.up:
            raise NodeUnreachable(f"node {node_id}: connection refused")
        if node.locked:
            return NodeReply(403, {}, b'{"code": "invalid_api_key"}')
        return serve(node, request, "own")

    @property
    def names(self) -> list[list[Any]]:
        """The names of each node's keys."""
        return [[key["name"] for key in node.disk.keys.values()] for node in self.nodes.values()]


def judged(nodes: TwoNodes, body: Any) -> None:
    """Have the body of a creation judged."""
    grid = (Node(n, ShardId(0), GroupId(i), "http://x") for i, n in enumerate((A, B)))
    cluster = Cluster(Topology(1, 1, 2, tuple(grid)), commons=True)
    for name in (A, B):
        cluster.apply_health(name, healthy=True, engine="1.50.0")
    control: Any = nodes
    intake: Any = None
    commons = Commons(intake=intake, cluster=cluster, control=control, wait_s=1.0)
    asyncio.run(KeyJudge(commons, control).creation(body))


def test_a_valid_key_is_found_valid_and_not_made() -> None:
    """It is made by the protocol on every node, and only then."""
    nodes = TwoNodes()
    judged(nodes, BODY)
    assert nodes.names == [["a"], ["b"]]


def test_what_is_not_valid_is_refused_in_the_words_of_a_node() -> None:
    """A client debugs what it knows from one Meilisearch."""
    with pytest.raises(RefusedByNode) as caught:
        judged(TwoNodes(), {**BODY, "actions": "search"})
    assert b"invalid_api_key_actions" in caught.value.reply.body


def test_a_node_that_goes_down_between_the_questions_leaves_no_key_on_another() -> None:
    """The other does not have the key that stands in: asked the same, it would make it."""
    nodes = TwoNodes()

    def crash(node: SimNode) -> None:
        node.up = node.node_id != A

    nodes.before_post = crash
    judged(nodes, BODY)
    assert nodes.names == [["a"], ["b"]]


def test_a_key_that_is_made_by_asking_is_taken_away() -> None:
    """Somebody deletes the key that stands in, right between the questions."""
    nodes = TwoNodes()
    nodes.before_post = lambda node: node.disk.keys.clear()
    judged(nodes, BODY)
    assert nodes.names == [[], ["b"]]


def test_a_node_with_another_master_key_does_not_speak_for_the_cluster() -> None:
    """Its 403 is about Miroir's key; the client would look for the fault in its own."""
    nodes = TwoNodes()
    nodes.nodes[A].locked = True
    judged(nodes, BODY)
    assert nodes.names == [["a"], ["b"]]
