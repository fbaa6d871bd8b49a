"""Searches that are waited for: a change may begin when those of before are through."""

import asyncio

from tests.support.virtual_loop import run_virtual

from miroir.services.running import Running


async def waits(running, nodes, within_s=5.0):
    return await running.drained("movies", nodes, within_s=within_s)


def test_a_change_waits_for_searches_on_its_nodes_and_for_no_others():
    """Waiting for everybody would never end under load; waiting for nobody would mix answers."""

    async def main(loop):
        running = Running()
        running.enter("movies", ("b0", "b1"))
        running.enter("books", ("a0",))
        assert await waits(running, {"a0"})
        mine = running.enter("movies", ("a0", "b1"))
        waiting = asyncio.ensure_future(waits(running, {"a0"}))
        await asyncio.sleep(1)
        assert not waiting.done()
        running.leave(mine)
        assert await waiting

    run_virtual(main)


def test_a_search_that_takes_too_long_is_not_waited_for_any_longer():
    """It is thrown away when it ends: no search may hold up a change of settings."""

    async def main(loop):
        running = Running()
        slow = running.enter("movies", ("a0",))
        assert not await waits(running, {"a0"}, within_s=2.0)
        running.leave(slow)
        assert await waits(running, {"a0"})

    run_virtual(main)
