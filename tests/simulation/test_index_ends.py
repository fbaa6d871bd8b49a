"""
What nodes keep of indexes that have ended, and what is made of it: scenes with a plot.

Real services, simulated nodes with documents, no chance: who is cut off when is written here. The
judge of the documents simulation looks at the end: every index deleted through Miroir is gone from
every node, every other one is as the accepted writes have made it.
"""

import asyncio
import random

import orjson
import pytest

from miroir.core.swaps import Swap
from miroir.core.topology import IndexUid
from miroir.errors import NodeRefused, Unavailable
from miroir.ports.node import NodeRequest
from miroir.services import lifecycle
from miroir.services.registrar import SettingsWrite
from miroir.services.swaps import needed_and_down
from miroir.services.writer import DocumentsWrite
from tests.support.docs_run import simulate
from tests.support.sim_faults import FaultPlan

MOVIES, BOOKS = IndexUid("movies"), IndexUid("books")
TWO_REPLICAS, ONE_REPLICA = 8, 0
"""Seeds, for their grids."""


def played(scene, seed=TWO_REPLICAS):
    """Play a scene to its end, and let the judge look."""
    world = simulate(seed, FaultPlan("calm", random.Random(seed), {}), workload=scene)
    tail = "\n".join(world.log[-80:])
    assert world.failure is None, f"{world.failure}\n{tail}"
    return world


async def until(true):
    """Wait in the simulated time; what never comes true ends the run."""
    for _ in range(2000):
        if true():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it does not come true")


async def serving(world):
    """Wait until the process serves, and return its services."""
    await until(lambda: world.process.serves)
    return world.process.services


async def add(world, *ids, key="id", value=1):
    """Write documents of these ids."""
    rows = orjson.dumps([{key: i, "v": value} for i in ids])
    write = DocumentsWrite(MOVIES, "POST", rows, "application/json")
    return await world.process.ask(lambda s: s.documents.writer.add(write))


async def delete(world):
    """Delete the index and wait for the end of that."""
    task = await world.process.ask(lambda s: s.documents.writer.delete_index(MOVIES))
    return await ended(world, task)


async def create(world, key="id"):
    """Create the index and wait for the end of that."""
    task = await world.process.ask(lambda s: s.settings.lifecycle.create_index(MOVIES, key))
    return await ended(world, task)


async def ended(world, task):
    """Return a task as it has ended."""
    while (now := await world.store.task(task.uid)).finished_at_ms is None:
        await asyncio.sleep(0.05)
    return now


def cut_off(world, node_id, *, reachable=False):
    """Take a node off the network, or bring it back."""
    world.nodes[node_id].reachable = reachable


def test_a_node_that_slept_through_a_deletion_loses_the_index_when_it_is_back():
    """Deleted documents on a disk are a breach of what the client was told."""

    async def scene(world):
        await serving(world)
        await add(world, 1, 2)
        cut_off(world, "n1")
        assert (await delete(world)).status == "succeeded"
        assert world.nodes["n1"].documents[MOVIES]

        cut_off(world, "n1", reachable=True)
        await until(lambda: MOVIES not in world.nodes["n1"].disk.indexes)

    played(scene)


def test_a_deletion_is_committed_though_the_only_replica_has_gone_silent():
    """It may carry it out at any time: what is kept in the store would have no documents."""

    async def scene(world):
        await serving(world)
        await add(world, 1)
        cut_off(world, "n0")
        assert (await delete(world)).status == "succeeded"
        cut_off(world, "n0", reachable=True)

    played(scene, ONE_REPLICA)


def test_a_name_can_be_used_again_while_a_node_still_holds_its_old_index():
    """Else one silent node would block the name for ever, or bring deleted documents back."""

    async def scene(world):
        services = await serving(world)
        services.settings.leftovers.look = _nothing  # The creation comes before it.
        await add(world, 1, 2)
        cut_off(world, "n1")
        await delete(world)
        cut_off(world, "n1", reachable=True)
        await asyncio.sleep(5.0)  # Everything that waits for the node hears of it.
        assert world.nodes["n1"].documents[MOVIES]

        assert (await create(world, "key")).status == "succeeded"
        assert world.nodes["n1"].documents[MOVIES] == {}
        assert world.nodes["n1"].disk.indexes[MOVIES].primary_key == "key"

    played(scene)


async def _nothing(_node_id):
    """Look at no node."""


def test_a_node_that_missed_both_an_end_and_a_new_beginning_is_filled_with_the_new_documents():
    """It comes back with another primary key and documents that nobody else has."""

    async def scene(world):
        await serving(world)
        await add(world, 1, 2)
        cut_off(world, "n1")
        await delete(world)
        await create(world, "key")
        await add(world, 7, key="key")
        cut_off(world, "n1", reachable=True)
        await until(lambda: set(world.nodes["n1"].documents.get(MOVIES, {})) == {"7"})

    played(scene)


def test_an_index_that_miroir_has_never_known_is_neither_deleted_nor_taken_over():
    """It is somebody's data; only they can say what is to become of it."""

    async def scene(world):
        await serving(world)
        node = world.nodes["n1"]
        foreign = {"primaryKey": "id", "documents": [{"id": 5}]}
        node.enqueue_documents(MOVIES, "POST", foreign, "somebody")
        await asyncio.sleep(40.0)  # Three sweeps.
        assert node.documents[MOVIES] == {"5": {"id": 5}}

        task = await create(world)
        await asyncio.sleep(40.0)

        assert task.status == "failed"
        assert task.error["code"] == "index_already_exists"
        assert node.documents[MOVIES] == {"5": {"id": 5}}
        assert MOVIES not in world.nodes["n0"].disk.indexes

    played(scene)


def test_what_an_aborted_creation_has_left_on_a_node_is_taken_away():
    """An answer was lost and the way back with it: nobody wants this index."""

    async def scene(world):
        await serving(world)
        world.nodes["n0"].enqueue_documents(
            MOVIES, "POST", {"primaryKey": "id", "documents": [{"id": 5}]}, "somebody"
        )
        waiting = asyncio.ensure_future(create(world))
        await until(lambda: MOVIES in world.nodes["n1"].disk.indexes)
        cut_off(world, "n1")
        assert (await waiting).status == "failed"
        assert MOVIES in world.nodes["n1"].disk.indexes

        cut_off(world, "n1", reachable=True)
        await until(lambda: MOVIES not in world.nodes["n1"].disk.indexes)

    played(scene)


@pytest.mark.parametrize("made_their_own", ["documents", "settings", "key"])
def test_what_somebody_has_made_their_own_after_an_aborted_creation_stays(made_their_own):
    """Only what is still as the creation would have left it can be told to be ours."""

    async def scene(world):
        await serving(world)
        world.nodes["n0"].enqueue_documents(
            MOVIES, "POST", {"primaryKey": "id", "documents": [{"id": 5}]}, "somebody"
        )
        node = world.nodes["n1"]
        waiting = asyncio.ensure_future(create(world))
        await until(lambda: MOVIES in node.disk.indexes)
        cut_off(world, "n1")
        if made_their_own == "documents":
            node.enqueue_documents(
                MOVIES,
                "POST",
                {"primaryKey": "id", "documents": [{"id": 6}, {"id": 7}]},
                "somebody",
            )
        elif made_their_own == "settings":
            node.handle_settings_patch(MOVIES, {"stopWords": ["the"]}, "somebody")
        else:
            node.handle_update(MOVIES, "another", "somebody")
        await waiting
        cut_off(world, "n1", reachable=True)
        await asyncio.sleep(40.0)  # Three sweeps.
        assert MOVIES in node.disk.indexes

    played(scene)


def test_an_index_made_by_somebody_where_an_aborted_creation_was_undone_stays():
    """The node was read back without ours: what is there now is not ours."""

    async def scene(world):
        await serving(world)
        world.nodes["n0"].enqueue_documents(
            MOVIES, "POST", {"primaryKey": "id", "documents": [{"id": 5}]}, "somebody"
        )
        assert (await create(world)).status == "failed"
        assert MOVIES not in world.nodes["n1"].disk.indexes
        world.nodes["n1"].handle_create(MOVIES, "id", "somebody")
        await asyncio.sleep(40.0)  # Three sweeps.
        assert MOVIES in world.nodes["n1"].disk.indexes

    played(scene)


def test_a_creation_behind_a_deletion_that_was_refused_does_not_touch_the_index():
    """It was accepted because the index was to end; now it holds everything it held before."""

    async def scene(world):
        await serving(world)
        await add(world, 1)
        node = world.nodes["n0"]
        no = {"message": "no", "code": "invalid_api_key", "type": "auth", "link": ""}

        def refuse(*_):
            raise NodeRefused(403, no)

        node.handle_delete = refuse
        ending = await world.process.ask(lambda s: s.documents.writer.delete_index(MOVIES))
        created = await create(world)
        del node.handle_delete

        assert (await ended(world, ending)).error == no
        assert (created.status, created.error["code"]) == ("failed", "index_already_exists")
        assert set(node.documents[MOVIES]) == {"1"}

    played(scene, ONE_REPLICA)


def test_a_write_does_not_wait_for_ever_for_its_index_nor_holds_up_others():
    """A client is told to come again; what was accepted meanwhile was not kept waiting."""

    async def scene(world):
        services = await serving(world)
        node = world.nodes["n0"]
        node._duration_s = lambda task: 300.0 if task.index_uid == MOVIES else 0.01
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        write = asyncio.ensure_future(add(world, 1))
        await until(lambda: MOVIES in services.common.cluster.view.indexes)
        patch = {"stopWords": ["the"]}
        request = NodeRequest("PATCH", "/settings", orjson.dumps(patch), "application/json")
        change = SettingsWrite(MOVIES, patch, request, resets=False)
        await world.process.ask(lambda s: s.settings.registrar.change_settings(change))
        assert not write.done()

        with pytest.raises(Unavailable):
            await write
        assert loop.time() - began_s < lifecycle.READY_MAX_S + 5
        del node._duration_s

    played(scene, ONE_REPLICA)


async def set_key(world, key):
    """Change the primary key and wait for the end of that."""
    task = await world.process.ask(lambda s: s.settings.lifecycle.update_index(MOVIES, key))
    return await ended(world, task)


def test_a_node_that_slept_through_a_change_of_primary_key_gets_it_when_it_is_back():
    """It would refuse the next documents, and be emptied and filled again for that."""

    async def scene(world):
        await serving(world)
        await create(world)
        cut_off(world, "n1")
        assert (await set_key(world, "sku")).status == "succeeded"

        cut_off(world, "n1", reachable=True)
        await until(lambda: world.nodes["n1"].disk.indexes[MOVIES].primary_key == "sku")

    played(scene)


def test_while_a_primary_key_changes_every_answer_is_of_one_version():
    """Settings stay what they are: a flag, or a refused floor, would be for nothing."""

    async def scene(world):
        services = await serving(world)
        await create(world)
        view = services.common.cluster
        await until(lambda: len(view.view.indexes[MOVIES].proved) == 2)
        task = await world.process.ask(lambda s: s.settings.lifecycle.update_index(MOVIES, "sku"))
        while (await world.store.task(task.uid)).finished_at_ms is None:
            assert set(view.view.indexes[MOVIES].proved) == {"n0", "n1"}
            await asyncio.sleep(0.001)

    played(scene)


def test_a_swap_that_waits_for_a_node_can_be_taken_back_and_what_is_behind_it_goes_on():
    """With the only replica of a shard away for a day, every change of both indexes would wait."""

    async def scene(world):
        await serving(world)
        await create(world)
        books = await world.process.ask(lambda s: s.settings.lifecycle.create_index(BOOKS, "id"))
        await ended(world, books)
        cut_off(world, "n0")
        view = world.process.services.common.cluster
        await until(lambda: "n0" not in view.view.healthy)
        swaps = (Swap(MOVIES, BOOKS),)
        swap = await world.process.ask(lambda s: s.documents.swapper.swap(swaps))
        await asyncio.sleep(5.0)
        assert needed_and_down(view.view, (BOOKS, MOVIES)) == ("n0",)
        deletion = await world.process.ask(lambda s: s.settings.lifecycle.delete_index(BOOKS))

        keeper = world.process.services.documents.queue.keeper
        assert await keeper.withdraw(swap.intent_id)
        assert (await ended(world, swap)).status == "canceled"
        assert (await ended(world, deletion)).status == "succeeded"
        assert not await keeper.withdraw(swap.intent_id)
        cut_off(world, "n0", reachable=True)

    played(scene, ONE_REPLICA)
