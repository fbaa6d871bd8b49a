"""Leaving and joining the in-sync set: the last replica stays, and nobody joins late."""

import asyncio
from dataclasses import replace

import pytest
from tests.support.memory_store import MemoryStore

from miroir.core.topology import GroupId, IndexUid, Node, NodeId, ShardId, Topology
from miroir.ports.records import IndexRecord
from miroir.services.cluster import Cluster
from miroir.services.replicas import Replicas

pytestmark = pytest.mark.anyio
MOVIES = IndexUid("movies")
A0, A1, B0, B1 = (NodeId(name) for name in ("a0", "a1", "b0", "b1"))


class StillClock:
    """Time does not pass: nothing here may wait for it."""

    def monotonic_s(self):
        return 0.0

    def wall_ms(self):
        return 0

    async def sleep(self, duration_s):
        raise AssertionError("nothing here waits")


@pytest.fixture
def cluster():
    """Two shards, two replicas each, one index."""
    nodes = tuple(
        Node(NodeId(f"{'ab'[group]}{shard}"), ShardId(shard), GroupId(group), "http://x:1")
        for group in range(2)
        for shard in range(2)
    )
    cluster = Cluster(Topology(1, 2, 2, nodes))
    cluster.apply_record(IndexRecord(MOVIES, "id", 1, {}, {}, None, False, 0, 0))
    return cluster


def replicas_of(cluster, store=None):
    clock = StillClock()
    return Replicas(store=store or MemoryStore(clock), cluster=cluster, clock=clock)


def out_of_sync(cluster):
    return dict(cluster.view.indexes[MOVIES].out_of_sync)


async def test_the_last_replica_of_a_shard_never_leaves(cluster):
    """Nobody could be brought up any more, and the shard would be lost for ever (WR-4)."""
    replicas = replicas_of(cluster)

    assert replicas.leave(MOVIES, {A0: "missed task 1"}) == {A0: "missed task 1"}
    assert replicas.leave(MOVIES, {B0: "ended task 2 differently"}) == {}
    assert replicas.leave(MOVIES, {A1: "x", B1: "y"}) == {A1: "x"}
    assert out_of_sync(cluster) == {A0: "missed task 1", A1: "x"}


async def test_who_has_left_before_keeps_its_reason_and_is_not_saved_again(cluster):
    """The first reason is the one that explains what happened."""
    replicas = replicas_of(cluster)
    replicas.leave(MOVIES, {A0: "missed task 1"})

    assert replicas.leave(MOVIES, {A0: "missed task 2"}) == {}
    assert out_of_sync(cluster) == {A0: "missed task 1"}


async def test_what_is_deleted_or_not_of_this_cluster_is_left_alone(cluster):
    """A late answer of a node must not bring a deleted index back into the view."""
    replicas = replicas_of(cluster)
    record = replace(cluster.view.indexes[MOVIES].record, deleted=True)

    assert replicas.leave(MOVIES, {NodeId("gone"): "x"}) == {}
    cluster.apply_record(record)
    assert replicas.leave(MOVIES, {A0: "x"}) == {}
    assert MOVIES not in cluster.view.indexes


async def test_a_replica_that_catches_up_joins(cluster):
    """Once it has everything, reads may use it again, also after a restart."""
    store = MemoryStore(StillClock())
    replicas = replicas_of(cluster, store)
    await store.set_out_of_sync(MOVIES, A0, "why")
    replicas.leave(MOVIES, {A0: "why"})

    assert not await replicas.join(MOVIES, A0), "it does not catch up yet"
    cluster.apply_catching_up(MOVIES, A0)
    assert await replicas.join(MOVIES, A0)

    assert (out_of_sync(cluster), await store.out_of_sync()) == ({}, {})


async def test_a_replica_that_strays_while_it_joins_stays_out(cluster):
    """The store is asked in between: what happens meanwhile must not be forgotten."""
    store = MemoryStore(StillClock())
    replicas = replicas_of(cluster, store)
    await store.set_out_of_sync(MOVIES, A0, "why")
    replicas.leave(MOVIES, {A0: "why"})
    cluster.apply_catching_up(MOVIES, A0)
    asked, answered = asyncio.Event(), asyncio.Event()

    async def pause(moment):
        if moment == "before set_in_sync":
            asked.set()
            await answered.wait()

    store.pause = pause
    joining = asyncio.ensure_future(replicas.join(MOVIES, A0))
    await asked.wait()
    assert replicas.leave(MOVIES, {A0: "ended task 7 differently"})
    answered.set()

    assert not await joining
    assert out_of_sync(cluster) == {A0: "ended task 7 differently"}


class HeldStore:
    """A store whose transactions end when they are let go; `begun`: what waits in them."""

    def __init__(self):
        self.begun = []
        self.let_go = asyncio.Event()

    async def save_shares(self, shares, *, out_of_sync):
        self.begun.append((shares, dict(out_of_sync)))
        await self.let_go.wait()


async def test_shares_of_many_writes_are_saved_together_when_nobody_leaves(cluster):
    """One after the other, each would wait for the disk by itself."""
    store = HeldStore()
    replicas = replicas_of(cluster, store)
    saves = [asyncio.ensure_future(replicas.save((number,), {})) for number in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert store.begun == [((number,), {}) for number in range(3)]
    store.let_go.set()
    await asyncio.wait(saves)


async def test_who_leaves_is_saved_before_or_after_who_joins_never_meanwhile(cluster):
    """The store would keep the one that came last, and be wrong after a restart."""
    store = HeldStore()
    replicas = replicas_of(cluster, store)
    saves = [asyncio.ensure_future(replicas.save((n,), {A0: "missed"})) for n in range(2)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert store.begun == [((0,), {A0: "missed"})]
    store.let_go.set()
    await asyncio.wait(saves)
    assert len(store.begun) == 2
