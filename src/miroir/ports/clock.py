"""Time and chance, as the services see them. The only file that may touch the real clock."""

import asyncio
import random
import time
from typing import Protocol


class Clock(Protocol):
    """Source of time."""

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment; never goes back. For deadlines and leases."""
        ...

    def wall_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC; may jump. For records only, never for decisions."""
        ...

    async def sleep(self, duration_s: float) -> None:
        """Return after `duration_s` seconds of this clock."""
        ...


class Chance(Protocol):
    """Source of chance; a `random.Random` with a seed is one."""

    def uniform(self, a: float, b: float) -> float:
        """Return a number from `a` to `b`, each as likely."""
        ...


class SystemClock:
    """The clock of the machine."""

    def monotonic_s(self) -> float:
        """See `Clock.monotonic_s`."""
        return asyncio.get_running_loop().time()

    def wall_ms(self) -> int:
        """See `Clock.wall_ms`."""
        return time.time_ns() // 1_000_000

    async def sleep(self, duration_s: float) -> None:
        """See `Clock.sleep`."""
        await asyncio.sleep(duration_s)


def system_chance() -> Chance:
    """Return chance without a seed: for jitter, never for secrets."""
    return random.Random()  # noqa: S311 - see above
