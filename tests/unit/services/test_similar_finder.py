"""Two steps of one answer: both at one settings version, or taken again."""

import json
from collections.abc import Sequence

import pytest

from miroir.core.topology import GroupId, IndexUid, Node, NodeId, ShardId, Topology
from miroir.errors import SettingsVersionStale
from miroir.ports.node import NodeReply
from miroir.ports.records import IndexRecord
from miroir.services.cluster import Cluster, IndexView
from miroir.services.scatter import Gathered, Wish
from miroir.services.searcher import SearchRequest
from miroir.services.similar_finder import SimilarFinder

pytestmark = pytest.mark.anyio
NODES = tuple(Node(NodeId(f"n{s}"), ShardId(s), GroupId(0), "http://x:1") for s in (0, 1))
DETAILS = {"vectorSort": {"order": 0, "similarity": 0.5}}
HIT = {"title": "boat", "_rankingScore": 0.5, "_rankingScoreDetails": DETAILS}


class Shards:
    """Two shards whose answers are made of the route alone; versions are given one per call."""

    def __init__(self, versions: Sequence[int], refused: str = "") -> None:
        self.asked: list[Wish] = []
        self._versions = list(versions)
        self._refused = refused

    async def ask(self, wish: Wish) -> Gathered:
        self.asked.append(wish)
        route = wish.request.path.split("?")[0].rpartition("/indexes/films/")[2]
        kind = route.split("/")[0]
        found = {"hits": [HIT], "processingTimeMs": 1, "estimatedTotalHits": 1}
        body = {
            "similar": {**found, "id": "7"},
            "documents": {"_vectors": {"own": {"embeddings": [[1.0]]}}},
            "search": found,
        }[kind]
        status = 400 if kind == self._refused else 200
        reply = NodeReply(status, {}, json.dumps(body, separators=(",", ":")).encode())
        version = 1 if kind == "documents" else self._versions.pop(0)
        return Gathered((reply,) * (2 if wish.shard is None else 1), version, inconsistent=False)


def finder(shards: Shards) -> SimilarFinder:
    return SimilarFinder(scatter=shards, cluster=Cluster(Topology(1, 2, 1, NODES)), timeout_s=1)


def request() -> SearchRequest:
    record = IndexRecord(IndexUid("films"), "id", 1, {}, {}, None, False, 0, 0)
    return SearchRequest(
        index=IndexView(record),
        method="POST",
        query_string="",
        body=b'{"id":7,"embedder":"own"}',
        content_type="application/json",
        authorization="Bearer of-the-client",
        floor=None,
        headers={},
    )


async def test_both_steps_are_taken_again_when_the_settings_have_changed_between_them():
    """An answer of two versions would say of itself that it is of one."""
    shards = Shards([1, 2, 2, 2])
    answer = await finder(shards).similar(request())
    assert answer.headers["X-Miroir-Settings-Version"] == "2"
    assert len(json.loads(answer.body)["hits"]) == 2
    assert len(shards.asked) == 6


async def test_an_answer_of_two_versions_is_never_given():
    """The client may ask again."""
    with pytest.raises(SettingsVersionStale):
        await finder(Shards([1, 2, 3, 4, 5, 6])).similar(request())


async def test_only_the_vector_is_read_with_the_clusters_own_key():
    """And nothing of it is used if the client may not see the document."""
    shards = Shards([1, 1])
    await finder(shards).similar(request())
    keys = {wish.request.path.split("/")[3].split("?")[0]: wish.request for wish in shards.asked}
    assert keys["documents"].authorization is None
    assert keys["similar"].authorization == keys["search"].authorization == "Bearer of-the-client"
    refused = Shards([1, 1], refused="similar")
    assert (await finder(refused).similar(request())).status == 400
    assert all("/search" not in wish.request.path for wish in refused.asked)
