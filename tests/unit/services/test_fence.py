"""What readers have to know before the main process may act; see tests/simulation as well."""

import asyncio

from tests.support.reader_world import MOVIES, NODES, ReaderWorld, record
from tests.support.virtual_loop import run_virtual

from miroir.ports.reader import Picture


def at_version_one(world):
    world.cluster.apply_record(record(1))
    world.cluster.apply_proof(MOVIES, NODES, 1)


def test_without_readers_nothing_waits():
    """One process is the usual case, and must not pay for the other one."""

    async def main(loop):
        world = ReaderWorld(loop)
        at_version_one(world)
        assert not world.fence.behind
        await world.fence.synced()
        await world.commit(2)
        assert loop.time() < 0.02

    run_virtual(main)


def test_a_step_of_the_view_is_known_to_every_reader_when_synced_returns():
    """A node leaves every reader's view before a PATCH leaves for it."""

    async def main(loop):
        world = ReaderWorld(loop)
        at_version_one(world)
        readers = [world.reader(), world.reader(lambda: 0.3)]
        await world.fence.synced()
        world.cluster.apply_demotion(MOVIES, [NODES[0]])
        assert world.fence.behind
        await world.fence.synced()
        for reader in readers:
            assert NODES[0] not in reader.cluster.view.indexes[MOVIES].proved
            assert reader.cluster.view.indexes[MOVIES].stirred == {NODES[0]: 1}

    run_virtual(main)


def test_what_has_not_changed_does_not_travel_again():
    """Settings may be megabytes, and a change has dozens of steps."""

    async def main(loop):
        world = ReaderWorld(loop)
        at_version_one(world)
        world.cluster.apply_record(record(1, "books"))
        reader = world.reader()
        await world.fence.synced()
        del reader.heard[:]
        world.cluster.apply_demotion(MOVIES, [NODES[0]])
        await world.fence.synced()
        (picture,) = reader.heard
        assert [(seen.uid, seen.record) for seen in picture.changed] == [(MOVIES, None)]
        assert reader.cluster.view.indexes[MOVIES].record == record(1)

    run_virtual(main)


def test_an_index_that_is_gone_and_keys_that_change_are_known():
    """A reader must neither answer for a deleted index nor open to a deleted key."""

    async def main(loop):
        world = ReaderWorld(loop)
        at_version_one(world)
        world.keys.take_over(["a", "b"], {"a": {"actions": ["search"]}, "b": {}})
        reader = world.reader()
        await world.fence.synced()
        assert reader.keys.definition("a") == {"actions": ["search"]}
        assert reader.keys.uid_of("value-of-b") == "b"
        world.keys.take_over(["a", "b"], {"b": {}})
        world.cluster.apply_record(record(1, "books"))
        world.cluster.take_over(healthy=NODES, changed=[], gone=[MOVIES])
        await world.fence.synced()
        assert list(reader.cluster.view.indexes) == ["books"]
        assert reader.keys.definition("a") is None
        assert reader.keys.is_ours("a"), "it is refused here, not put to the nodes"

    run_virtual(main)


def test_a_reader_that_does_not_confirm_is_ended_before_anything_goes_on():
    """It might answer by what it last believed: only one that is gone cannot."""

    async def main(loop):
        world = ReaderWorld(loop)
        at_version_one(world)
        good, bad = world.reader(), world.reader()
        await world.fence.synced()
        bad.hangs = True
        world.cluster.apply_demotion(MOVIES, [NODES[0]])
        async with asyncio.TaskGroup() as group:  # Two who wait for the same.
            group.create_task(world.fence.synced())
            group.create_task(world.fence.synced())
        assert bad.gone
        assert not good.gone
        assert 2 <= loop.time() < 3
        await world.fence.synced()
        assert loop.time() < 3, "nobody waits for it any more"

    run_virtual(main)


def test_who_gives_up_waiting_leaves_the_end_of_a_reader_to_the_others():
    """A client that goes away must not leave a reader half ended, and everybody waiting."""

    async def main(loop):
        world = ReaderWorld(loop)
        reader = world.reader()
        await world.fence.synced()
        reader.hangs = True
        at_version_one(world)
        leaving = asyncio.ensure_future(world.fence.synced())
        staying = asyncio.ensure_future(world.fence.synced())
        while not reader.gone:
            await asyncio.sleep(0.001)
        leaving.cancel()
        await asyncio.wait_for(staying, 1)
        assert not world.fence.behind

    run_virtual(main)


def test_a_reader_that_joins_in_a_switch_is_closed_until_its_end():
    """Else it would answer with the old version after the others have the new one."""

    async def main(loop):
        world = ReaderWorld(loop)
        at_version_one(world)
        world.reader()
        await world.fence.synced()
        async with world.fence.switching([MOVIES]):
            late = world.reader()
            await asyncio.sleep(0.1)
            assert late.gate.closed
            world.cluster.apply_record(record(2))
        await world.fence.synced()
        assert late.version == 2
        assert not late.gate.closed

    run_virtual(main)


def test_the_gates_open_again_when_a_commit_fails():
    """The store may refuse: searches must not wait for ever."""

    async def main(loop):
        world = ReaderWorld(loop)
        at_version_one(world)
        reader = world.reader()
        try:
            async with world.fence.switching([MOVIES]):
                assert reader.gate.closed
                raise OSError("the disk is full")
        except OSError:
            pass
        await asyncio.sleep(0.1)
        assert not reader.gate.closed
        assert reader.version == 1

    run_virtual(main)


def test_a_drain_waits_for_searches_of_every_process():
    """Their answers would mix: the nodes are about to be changed under them."""

    async def main(loop):
        world = ReaderWorld(loop)
        at_version_one(world)
        first, second = world.reader(), world.reader()
        here = world.running.enter(MOVIES, (NODES[0],))
        there = second.running.enter(MOVIES, (NODES[0],))
        drained = asyncio.ensure_future(world.fence.drained(MOVIES, [NODES[0]], within_s=5))
        await asyncio.sleep(0.5)
        world.running.leave(here)
        await asyncio.sleep(0.5)
        assert not drained.done()
        second.running.leave(there)
        assert await drained
        assert first.heard
        assert not world.fence.behind, "a question is answered, and never confirmed"

    run_virtual(main)


def test_a_drain_is_over_for_a_reader_that_has_ended_and_gives_up_on_one_that_is_slow():
    """No search may hold up a change for ever, and the dead run none."""

    async def main(loop):
        world = ReaderWorld(loop)
        at_version_one(world)
        reader = world.reader()
        reader.running.enter(MOVIES, (NODES[0],))
        assert not await world.fence.drained(MOVIES, [NODES[0]], within_s=1)
        drained = asyncio.ensure_future(world.fence.drained(MOVIES, [NODES[0]], within_s=9))
        await asyncio.sleep(0.5)
        world.fence.leave(reader)
        assert await drained
        assert loop.time() < 2

    run_virtual(main)


def test_a_reader_that_hangs_is_found_without_anything_to_be_done():
    """It takes requests and answers none: clients must not be the ones to find out."""

    async def main(loop):
        world = ReaderWorld(loop)
        good, bad = world.reader(), world.reader()
        looking = asyncio.ensure_future(world.fence.run())
        await asyncio.sleep(3)
        bad.hangs = True
        await asyncio.sleep(5)
        assert bad.gone
        assert not good.gone
        looking.cancel()

    run_virtual(main)


def test_many_steps_at_once_are_one_message():
    """A deletion of a thousand indexes is a thousand steps of the view."""

    async def main(loop):
        world = ReaderWorld(loop)
        reader = world.reader()
        await world.fence.synced()
        del reader.heard[:]
        for number in range(20):
            world.cluster.apply_record(record(1, f"index{number}"))
        await world.fence.synced()
        (picture,) = reader.heard
        assert isinstance(picture, Picture)
        assert len(picture.changed) == 20

    run_virtual(main)
