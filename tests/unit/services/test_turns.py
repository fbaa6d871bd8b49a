"""Queues by key: places are taken in the order of calls, and nobody who gives up breaks it."""

import asyncio

import pytest

from miroir.services.turns import Turns

pytestmark = pytest.mark.anyio


async def _note(turn, name, seen, *, until=None):
    async with turn:
        seen.append(name)
        if until is not None:
            await until.wait()


async def _settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_order_is_that_of_the_calls_not_of_the_tasks():
    """A deletion may not slip in front of a write whose task has not run yet."""
    turns, seen = Turns(), []
    first, second = turns.take("movies"), turns.take("movies")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_note(second, "second", seen))
        await _settle()
        tasks.create_task(_note(first, "first", seen))

    assert seen == ["first", "second"]


async def test_whoever_gives_up_while_waiting_lets_nobody_overtake():
    """Else a write would be sent while the one before it is still on its way."""
    turns, seen, end = Turns(), [], asyncio.Event()
    places = [turns.take("movies") for _ in range(3)]
    tasks = [asyncio.ensure_future(_note(places[0], "first", seen, until=end))]
    tasks.append(asyncio.ensure_future(_note(places[1], "second", seen)))
    tasks.append(asyncio.ensure_future(_note(places[2], "third", seen)))
    await _settle()

    tasks[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]
    await _settle()
    assert seen == ["first"]

    end.set()
    await asyncio.wait(tasks)
    assert seen == ["first", "third"]


async def test_a_place_that_is_not_used_blocks_nobody_and_lets_nobody_overtake():
    """A deletion that stops waiting gives its places in all lanes back."""
    turns, seen, end = Turns(), [], asyncio.Event()
    first, unused, third = (turns.take("movies") for _ in range(3))
    tasks = [asyncio.ensure_future(_note(first, "first", seen, until=end))]
    unused.give_up()
    tasks.append(asyncio.ensure_future(_note(third, "third", seen)))
    await _settle()
    assert seen == ["first"]

    end.set()
    await asyncio.wait(tasks)
    assert seen == ["first", "third"]


async def test_keys_do_not_wait_for_each_other_and_leave_nothing_behind():
    """One slow index may not hold up another, and names come from clients without a bound."""
    turns, seen = Turns(), []
    held = turns.take("movies")
    await asyncio.wait_for(_note(turns.take("books"), "books", seen), 1)
    async with held:
        assert len(turns) == 1

    assert (seen, len(turns)) == (["books"], 0)
