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
from heapq import heapify, heappop, heappush
from typing import Any, Final, TypeVar

Result = TypeVar("Result")

_TIE_S: Final = 1e-7
_RESOLUTION_S: Final = 1e-8
"""What a float still tells apart after a year."""
_CANCELLED_MAX: Final = 200
_EPOCH_MS: Final = 1_700_000_000_000


class Deadlock(Exception):
    """Nothing is ready, no timer is set, and the main task has not ended."""


class StepsExceeded(Exception):
    """The run turns for ever: more rounds of the loop than the caller allows."""


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
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timers_set = 0
        self._timers_cancelled = 0
        self.after_round: Callable[[], None] = lambda: None
        self.rounds = 0

    def time(self) -> float:
        """Seconds since the run began."""
        return self._now_s

    def call_at(  # type: ignore[override]  # typeshed spells it with a TypeVarTuple
        self, when: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """Set a timer; ties are broken by the seed, not by who came first."""
        when += self._chance.random() * _TIE_S
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timers_set += 1
        heappush(self._timers, (when, self._timers_set, timer))
        return timer

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """Set a timer."""
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def let_run(self) -> None:
        """Allow as many rounds again: for what has to be cleaned up."""
        self.rounds = 0

    def waiting(self) -> str:
        """Name the tasks that can never go on."""
        names = sorted(f"{t.get_name()} {t.get_coro()!r}" for t in asyncio.all_tasks(self))
        return "nothing is left to do, but these tasks wait: " + "; ".join(names)

    def _run_once(self) -> None:
        """Run what is ready; if nothing is, let time jump to the next timer and run that."""
        ready: Any = self._ready  # type: ignore[attr-defined]  # BaseEventLoop's own queue
        if not ready:
            self._jump()
        until_s, timers = self._now_s + _RESOLUTION_S, self._timers
        while timers and timers[0][0] < until_s:
            timer = heappop(timers)[2]
            ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()
        self.rounds += 1
        if self.rounds > self._rounds_max:
            raise StepsExceeded(f"{self.rounds} rounds at {self._now_s:.3f} s")
        self.after_round()

    def _jump(self) -> None:
        """Instead of waiting, move the time on."""
        if self._stopping:  # type: ignore[attr-defined]
            return
        if self._timers_cancelled > _CANCELLED_MAX:
            self._timers = [entry for entry in self._timers if not entry[2]._cancelled]
            heapify(self._timers)
            self._timers_cancelled = 0
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heappop(timers)
        if not timers:
            raise Deadlock(self.waiting())
        self._now_s = max(self._now_s, timers[0][0])

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self._timers_cancelled += 1

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

    def at_ms(self, at_s: float) -> int:
        """Return what the wall clock shows, as it goes now, at a moment of the loop's time."""
        return _EPOCH_MS + self.wall_offset_ms + round(at_s * 1000)

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
