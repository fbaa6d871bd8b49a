"""
Which replicas have taken which parts of one write, noted as their answers come.

Whoever acknowledges the write looks here, so that it need not wait for the slowest replica when
fewer are enough. What counts is an answer that the node has queued the part; a replica that has
left the in-sync set since counts no more, and that is asked when it is looked at.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable

from miroir.core.topology import NodeId, ShardId


class Arrivals:
    """One write's."""

    def __init__(self) -> None:
        self._taken: dict[ShardId, set[NodeId]] = {}
        self._changed = asyncio.Event()

    def note(self, shard_id: ShardId, node_id: NodeId) -> None:
        """A replica has taken its part."""
        self._taken.setdefault(shard_id, set()).add(node_id)
        self._changed.set()

    def least(self, shards: Iterable[ShardId], out_of_sync: Collection[NodeId]) -> int:
        """Return how many replicas have taken the part of the shard that fewest have taken."""
        return min(len(self._taken.get(s, set()).difference(out_of_sync)) for s in shards)

    async def reached(
        self,
        needed: int,
        shards: Collection[ShardId],
        out_of_sync: Callable[[], Collection[NodeId]],
        *,
        within_s: float,
    ) -> bool:
        """Wait until so many replicas in sync have taken every part; False if time runs out."""
        try:
            async with asyncio.timeout(within_s):
                while self.least(shards, out_of_sync()) < needed:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True
