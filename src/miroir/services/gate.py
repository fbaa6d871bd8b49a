"""
Where the reads of an index wait while its version is switched in other processes.

In one process a commit is one step of the view, and nothing waits. With readers beside it, each of
them closes its gate for the indexes first; then the commit is made, all are told, and the gates
open: no answer of the old version is judged good after one of the new (`fence.py`).
"""

import asyncio
from collections.abc import Collection

from miroir.core.topology import IndexUid


class Gate:
    """
    Open, but for the moments of a switch.

    Attributes:
        closed: Whether it is closed for any index; looked at by every read.
    """

    __slots__ = ("_opened", "_shut", "closed")

    def __init__(self) -> None:
        self._shut: dict[int, frozenset[IndexUid]] = {}
        self._opened = asyncio.Event()
        self.closed = False

    def close(self, number: int, index_uids: Collection[IndexUid]) -> None:
        """Close for indexes, until `open` is called with the same number."""
        self._shut[number] = frozenset(index_uids)
        self.closed = True

    def open(self, number: int) -> None:
        """End what `close` began; nothing if it did not."""
        self._shut.pop(number, None)
        self.closed = bool(self._shut)
        self._opened.set()
        self._opened = asyncio.Event()

    async def passed(self, index_uid: IndexUid) -> None:
        """Return when it is open for an index."""
        while any(index_uid in uids for uids in self._shut.values()):
            await self._opened.wait()
