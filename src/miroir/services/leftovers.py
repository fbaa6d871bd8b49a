"""
Takes away what nodes still hold of indexes that are no more.

A node that was silent when an index was deleted keeps it, and one that was left alone while a
creation was undone may still create it. Nobody reads such an index, but it holds documents that
were deleted, and it stands in the way of the next index of that name.

    every sweep, and when a node returns: GET /indexes of that node
      ─▶ deleted through Miroir (a tombstone), nothing accepted for it      ─▶ delete
      ─▶ its only creation was aborted, this node may have acted, and it is
         as a fresh index is (no documents, that key, default settings)     ─▶ delete
      ─▶ anything else that Miroir does not know is somebody else's          ─▶ left alone

One request per node and sweep, however many indexes there are; what it tells of primary keys is
looked at, too (`primary_keys.py`). A deletion is sent under the lock
of the index, after a last look at the view and the store: no creation can be accepted in between.
What was accepted before is not undone here: this only finishes deletions and aborts.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import structlog

from miroir.core import settings as rules
from miroir.core.broadcast_types import NodeState, Phase
from miroir.core.features import class_shown
from miroir.core.topology import RESERVED, IndexUid, NodeId
from miroir.errors import LeaseLost, NodeError, Unavailable
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl, NodeIndex
from miroir.ports.records import Intent, IntentKind
from miroir.services.carriers import unfinished
from miroir.services.cluster import Cluster
from miroir.services.intake import Intake
from miroir.services.leader import Leader
from miroir.services.primary_keys import PrimaryKeys
from miroir.services.prober import Prober
from miroir.services.urgent import Urgent
from miroir.telemetry import Metrics

_REMEMBERED_MAX: Final = 200
"""How many intents back an aborted creation is still known."""
_AGAIN_S: Final = 1.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class LeftoversTools:
    """
    What the sweep works with.

    Attributes:
        interval_s: Every node is looked at once in this time.
    """

    control: NodeControl
    cluster: Cluster
    clock: Clock
    leader: Leader
    intake: Intake
    prober: Prober
    primary_keys: PrimaryKeys
    metrics: Metrics
    interval_s: float


class Leftovers:
    """Finishes deletions on nodes that missed them."""

    def __init__(self, tools: LeftoversTools) -> None:
        self._tools = tools
        self._urgent = Urgent[NodeId]()

    def nudge(self, node_id: NodeId, healthy: bool) -> None:  # noqa: FBT001 - a listener
        """A node's health has changed; one that returns is looked at without delay."""
        if healthy:
            self._urgent.put(node_id)

    async def run(self) -> None:
        """Look at every node for ever, under a lease: of several processes one does."""
        while True:
            try:
                async with self._tools.leader.lead("leftovers"), asyncio.TaskGroup() as group:
                    group.create_task(self._sweep_for_ever())
                    group.create_task(self._look_at_returning())
            except* (LeaseLost, Unavailable) as lost:
                _log.warning("deposed", scope="leftovers", why=str(lost.exceptions[0]))
            await self._tools.clock.sleep(_AGAIN_S)

    async def _sweep_for_ever(self) -> None:
        tools = self._tools
        while True:
            node_ids = tools.cluster.view.topology.node_ids
            for node_id in node_ids:
                await self.look(node_id)
                await tools.clock.sleep(tools.interval_s / len(node_ids))

    async def _look_at_returning(self) -> None:
        while True:
            node_id = await self._urgent.take()
            await self.look(node_id)

    async def look(self, node_id: NodeId) -> None:
        """List the indexes of a node, delete those that are left over, compare primary keys."""
        if node_id not in self._tools.cluster.view.healthy:
            return
        try:
            held = await self._tools.control.indexes(node_id)
            for index in held:
                if self._has_ended(index.uid):
                    await self._take_away(node_id, index.uid)
            for intent in await self._aborted_creations(node_id, held):
                await self._undo(node_id, intent)
            await self._tools.primary_keys.look(node_id, held)
        except NodeError as error:
            _log.info("leftovers_unanswered", node=node_id, why=str(error))

    def _has_ended(self, index_uid: IndexUid) -> bool:
        """Whether it was deleted through Miroir, and nothing is accepted for it since."""
        view = self._tools.cluster.view
        tombstone = view.deleted.get(index_uid)
        # A version is what tells a deleted index from one whose first creation is not done.
        return tombstone is not None and tombstone.version > 0 and index_uid not in view.indexes

    async def _take_away(self, node_id: NodeId, index_uid: IndexUid) -> None:
        async with self._tools.intake.lock(index_uid):
            stored = await self._tools.intake.store.index(index_uid)
            if stored is None or not stored.deleted:
                return  # Another process has created it.
            await self._delete(node_id, index_uid, lambda: self._has_ended(index_uid))

    async def _aborted_creations(
        self, node_id: NodeId, held: Iterable[NodeIndex]
    ) -> tuple[Intent, ...]:
        """Return the aborted creations of indexes found here that nobody else knows of."""
        unknown = {index.uid: index for index in held if self._is_unknown(index.uid)}
        if not unknown:
            return ()
        found: dict[IndexUid, Intent] = {}
        came_to_be: set[IndexUid] = set()
        for intent in await self._tools.intake.store.recent_intents(_REMEMBERED_MAX):
            index = unknown.get(intent.index_uid)
            if intent.committed_version is not None:
                came_to_be.update(intent.index_uids)
            elif index is None or index.uid in came_to_be or index.uid in found:
                continue
            elif _may_have_been_left(intent, node_id) and index.primary_key == intent.primary_key:
                found[index.uid] = intent
        return tuple(found.values())

    def _is_unknown(self, index_uid: IndexUid) -> bool:
        view = self._tools.cluster.view
        tombstone = view.deleted.get(index_uid)
        never_was = tombstone is None or tombstone.version == 0
        return never_was and index_uid not in view.indexes and not index_uid.startswith(RESERVED)

    async def _undo(self, node_id: NodeId, intent: Intent) -> None:
        """Delete what an aborted creation has left, while it is as a fresh index is."""
        index_uid, control = intent.index_uid, self._tools.control
        async with self._tools.intake.lock(index_uid):
            if await self._tools.intake.store.index(index_uid) is not None:
                return
            if await control.document_count(node_id, index_uid):
                return
            shown = await control.read_settings(node_id, index_uid)
            engine = class_shown(self._tools.cluster.view.engines.get(node_id, ""), shown)
            if rules.differences(await self._tools.prober.fresh_form(engine), shown):
                return  # Somebody has made it their own.
            await self._delete(node_id, index_uid, lambda: self._is_unknown(index_uid))

    async def _delete(
        self, node_id: NodeId, index_uid: IndexUid, still: Callable[[], bool]
    ) -> None:
        """Send the deletion, unless one is under way; `still` is asked right before."""
        tools = self._tools
        if await unfinished(tools.control, node_id, index_uid) is not None or not still():
            return
        uid = await tools.control.delete_index(node_id, index_uid)
        tools.metrics.leftover_deleted()
        _log.warning("leftover_deleted", node=node_id, index=index_uid, task=uid)


def _may_have_been_left(intent: Intent, node_id: NodeId) -> bool:
    """Whether this node was asked to create, and not read back without the index after that."""
    state = intent.state
    if intent.kind is not IntentKind.CREATE or state.phase is not Phase.ABORTED:
        return False
    progress = state.nodes.get(node_id)
    return progress is not None and progress.state is not NodeState.VERIFIED
