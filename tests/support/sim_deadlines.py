"""The time limits of simulated calls: one timer for all, since most are answered in time."""

import asyncio
from heapq import heappop, heappush
from typing import Any

from miroir.errors import NodeUnreachable


class Deadlines:
    """Ends calls that nobody has answered in time."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, asyncio.Future[Any], str]] = []
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, answer: "asyncio.Future[Any]", node_id: str, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + timeout_s
        self._count += 1
        heappush(self._heap, (until_s, self._count, answer, node_id))
        if self._timer is None or self._heap[0][1] == self._count:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_at(until_s, self._ring)

    def _ring(self) -> None:
        loop, heap = asyncio.get_running_loop(), self._heap
        while heap and (heap[0][0] <= loop.time() or heap[0][2].done()):
            _, _, answer, node_id = heappop(heap)
            fail(answer, f"{node_id}: no answer in time")
        self._timer = loop.call_at(heap[0][0], self._ring) if heap else None


def fail(answer: "asyncio.Future[Any]", why: str) -> None:
    """End a call without an answer."""
    if not answer.done():
        answer.set_exception(NodeUnreachable(why))
