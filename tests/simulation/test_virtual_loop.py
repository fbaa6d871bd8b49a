"""The loop under the simulation: time jumps, ties are the seed's, and nobody waits for ever."""

import asyncio
import time

import pytest

from tests.support.virtual_loop import (
    Deadlock,
    StepsExceeded,
    VirtualClock,
    VirtualLoop,
    run_virtual,
)


def test_a_year_passes_at_once() -> None:
    """A reindex of hours has to cost nothing."""

    async def main(loop: VirtualLoop) -> float:
        await asyncio.sleep(365 * 86_400)
        return loop.time()

    before = time.process_time()
    assert run_virtual(main) == pytest.approx(365 * 86_400)
    assert time.process_time() - before < 60


def test_timers_fire_in_the_order_of_their_times() -> None:
    """Time may jump, but never go back."""
    fired: list[float] = []

    async def wait(clock: VirtualClock, duration_s: float) -> None:
        await clock.sleep(duration_s)
        fired.append(duration_s)

    async def main(loop: VirtualLoop) -> None:
        clock = VirtualClock(loop)
        async with asyncio.TaskGroup() as group:
            for duration_s in (3.0, 1.0, 2.0, 0.5):
                group.create_task(wait(clock, duration_s))

    run_virtual(main)
    assert fired == [0.5, 1.0, 2.0, 3.0]


def _order(seed: int) -> list[int]:
    order: list[int] = []

    async def wait(number: int) -> None:
        await asyncio.sleep(1.0)
        order.append(number)

    async def main(_: VirtualLoop) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(wait(number))

    run_virtual(main, seed=seed)
    return order


def test_ties_are_broken_by_the_seed() -> None:
    """What happens at the same moment happens in every order, over the seeds."""
    assert _order(1) == _order(1)
    assert len({tuple(_order(seed)) for seed in range(5)}) > 1


def test_waiting_for_what_never_comes_is_a_deadlock() -> None:
    """A hang in a simulation must be an error with names, not a test that never ends."""

    async def forgotten() -> None:
        await asyncio.get_running_loop().create_future()

    async def main(_: VirtualLoop) -> None:
        await asyncio.create_task(forgotten(), name="the forgotten one")

    with pytest.raises(Deadlock, match="the forgotten one"):
        run_virtual(main)


def test_turning_for_ever_is_an_error() -> None:
    """A livelock ends, too."""

    async def main(_: VirtualLoop) -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(StepsExceeded):
        run_virtual(main, rounds_max=1000)


def test_what_is_left_behind_is_ended() -> None:
    """Each run cleans up after itself, so that the next one starts from nothing."""
    ended: list[str] = []

    async def left() -> None:
        try:
            await asyncio.sleep(1e9)
        finally:
            ended.append("left")

    async def main(_: VirtualLoop) -> None:
        _kept.append(asyncio.create_task(left()))
        await asyncio.sleep(1)

    _kept: list[asyncio.Task[None]] = []
    run_virtual(main)
    assert ended == ["left"]


def test_the_wall_clock_may_jump_and_the_monotonic_one_does_not() -> None:
    """Leases are counted by the wall, deadlines are not."""

    async def main(loop: VirtualLoop) -> tuple[int, float]:
        clock = VirtualClock(loop)
        wall_ms, now_s = clock.wall_ms(), clock.monotonic_s()
        clock.wall_offset_ms += 60_000
        await clock.sleep(1.0)
        return clock.wall_ms() - wall_ms, clock.monotonic_s() - now_s

    wall_ms, passed_s = run_virtual(main)
    assert wall_ms == pytest.approx(61_000, abs=1)
    assert passed_s == pytest.approx(1.0)
