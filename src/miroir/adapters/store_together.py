"""
Group commit: transactions that come while one is being written are written together.

What makes a small transaction durable costs more than the transaction: the disk is waited for
once for all of them, and so is the thread. Each is still all or nothing by itself, in the order in
which they came, and nobody is answered before what he did is durable.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, Final, TypeVar

Result = TypeVar("Result")
Work = Callable[[Any], Any]
Outcome = tuple[Any, Exception | None]
"""What it has returned, or raised."""

_TOGETHER_MAX: Final = 64
_Waiting = tuple[Work, "asyncio.Future[Any]"]


class Together:
    """Hands work to a thread, all that waits at once."""

    def __init__(
        self, worker: Executor, commit: Callable[[Sequence[Work]], Sequence[Outcome]]
    ) -> None:
        """
        Begin with nothing to do.

        Args:
            worker: Of one thread.
            commit: Does work in that thread; durable on return. An outcome for each; raises when
                none of it was done.
        """
        self._worker = worker
        self._commit = commit
        self._waiting: list[_Waiting] = []
        self._running: asyncio.Future[Sequence[Outcome]] | None = None

    async def done(self, work: Callable[[Any], Result]) -> Result:
        """Return what `work` returns when that is durable; raise what it raises."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, future))
        if self._running is None:
            self._begin()
        return await future

    async def idle(self) -> None:
        """Wait until nothing is under way."""
        while self._running is not None:
            await asyncio.wait((self._running,))  # `_ended` hears of it before.

    def _begin(self) -> None:
        taken, self._waiting = self._waiting[:_TOGETHER_MAX], self._waiting[_TOGETHER_MAX:]
        wanted = [each for each in taken if not each[1].done()]  # Others were cancelled.
        if not wanted and not self._waiting:
            self._running = None
            return
        work = [each for each, _ in wanted]
        loop = asyncio.get_running_loop()
        self._running = loop.run_in_executor(self._worker, self._commit, work)
        self._running.add_done_callback(partial(self._ended, [future for _, future in wanted]))

    def _ended(
        self, futures: Sequence["asyncio.Future[Any]"], ran: "asyncio.Future[Sequence[Outcome]]"
    ) -> None:
        self._begin()  # The thread goes on while the outcomes are told.
        error = ran.exception()
        outcomes = ran.result() if error is None else [(None, error)] * len(futures)
        for future, (result, raised) in zip(futures, outcomes, strict=True):
            if future.done():
                continue  # Nobody waits any more.
            if raised is None:
                future.set_result(result)
            else:
                future.set_exception(raised)
