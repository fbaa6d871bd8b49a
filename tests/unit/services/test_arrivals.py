"""Who has taken a write, as answers come."""

import asyncio

import pytest
from tests.support.virtual_loop import run_virtual

from miroir.services.arrivals import Arrivals


def test_what_counts_is_the_shard_that_fewest_have_taken():
    """A write of which one part is nowhere has reached nobody."""
    arrivals = Arrivals()
    arrivals.note(0, "a")
    arrivals.note(0, "b")
    arrivals.note(0, "b")
    assert arrivals.least([0], ()) == 2
    assert arrivals.least([0, 1], ()) == 0
    arrivals.note(1, "c")
    assert arrivals.least([0, 1], ()) == 1


def test_who_has_left_counts_no_more():
    """It serves nothing: its copy is none that a read could find."""
    arrivals = Arrivals()
    arrivals.note(0, "a")
    arrivals.note(0, "b")
    assert arrivals.least([0], {"b"}) == 1


def test_as_many_as_are_needed_are_waited_for_and_no_longer():
    """The slowest replica of three is nobody's business who asked for two."""

    async def main(loop):
        arrivals, left = Arrivals(), set()
        loop.call_later(1, arrivals.note, 0, "a")
        loop.call_later(2, left.add, "a")
        loop.call_later(3, arrivals.note, 0, "b")
        loop.call_later(4, arrivals.note, 0, "c")
        loop.call_later(9, arrivals.note, 0, "d")

        assert await arrivals.reached(2, {0}, lambda: left, within_s=8)

        assert loop.time() == pytest.approx(4, abs=0.01)
        assert not await arrivals.reached(4, {0}, lambda: left, within_s=2)
        assert loop.time() == pytest.approx(6, abs=0.01)

    run_virtual(main)


def test_the_wait_ends_at_its_time_though_answers_keep_coming():
    """Each of them wakes it up."""

    async def main(loop):
        arrivals = Arrivals()
        for second in range(1, 30):
            loop.call_later(second, arrivals.note, 0, "a")
        async with asyncio.timeout(20):
            assert not await arrivals.reached(2, {0}, lambda: (), within_s=5)
        assert loop.time() == pytest.approx(5, abs=0.01)

    run_virtual(main)
