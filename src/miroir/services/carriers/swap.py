"""
SWAP and RENAME: several uids change their content on a node, in one task, all or none.

A swap is not idempotent, and neither its task nor its repetition proves anything. What does is the
node itself: a ticket that was renamed in the same task (`tickets.py`). Sending is idempotent again
by that, the read-back is evidence, and an abort swaps back exactly those nodes that swapped.

A node whose replica of a uid is out of sync may lack the index, or hold the leftover of another
one under a uid that is free. It is given an empty one, or swaps where others rename; its marks go
with the content, and the leftover is nobody's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import structlog

from miroir.core import drift, settings as rules, swaps as pairs
from miroir.core.broadcast_types import Broadcast
from miroir.core.fingerprint import digest
from miroir.core.swaps import Swap, Swaps
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeRefused, NodeUnreachable
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl, Settings
from miroir.ports.records import NOT_MOVED, IndexRecord, Intent, IntentKind, MovedIndex, SwapRecord
from miroir.services.carriers import tickets as names
from miroir.services.carriers.base import ReadBack
from miroir.services.carriers.tickets import Tickets
from miroir.services.cluster import Cluster
from miroir.services.watcher import TaskWatcher

_log = structlog.get_logger(__name__)


class Office(Protocol):
    """Who knows which tickets can still be used; see `services/tickets.py`."""

    cluster: Cluster
    watcher: TaskWatcher

    async def ensure_clear(self, node_id: NodeId) -> None:
        """Return when no swap that has ended can come to a node any more."""
        ...


class SwapCarrier:
    """SWAP and RENAME."""

    def __init__(
        self,
        intent: Intent,
        *,
        control: NodeControl,
        clock: Clock,
        tickets: Office,
    ) -> None:
        self._intent = intent
        self._key = names.key_of(intent)
        self._control = control
        self._tickets = tickets
        self._clock = clock
        self._cluster = cluster = tickets.cluster
        self._before = _proved(cluster, intent.index_uids)
        self._missing = {u: frozenset(_marks_of(cluster, u)) for u in intent.index_uids}
        self._shown: dict[NodeId, dict[IndexUid, Settings]] = {}

    async def send(self, node_id: NodeId, engine: str, state: Broadcast) -> int | None:  # noqa: ARG002
        """Swap, or swap back; None where there is nothing to do any more."""
        attempt = state.nodes[node_id].proposals
        if not state.undoing:
            return await self._go(node_id, attempt)
        try:
            return await self._back(node_id, attempt)
        except NodeRefused as refused:
            # It said no and did nothing: it still has to be brought back.
            raise NodeUnreachable(f"node {node_id}: {refused}") from refused

    async def _go(self, node_id: NodeId, attempt: int) -> int | None:
        await self._tickets.ensure_clear(node_id)
        present, held = await self._look(node_id)
        if held.gone:
            return None
        await self._complete(node_id, present)
        ticket = held.go[0] if held.go else await self._issue(node_id, "go", attempt)
        return await self._swap(node_id, self._intent.swaps, present, ticket, "go")

    async def _back(self, node_id: NodeId, attempt: int) -> int | None:
        present, held = await self._look(node_id)
        if not held.gone:
            for ticket in held.go:
                await self._withdraw(node_id, ticket)
            present, held = await self._look(node_id)  # One may have been used before that.
        if held.undone or held.never:
            return None
        if not held.gone:
            raise NodeUnreachable(f"node {node_id}: a ticket came late")
        ticket = held.back[0] if held.back else await self._issue(node_id, "back", attempt)
        back = tuple(swap.back for swap in self._intent.swaps)
        return await self._swap(node_id, back, present, ticket, "back")

    async def _look(self, node_id: NodeId) -> tuple[frozenset[str], Tickets]:
        present = frozenset(index.uid for index in await self._control.indexes(node_id))
        return present, names.held(present, self._key)

    async def _swap(
        self,
        node_id: NodeId,
        wanted: Swaps,
        present: frozenset[str],
        ticket: IndexUid,
        direction: str,
    ) -> int:
        """Send all pairs with the ticket; a leftover under a free uid changes places."""
        here = tuple(replace(s, rename=s.rename and s.right not in present) for s in wanted)
        stamp = Swap(ticket, names.used(self._key, direction), rename=True)
        return await self._control.swap_indexes(node_id, (*here, stamp))

    async def _complete(self, node_id: NodeId, present: frozenset[str]) -> None:
        """Make up for what a replica lacks, where it is known to; refuse what is not known."""
        view = self._cluster.view
        for swap in self._intent.swaps:
            for uid in (swap.left,) if swap.rename else (swap.left, swap.right):
                index = view.live(uid)
                if uid not in present and index is not None and node_id in index.out_of_sync:
                    await self._done(node_id, await self._control.create_index(node_id, uid, None))
            former = view.deleted.get(swap.right)
            ours = former is not None and former.version > 0
            if swap.rename and swap.right in present and not ours:
                raise NodeRefused(409, pairs.exists_already(swap.right))

    async def _issue(self, node_id: NodeId, direction: str, attempt: int) -> IndexUid:
        ticket = names.issue(self._key, direction, attempt)
        uid = await self._control.create_index(node_id, ticket, None)
        if not await self._done(node_id, uid):
            raise NodeUnreachable(f"node {node_id}: a ticket could not be issued")
        return ticket

    async def _withdraw(self, node_id: NodeId, ticket: IndexUid) -> None:
        await self._done(node_id, await self._control.delete_index(node_id, ticket))

    async def _done(self, node_id: NodeId, task_uid: int) -> bool:
        task = await self._tickets.watcher.ended(node_id, task_uid)
        return task is not None and task.status == "succeeded"

    async def read(self, node_id: NodeId, engine: str, state: Broadcast) -> ReadBack:  # noqa: ARG002
        """Look at the tickets; forth, read the settings under their new uids as well."""
        _, held = await self._look(node_id)
        if state.undoing:
            right = held.undone or held.never
            return ReadBack(digest({"swapped": not right}), () if right else ("still swapped",))
        if not held.gone:
            return ReadBack(digest({"swapped": False}), ("not swapped",))
        self._shown[node_id] = await self._settings(node_id)
        return ReadBack(digest({"swapped": True}), ())

    async def _settings(self, node_id: NodeId) -> dict[IndexUid, Settings]:
        shown: dict[IndexUid, Settings] = {}
        for uid, source in pairs.sources(self._intent.swaps).items():
            if source is None:
                continue
            try:
                shown[uid] = await self._control.read_settings(node_id, uid)
            except NodeRefused:
                continue  # Lost behind our back: proved at nothing, and found by the next look.
        return shown

    def commit(self, state: Broadcast) -> SwapRecord:
        """Give each uid what its source has: row, marks, and the proofs that still hold."""
        at_ms = self._clock.wall_ms()
        sources = pairs.sources(self._intent.swaps)
        moved = [self._moved(state, uid, sources[uid], at_ms) for uid in sorted(sources)]
        return SwapRecord(tuple(moved), self._details(), at_ms)

    def _details(self) -> Mapping[str, object]:
        if self._intent.kind is IntentKind.SWAP:
            return pairs.shown(self._intent.swaps)
        (swap,) = self._intent.swaps
        return renamed(swap, self._intent.primary_key)

    def _moved(
        self, state: Broadcast, uid: IndexUid, source: IndexUid | None, at_ms: int
    ) -> MovedIndex:
        view = self._cluster.view
        here = view.indexes.get(uid)
        version = here.record.version if here is not None else 0
        if source is None:
            return MovedIndex(_tombstone(uid, version, at_ms), {}, {}, {})
        there = view.indexes[source]
        record = replace(there.record, uid=uid, version=version + 1)
        if self._intent.kind is IntentKind.RENAME:
            record = replace(record, updated_at_ms=at_ms)
        marks = self._marks(state, source)
        old = here.record.settings if here is not None else None
        diff = rules.diff(old, record.settings or {}) if old is not None else {}
        return MovedIndex(record, self._proofs(state, record, source), marks, diff)

    def _marks(self, state: Broadcast, source: IndexUid) -> Mapping[NodeId, str]:
        """Who misses documents of this content: who did, and who was left behind."""
        view = self._cluster.view
        marks = dict(view.indexes[source].out_of_sync)
        for node_id in view.topology.node_ids:
            if node_id not in state.verified:
                marks.setdefault(node_id, NOT_MOVED)
        for column in view.topology.columns:
            if all(node_id in marks for node_id in column):
                del marks[self._least_bad(state, source, column)]
        return marks

    def _least_bad(self, state: Broadcast, source: IndexUid, column: Sequence[NodeId]) -> NodeId:
        """
        Choose who stays in sync where nobody would: the last replica is never dropped (WR-4).

        One that fell out during the swap, in favour of a sibling that has been left behind.
        """
        verified = [n for n in column if n in state.verified]
        chosen = next((n for n in verified if n not in self._missing[source]), verified[0])
        _log.error("last_replica_kept", index=source, node=chosen)
        return chosen

    def _proofs(
        self, state: Broadcast, record: IndexRecord, source: IndexUid
    ) -> Mapping[NodeId, str]:
        """Nodes that show these settings; where secrets hide, only who was proved before, too."""
        found: dict[NodeId, str] = {}
        desired = record.settings or {}
        for node_id in state.verified:
            if rules.has_secrets(desired) and node_id not in self._before[source]:
                continue
            engine = self._cluster.view.engines.get(node_id, "")
            seen = self._shown.get(node_id, {}).get(record.uid)
            finding = drift.look(desired, record.fingerprints, engine, seen)
            if finding.state is drift.State.SYNCED:
                found[node_id] = finding.fingerprint
        return found


def renamed(swap: Swap, primary_key: str | None) -> Mapping[str, object]:
    """Return the details of a renaming by `PATCH /indexes/{uid}`."""
    return {"primaryKey": primary_key, "oldIndexUid": swap.left, "newIndexUid": swap.right}


def _proved(
    cluster: Cluster, index_uids: tuple[IndexUid, ...]
) -> Mapping[IndexUid, frozenset[NodeId]]:
    """Return who was proved of what, before anything was touched."""
    found: dict[IndexUid, frozenset[NodeId]] = {}
    for uid in index_uids:
        index = cluster.view.indexes.get(uid)
        proved = index.proved if index is not None else {}
        version = index.record.version if index is not None else 0
        found[uid] = frozenset(n for n, v in proved.items() if v == version)
    return found


def _marks_of(cluster: Cluster, uid: IndexUid) -> Mapping[NodeId, str]:
    index = cluster.view.indexes.get(uid)
    return index.out_of_sync if index is not None else {}


def _tombstone(uid: IndexUid, version: int, at_ms: int) -> IndexRecord:
    return IndexRecord(
        uid=uid,
        primary_key=None,
        version=version,
        settings=None,
        fingerprints={},
        frozen_reason=None,
        deleted=True,
        created_at_ms=at_ms,
        updated_at_ms=at_ms,
    )
