"""
What the hot path reads: the cluster at one moment, and how one step leads to the next.

Values and pure functions; who replaces one view by the next is `cluster.py`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from miroir.core.broadcast_judge import stranded, verified_anew
from miroir.core.broadcast_types import Decision, NodeState
from miroir.core.swaps import sources
from miroir.core.topology import IndexUid, NodeId, Topology
from miroir.ports.node import Settings
from miroir.ports.records import NOT_MOVED, CommitRecord, IndexRecord, Intent, IntentKind


@dataclass(frozen=True)
class IndexView:
    """
    One index in one view.

    Attributes:
        record: As the store keeps it.
        proved: Node -> settings version that it is proved to serve; absent = none.
        out_of_sync: Node -> why it misses documents.
        catching_up: Nodes out of sync that take new writes while the old ones are copied.
        stirred: Node -> how often it has lost its proof in this process. Equal before and after
            means that it was proved all the time, not changed and changed back.
        intent: The started intent of this index, or None.
        queued: Intents that wait behind it or have not started.
    """

    record: IndexRecord
    proved: Mapping[NodeId, int] = field(default_factory=dict)
    out_of_sync: Mapping[NodeId, str] = field(default_factory=dict)
    catching_up: frozenset[NodeId] = frozenset()
    stirred: Mapping[NodeId, int] = field(default_factory=dict)
    intent: Intent | None = None
    queued: tuple[Intent, ...] = ()

    @property
    def in_flight(self) -> bool:
        """Whether nodes may differ because a change is on its way."""
        return self.intent is not None and bool(self.intent.state.touched)

    @property
    def spared(self) -> frozenset[NodeId]:
        """Nodes that new searches keep away from, because they are about to be changed."""
        return self.intent.state.drained if self.intent is not None else frozenset()

    @property
    def lagging(self) -> frozenset[NodeId]:
        """Nodes that take no writes: out of sync, and not being brought up."""
        return frozenset(self.out_of_sync) - self.catching_up

    @property
    def accepted(self) -> tuple[Intent, ...]:
        """Every open intent, oldest first."""
        return (*((self.intent,) if self.intent else ()), *self.queued)


@dataclass(frozen=True)
class View:
    """
    The cluster at one moment.

    Attributes:
        topology: The grid.
        healthy: Nodes that answer.
        engines: Node -> engine class, of every node that has answered once.
        indexes: By uid; also those whose creation is under way (`live` tells them apart).
        deleted: Indexes deleted through Miroir, by uid.
    """

    topology: Topology
    healthy: frozenset[NodeId]
    engines: Mapping[NodeId, str]
    indexes: Mapping[IndexUid, IndexView]
    deleted: Mapping[IndexUid, IndexRecord]

    def live(self, index_uid: str) -> IndexView | None:
        """Return the index if it exists: created, and not deleted."""
        index = self.indexes.get(IndexUid(index_uid))
        return index if index is not None and not index.record.deleted else None

    def will_exist(self, index_uid: IndexUid, before: int | None = None) -> bool:
        """Whether an index will be there when all accepted changes have been carried out."""
        exists = self.live(index_uid) is not None
        for intent in self._accepted(index_uid, before):
            if intent.kind in {IntentKind.CREATE, IntentKind.ADOPT}:
                exists = True
            elif intent.kind is IntentKind.DELETE:
                exists = False
            elif intent.kind.moves_indexes:
                source = sources(intent.swaps)[index_uid]
                exists = source is not None and self.will_exist(source, intent.intent_id)
        return exists

    def settings(self) -> Iterator[Settings]:
        """Yield all settings that nodes may have been sent: in force, wanted, or to go back to."""
        for index in self.indexes.values():
            yield index.record.settings or {}
            for intent in index.accepted:
                yield from (intent.target, intent.undo)

    def last_target(self, index_uid: IndexUid, before: int | None = None) -> Settings | None:
        """Settings when all accepted changes have been carried out; None: those of a new index."""
        index = self.live(index_uid)
        wanted = index.record.settings if index is not None else None
        for intent in self._accepted(index_uid, before):
            if intent.kind in {IntentKind.CREATE, IntentKind.DELETE}:
                wanted = None
            elif intent.kind is IntentKind.ADOPT or (
                intent.kind.changes_settings and not intent.state.undoing
            ):
                wanted = intent.target
            elif intent.kind.moves_indexes:
                source = sources(intent.swaps)[index_uid]
                wanted = self.last_target(source, intent.intent_id) if source else None
        return wanted

    def _accepted(self, index_uid: IndexUid, before: int | None) -> list[Intent]:
        """Return what is still to come of an index, oldest first: all, or older than `before`."""
        index = self.indexes.get(index_uid)
        accepted = index.accepted if index is not None else ()
        return [i for i in accepted if (before is None or i.intent_id < before) and _to_come(i)]

    def ready(self, index: IndexView) -> frozenset[NodeId]:
        """Nodes that are healthy and hold every acknowledged document of the index."""
        return self.healthy - index.out_of_sync.keys()

    def current(self, indexes: Iterable[IndexView]) -> frozenset[NodeId]:
        """Nodes that are ready for all of these indexes, at the last settings of each."""
        found = self.healthy
        for index in indexes:
            newest = {n for n, version in index.proved.items() if version == index.record.version}
            found = found & self.ready(index) & newest
        return frozenset(found)


def _to_come(intent: Intent) -> bool:
    """Whether an open intent may still move an index; of other kinds, repetition says nothing."""
    over = intent.committed_version is not None or intent.state.undoing
    return not (intent.kind.moves_indexes and over)


def joined(stored: IndexView, before: IndexView | None) -> IndexView:
    """Return what the store says, less proofs that this process knows to be over."""
    if before is None:
        return replace(stored, proved={})
    proved = {n: v for n, v in stored.proved.items() if before.proved.get(n) == v}
    missing = {**before.out_of_sync, **stored.out_of_sync}
    return replace(
        stored,
        proved=proved,
        out_of_sync=missing,
        catching_up=before.catching_up,
        stirred=stirred(before, proved),
    )


def stirred(before: IndexView, proved: Mapping[NodeId, int]) -> Mapping[NodeId, int]:
    """Count every proof that is lost by this step."""
    lost = [n for n, version in before.proved.items() if proved.get(n) != version]
    if not lost:
        return before.stirred
    return {**before.stirred, **{n: before.stirred.get(n, 0) + 1 for n in lost}}


def proved_after(index: IndexView, intent: Intent) -> Mapping[NodeId, int]:
    """Touched = proved at nothing, until read back at what was decided: commit or abort."""
    state = intent.state
    if intent.kind.moves_indexes:  # Proved by its commit, or by whoever reads the node after it.
        on_the_way = [n for n in state.touched if state.nodes[n].state is not NodeState.VERIFIED]
        return {n: v for n, v in index.proved.items() if n not in on_the_way}
    # Without a way back, and without a version to go back to, a verified node shows no version.
    restores = state.undoable or intent.kind is IntentKind.REPAIR
    restores = restores and state.undoing and not index.record.deleted
    follows = state.decision is Decision.COMMIT and not index.record.deleted
    before = next((i for i in index.accepted if i.intent_id == intent.intent_id), None)
    anew = verified_anew(before.state if before else None, state)
    proved = dict(index.proved)
    for node_id in state.touched:
        if state.nodes[node_id].state is not NodeState.VERIFIED or not (restores or follows):
            if not intent.kind.leaves_settings:
                proved.pop(node_id, None)
        elif node_id in anew:
            proved[node_id] = intent.base_version if restores else index.record.version
    return proved


def missing_after(index: IndexView, intent: Intent) -> Mapping[NodeId, str]:
    """Whoever an aborted swap could not bring back may hold another index's documents."""
    state = intent.state
    if not (intent.kind.moves_indexes and state.closed and state.undoing) or index.record.deleted:
        return index.out_of_sync
    return dict.fromkeys(stranded(state), NOT_MOVED) | dict(index.out_of_sync)


def committed(old: IndexRecord, commit: CommitRecord, version: int) -> IndexRecord:
    """Return the row that a commit leads to."""
    created_at_ms = commit.at_ms if old.deleted else old.created_at_ms
    kept = {} if commit.raise_version or old.deleted else old.fingerprints
    row = replace(
        old,
        version=version,
        frozen_reason=None,
        deleted=commit.deleted,
        created_at_ms=created_at_ms,
        updated_at_ms=commit.at_ms,
        primary_key=commit.primary_key or (None if old.deleted else old.primary_key),
        settings=old.settings if commit.settings is None else commit.settings,
        fingerprints={**kept, **commit.fingerprints},
        unconfirmed=commit.unconfirmed if commit.raise_version else old.unconfirmed,
    )
    if commit.deleted:
        return replace(row, primary_key=None, settings=None, unconfirmed=None, fingerprints={})
    return row
