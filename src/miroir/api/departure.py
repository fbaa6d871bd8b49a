"""
A client that goes away takes its read along.

A read is nobody's but its client's: when the connection closes, or the time is over that the
client gave it (`X-Miroir-Timeout-Ms`), what was asked of nodes for it is given up. A write goes on
whatever its client does. Most reads are over before it is worth looking: the watch begins late.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from miroir.api.http import Receive, Reply, Request
from miroir.errors import InvalidTimeout
from miroir.services.deadline import within

_LOOK_AFTER_S: Final = 0.25
_MILLISECONDS: Final = re.compile("[0-9]{1,9}")
HEADER: Final = "x-miroir-timeout-ms"


class Departed(Exception):
    """The client is gone; there is nobody to be answered."""


def timeout_s(request: Request) -> float | None:
    """
    Return how long the client wants to wait, or None.

    Raises:
        InvalidTimeout: That is no number of milliseconds.
    """
    text = request.header(HEADER)
    if text is None:
        return None
    if not _MILLISECONDS.fullmatch(text) or not int(text):
        raise InvalidTimeout(
            f"`X-Miroir-Timeout-Ms: {text}` is no positive whole number of milliseconds.",
        )
    return int(text) / 1000


async def for_client(
    request: Request, receive: Receive, work: Callable[[], Awaitable[Reply]]
) -> Reply:
    """
    Do a read for as long as somebody waits for it.

    Raises:
        Departed: Nobody does any more; the work was cancelled.
        InvalidTimeout: See `timeout_s`.
    """
    loop = asyncio.get_running_loop()
    watch = _Watch(receive)
    reader = asyncio.current_task()
    timer = loop.call_later(_LOOK_AFTER_S, watch.begin, reader)
    try:
        limit_s = timeout_s(request)
        if limit_s is None:
            return await work()
        with within(limit_s):
            return await work()
    except asyncio.CancelledError:
        if watch.departed:
            assert reader is not None
            reader.uncancel()
            raise Departed from None
        raise
    finally:
        timer.cancel()
        watch.end()


class _Watch:
    """Waits for the end of a connection while a read of it is in work."""

    __slots__ = ("_looking", "_receive", "departed")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._looking: asyncio.Task[None] | None = None
        self.departed = False

    def begin(self, reader: "asyncio.Task[Any] | None") -> None:
        assert reader is not None
        # The hot path's exception: no group could hold a task that is cancelled from outside.
        loop = asyncio.get_running_loop()
        self._looking = loop.create_task(self._look(reader))

    async def _look(self, reader: "asyncio.Task[Any]") -> None:
        while (await self._receive())["type"] != "http.disconnect":
            continue  # Nothing of the request is left to be read.
        self.departed = True
        reader.cancel()

    def end(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
