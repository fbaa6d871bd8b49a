"""
Waits out a store that fails for the time being (a full disk, a lost database).

For work in the background that has been promised already: nobody is there to be told, and giving
up would end the process. What a client waits for is refused with 503 instead, not tried again.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from miroir.errors import Unavailable
from miroir.ports.clock import Clock

Result = TypeVar("Result")

_FIRST_S: Final = 0.2
_MAX_S: Final = 10.0
_log = structlog.get_logger(__name__)


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
