"""
An asyncio loop whose time jumps: no sockets, no threads, nothing waits in real time.

    every ready callback ─▶ none left ─▶ time := that of the next timer ─▶ ...

Rules: one seed, one order of events (timers that fall together are ordered by the seed). A loop
with nothing ready and no timer can never go on: that is `Deadlock`, and the message names the
tasks that wait. What runs under this loop asks it for the time (`VirtualClock`).
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

_TIE_S = 1e-7
_EPOCH_MS = 1_700_000_000_000


class Deadlock(Exception):
    """Nothing is ready, no timer is set, and the main task has not ended."""


class StepsExceeded(Exception):
    """The run turns for ever: more rounds of the loop than the caller allows."""


class _Jump:
    """Stands where a selector would: instead of waiting, it moves the time on."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Deadlock(self._loop.waiting())
        if timeout > 0:
            self._loop.jump(timeout)
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """
    The loop; one per run, never used twice.

    Attributes:
        after_round: Called after every round of callbacks: there a checker looks at the world.
        rounds: How many rounds have been run.
    """

    def __init__(self, chance: random.Random, *, rounds_max: int = 1_000_000) -> None:
        super().__init__()
        self._chance = chance
        self._now_s = 0.0
        self._rounds_max = rounds_max
        self._selector = _Jump(self)
        self._clock_resolution = 1e-8  # What a float still tells apart after a year.
        self.after_round: Callable[[], None] = lambda: None
        self.rounds = 0

    def time(self) -> float:
        """Seconds since the run began."""
        return self._now_s

    def jump(self, duration_s: float) -> None:
        """Let time pass at once."""
        self._now_s += max(0.0, duration_s)

    def call_at(  # type: ignore[override]  # typeshed spells it with a TypeVarTuple
        self, when: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """Set a timer; ties are broken by the seed, not by who came first."""
        when += self._chance.random() * _TIE_S
        return super().call_at(when, callback, *args, context=context)

    def let_run(self) -> None:
        """Allow as many rounds again: for what has to be cleaned up."""
        self.rounds = 0

    def waiting(self) -> str:
        """Name the tasks that can never go on."""
        names = sorted(f"{t.get_name()} {t.get_coro()!r}" for t in asyncio.all_tasks(self))
        return "nothing is left to do, but these tasks wait: " + "; ".join(names)

    def _run_once(self) -> None:
        super()._run_once()  # type: ignore[misc]  # BaseEventLoop's own hook
        self.rounds += 1
        if self.rounds > self._rounds_max:
            raise StepsExceeded(f"{self.rounds} rounds at {self._now_s:.3f} s")
        self.after_round()

    def _process_events(self, event_list: list[Any]) -> None:
        """There are no file descriptors."""

    def _write_to_self(self) -> None:
        """Nobody sleeps in a selector, so nobody is to be woken."""


class VirtualClock:
    """The Clock port over a virtual loop; `wall_ms` follows it from a fixed day on."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.wall_offset_ms = 0

    def monotonic_s(self) -> float:
        """See `Clock.monotonic_s`."""
        return self._loop.time()

    def wall_ms(self) -> int:
        """See `Clock.wall_ms`; a jump of the machine's clock is a change of `wall_offset_ms`."""
        return _EPOCH_MS + self.wall_offset_ms + round(self._loop.time() * 1000)

    async def sleep(self, duration_s: float) -> None:
        """See `Clock.sleep`."""
        await asyncio.sleep(duration_s)


def run_virtual(
    main: Callable[[VirtualLoop], Coroutine[Any, Any, Result]],
    *,
    seed: int = 0,
    rounds_max: int = 1_000_000,
) -> Result:
    """
    Run `main` to its end under a fresh loop, and end what it left behind.

    Raises:
        Deadlock: Nothing can happen any more, and `main` has not ended.
        StepsExceeded: It turns for ever.
    """
    loop = VirtualLoop(random.Random(seed), rounds_max=rounds_max)
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main(loop))
    finally:
        try:
            _cancel_all(loop)
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def _cancel_all(loop: VirtualLoop) -> None:
    loop.after_round = lambda: None
    loop.let_run()
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(_settled(left))


async def _settled(tasks: set["asyncio.Task[Any]"]) -> None:
    await asyncio.wait(tasks, timeout=60)
