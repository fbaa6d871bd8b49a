"""Parts of a multi-search: what a node's no is taken for."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from miroir.core.merge.multi_search import read_multi_search
from miroir.core.topology import GroupId, IndexUid, Node, NodeId, ShardId, Topology
from miroir.errors import NoCoveringSet
from miroir.ports.node import NodeReply
from miroir.ports.records import IndexRecord
from miroir.services.cluster import Cluster, IndexView, View
from miroir.services.multi_nodes import MultiNodes, MultiRequest, QueryRefused, headers_of
from miroir.services.scatter import Gathered, Wish

pytestmark = pytest.mark.anyio
TOPOLOGY = Topology(1, 1, 1, (Node(NodeId("n0"), ShardId(0), GroupId(0), "http://x:1"),))
LOST = (400, {"code": "index_not_found", "message": "Index `films` not found."})
BAD = (400, {"code": "invalid_search_limit", "message": "Inside `.queries[0]`: bad"})
FINE = (200, {"results": []})


class Node0:
    """Gives these answers, one after the other, to whoever asks."""

    def __init__(self, *answers: tuple[int, object]) -> None:
        self.asked: list[Wish] = []
        self._answers = list(answers)

    async def ask(self, wish: Wish) -> Gathered:
        self.asked.append(wish)
        status, body = self._answers.pop(0)
        return gathered(3, NodeReply(status, {}, json.dumps(body).encode()))


def gathered(version: int, *replies: NodeReply, inconsistent: bool = False) -> Gathered:
    return Gathered(replies, version, inconsistent)


def nodes(node: Node0) -> MultiNodes:
    return MultiNodes(scatter=node, control=None, cluster=Cluster(TOPOLOGY), timeout_s=1)


def request(*queries: dict) -> MultiRequest:
    body = json.dumps({"queries": queries}).encode()
    return MultiRequest(body, "application/json", None, None, lambda _: None, {})


async def gather(node: Node0, places: Sequence[int] = (0,)) -> Gathered:
    return await nodes(node).gather(request(), "films", {"queries": []}, places)


async def test_a_node_that_lost_the_index_is_not_believed():
    """The index is there for Miroir, so another cover is asked; it is no fault of the client."""
    found = await gather(Node0(LOST, LOST, FINE))
    assert found.replies[0].status == 200
    with pytest.raises(NoCoveringSet):
        await gather(Node0(LOST, LOST, LOST))


async def test_any_other_no_is_the_clients():
    """Asked once."""
    node = Node0(BAD)
    with pytest.raises(QueryRefused):
        await gather(node)
    assert len(node.asked) == 1


FOUR = tuple(
    Node(NodeId(f"n{number}"), ShardId(number % 2), GroupId(number // 2), "http://x:1")
    for number in range(4)
)


@dataclass
class Seen:
    """What is known of a cluster of 2 x 2: which nodes are at the last settings of each index."""

    view: View


def seen(**current: tuple[str, ...]) -> Seen:
    indexes = {
        IndexUid(uid): IndexView(
            IndexRecord(IndexUid(uid), "id", 5, {}, {}, None, False, 0, 0),
            proved={n.node_id: 5 if n.node_id in nodes else 4 for n in FOUR},
        )
        for uid, nodes in current.items()
    }
    everybody = frozenset(node.node_id for node in FOUR)
    return Seen(View(Topology(1, 2, 2, FOUR), everybody, {}, indexes, {}))


@pytest.mark.parametrize(
    ("films", "books", "shard", "only"),
    [
        (("n0", "n1", "n2"), ("n1", "n3"), 1, {"n1"}),
        (("n0", "n2"), ("n0", "n2", "n3"), 0, {"n0", "n2"}),
        (("n0",), ("n1",), 0, None),
    ],
)
async def test_a_whole_request_is_judged_by_a_node_that_is_up_to_date_for_all_of_it(
    films, books, shard, only
):
    """A node that is behind in one index finds fault with what is right, and in old words."""
    node, both = Node0(FINE, FINE), request({"indexUid": "films"}, {"indexUid": "books"})
    cluster = seen(films=films, books=books)
    asking = MultiNodes(scatter=node, control=None, cluster=cluster, timeout_s=1)
    for _ in range(2):
        await asking.check(both, read_multi_search(json.loads(both.body)), "films")
    assert {(wish.shard, wish.only) for wish in node.asked} == {
        (shard, None if only is None else frozenset(only))
    }


async def test_a_no_that_one_node_does_not_have_for_the_whole_names_the_clients_query():
    """A shard may refuse what another takes; nothing that the other found is shown."""
    node = Node0(BAD, FINE)
    asked = request({"indexUid": "a"}, {"indexUid": "films"})
    with pytest.raises(QueryRefused) as refused:
        await gather(node, (1,))
    said = await nodes(node).explained(
        asked, read_multi_search(json.loads(asked.body)), refused.value
    )
    assert json.loads(said.reply.body)["message"] == "Inside `.queries[1]`: bad"
    assert said.reply.status == 400


async def test_one_inconsistent_part_makes_the_whole_inconsistent():
    """Versions are told all the same."""
    parts = {"a": gathered(3), "b": gathered(7, inconsistent=True)}
    assert headers_of(parts) == {
        "X-Miroir-Settings-Version": "a=3,b=7",
        "X-Miroir-Settings-Inconsistent": "true",
    }
    assert "X-Miroir-Settings-Inconsistent" not in headers_of({"a": gathered(3)})
