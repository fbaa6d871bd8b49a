"""Where reads wait for a switch that other processes make as well."""

import asyncio

from tests.support.virtual_loop import run_virtual

from miroir.services.gate import Gate


def test_a_read_waits_for_the_switch_of_its_index_and_of_no_other():
    """A switch of one index is nothing that searches of another should feel."""

    async def main(loop):
        gate = Gate()
        gate.close(1, ["movies"])
        await asyncio.wait_for(gate.passed("books"), 1)
        waiting = asyncio.ensure_future(gate.passed("movies"))
        await asyncio.sleep(1)
        assert gate.closed
        assert not waiting.done()
        gate.open(1)
        await waiting
        assert not gate.closed

    run_virtual(main)


def test_two_switches_of_one_index_are_both_waited_for():
    """The first to end must not open what the second has closed."""

    async def main(loop):
        gate = Gate()
        gate.close(1, ["movies"])
        gate.close(2, ["movies", "books"])
        waiting = asyncio.ensure_future(gate.passed("movies"))
        gate.open(1)
        await asyncio.sleep(1)
        assert not waiting.done()
        gate.open(2)
        await waiting
        gate.open(2)  # Told twice, or by somebody who had closed nothing: nothing happens.
        assert not gate.closed

    run_virtual(main)
