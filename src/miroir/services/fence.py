"""
Keeps the readers' copies of the view true where it counts.

    a step of the view  ─▶ told to every reader, numbered ─▶ confirmed
    a PATCH, a reply, a webhook   waits until all that was told is confirmed      (`synced`)
    a commit                      closes the readers' gates first, opens after    (`switching`)
    a drain                       asks the readers as well                        (`drained`)

So a node is out of every reader's view before a PATCH leaves for it; whoever was told of a change
by the main process finds it at every reader; and no reader answers with the old version once
anybody has answered with the new. A reader that does not confirm in time is ended, for certain,
before anything goes on: it cannot be asked what it believes. Without readers nothing waits. Which
processes there are, and how they are reached, is none of this file's business.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog

from miroir.core.topology import IndexUid, NodeId
from miroir.ports.clock import Clock
from miroir.ports.reader import Close, Drain, Open, Picture, Reader, ToReader
from miroir.services.pictures import Pictures
from miroir.services.running import Running

_CONFIRM_MAX_S: Final = 2.0
_LOOK_S: Final = 1.0
_MARGIN_S: Final = 1.0
_log = structlog.get_logger(__name__)


@dataclass(eq=False)
class _Seat:
    """
    One reader that counts.

    Attributes:
        confirmed: The newest number that it has confirmed.
        drains: Questions that it has not answered.
        ending: Its end, once it was asked for.
    """

    reader: Reader
    confirmed: int = 0
    drains: dict[int, "asyncio.Future[bool]"] = field(default_factory=dict)
    ending: "asyncio.Future[None] | None" = None


class Fence:
    """The readers of this process."""

    def __init__(self, *, running: Running, clock: Clock) -> None:
        self._running = running
        self._clock = clock
        self._pictures: Pictures | None = None
        self._seats: dict[Reader, _Seat] = {}
        self._number = 0
        self._questions = 0
        self._stale = False
        self._closed: dict[int, Close] = {}
        self._news = asyncio.Event()

    def begin(self, pictures: Pictures) -> None:
        """Take note of every step from now on."""
        self._pictures = pictures
        pictures.on_change(self._changed)

    # ---- readers

    def join(self, reader: Reader) -> None:
        """Count a reader in: it is told everything, and waited for from now on."""
        assert self._pictures is not None, "begin comes first"
        self._flush()
        self._seats[reader] = _Seat(reader, confirmed=self._number)
        self._number += 1
        for close in self._closed.values():
            reader.tell(close)  # First: what it is told next may be over before it is there.
        reader.tell(self._pictures.whole(self._number))
        for other in self._seats:
            if other is not reader:
                other.tell(Picture(self._number, self._pictures.healthy))

    def leave(self, reader: Reader) -> None:
        """A reader is no more: nobody waits for it."""
        seat = self._seats.pop(reader, None)
        if seat is None:
            return
        for question in seat.drains.values():
            if not question.done():
                question.set_result(True)
        self._wake()

    def confirmed(self, reader: Reader, number: int) -> None:
        """A reader has done everything up to a number."""
        seat = self._seats.get(reader)
        if seat is not None:
            seat.confirmed = number
            self._wake()

    def answered(self, reader: Reader, question: int, *, done: bool) -> None:
        """A reader has answered a `Drain`."""
        seat = self._seats.get(reader)
        asked = seat.drains.pop(question, None) if seat is not None else None
        if asked is not None and not asked.done():
            asked.set_result(done)

    def tell_again(self) -> None:
        """A reader may believe less of the nodes than this process does: tell all of them."""
        self._changed()

    # ---- for whoever acts

    @property
    def readers(self) -> int:
        """How many count."""
        return len(self._seats)

    @property
    def behind(self) -> bool:
        """Whether `synced` would wait."""
        return self._stale or any(s.confirmed < self._number for s in self._seats.values())

    async def synced(self) -> None:
        """Return when every reader has confirmed all that is known here by now, or is no more."""
        if not self.behind:
            return
        self._flush()
        await self._until(self._number)

    @asynccontextmanager
    async def switching(self, index_uids: Collection[IndexUid]) -> AsyncIterator[None]:
        """
        While the version of these indexes is raised: no reader judges an answer of them.

        Nor one that joins meanwhile, so this holds while there is none, too.
        """
        self._flush()
        self._number += 1
        close = Close(self._number, tuple(index_uids))
        self._closed[close.number] = close
        self._tell_all(close)
        try:
            await self._until(close.number)
            yield
        finally:
            self._flush()
            del self._closed[close.number]
            self._tell_all(Open(close.number))

    async def drained(
        self, index_uid: IndexUid, nodes: Collection[NodeId], *, within_s: float
    ) -> bool:
        """See `Running.drained`; of every process."""
        if not self._seats:
            return await self._running.drained(index_uid, nodes, within_s=within_s)
        self._flush()
        self._questions += 1
        question = Drain(self._questions, index_uid, tuple(nodes), within_s)
        asked = list(self._seats.values())
        for seat in asked:
            seat.drains[question.question] = asyncio.get_running_loop().create_future()
            seat.reader.tell(question)
        answers = [seat.drains[question.question] for seat in asked]
        here = await self._running.drained(index_uid, nodes, within_s=within_s)
        try:
            async with asyncio.timeout(within_s + _MARGIN_S):
                return all([await answer for answer in answers]) and here
        except TimeoutError:
            return False
        finally:
            for seat in asked:
                seat.drains.pop(question.question, None)

    async def run(self) -> None:
        """Look after the readers for ever: one that hangs must not take requests."""
        while True:
            await self._clock.sleep(_LOOK_S)
            if self._seats and self._pictures is not None:
                self._number += 1
                self._tell_all(Picture(self._number, self._pictures.healthy))
                await self.synced()

    # ---- inside

    def _changed(self) -> None:
        if self._seats and not self._stale:
            self._stale = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """Tell what has changed, in one message whatever the number of steps."""
        if not self._stale:
            return
        self._stale = False
        assert self._pictures is not None
        self._number += 1
        self._tell_all(self._pictures.since_last(self._number))

    def _tell_all(self, message: ToReader) -> None:
        for seat in self._seats.values():
            seat.reader.tell(message)

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _until(self, number: int) -> None:
        """Wait for every confirmation of a number; end whoever gives none in time."""
        late = [s for s in self._seats.values() if s.confirmed < number]
        if not late:
            return
        try:
            async with asyncio.timeout(_CONFIRM_MAX_S):
                while any(s.confirmed < number for s in self._waited_for(late)):
                    await self._news.wait()
        except TimeoutError:
            async with asyncio.TaskGroup() as group:
                for seat in self._waited_for(late):
                    if seat.confirmed < number:
                        group.create_task(self._end(seat))

    def _waited_for(self, seats: list[_Seat]) -> list[_Seat]:
        return [seat for seat in seats if self._seats.get(seat.reader) is seat]

    async def _end(self, seat: _Seat) -> None:
        """End a reader; done to the end even if who asked for it is gone meanwhile."""
        if seat.ending is None:
            _log.warning("reader_silent", after_s=_CONFIRM_MAX_S)
            seat.ending = asyncio.ensure_future(self._ended(seat))
        await asyncio.shield(seat.ending)

    async def _ended(self, seat: _Seat) -> None:
        await seat.reader.end()
        self.leave(seat.reader)
