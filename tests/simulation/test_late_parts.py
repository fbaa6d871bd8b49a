"""
Parts of writes that reach a node long after they were given up: scenes with a plot.

A node stands still; what it was sent waits in its inbox. Here the inbox is taken away and
delivered when the scene wants it, as a kernel or a network would that had kept it.
"""

import asyncio

from tests.simulation.test_census import logged, out_of_sync
from tests.simulation.test_index_ends import MOVIES, ONE_REPLICA, add, played, serving, until


def value(world, node_id, key="1"):
    """Return what a node holds in the one field of a document."""
    return world.nodes[node_id].documents[MOVIES].get(key, {}).get("v")


async def missed(world, node_id, *ids, to):
    """Write while a node stands still; return what delivers the part that it did not take."""
    node = world.nodes[node_id]
    node.stop()
    await add(world, *ids, value=to)
    await until(lambda: node_id in out_of_sync(world))
    mail, node.inbox = node.inbox, []
    node.go_on()

    def deliver():
        for arrive in mail:
            arrive()
        assert node.disk.tasks[-1].origin == "late"

    return deliver


async def healthy(world, node_id):
    """Wait until a node counts as healthy again."""
    await until(lambda: node_id in world.process.services.common.cluster.view.healthy)


async def filled(world, times):
    """Wait until replicas have been filled so many times."""
    await until(lambda: len(logged(world, "resync_done")) == times)


def test_a_part_that_comes_after_the_copy_has_the_replica_filled_again():
    """It lies over everything that was written since; siblings have never seen it so late."""

    async def scene(world):
        await serving(world)
        await add(world, 1, 2, value=0)
        deliver = await missed(world, "n1", 1, to=1)
        await filled(world, 1)
        await add(world, 1, value=2)
        await until(lambda: value(world, "n1") == 2)
        deliver()
        await until(lambda: value(world, "n1") == 1)
        await until(lambda: value(world, "n1") == 2)

    world = played(scene)
    assert logged(world, "part_came_late")


def test_a_part_that_comes_during_the_copy_has_it_begin_again():
    """What is copied is put under it, not over it."""

    async def scene(world):
        await serving(world)
        await add(world, *range(9), value=0)
        deliver = await missed(world, "n1", 1, to=1)
        await add(world, 1, value=2)
        held = world.nodes["n1"].documents[MOVIES]
        await until(lambda: len(held) == 4)  # Emptied, and two pages of two are there.
        deliver()
        await filled(world, 1)
        assert value(world, "n1") == 2

    world = played(scene)
    assert logged(world, "resync_interrupted")


def test_a_part_that_comes_before_the_copy_does_no_harm():
    """A node that goes on at once finds it first; nothing is copied twice for that."""

    async def scene(world):
        await serving(world)
        await add(world, 1, 2, value=0)
        deliver = await missed(world, "n1", 1, to=1)
        deliver()
        await filled(world, 1)

    world = played(scene)
    assert not logged(world, "part_came_late")
    assert len(logged(world, "resync_begins")) == 1


def test_a_part_that_was_sent_again_behind_its_late_self_does_no_harm():
    """The only replica takes the same part twice in a row: that changes nothing."""

    async def scene(world):
        services = await serving(world)
        await add(world, 1, value=0)
        node = world.nodes["n0"]
        node.stop()
        writing = asyncio.ensure_future(add(world, 1, value=1))
        await asyncio.sleep(4.0)
        node.go_on()
        await writing
        await healthy(world, "n0")
        await add(world, 1, value=2)
        await asyncio.sleep(10.0)
        assert value(world, "n0") == 2
        watched = services.documents.lanes.strays
        await until(lambda: not watched._watched)

    world = played(scene, ONE_REPLICA)
    assert not logged(world, "part_came_late")


def test_the_last_replica_stays_although_a_part_lies_over_later_ones():
    """There is nobody to fill it from; an operator is told."""

    async def scene(world):
        await serving(world)
        await add(world, 1, value=0)
        node = world.nodes["n0"]
        node.stop()
        writing = asyncio.ensure_future(add(world, 1, value=1))
        await asyncio.sleep(4.0)
        mail, node.inbox = node.inbox, []
        node.go_on()
        await writing
        await healthy(world, "n0")
        await add(world, 1, value=2)
        await until(lambda: value(world, "n0") == 2)
        for arrive in mail:
            arrive()
        await until(lambda: logged(world, "last_replica_kept"))
        assert out_of_sync(world) == set()
        await add(world, 1, value=2)

    played(scene, ONE_REPLICA)


def test_what_a_dead_process_may_have_sent_is_recognized_by_the_next():
    """It wrote down that the part was unsent, and died with the request on its way."""

    async def scene(world):
        await serving(world)
        await add(world, 1, 2, value=0)
        node = world.nodes["n1"]
        node.stop()
        writing = asyncio.ensure_future(add(world, 1, value=1))
        await asyncio.sleep(0.5)
        world.process.die("in the middle")
        mail, node.inbox = node.inbox, []
        node.go_on()
        await asyncio.wait({writing})
        await serving(world)
        await until(lambda: value(world, "n1") == 1)
        await add(world, 1, value=2)
        await until(lambda: value(world, "n1") == 2)
        for arrive in mail:
            arrive()
        await until(lambda: value(world, "n1") == 1)
        await until(lambda: value(world, "n1") == 2)

    world = played(scene)
    assert logged(world, "part_came_late")
