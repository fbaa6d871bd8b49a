"""Today's topology against the one that the data was written under, before serving."""

from dataclasses import replace

import pytest
from tests.support.memory_store import MemoryStore
from tests.unit.services.test_replicas import StillClock

from miroir.core.topology import GroupId, IndexUid, Node, NodeId, ShardId, Topology
from miroir.errors import ConfigError
from miroir.ports.records import IndexRecord
from miroir.runtime.facts import check_facts

pytestmark = pytest.mark.anyio
MOVIES, BOOKS = IndexUid("movies"), IndexUid("books")


def topology(*groups):
    """Make one of rows of names: a row is a replica group, a place in it a shard."""
    nodes = tuple(
        Node(NodeId(name), ShardId(shard), GroupId(group), "http://x:1")
        for group, names in enumerate(groups)
        for shard, name in enumerate(names)
    )
    return Topology(1, len(groups[0]), len(groups), nodes)


@pytest.fixture
async def store():
    """A store that was used with two shards and one replica group, and holds one live index."""
    store = MemoryStore(StillClock())
    await check_facts(store, topology(["a", "b"]))
    record = IndexRecord(MOVIES, "id", 1, {}, {}, None, False, 0, 0)
    store._tables.indexes[MOVIES] = record
    store._tables.indexes[BOOKS] = replace(record, uid=BOOKS, deleted=True)
    return store


async def test_the_same_topology_changes_nothing(store):
    """A restart is the common case."""
    await check_facts(store, topology(["a", "b"]))

    assert await store.out_of_sync() == {}


async def test_a_new_replica_group_is_out_of_sync_until_it_is_filled(store):
    """It has none of the documents: taken for in sync, it would answer searches with nothing."""
    await check_facts(store, topology(["a", "b"], ["c", "d"]))

    assert set(await store.out_of_sync()) == {(MOVIES, "c"), (MOVIES, "d")}


async def test_a_node_that_was_away_is_new_again(store):
    """Writes are not kept for nodes that are not in the topology."""
    await check_facts(store, topology(["a", "b"], ["c", "d"]))
    for node in ("c", "d"):
        await store.set_in_sync(MOVIES, NodeId(node))
    await check_facts(store, topology(["a", "b"]))
    await check_facts(store, topology(["a", "b"], ["c", "e"]))

    assert set(await store.out_of_sync()) == {(MOVIES, "c"), (MOVIES, "e")}


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([["a"]], "cut into 2"),
        ([["a", "b", "c"]], "cut into 2"),
        ([["b", "a"]], "b holds the documents of shard 1"),
        ([["a", "c"], ["d", "e"]], "no node of shard 1 (c, e) was there before"),
    ],
)
async def test_a_topology_that_the_documents_do_not_fit_is_refused(store, groups, said):
    """Every one of these would lose documents without a word, and they are easy to write."""
    with pytest.raises(ConfigError) as refused:
        await check_facts(store, topology(*groups))

    assert said in str(refused.value)
    await check_facts(store, topology(["a", "b"]))
    assert await store.out_of_sync() == {}


async def test_an_empty_cluster_may_be_renamed():
    """Before the first index there is nothing to lose."""
    store = MemoryStore(StillClock())
    await check_facts(store, topology(["a", "b"]))

    await check_facts(store, topology(["x", "y"]))

    assert await store.out_of_sync() == {}
