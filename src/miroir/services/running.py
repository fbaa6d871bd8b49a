"""
Which requests run on which nodes right now, so that a change can wait until they are through.

Entered before a covering set is asked and left when its answers are judged: two steps of a set,
whatever the number of nodes.
"""

import asyncio
from collections.abc import Collection

from miroir.core.topology import IndexUid, NodeId


class Asked:
    """One covering set of one index that is being asked."""

    __slots__ = ("ended", "index_uid", "nodes")

    def __init__(self, index_uid: IndexUid, nodes: tuple[NodeId, ...]) -> None:
        self.index_uid = index_uid
        self.nodes = nodes
        self.ended: asyncio.Future[None] | None = None  # Made when somebody waits.


class Running:
    """The requests that have not ended."""

    def __init__(self) -> None:
        self._all: set[Asked] = set()

    def enter(self, index_uid: IndexUid, nodes: tuple[NodeId, ...]) -> Asked:
        """A covering set is about to be asked; give back what is returned by `leave`."""
        asked = Asked(index_uid, nodes)
        self._all.add(asked)
        return asked

    def leave(self, asked: Asked) -> None:
        """Its answers are judged, or nobody wants them any more."""
        self._all.remove(asked)
        if asked.ended is not None and not asked.ended.done():
            asked.ended.set_result(None)

    async def drained(
        self, index_uid: IndexUid, nodes: Collection[NodeId], *, within_s: float
    ) -> bool:
        """
        Wait until nothing runs on these nodes for this index; False if that takes longer.

        What starts while this waits is waited for as well: only a view that keeps requests away
        from these nodes makes this end.
        """
        chosen = set(nodes)
        try:
            async with asyncio.timeout(within_s):
                while (asked := self._one(index_uid, chosen)) is not None:
                    if asked.ended is None:
                        asked.ended = asyncio.get_running_loop().create_future()
                    await asyncio.shield(asked.ended)
        except TimeoutError:
            return False
        return True

    def _one(self, index_uid: IndexUid, nodes: set[NodeId]) -> Asked | None:
        for asked in self._all:
            if asked.index_uid == index_uid and not nodes.isdisjoint(asked.nodes):
                return asked
        return None
