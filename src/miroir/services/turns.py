"""
Queues by key: a place is taken at once, the turn comes when everybody before has left.

    turn = turns.take(key)      the place, in the order of these calls
    async with turn: ...        waits for those before; whoever comes later waits for the end

Taking a place never waits, so that the order of places is the order of decisions, not the order
in which tasks happen to run. Whoever is cancelled while waiting keeps the order: those behind
still wait for those before. A key that nobody uses takes no memory.
"""

import asyncio
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Turn:
    """One place in one queue; to be entered once."""

    def __init__(self, before: "asyncio.Future[None] | None", leave: Callable[[], None]) -> None:
        self._before = before
        self._leave = leave

    @property
    def has_come(self) -> bool:
        """Whether nobody is before it."""
        return self._before is None or self._before.done()

    async def __aenter__(self) -> None:
        if self._before is None or self._before.done():
            return
        try:
            await asyncio.shield(self._before)
        except asyncio.CancelledError:
            self.give_up()
            raise

    def give_up(self) -> None:
        """Give an unused place back; those behind still wait for those before."""
        if self._before is None or self._before.done():
            self.leave()
        else:
            self._before.add_done_callback(lambda _: self.leave())

    def leave(self) -> None:
        """Let the next one have its turn."""
        self._leave()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave()


class Turns(Generic[Key]):
    """The queues."""

    def __init__(self) -> None:
        self._last: dict[Key, asyncio.Future[None]] = {}

    def __len__(self) -> int:
        return len(self._last)

    def take(self, key: Key) -> Turn:
        """Return the next place of this queue; it must be entered or given up."""
        before = self._last.get(key)
        left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._last[key] = left

        def leave() -> None:
            if self._last.get(key) is left:
                del self._last[key]
            if not left.done():  # A loop that is being closed has cancelled it.
                left.set_result(None)

        return Turn(before, leave)
