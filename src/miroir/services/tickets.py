"""
Takes tickets of ended swaps off the nodes, so that none of them can still take place.

    withdrawn: the unused ones, each awaited     a swap that comes after that fails
    then: the used ones                          nothing is left on the node

A node that was given up in a swap may have one in its queue, or in the network. Until its unused
tickets are withdrawn nothing that it shows lasts: it is proved at nothing, and neither filled
again, nor given a new index, nor swapped (`ensure_clear`).
"""

from typing import Final

import structlog

from miroir.core.broadcast_types import Phase
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeError, Unavailable
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl
from miroir.ports.records import IntentQuery
from miroir.ports.store import Store
from miroir.services.carriers import tickets as names
from miroir.services.cluster import Cluster
from miroir.services.watcher import TaskWatcher

_ROUND_S: Final = 1.0
_log = structlog.get_logger(__name__)


class TicketOffice:
    """Knows which nodes may hold tickets of ended swaps."""

    def __init__(
        self,
        *,
        control: NodeControl,
        store: Store,
        cluster: Cluster,
        watcher: TaskWatcher,
        clock: Clock,
        interval_s: float,
    ) -> None:
        """
        Take what to look with.

        Args:
            control: For the nodes.
            store: To doubt proofs in.
            cluster: Which swaps are open.
            watcher: For the tasks of the nodes.
            clock: For the pauses.
            interval_s: Every node is looked at once in this time: a ticket may be issued late.
        """
        self._control = control
        self._store = store
        self.cluster = cluster
        self.watcher = watcher
        self._clock = clock
        self._interval_s = interval_s
        self._moves = 0
        self._clear: dict[NodeId, tuple[int, frozenset[str]]] = {}

    def expect(self) -> None:
        """A swap begins, or has ended: any node may hold its tickets."""
        self._moves += 1

    async def ensure_clear(self, node_id: NodeId) -> None:
        """
        Return when no swap that has ended can come to a node any more; asks it only if one could.

        Raises:
            NodeUnreachable: The node does not tell.
            Unavailable: The store could not be told.
        """
        moves, open_then = self._clear.get(node_id, (-1, frozenset()))
        if moves != self._moves or not open_then <= self._open():
            await self.clear(node_id)

    def _open(self) -> frozenset[str]:
        indexes = self.cluster.view.indexes.values()
        return frozenset(
            names.key_of(i) for index in indexes for i in index.accepted if i.kind.moves_indexes
        )

    async def run(self) -> None:
        """Clear every node once per interval, and whenever a swap has ended, for ever."""
        due_s = self._clock.monotonic_s()
        while True:
            if self._clock.monotonic_s() >= due_s:
                self.expect()
                due_s += self._interval_s
            for node_id in sorted(self.cluster.view.healthy):
                try:
                    await self.ensure_clear(node_id)
                except (NodeError, Unavailable) as why:
                    _log.info("tickets_not_cleared", node=node_id, why=str(why))
            await self._clock.sleep(_ROUND_S)

    async def clear(self, node_id: NodeId) -> bool:
        """
        Take a node's tickets of ended swaps away; False if one of them could still be used before.

        Raises:
            NodeUnreachable: Some may be left.
            Unavailable: The store could not be told.
        """
        moves = self._moves
        present = [index.uid for index in await self._control.indexes(node_id)]
        still_open = self._open()
        owners = {uid: names.owner(uid) for uid in present}
        old = [uid for uid, key in owners.items() if key is not None and key not in still_open]
        unused = [uid for uid in old if names.is_unused(uid)]
        await self._withdraw(node_id, unused)
        for key in sorted({owners[uid] or "" for uid in old}):
            held = names.held(present, key)
            if held.gone and not held.undone:
                await self._end_renames(node_id, key, present)
        for uid in old:
            if not names.is_unused(uid):
                await self._delete(node_id, uid)
        self._clear[node_id] = (moves, still_open)
        return not unused

    async def _withdraw(self, node_id: NodeId, unused: list[IndexUid]) -> None:
        for uid in unused:
            _log.warning("ticket_withdrawn", node=node_id, ticket=uid)
            await self._delete(node_id, uid)
        if unused:  # A swap may have come between a look at the node and this.
            await self._doubt(node_id)

    async def _end_renames(self, node_id: NodeId, key: str, present: list[IndexUid]) -> None:
        """
        Take away what an aborted rename has made here, under a uid that never came to be.

        The node was not brought back; it is filled again under the old uid. Of a uid that there
        was before, a tombstone tells, and the sweep of leftovers finds it.
        """
        found = await self._store.find_intents(IntentQuery(ids=(names.intent_id(key),)))
        if not found or names.key_of(found[0]) != key or found[0].state.phase is not Phase.ABORTED:
            return
        for swap in found[0].swaps:
            if swap.rename and swap.right in present and not self._is_known(swap.right):
                _log.warning("leftover_deleted", node=node_id, index=swap.right)
                await self._delete(node_id, swap.right)

    def _is_known(self, uid: IndexUid) -> bool:
        view = self.cluster.view
        tombstone = view.deleted.get(uid)
        return uid in view.indexes or (tombstone is not None and tombstone.version > 0)

    async def _delete(self, node_id: NodeId, uid: IndexUid) -> None:
        task_uid = await self._control.delete_index(node_id, uid)
        await self.watcher.ended(node_id, task_uid)

    async def _doubt(self, node_id: NodeId) -> None:
        for index_uid, index in self.cluster.view.indexes.items():
            if node_id in index.out_of_sync:
                await self._store.unprove(index_uid, (node_id,))
                self.cluster.apply_demotion(index_uid, (node_id,))
