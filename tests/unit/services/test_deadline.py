"""The moment until which somebody waits."""

import asyncio

import pytest
from tests.support.virtual_loop import run_virtual

from miroir.services.deadline import until, within


def test_a_call_has_its_own_time_where_nobody_waits_for_less():
    """Most clients say nothing."""

    async def main(loop):
        assert until(30) == loop.time() + 30

    run_virtual(main)


def test_the_nearest_deadline_holds_also_for_what_is_done_in_between():
    """A retry is within the client's time, not in a time of its own."""

    async def main(loop):
        start_s = loop.time()
        with within(2):
            await asyncio.sleep(1.5)
            assert until(30) == start_s + 2
            assert until(0.1) == pytest.approx(start_s + 1.6, abs=0.01)
            with within(60):
                assert until(30) == start_s + 2
            async with asyncio.TaskGroup() as group:
                assert await group.create_task(_ask()) == start_s + 2
        assert until(30) == loop.time() + 30

    async def _ask():
        return until(30)

    run_virtual(main)


def test_requests_do_not_share_their_deadlines():
    """One client's hurry must not end another one's search."""

    async def main(loop):
        start_s = loop.time()

        async def hurried():
            with within(1):
                await asyncio.sleep(0.5)
                return until(30)

        async def patient():
            await asyncio.sleep(0.2)
            return until(30)

        assert await asyncio.gather(hurried(), patient()) == pytest.approx(
            [start_s + 1, start_s + 30.2], abs=0.01
        )

    run_virtual(main)
