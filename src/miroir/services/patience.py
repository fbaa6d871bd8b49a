"""
Patience with what does not go now: a store that fails for the time being, work tried in vain.

For work in the background that has been promised already: nobody is there to be told, and giving
up would end the process. What a client waits for is refused with 503 instead, not tried again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

import structlog

from miroir.errors import Unavailable
from miroir.ports.clock import Clock

Result = TypeVar("Result")
Key = TypeVar("Key", bound=Hashable)

_FIRST_S: Final = 0.2
_MAX_S: Final = 10.0
_log = structlog.get_logger(__name__)


class Pauses(Generic[Key]):
    """How long each of several things is left alone before it is tried again: longer each time."""

    def __init__(self, clock: Clock, *, first_s: float, max_s: float) -> None:
        self._clock = clock
        self._first_s = first_s
        self._max_s = max_s
        self._pauses: dict[Key, tuple[float, float]] = {}

    def rests(self, key: Key) -> bool:
        """Whether it is to be left alone still."""
        until_s, _ = self._pauses.get(key, (0.0, 0.0))
        return key in self._pauses and self._clock.monotonic_s() < until_s

    def lengthen(self, key: Key) -> None:
        """It was in vain: the next pause is twice as long as the last."""
        _, last_s = self._pauses.get(key, (0.0, self._first_s / 2))
        pause_s = min(self._max_s, last_s * 2)
        self._pauses[key] = (self._clock.monotonic_s() + pause_s, pause_s)

    def forget(self, key: Key) -> None:
        """It went well."""
        self._pauses.pop(key, None)


async def until_stored(clock: Clock, work: Callable[[], Awaitable[Result]]) -> Result:
    """Return what `work` returns, tried again for as long as the store is `Unavailable`."""
    pause_s = _FIRST_S
    while True:
        try:
            return await work()
        except Unavailable as error:
            _log.warning("store_unavailable", why=str(error), again_in_s=pause_s)
        await clock.sleep(pause_s)
        pause_s = min(_MAX_S, pause_s * 2)


async def rest(clock: Clock, wake: asyncio.Event, *, at_most_s: float) -> None:
    """Return after a time, or as soon as `wake` is set, which is cleared then."""
    ends = (asyncio.ensure_future(clock.sleep(at_most_s)), asyncio.ensure_future(wake.wait()))
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for end in ends:
            end.cancel()
    wake.clear()
