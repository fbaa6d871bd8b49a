"""
The cluster as this process sees it now: one immutable view, replaced whole after every change.

The store is the authority; this is its picture in memory, which the hot path reads without
waiting. Whoever changes the store tells the picture afterwards (`apply_*`), and always before it
acts on the change: a node is out of the view before a PATCH leaves for it. A request takes `view`
once and uses nothing else. No I/O here but `load`.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from types import MappingProxyType

from miroir.core.commons import is_common
from miroir.core.features import version_of
from miroir.core.topology import IndexUid, NodeId, Topology
from miroir.ports.records import (
    NOT_CREATED,
    CommitRecord,
    IndexRecord,
    Intent,
    IntentKind,
    SwapRecord,
)
from miroir.ports.store import Store
from miroir.services.view import (
    IndexView,
    View,
    committed,
    joined,
    missing_after,
    proved_after,
    stirred,
)

__all__ = ["Cluster", "IndexView", "View"]


class Cluster:
    """
    Holds the present view.

    Args:
        topology: The grid.
        commons: Hold the commons (`core/commons.py`) instead of the indexes: no view has both.
    """

    def __init__(self, topology: Topology, *, commons: bool = False) -> None:
        self._commons = commons
        self._now = View(topology, frozenset(), {}, {}, {})
        self._listeners: list[Callable[[], None]] = []

    @property
    def view(self) -> View:
        """The present view; take it once per request."""
        return self._now

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener()` after every step, before anything else can happen."""
        self._listeners.append(listener)

    def _step(self, view: View) -> None:
        self._now = view
        for listener in self._listeners:
            listener()

    async def load(self, store: Store) -> None:
        """Build the view from the store; node health is kept."""
        proved: dict[IndexUid, dict[NodeId, int]] = {}
        for row in await store.node_versions():
            if row.version is not None and row.node_id in self._now.topology.by_id:
                proved.setdefault(row.index_uid, {})[row.node_id] = row.version
        missing: dict[IndexUid, dict[NodeId, str]] = {}
        for (index_uid, node_id), why in (await store.out_of_sync()).items():
            missing.setdefault(index_uid, {})[node_id] = why
        records = [r for r in await store.indexes() if is_common(r.uid) == self._commons]
        indexes = {
            r.uid: IndexView(r, proved.get(r.uid, {}), missing.get(r.uid, {}))
            for r in records
            if not r.deleted
        }
        deleted = {r.uid: r for r in records if r.deleted}
        self._step(
            replace(
                self._now, indexes=MappingProxyType(indexes), deleted=MappingProxyType(deleted)
            )
        )
        for intent in await store.open_intents():
            if is_common(intent.index_uid) == self._commons:
                self.apply_queued(intent)

    async def reload(self, index_uid: IndexUid, store: Store) -> None:
        """
        Build one index anew from the store, after somebody else may have changed it.

        What this process learnt while the store was read is kept: a node counts as proved if both
        say so, and as out of sync if either does.
        """
        newest = await store.recent_intents(1)
        versions = await store.node_versions()
        lagging = await store.out_of_sync()
        record = await store.index(index_uid)
        intents = [i for i in await store.open_intents() if index_uid in i.index_uids]
        before = self._now.indexes.get(index_uid)
        last = newest[0].intent_id if newest else 0
        known = {intent.intent_id for intent in intents}
        late = before.accepted if before else ()
        intents += [i for i in late if i.intent_id > last and i.intent_id not in known]
        self._forget(index_uid)
        if record is not None:
            proved = {
                row.node_id: row.version
                for row in versions
                if row.index_uid == index_uid and row.version is not None
            }
            missing = {node: why for (uid, node), why in lagging.items() if uid == index_uid}
            self._put(index_uid, joined(IndexView(record, proved, missing), before))
        for intent in intents:
            self._queue(index_uid, intent)

    def _forget(self, index_uid: IndexUid) -> None:
        indexes = {uid: i for uid, i in self._now.indexes.items() if uid != index_uid}
        self._step(replace(self._now, indexes=MappingProxyType(indexes)))

    # ---- nodes

    def apply_health(self, node_id: NodeId, *, healthy: bool, engine: str | None = None) -> bool:
        """Note what a node's last answer, or the lack of one, tells; return whether it is news."""
        view = self._now
        known = (node_id in view.healthy, view.engines.get(node_id))
        engines = {**view.engines, node_id: engine} if engine else view.engines
        all_healthy = view.healthy | {node_id} if healthy else view.healthy - {node_id}
        self._step(replace(view, healthy=all_healthy, engines=engines))
        if engine and known[1] and version_of(engine) != version_of(known[1]):
            # Another engine may answer otherwise from the same settings, e.g. by its defaults.
            for index_uid in list(view.indexes):
                self.apply_demotion(index_uid, (node_id,))
        return known != (healthy, engines.get(node_id))

    def take_over(
        self,
        *,
        healthy: Collection[NodeId],
        changed: Iterable[IndexView],
        gone: Collection[IndexUid],
    ) -> None:
        """Take a step that another process has taken; only for one that takes none of its own."""
        kept = {uid: i for uid, i in self._now.indexes.items() if uid not in gone}
        indexes = {**kept, **{index.record.uid: index for index in changed}}
        self._step(
            replace(self._now, healthy=frozenset(healthy), indexes=MappingProxyType(indexes))
        )

    # ---- intents

    def apply_queued(self, intent: Intent) -> None:
        """An intent was opened."""
        for index_uid in intent.index_uids:
            self._queue(index_uid, intent)

    def _queue(self, index_uid: IndexUid, intent: Intent) -> None:
        index = self._index(index_uid, intent)
        if any(known.intent_id == intent.intent_id for known in index.accepted):
            return  # Read from the store before whoever opened it came here.
        self._put(index_uid, replace(index, queued=(*index.queued, intent)))

    def apply_withdrawn(self, intent: Intent) -> None:
        """An intent was closed before it started."""
        for index_uid in intent.index_uids:
            index = self._now.indexes.get(index_uid)
            if index is None:
                continue
            rest = tuple(i for i in index.queued if i.intent_id != intent.intent_id)
            self._put(index_uid, replace(index, queued=rest))

    def apply_progress(self, intent: Intent) -> None:
        """The machine of the started intent was saved; touched nodes are proved at nothing."""
        now = None if intent.state.closed else intent
        for index_uid in intent.index_uids:
            index = self._index(index_uid, intent)
            rest = tuple(i for i in index.queued if i.intent_id != intent.intent_id)
            proved, missing = proved_after(index, intent), missing_after(index, intent)
            self._put(
                index_uid,
                replace(index, intent=now, queued=rest, proved=proved, out_of_sync=missing),
            )

    def apply_commit(self, intent: Intent, commit: CommitRecord, version: int) -> None:
        """
        The store has taken a commit: switch, in one step.

        Works the row out as the store did, without asking: nobody who is told by the store that
        the change has succeeded may find the old version here.
        """
        index = self._index(intent.index_uid, intent)
        record = committed(index.record, commit, version)
        if record.deleted:
            self._put(
                record.uid,
                replace(index, record=record, proved={}, out_of_sync={}, catching_up=frozenset()),
            )
            return
        proved = {n: v for n, v in index.proved.items() if n not in commit.unproved}
        proved.update(dict.fromkeys(commit.proved, record.version))
        if intent.kind is IntentKind.CREATE:
            missing = dict.fromkeys(commit.unproved, NOT_CREATED)
            index = replace(index, out_of_sync=missing, catching_up=frozenset())
        self._put(record.uid, replace(index, record=record, proved=proved))

    def apply_swap(self, intent: Intent, commit: SwapRecord) -> None:
        """The store has taken the commit of a swap: every uid switches, in one step."""
        for moved in commit.indexes:
            record = moved.record
            index = self._now.indexes[record.uid]
            now = replace(
                index,
                record=record,
                intent=intent,
                proved=dict.fromkeys(moved.proved, record.version),
                out_of_sync=moved.out_of_sync,
                catching_up=frozenset(),
            )
            self._put(record.uid, now)

    def apply_record(self, record: IndexRecord) -> None:
        """The store's row has changed otherwise: created, frozen, thawed, primary key known."""
        index = self._now.indexes.get(record.uid)
        self._put(record.uid, replace(index, record=record) if index else IndexView(record))

    # ---- replicas

    def apply_demotion(self, index_uid: IndexUid, node_ids: Iterable[NodeId]) -> None:
        """Nodes are proved at nothing for this index."""
        index = self._now.indexes.get(index_uid)
        if index is None:
            return  # Deleted meanwhile.
        gone = set(node_ids)
        proved = {n: v for n, v in index.proved.items() if n not in gone}
        self._put(index_uid, replace(index, proved=proved))

    def apply_proof(self, index_uid: IndexUid, node_ids: Iterable[NodeId], version: int) -> None:
        """Nodes were read back at the committed version, unless a change was opened meanwhile."""
        index = self._now.indexes.get(index_uid)
        if index is None or index.accepted or index.record.version != version:
            return  # The store took the proof before; what has happened since counts for more.
        proved = {**index.proved, **dict.fromkeys(node_ids, version)}
        self._put(index_uid, replace(index, proved=proved))

    def apply_sync(self, index_uid: IndexUid, node_id: NodeId, why: str | None) -> None:
        """A replica misses documents (`why`), or has been brought up (None)."""
        index = self._now.indexes[index_uid]
        rest = {n: w for n, w in index.out_of_sync.items() if n != node_id}
        now = rest if why is None else {**rest, node_id: why}
        catching_up = index.catching_up - {node_id}
        self._put(index_uid, replace(index, out_of_sync=now, catching_up=catching_up))

    def apply_catching_up(self, index_uid: IndexUid, node_id: NodeId) -> None:
        """A replica takes new writes from now on, while it is brought up from a sibling."""
        index = self._now.indexes[index_uid]
        assert node_id in index.out_of_sync
        self._put(index_uid, replace(index, catching_up=index.catching_up | {node_id}))

    def _index(self, index_uid: IndexUid, intent: Intent) -> IndexView:
        known = self._now.indexes.get(index_uid)
        if known is not None:
            return known
        record = self._now.deleted.get(index_uid)
        version = record.version if record else 0
        return IndexView(
            IndexRecord(
                uid=index_uid,
                primary_key=intent.primary_key,
                version=version,
                settings=None,
                fingerprints={},
                frozen_reason=None,
                deleted=True,
                created_at_ms=intent.at_ms,
                updated_at_ms=intent.at_ms,
            )
        )

    def _put(self, index_uid: IndexUid, index: IndexView) -> None:
        before = self._now.indexes.get(index_uid)
        if before is not None:
            index = replace(index, stirred=stirred(before, index.proved))
        indexes = {**self._now.indexes, index_uid: index}
        deleted = {uid: r for uid, r in self._now.deleted.items() if uid != index_uid}
        if index.record.deleted:
            deleted[index_uid] = index.record
            if not index.accepted:
                del indexes[index_uid]
        self._step(
            replace(
                self._now, indexes=MappingProxyType(indexes), deleted=MappingProxyType(deleted)
            )
        )
