"""What is to be looked at soon: each once, and nothing lost."""

import asyncio

import pytest

from miroir.services.urgent import Urgent

pytestmark = pytest.mark.anyio


async def test_what_is_asked_for_twice_is_looked_at_once_in_the_order_of_asking():
    """A node that flaps while nobody looks would leave a queue that takes hours."""
    urgent = Urgent()
    for what in ["n1", "n0", "n1", "n1"]:
        urgent.put(what)

    assert [await urgent.take(), await urgent.take(), len(urgent)] == ["n1", "n0", 0]


async def test_what_is_asked_for_while_it_is_being_looked_at_is_looked_at_again():
    """It may have changed after it was read."""
    urgent = Urgent()
    urgent.put("n1")
    assert await urgent.take() == "n1"
    urgent.put("n1")

    assert await urgent.take() == "n1"


async def test_who_waits_is_woken_each_time():
    """One wake-up that is lost is a node that nobody looks at."""
    urgent, seen = Urgent(), []

    async def look():
        while len(seen) < 3:
            seen.append(await urgent.take())

    looking = asyncio.ensure_future(look())
    for what in range(3):
        await asyncio.sleep(0)
        urgent.put(what)
    await asyncio.wait_for(looking, 5)

    assert seen == [0, 1, 2]
