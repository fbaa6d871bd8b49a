"""
The tables behind `MemoryStore`, and the rules that several of its effects share.

Written apart from the real stores on purpose, so that the contract suite and the property test
compare two opinions. Nothing asynchronous here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar, cast

import msgspec

from miroir.core.broadcast_types import Broadcast, Decision, NodeState
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import LeaseLost
from miroir.ports.clock import Clock
from miroir.ports.records import (
    NOT_CREATED,
    BatchPage,
    CommitRecord,
    HistoryEntry,
    IndexRecord,
    Intent,
    IntentKind,
    IntentTask,
    Lease,
    NewTask,
    NodeTaskRecord,
    NodeVersion,
    Notice,
    TaskPage,
    TaskQuery,
    TaskRecord,
    Webhook,
    WritePart,
)
from tests.support.memory_queries import batch_matches, matches

Result = TypeVar("Result")

UNENDED: Final = {"enqueued", "processing"}


@dataclass
class LeaseRow:
    """A lease and its end."""

    holder: str | None
    epoch: int
    expires_at_ms: int


@dataclass
class IntentRow:
    """An intent, and whether its leader has started it."""

    intent: Intent
    started: bool = False


@dataclass
class WriteRow:
    """What is left to send of a document write, and who has got it."""

    parts: tuple[WritePart, ...]
    shares: dict[NodeId, NodeTaskRecord]


@dataclass
class Tables:
    """Every table, and the rules that more than one effect needs."""

    clock: Clock
    leases: dict[str, LeaseRow] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    indexes: dict[IndexUid, IndexRecord] = field(default_factory=dict)
    versions: dict[tuple[IndexUid, NodeId], NodeVersion] = field(default_factory=dict)
    history: dict[IndexUid, list[HistoryEntry]] = field(default_factory=dict)
    settings: dict[tuple[IndexUid, int], Mapping[str, Any]] = field(default_factory=dict)
    ended: dict[tuple[int, NodeId, int], IntentTask] = field(default_factory=dict)
    expected: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    intents: dict[int, IntentRow] = field(default_factory=dict)
    tasks: dict[int, TaskRecord] = field(default_factory=dict)
    next_task: int = 0
    writes: dict[int, WriteRow] = field(default_factory=dict)
    lagging: dict[tuple[IndexUid, NodeId], str] = field(default_factory=dict)
    webhooks: dict[str, Webhook] = field(default_factory=dict)
    notices: list[tuple[str, Notice]] = field(default_factory=list)
    next_notice: int = 1

    def guarded(self, intent: Intent, lease: Lease) -> IntentRow:
        leased = self.leases[lease.scope]
        if leased.epoch > lease.epoch:
            raise LeaseLost(f"{lease.scope} is led under epoch {leased.epoch}")
        assert leased.epoch == lease.epoch
        row = self.intents[intent.intent_id]
        if row.intent.revision != intent.revision:
            raise LeaseLost(f"intent {intent.intent_id} is at revision {row.intent.revision}")
        return row

    def in_order(self) -> list[Intent]:
        return [row.intent for row in self.intents.values()]

    def version(self, uid: IndexUid) -> int:
        record = self.indexes.get(uid)
        return 0 if record is None else record.version

    def set_frozen(self, uid: IndexUid, reason: str | None) -> None:
        if uid in self.indexes:
            record = self.indexes[uid]
            self.indexes[uid] = replace(record, frozen_reason=reason)

    def unprove(self, uid: IndexUid, node_ids: tuple[NodeId, ...]) -> None:
        for node_id in node_ids:
            known = self.versions.get((uid, node_id))
            if known is not None:
                demoted = replace(known, version=None, fingerprint=None)
                self.versions[uid, node_id] = demoted

    def prove(self, uid: IndexUid, proved: Mapping[NodeId, str], version: int, at_ms: int) -> None:
        for node_id, seen in proved.items():
            self.versions[uid, node_id] = NodeVersion(uid, node_id, version, seen, at_ms)

    def record_proofs(self, intent: Intent, before: Broadcast) -> None:
        """A touched node serves what the decision says, once verified; nothing provable before."""
        anew = set(intent.state.verified)
        if intent.state.decision is before.decision:
            anew -= set(before.verified)
        state = intent.state
        record = self.indexes.get(intent.index_uid)
        version: int | None = None
        if record is not None and not record.deleted:
            if state.decision is Decision.COMMIT:
                version = record.version
            elif state.undoing and (state.undoable or intent.kind is IntentKind.REPAIR):
                version = intent.base_version
        for node_id in state.touched:
            progress = state.nodes[node_id]
            known = self.versions.get((intent.index_uid, node_id))
            seen = progress.fingerprint
            if progress.state is not NodeState.VERIFIED or version is None or seen is None:
                if not intent.kind.leaves_settings:
                    self.unprove(intent.index_uid, (node_id,))
            elif node_id not in anew:
                continue  # Proved before, or found changed by somebody else since.
            elif known is None or (known.version, known.fingerprint) != (version, seen):
                self.prove(intent.index_uid, {node_id: seen}, version, self.clock.wall_ms())

    def check_bound(self, uid: IndexUid, record: CommitRecord) -> None:
        """A version has one fingerprint for ever, also after the index was deleted."""
        if record.raise_version:
            return
        bound = self.bound(uid)
        for engine, seen in record.fingerprints.items():
            assert bound.get(engine, seen) == seen, "a version has one fingerprint"

    def bound(self, uid: IndexUid) -> dict[str, str]:
        bound: dict[str, str] = {}
        if uid in self.indexes:
            bound.update(self.indexes[uid].fingerprints)
        for entry in self.history.get(uid, [])[-1:]:
            bound.update(entry.fingerprints)
        return bound

    def index_after(self, uid: IndexUid, record: CommitRecord, version: int) -> IndexRecord:
        at_ms = record.at_ms
        old = self.indexes.get(uid)
        if old is None or old.deleted:
            old = IndexRecord(uid, None, version, None, {}, None, False, at_ms, at_ms)
        kept = {} if record.raise_version else self.bound(uid)
        after = replace(
            old,
            version=version,
            frozen_reason=None,
            deleted=record.deleted,
            updated_at_ms=at_ms,
            primary_key=old.primary_key if record.primary_key is None else record.primary_key,
            settings=old.settings if record.settings is None else copy_of(record.settings),
            fingerprints={**kept, **record.fingerprints},
            unconfirmed=record.unconfirmed if record.raise_version else old.unconfirmed,
        )
        if record.deleted:
            return replace(
                after, primary_key=None, settings=None, unconfirmed=None, fingerprints={}
            )
        return after

    def write_history(self, intent: Intent, record: CommitRecord, version: int) -> None:
        entry = HistoryEntry(
            index_uid=intent.index_uid,
            version=version,
            fingerprints=copy_of(record.fingerprints),
            diff=copy_of(record.diff),
            kind=str(intent.kind),
            by=intent.by,
            reason=intent.reason,
            intent_id=intent.intent_id,
            at_ms=record.at_ms,
        )
        self.history.setdefault(intent.index_uid, []).append(entry)
        settings = self.indexes[intent.index_uid].settings
        if settings is not None:
            self.settings[intent.index_uid, version] = settings

    def settle_nodes(self, intent: Intent, record: CommitRecord, version: int) -> None:
        uid = intent.index_uid
        if record.deleted or intent.kind is IntentKind.CREATE:
            for key in [key for key in self.lagging if key[0] == uid]:
                del self.lagging[key]
        if not record.deleted:
            if intent.kind is IntentKind.CREATE:
                self.lagging.update({(uid, n): NOT_CREATED for n in record.unproved})
            self.unprove(uid, record.unproved)
            self.prove(uid, record.proved, version, record.at_ms)
            return
        for key in [key for key in self.versions if key[0] == uid]:
            del self.versions[key]

    def new_task(self, task: NewTask, intent_id: int | None = None) -> TaskRecord:
        opened = TaskRecord(
            index_uid=task.index_uid,
            type=task.type,
            details=copy_of(task.details),
            at_ms=task.at_ms,
            custom_metadata=task.custom_metadata,
            uid=self.next_task,
            status="enqueued",
            error=None,
            canceled_by=None,
            started_at_ms=None,
            finished_at_ms=None,
            intent_id=intent_id,
        )
        self.next_task += 1
        self.tasks[opened.uid] = opened
        return opened

    def start(self, uid: int, at_ms: int) -> None:
        task = self.tasks[uid]
        if task.status == "enqueued":
            self.tasks[uid] = replace(task, status="processing", started_at_ms=at_ms)

    def finish(
        self,
        uid: int,
        status: str,
        details: Mapping[str, Any],
        error: Mapping[str, Any] | None,
        at_ms: int,
    ) -> None:
        task = self.tasks[uid]
        if task.status not in UNENDED:
            return
        ended = replace(
            task,
            status=status,
            details=copy_of(details),
            error=copy_of(error),
            canceled_by=task.recalled_by if status == "canceled" else None,
            recalled_by=None,
            started_at_ms=first_of(task.started_at_ms, at_ms),
            finished_at_ms=at_ms,
        )
        self.tasks[uid] = ended
        for uuid in sorted(self.webhooks):
            self.notices.append((uuid, Notice(self.next_notice, ended)))
            self.next_notice += 1
        if task.recalled_by is not None:
            self.settle_cancelation(task.recalled_by, at_ms)

    def settle_cancelation(self, uid: int, at_ms: int) -> None:
        if any(task.recalled_by == uid for task in self.tasks.values()):
            return
        count = sum(task.canceled_by == uid for task in self.tasks.values())
        details = {**self.tasks[uid].details, "canceledTasks": count}
        self.finish(uid, "succeeded", details, None, at_ms)

    def shares(self, uid: int) -> tuple[NodeTaskRecord, ...]:
        if uid not in self.writes:
            return ()
        shares = self.writes[uid].shares.values()
        return tuple(sorted(shares, key=lambda share: (share.shard_id, share.node_id)))

    def find(self, query: TaskQuery) -> TaskPage:
        matching = [task for task in self.tasks.values() if matches(task, query)]
        ordered = matching if query.reverse else matching[::-1]
        start = query.from_uid
        if start is not None:
            ordered = [t for t in ordered if (t.uid >= start if query.reverse else t.uid <= start)]
        page, rest = ordered[: query.limit], ordered[query.limit :]
        return TaskPage(tuple(page), len(matching), rest[0].uid if rest else None)

    def find_batches(self, query: TaskQuery) -> BatchPage:
        members: dict[int, list[TaskRecord]] = {}
        for task in self.tasks.values():
            if task.batch_uid is not None:
                members.setdefault(task.batch_uid, []).append(task)
        matching = sorted(
            uid for uid, tasks in members.items() if batch_matches(uid, tasks, query)
        )
        ordered = matching if query.reverse else matching[::-1]
        start = query.from_uid
        if start is not None:
            ordered = [uid for uid in ordered if (uid >= start if query.reverse else uid <= start)]
        page, rest = ordered[: query.limit], ordered[query.limit :]
        results = tuple((uid, tuple(members[uid])) for uid in page)
        return BatchPage(results, len(matching), rest[0] if rest else None)

    def parts_to_send(self, uid: int) -> tuple[WritePart, ...]:
        write = self.writes[uid]
        waiting = {share.shard_id for share in write.shares.values() if share.status == "unsent"}
        return tuple(part for part in write.parts if part.shard_id in waiting)

    def save_shares(
        self, shares: tuple[NodeTaskRecord, ...], out_of_sync: Mapping[NodeId, str]
    ) -> None:
        (uid,) = {share.task_uid for share in shares}
        write = self.writes[uid]
        assert all(share.node_id in write.shares for share in shares)
        index_uid = self.tasks[uid].index_uid
        for share in shares:
            shard_id = write.shares[share.node_id].shard_id
            write.shares[share.node_id] = replace(
                share,
                shard_id=shard_id,
                error=copy_of(share.error),
                details=copy_of(share.details),
            )
        for node_id, reason in out_of_sync.items():
            assert index_uid is not None
            self.lagging.setdefault((index_uid, node_id), reason)
        if all(share.status != "unsent" for share in write.shares.values()):
            write.parts = ()


def first_of(known: int | None, now: int) -> int:
    """Return a moment that is known already, else now."""
    return now if known is None else known


def copy_of(value: Result) -> Result:
    """Return what JSON leaves of a value: nobody else's dict, nothing that could not be stored."""
    return cast("Result", msgspec.json.decode(msgspec.json.encode(value)))


def stored(intent: Intent) -> Intent:
    """Return an intent as it comes back from a disk."""
    return msgspec.json.decode(msgspec.json.encode(intent), type=Intent)
