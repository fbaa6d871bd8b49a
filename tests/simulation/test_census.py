"""
Replicas that have lost something unnoticed: scenes with a plot.

Real services, simulated nodes with documents, no chance. The judge of the documents simulation
looks at the end: every replica of a shard holds what the accepted writes have led to.
"""

import asyncio

import orjson
import pytest

from miroir.ports.node import NodeRequest
from miroir.services.registrar import SettingsWrite
from tests.simulation.test_index_ends import (
    MOVIES,
    TWO_REPLICAS,
    add,
    cut_off,
    played,
    serving,
    until as comes_true,
)

THREE_REPLICAS = 16
SWEEP_S = 15.0
"""A little longer than the configured interval."""


def logged(world, text):
    """Return the lines of the log that speak of this."""
    return [line for line in world.log if text in line]


def out_of_sync(world):
    """Return the replicas of the index that are out of sync."""
    return set(world.process.services.common.cluster.view.indexes[MOVIES].out_of_sync)


def test_a_replica_that_was_given_a_fresh_index_by_the_next_documents_is_filled():
    """It fails no write and its settings are right; yet it answers without the old documents."""

    async def scene(world):
        await serving(world)
        await add(world, 1, 2, 3)
        await asyncio.sleep(SWEEP_S)
        world.nodes["n1"].lose(MOVIES)
        await add(world, 4)
        await comes_true(
            lambda: set(world.nodes["n1"].documents.get(MOVIES, {})) == {"1", "2", "3", "4"}
        )

    world = played(scene)
    assert logged(world, "its index is not the one that it had")


def test_what_a_replica_lost_while_miroir_was_down_is_noticed():
    """Maintenance takes both down together; memory alone would believe what it finds."""

    async def scene(world):
        await serving(world)
        await add(world, 1, 2, 3)
        await asyncio.sleep(SWEEP_S)
        world.process.die("maintenance")
        world.nodes["n1"].lose(MOVIES)
        await serving(world)
        await add(world, 4)
        await comes_true(
            lambda: set(world.nodes["n1"].documents.get(MOVIES, {})) == {"1", "2", "3", "4"}
        )

    played(scene)


def test_a_node_that_was_restored_while_miroir_was_down_is_filled_although_it_holds_as_many():
    """An update changes no number and no birth; only the task uids tell that time went back."""

    async def scene(world):
        await serving(world)
        node = world.nodes["n1"]
        await add(world, 1, 2)
        await asyncio.sleep(SWEEP_S)
        before = node.snapshot()
        for value in range(3):
            await add(world, 1, value=value)
        await asyncio.sleep(SWEEP_S)
        world.process.die("maintenance")
        node.come_back_as(before)
        await comes_true(lambda: node.documents[MOVIES].get("1", {}).get("v") == 2)

    world = played(scene)
    assert logged(world, "it has come back as it was earlier")


def test_the_majority_of_three_fills_the_one_that_differs():
    """Somebody has deleted a document on one node: two cannot both be wrong in the same way."""

    async def scene(world):
        await serving(world)
        await add(world, 1, 2)
        world.nodes["n1"].enqueue_documents(MOVIES, "/delete-batch", {"ids": ["1"]}, "somebody")
        await asyncio.sleep(SWEEP_S)
        await comes_true(lambda: set(world.nodes["n1"].documents.get(MOVIES, {})) == {"1", "2"})

    played(scene, THREE_REPLICAS)


def test_of_two_that_differ_without_a_reason_none_is_dropped_and_an_operator_is_told_once():
    """Either may be right; to copy the wrong one over the other would destroy what is left."""

    async def scene(world):
        await serving(world)
        await add(world, 1, 2)
        extra = {"primaryKey": "id", "documents": [{"id": 9}]}
        world.nodes["n1"].enqueue_documents(MOVIES, "POST", extra, "somebody")
        await asyncio.sleep(4 * SWEEP_S)
        assert out_of_sync(world) == set()
        assert set(world.nodes["n1"].documents.get(MOVIES, {})) == {"1", "2", "9"}
        del world.nodes["n1"].documents[MOVIES]["9"]  # The operator has seen to it.

    world = played(scene)
    assert len(logged(world, "replicas_disagree")) == 1


def test_nobody_is_dropped_while_nobody_is_there_who_has_kept_what_is_missing():
    """The loser still holds the newest writes; it is filled when its sibling is back."""

    async def scene(world):
        await serving(world)
        await add(world, 1, 2)
        await asyncio.sleep(SWEEP_S)
        cut_off(world, "n0")
        world.nodes["n1"].lose(MOVIES)
        world.nodes["n1"].enqueue_documents(
            MOVIES, "POST", {"primaryKey": "id", "documents": [{"id": 9}]}, "somebody"
        )
        await asyncio.sleep(2 * SWEEP_S)
        assert out_of_sync(world) == set()

        cut_off(world, "n0", reachable=True)
        await comes_true(lambda: set(world.nodes["n1"].documents.get(MOVIES, {})) == {"1", "2"})

    played(scene)


def test_two_that_were_both_born_anew_are_left_to_an_operator():
    """There is nothing to fill either of them from."""

    async def scene(world):
        await serving(world)
        await add(world, 1)
        await asyncio.sleep(SWEEP_S)
        for node in world.nodes.values():
            node.births[MOVIES] += 1000
        await asyncio.sleep(2 * SWEEP_S)
        assert out_of_sync(world) == set()

    world = played(scene, TWO_REPLICAS)
    assert len(logged(world, "replicas_disagree")) == 1


@pytest.mark.parametrize("seed", [TWO_REPLICAS, THREE_REPLICAS])
def test_writes_under_way_are_no_difference(seed):
    """Numbers are never read at one moment; nobody may be dropped, or told of, for that."""

    async def scene(world):
        services = await serving(world)
        await add(world, 0)

        async def write():
            for number in range(120):
                await add(world, number)
                await asyncio.sleep(0.01 * world.chance.random())

        writing = asyncio.ensure_future(write())
        while not writing.done():
            await services.documents.census.take()
            await asyncio.sleep(0.01)
        await writing

    world = played(scene, seed)
    assert not logged(world, "replica_out_of_sync")
    assert not logged(world, "replicas_disagree")


def test_a_replica_that_was_given_its_index_back_is_not_dropped_for_that():
    """Its index is a new one because Miroir made it; once filled it must be believed."""

    async def scene(world):
        await serving(world)
        await add(world, 1, 2)
        await asyncio.sleep(SWEEP_S)
        world.nodes["n1"].lose(MOVIES)
        await comes_true(lambda: logged(world, "resync_done"))
        await asyncio.sleep(4 * SWEEP_S)

    world = played(scene)
    assert len(logged(world, "replica_out_of_sync")) <= 1
    assert len(logged(world, "set_out_of_sync")) == 1
    assert len(logged(world, "resync_done")) == 1


def test_a_replica_that_cannot_be_filled_now_is_tried_ever_more_rarely():
    """The only one that has everything has lost its index: nothing is won by asking for ever."""

    async def scene(world):
        await serving(world)
        await add(world, 1, 2)
        cut_off(world, "n1")
        await add(world, 3)
        await comes_true(lambda: out_of_sync(world) == {"n1"})
        node = world.nodes["n0"]
        await comes_true(lambda: "3" in node.documents[MOVIES])
        kept = node.snapshot()
        node.lose(MOVIES)
        cut_off(world, "n1", reachable=True)
        await asyncio.sleep(300.0)
        assert 3 < len(logged(world, "resync_interrupted")) < 12
        node.come_back_as(kept)

    played(scene)


def test_an_index_that_was_given_back_gets_its_settings_at_once():
    """The copy waits for them, and a sweep may take minutes: a shard one replica short so long."""

    async def scene(world):
        await serving(world)
        await add(world, 1, 2)
        patch = {"synonyms": {"a": ["b"]}}
        request = NodeRequest("PATCH", "/settings", orjson.dumps(patch), "application/json")
        write = SettingsWrite(MOVIES, patch, request, resets=False)
        await world.process.ask(lambda s: s.settings.registrar.change_settings(write))
        await asyncio.sleep(SWEEP_S)
        world.nodes["n1"].lose(MOVIES)
        await comes_true(lambda: logged(world, "index_given_back"))
        await asyncio.sleep(1.0)
        assert logged(world, "'faults': ('synonyms',), 'action': 'repair'")

    played(scene)
