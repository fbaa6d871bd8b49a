"""
What is to be looked at soon: each once, however often it is asked for, in the order of asking.

A process that does not lead asks as well; nobody looks there, and nothing piles up.
"""

import asyncio
from collections.abc import Hashable
from typing import Generic, TypeVar

What = TypeVar("What", bound=Hashable)


class Urgent(Generic[What]):
    """A queue without doubles."""

    def __init__(self) -> None:
        self._waiting: dict[What, None] = {}
        self._news = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, what: What) -> None:
        """Have it looked at, unless it waits already."""
        self._waiting.setdefault(what)
        self._news.set()

    async def take(self) -> What:
        """Wait for the next one."""
        while not self._waiting:
            self._news.clear()
            await self._news.wait()
        what = next(iter(self._waiting))
        del self._waiting[what]
        return what
