"""
Brings nodes to the committed primary key: those that missed a change of it, or were set back.

Without that such a node would answer as before until the next documents, and refuse those. What a
node shows is in its list of indexes, which `leftovers` asks for anyway. The change is an intent
for that one node: it can fight no other. A node that holds documents under another key cannot be
changed; it has lost what its siblings hold, and is filled again by one of them.
"""

from collections.abc import Awaitable, Callable, Iterable

import structlog

from miroir.core.topology import IndexUid, NodeId
from miroir.errors import TooManyIntents
from miroir.ports.node import NodeControl, NodeIndex
from miroir.ports.records import IntentKind
from miroir.services.cluster import Cluster, IndexView
from miroir.services.intake import Intake, Wish

_BY = "reconciler"
_log = structlog.get_logger(__name__)

Miss = Callable[[IndexUid, NodeId, str], Awaitable[None]]
"""Has a replica filled again, for a reason in words."""


class PrimaryKeys:
    """Finds and mends primary keys that are not as committed."""

    def __init__(
        self, *, control: NodeControl, cluster: Cluster, intake: Intake, miss: Miss
    ) -> None:
        self._control = control
        self._cluster = cluster
        self._intake = intake
        self._miss = miss

    async def look(self, node_id: NodeId, held: Iterable[NodeIndex]) -> None:
        """
        Compare the indexes that a node holds, and act.

        Raises:
            NodeError: The node does not answer any more.
        """
        for index in held:
            if self._differs(node_id, index):
                await self._mend(node_id, index)

    def _differs(self, node_id: NodeId, held: NodeIndex) -> bool:
        index = self._at_rest(node_id, held.uid)
        wanted = index.record.primary_key if index is not None else None
        return wanted is not None and held.primary_key != wanted

    def _at_rest(self, node_id: NodeId, index_uid: IndexUid) -> IndexView | None:
        index = self._cluster.view.live(index_uid)
        if index is None or index.accepted or node_id in index.out_of_sync:
            return None
        return index

    async def _mend(self, node_id: NodeId, held: NodeIndex) -> None:
        uid = held.uid
        if held.primary_key is not None and await self._control.document_count(node_id, uid):
            await self._miss(uid, node_id, "its documents are under another primary key")
            return
        async with self._intake.lock(uid):
            if not self._differs(node_id, held):
                return
            wanted = self._cluster.view.indexes[uid].record.primary_key
            wish = Wish(
                IntentKind.UPDATE,
                _BY,
                primary_key=wanted,
                reason=f"another primary key on {node_id}",
                nodes=(node_id,),
            )
            try:
                await self._intake.open(uid, wish)
            except TooManyIntents as error:  # The next look finds it again.
                _log.info("primary_key_not_mended", node=node_id, index=uid, why=error.message)
