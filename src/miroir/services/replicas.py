"""
Who holds every accepted write: the door out of the in-sync sets, and back into them.

Out: the view first, then the store, together with the shares of the write that was missed; a
process that dies in between finds the write unfinished and comes to the same end. In: the store
first, then the view, unless the replica has left again meanwhile. Both decide on the view in one
step, without waiting, so that two writes can never drop the two last replicas of a shard (WR-4).
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial

import structlog

from miroir.core.topology import IndexUid, NodeId
from miroir.ports.clock import Clock
from miroir.ports.records import NodeTaskRecord
from miroir.ports.store import Store
from miroir.services.cluster import Cluster, IndexView
from miroir.services.patience import until_stored

_log = structlog.get_logger(__name__)


class Replicas:
    """Changes the in-sync sets."""

    def __init__(self, *, store: Store, cluster: Cluster, clock: Clock) -> None:
        self._store = store
        self._cluster = cluster
        self._clock = clock
        self._saving = asyncio.Lock()
        self._listeners: list[Callable[[IndexUid, NodeId], None]] = []

    def leave(self, index_uid: IndexUid, why: Mapping[NodeId, str]) -> Mapping[NodeId, str]:
        """
        Take replicas out of the view; return those that left, to be saved by `save`.

        The last in-sync replica of a shard stays: there would be nobody to bring it up from.
        """
        left: dict[NodeId, str] = {}
        for node_id, reason in why.items():
            index = self._cluster.view.live(index_uid)
            if index is None or node_id not in self._cluster.view.topology.by_id:
                continue  # Nobody reads it any more.
            if node_id in index.lagging:
                continue  # It has left before.
            if self._is_last(index, node_id):
                _log.error("last_replica_kept", index=index_uid, node=node_id, why=reason)
                continue
            _log.warning("replica_out_of_sync", index=index_uid, node=node_id, why=reason)
            self._cluster.apply_sync(index_uid, node_id, reason)
            left[node_id] = reason
        return left

    def _is_last(self, index: IndexView, node_id: NodeId) -> bool:
        topology = self._cluster.view.topology
        column = topology.column_of(node_id)
        return all(n == node_id or n in index.out_of_sync for n in column)

    async def save(self, shares: tuple[NodeTaskRecord, ...], left: Mapping[NodeId, str]) -> None:
        """Make shares of one write durable, and with them who has left because of it."""
        async with self._saving if left else nullcontext():  # Most often nobody leaves.
            await until_stored(
                self._clock, lambda: self._store.save_shares(shares, out_of_sync=left)
            )

    async def drop(self, index_uid: IndexUid, why: Mapping[NodeId, str]) -> Mapping[NodeId, str]:
        """Take replicas out for something else than a write; durable when it returns."""
        left = self.leave(index_uid, why)
        async with self._saving:
            for node_id, reason in left.items():
                await until_stored(
                    self._clock,
                    partial(self._store.set_out_of_sync, index_uid, node_id, reason),
                )
        return left

    def on_joined(self, listener: Callable[[IndexUid, NodeId], None]) -> None:
        """Call `listener(index_uid, node_id)` when a replica is in sync again."""
        self._listeners.append(listener)

    async def join(self, index_uid: IndexUid, node_id: NodeId) -> bool:
        """Take a replica in that has caught up; False if it has missed something meanwhile."""
        async with self._saving:  # Whoever leaves now is saved after this, and so stays out.
            if not self._catches_up(index_uid, node_id):
                return False
            await self._store.set_in_sync(index_uid, node_id)
            if not self._catches_up(index_uid, node_id):
                return False
            self._cluster.apply_sync(index_uid, node_id, None)
            for listener in self._listeners:
                listener(index_uid, node_id)
            return True

    async def doubt(self, index_uid: IndexUid, node_id: NodeId) -> None:
        """What a replica was proved to show is about to go; durable when it returns."""
        await self._store.unprove(index_uid, (node_id,))
        self._cluster.apply_demotion(index_uid, (node_id,))

    async def stop_catching_up(self, index_uid: IndexUid) -> None:
        """Interrupt whoever is being brought up; on return none of them can come in any more."""
        index = self._cluster.view.indexes.get(index_uid)
        for node_id in index.catching_up if index is not None else ():
            assert index is not None
            self._cluster.apply_sync(index_uid, node_id, index.out_of_sync[node_id])
        async with self._saving:
            return  # Who was about to come in has, or finds that it may not.

    def _catches_up(self, index_uid: IndexUid, node_id: NodeId) -> bool:
        index = self._cluster.view.live(index_uid)
        return index is not None and node_id in index.catching_up
