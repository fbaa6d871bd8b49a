"""
The moment until which somebody waits for what is being done.

Carried beside the call, not in its arguments: every service that a read goes through would have to
pass it on, and only the last one, which sends to nodes, looks at it. Seconds of the event loop's
clock. Set by whoever speaks with the client (`within`), read by `until`.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_until_s: Final[ContextVar[float | None]] = ContextVar("deadline", default=None)


@contextmanager
def within(limit_s: float) -> Iterator[None]:
    """Have what is done inside end in this time; never later than an outer one."""
    until_s = asyncio.get_running_loop().time() + limit_s
    outer_s = _until_s.get()
    token = _until_s.set(until_s if outer_s is None else min(until_s, outer_s))
    try:
        yield
    finally:
        _until_s.reset(token)


def until(limit_s: float) -> float:
    """Return the loop time at which a call of `limit_s` has to end: its own, or the client's."""
    own_s = asyncio.get_running_loop().time() + limit_s
    outer_s = _until_s.get()
    return own_s if outer_s is None else min(own_s, outer_s)
