"""
The store as values in memory: the same contract as the real ones, for the simulation.

No thread, no I/O, no chance. `pause` is awaited before and after the effect of every call, with
`before commit` or `after commit` as its argument: there the simulation delays, crashes (raises)
or cuts off a leader. The effect itself is one synchronous function, hence one transaction.
What "durable" means here: the object outlives the process under test; say `reopen()` for what the
next process does first.
"""

import functools
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any, Concatenate, ParamSpec, TypeVar

from miroir.core.broadcast_types import Broadcast, Decision, Phase
from miroir.core.topology import IndexUid, NodeId
from miroir.ports.clock import Clock
from miroir.ports.records import (
    Backlog,
    BatchPage,
    CommitRecord,
    HistoryEntry,
    IndexRecord,
    Intent,
    IntentQuery,
    IntentTask,
    Lease,
    NewIntent,
    NewTask,
    NodeTaskRecord,
    NodeVersion,
    Notice,
    SwapRecord,
    TaskPage,
    TaskQuery,
    TaskRecord,
    Webhook,
    WritePart,
)
from tests.support import memory_swaps
from tests.support.memory_queries import matches, within
from tests.support.memory_tables import (
    UNENDED,
    IntentRow,
    LeaseRow,
    Tables,
    WriteRow,
    copy_of,
    first_of,
    stored,
)

P = ParamSpec("P")
Result = TypeVar("Result")
Pause = Callable[[str], Awaitable[None]]


async def no_pause(_: str) -> None:
    """Go on at once."""


def _durable(
    effect: Callable[Concatenate["MemoryStore", P], Result],
) -> Callable[Concatenate["MemoryStore", P], Coroutine[Any, Any, Result]]:
    """Make a synchronous effect a method of the port."""
    name = effect.__name__

    @functools.wraps(effect)
    async def call(self: "MemoryStore", /, *args: P.args, **kwargs: P.kwargs) -> Result:
        await self.pause(f"before {name}")
        assert not self.closed, "the store is closed"
        result = effect(self, *args, **kwargs)
        await self.pause(f"after {name}")
        return result

    return call


class MemoryStore:
    """
    Implements `Store`; see there for every method.

    Attributes:
        pause: Awaited around every effect; replace it at any time.
        closed: Whether `aclose` was called.
    """

    def __init__(self, clock: Clock, *, pause: Pause = no_pause) -> None:
        self.pause = pause
        self.closed = False
        self._tables = Tables(clock)

    def reopen(self) -> None:
        """Do what the next process does first: the last one is dead, so its leases are free."""
        self.closed = False
        for row in self._tables.leases.values():
            row.holder, row.expires_at_ms = None, 0

    async def aclose(self) -> None:
        """See `Store.aclose`."""
        self.closed = True

    # ---- leases and facts

    @_durable
    def take_lease(self, scope: str, holder: str, *, ttl_ms: int, now_ms: int) -> Lease | None:
        """See `Store.take_lease`."""
        row = self._tables.leases.setdefault(scope, LeaseRow(None, 0, 0))
        if row.holder is None or row.expires_at_ms <= now_ms:
            row.epoch += 1
        elif row.holder != holder:
            return None
        row.holder, row.expires_at_ms = holder, now_ms + ttl_ms
        return Lease(scope, holder, row.epoch)

    @_durable
    def release_lease(self, lease: Lease) -> None:
        """See `Store.release_lease`."""
        row = self._tables.leases.get(lease.scope)
        if row is not None and (row.holder, row.epoch) == (lease.holder, lease.epoch):
            row.holder, row.expires_at_ms = None, 0

    @_durable
    def fact(self, name: str) -> str | None:
        """See `Store.fact`."""
        return self._tables.facts.get(name)

    @_durable
    def set_fact(self, name: str, value: str) -> None:
        """See `Store.set_fact`."""
        self._tables.facts[name] = value

    # ---- indexes, versions, history

    @_durable
    def indexes(self) -> tuple[IndexRecord, ...]:
        """See `Store.indexes`."""
        return tuple(record for _, record in sorted(self._tables.indexes.items()))

    @_durable
    def index(self, index_uid: IndexUid) -> IndexRecord | None:
        """See `Store.index`."""
        return self._tables.indexes.get(index_uid)

    @_durable
    def node_versions(self) -> tuple[NodeVersion, ...]:
        """See `Store.node_versions`."""
        return tuple(version for _, version in sorted(self._tables.versions.items()))

    @_durable
    def unprove(self, index_uid: IndexUid, node_ids: tuple[NodeId, ...]) -> None:
        """See `Store.unprove`."""
        self._tables.unprove(index_uid, node_ids)

    @_durable
    def prove(
        self, index_uid: IndexUid, proved: Mapping[NodeId, str], *, version: int, at_ms: int
    ) -> bool:
        """See `Store.prove`."""
        if not self._rests(index_uid, version):
            return False
        self._tables.prove(index_uid, proved, version, at_ms)
        return True

    @_durable
    def learn(
        self,
        index_uid: IndexUid,
        *,
        version: int,
        engine: str,
        fingerprint: str,
        settings: Mapping[str, Any],
    ) -> IndexRecord | None:
        """See `Store.learn`."""
        record = self._tables.indexes.get(index_uid)
        if record is None or not self._rests(index_uid, version) or engine in record.fingerprints:
            return None
        self._tables.indexes[index_uid] = replace(
            record,
            settings=copy_of({**settings, **(record.settings or {})}),
            fingerprints={**record.fingerprints, engine: fingerprint},
        )
        return self._tables.indexes[index_uid]

    def _rests(self, index_uid: IndexUid, version: int) -> bool:
        record = self._tables.indexes.get(index_uid)
        if record is None or record.deleted or record.version != version:
            return False
        intents = self._tables.in_order()
        return not any(index_uid in i.index_uids and not i.state.closed for i in intents)

    @_durable
    def history(
        self, index_uid: IndexUid, *, limit: int | None = None, from_version: int | None = None
    ) -> tuple[HistoryEntry, ...]:
        """See `Store.history`."""
        entries = reversed(self._tables.history.get(index_uid, []))
        page = [e for e in entries if from_version is None or e.version <= from_version]
        return tuple(page[:limit])

    @_durable
    def settings_of(self, index_uid: IndexUid, version: int) -> Mapping[str, Any] | None:
        """See `Store.settings_of`."""
        return self._tables.settings.get((index_uid, version))

    @_durable
    def confirm(self, index_uid: IndexUid, version: int) -> bool:
        """See `Store.confirm`."""
        record = self._tables.indexes.get(index_uid)
        if record is None or record.version != version or record.unconfirmed is None:
            return False
        self._tables.indexes[index_uid] = replace(record, unconfirmed=None)
        return True

    @_durable
    def thaw(self, index_uid: IndexUid) -> None:
        """See `Store.thaw`."""
        self._tables.set_frozen(index_uid, None)

    @_durable
    def expected(self, target_hash: str, engine: str) -> Mapping[str, Any] | None:
        """See `Store.expected`."""
        return self._tables.expected.get((target_hash, engine))

    @_durable
    def keep_expected(self, target_hash: str, engine: str, read_back: Mapping[str, Any]) -> None:
        """See `Store.keep_expected`."""
        self._tables.expected.setdefault((target_hash, engine), copy_of(read_back))

    # ---- intents

    @_durable
    def open_intent(self, intent: NewIntent) -> Intent:
        """See `Store.open_intent`."""
        return self._open(intent)

    @_durable
    def accept_intent(self, intent: NewIntent, task: NewTask) -> tuple[Intent, TaskRecord]:
        """See `Store.accept_intent`."""
        opened = self._open(intent)
        promised = self._tables.new_task(task, intent_id=opened.intent_id)
        row = self._tables.intents[opened.intent_id]
        row.intent = replace(row.intent, task_uid=promised.uid)
        return row.intent, promised

    def _open(self, intent: NewIntent) -> Intent:
        assert not intent.state.closed
        intent_id = len(self._tables.intents) + 1
        opened = Intent(
            **{name: getattr(intent, name) for name in NewIntent.__dataclass_fields__},
            intent_id=intent_id,
            base_version=self._tables.version(intent.index_uid),
            task_uid=None,
            revision=0,
            committed_version=None,
        )
        self._tables.intents[intent_id] = IntentRow(stored(opened))
        return self._tables.intents[intent_id].intent

    @_durable
    def intent(self, intent_id: int) -> Intent:
        """See `Store.intent`."""
        return self._tables.intents[intent_id].intent

    @_durable
    def open_intents(self) -> tuple[Intent, ...]:
        """See `Store.open_intents`."""
        return tuple(intent for intent in self._tables.in_order() if not intent.state.closed)

    @_durable
    def recent_intents(self, limit: int) -> tuple[Intent, ...]:
        """See `Store.recent_intents`."""
        return tuple(reversed(self._tables.in_order()))[:limit]

    @_durable
    def find_intents(self, query: IntentQuery) -> tuple[Intent, ...]:
        """See `Store.find_intents`."""
        matching = [
            intent
            for intent in reversed(self._tables.in_order())
            if (not query.ids or intent.intent_id in query.ids)
            and (not query.index_uids or set(query.index_uids) & set(intent.index_uids))
            and (not query.phases or intent.state.phase in query.phases)
            and (query.from_id is None or intent.intent_id <= query.from_id)
        ]
        return tuple(matching[: query.limit])

    @_durable
    def intent_tasks(self, intent_ids: tuple[int, ...]) -> Mapping[int, tuple[IntentTask, ...]]:
        """See `Store.intent_tasks`."""
        found: dict[int, tuple[IntentTask, ...]] = {}
        for (intent_id, _, _), task in sorted(self._tables.ended.items()):
            if intent_id in intent_ids:
                found[intent_id] = (*found.get(intent_id, ()), task)
        return found

    @_durable
    def start_intent(self, intent: Intent, lease: Lease) -> Intent:
        """See `Store.start_intent`."""
        row = self._tables.guarded(intent, lease)
        before = row.intent
        assert not before.state.closed
        assert intent.base_version == self._tables.version(before.index_uid)
        for other in self._tables.intents.values():
            same = set(other.intent.index_uids) & set(before.index_uids) and other is not row
            assert not (same and other.started and not other.intent.state.closed), "one started"
        row.started = True
        row.intent = stored(
            replace(
                before,
                target=intent.target,
                undo=intent.undo,
                base_version=intent.base_version,
                state=intent.state,
                revision=before.revision + 1,
                started_at_ms=first_of(before.started_at_ms, self._tables.clock.wall_ms()),
            )
        )
        if before.task_uid is not None:
            self._tables.start(before.task_uid, self._tables.clock.wall_ms())
        self._record_proofs(row.intent, row.intent.state)
        return row.intent

    @_durable
    def save_intent(
        self,
        intent: Intent,
        state: Broadcast,
        lease: Lease,
        *,
        ended: tuple[IntentTask, ...] = (),
    ) -> Intent:
        """See `Store.save_intent`."""
        row = self._tables.guarded(intent, lease)
        assert not row.intent.state.closed
        committed = row.intent.committed_version is not None
        assert committed or state.decision is not Decision.COMMIT
        assert not committed or state.decision is not Decision.ABORT
        now_ms = self._tables.clock.wall_ms()
        before = row.intent.state
        row.intent = stored(
            replace(
                row.intent,
                state=state,
                revision=row.intent.revision + 1,
                closed_at_ms=now_ms if state.closed else None,
            )
        )
        for task in ended:
            key = (intent.intent_id, task.node_id, task.task_uid)
            self._tables.ended[key] = replace(task, error=copy_of(task.error))
        self._record_proofs(row.intent, before)
        uid = row.intent.task_uid
        if state.closed and not committed and uid is not None:
            details = self._tables.tasks[uid].details
            self._tables.finish(uid, "failed", details, state.error, now_ms)
        return row.intent

    def _record_proofs(self, intent: Intent, before: Broadcast) -> None:
        if intent.kind.moves_indexes:
            memory_swaps.record_progress(self._tables, intent)
        else:
            self._tables.record_proofs(intent, before)

    @_durable
    def commit(self, intent: Intent, record: CommitRecord, lease: Lease) -> int:
        """See `Store.commit`."""
        row = self._tables.guarded(intent, lease)
        if row.intent.committed_version is not None:
            return row.intent.committed_version
        assert row.started
        assert not row.intent.state.closed
        uid = row.intent.index_uid
        version = self._tables.version(uid)
        assert version == row.intent.base_version
        if record.raise_version:
            version += 1
        self._tables.check_bound(uid, record)
        self._tables.indexes[uid] = self._tables.index_after(uid, record, version)
        if record.raise_version:
            self._tables.write_history(row.intent, record, version)
        self._tables.settle_nodes(intent, record, version)
        row.intent = replace(row.intent, committed_version=version)
        if row.intent.task_uid is not None:
            details = record.task_details
            self._tables.finish(row.intent.task_uid, "succeeded", details, None, record.at_ms)
        return version

    @_durable
    def commit_swap(self, intent: Intent, record: SwapRecord, lease: Lease) -> int:
        """See `Store.commit_swap`."""
        row = self._tables.guarded(intent, lease)
        if row.intent.committed_version is not None:
            return row.intent.committed_version
        assert row.started
        assert not row.intent.state.closed
        version = memory_swaps.move(self._tables, row.intent, record)
        row.intent = replace(row.intent, committed_version=version)
        if row.intent.task_uid is not None:
            memory_swaps.rename_tasks(self._tables, row.intent)
            details = record.task_details
            self._tables.finish(row.intent.task_uid, "succeeded", details, None, record.at_ms)
        return version

    @_durable
    def freeze(self, intent: Intent, reason: str, lease: Lease) -> None:
        """See `Store.freeze`."""
        self._tables.guarded(intent, lease)
        self._tables.set_frozen(intent.index_uid, reason)

    # ---- tasks and document writes

    @_durable
    def open_task(
        self,
        task: NewTask,
        *,
        status: str = "enqueued",
        error: Mapping[str, Any] | None = None,
    ) -> TaskRecord:
        """See `Store.open_task`."""
        assert status in {"enqueued", "succeeded", "failed"}
        assert (error is not None) == (status == "failed")
        uid = self._tables.new_task(task).uid
        if status != "enqueued":
            self._tables.finish(uid, status, task.details, error, task.at_ms)
        return self._tables.tasks[uid]

    @_durable
    def open_write(
        self, task: NewTask, parts: tuple[WritePart, ...], targets: tuple[NodeTaskRecord, ...]
    ) -> TaskRecord:
        """See `Store.open_write`."""
        opened = self._tables.new_task(task)
        shares = {
            t.node_id: NodeTaskRecord(opened.uid, t.node_id, t.shard_id, None, "unsent")
            for t in targets
        }
        self._tables.writes[opened.uid] = WriteRow(parts, shares)
        return opened

    @_durable
    def save_shares(
        self, shares: tuple[NodeTaskRecord, ...], *, out_of_sync: Mapping[NodeId, str]
    ) -> None:
        """See `Store.save_shares`."""
        self._tables.save_shares(shares, out_of_sync)

    @_durable
    def unfinished_writes(
        self,
    ) -> tuple[tuple[TaskRecord, tuple[WritePart, ...], tuple[NodeTaskRecord, ...]], ...]:
        """See `Store.unfinished_writes`."""
        return tuple(
            (self._tables.tasks[uid], self._tables.parts_to_send(uid), self._tables.shares(uid))
            for uid in sorted(self._tables.writes)
            if self._tables.tasks[uid].status in UNENDED and self._tables.shares(uid)
        )

    @_durable
    def shares(self, task_uid: int) -> tuple[NodeTaskRecord, ...]:
        """See `Store.shares`."""
        return self._tables.shares(task_uid)

    @_durable
    def start_task(self, uid: int, *, at_ms: int) -> None:
        """See `Store.start_task`."""
        self._tables.start(uid, at_ms)

    @_durable
    def finish_task(
        self,
        uid: int,
        *,
        status: str,
        details: Mapping[str, Any],
        error: Mapping[str, Any] | None,
        at_ms: int,
    ) -> None:
        """See `Store.finish_task`."""
        assert status in {"succeeded", "failed", "canceled"}
        self._tables.finish(uid, status, details, error, at_ms)

    @_durable
    def unfinished_tasks(self) -> Mapping[str, int]:
        """See `Store.unfinished_tasks`."""
        return Counter(t.status for t in self._tables.tasks.values() if t.status in UNENDED)

    @_durable
    def task(self, uid: int) -> TaskRecord | None:
        """See `Store.task`."""
        return self._tables.tasks.get(uid)

    @_durable
    def tasks(self, query: TaskQuery) -> TaskPage:
        """See `Store.tasks`."""
        return self._tables.find(query)

    @_durable
    def batches(self, query: TaskQuery) -> BatchPage:
        """See `Store.batches`."""
        return self._tables.find_batches(query)

    @_durable
    def open_cancelation(self, query: TaskQuery, task: NewTask) -> TaskRecord:
        """See `Store.open_cancelation`."""
        matched = [t for t in self._tables.tasks.values() if matches(t, query)]
        details = {**task.details, "matchedTasks": len(matched), "canceledTasks": None}
        opened = self._tables.new_task(replace(task, details=details))
        self._tables.start(opened.uid, task.at_ms)
        for one in matched:
            left = one.type in {"taskCancelation", "taskDeletion"} or one.recalled_by is not None
            if one.status in UNENDED and not left:
                self._tables.tasks[one.uid] = replace(one, recalled_by=opened.uid)
        self._tables.settle_cancelation(opened.uid, task.at_ms)
        return self._tables.tasks[opened.uid]

    @_durable
    def recalled_tasks(self) -> tuple[TaskRecord, ...]:
        """See `Store.recalled_tasks`."""
        return tuple(t for t in self._tables.tasks.values() if t.recalled_by is not None)

    @_durable
    def let_go(self, uid: int, *, at_ms: int) -> None:
        """See `Store.let_go`."""
        task = self._tables.tasks.get(uid)
        if task is not None and task.recalled_by is not None:
            self._tables.tasks[uid] = replace(task, recalled_by=None)
            self._tables.settle_cancelation(task.recalled_by, at_ms)

    @_durable
    def cancel_intent(self, intent_id: int, *, at_ms: int) -> Intent | None:
        """See `Store.cancel_intent`."""
        row = self._tables.intents[intent_id]
        if row.started or row.intent.state.closed:
            return None
        row.intent = stored(
            replace(
                row.intent,
                state=replace(row.intent.state, phase=Phase.CANCELED),
                closed_at_ms=at_ms,
                revision=row.intent.revision + 1,
            )
        )
        uid = row.intent.task_uid
        if uid is not None:
            details = self._tables.tasks[uid].details
            self._tables.finish(uid, "canceled", details, None, at_ms)
        return row.intent

    @_durable
    def delete_tasks(self, query: TaskQuery, task: NewTask) -> TaskRecord:
        """See `Store.delete_tasks`."""
        matched = [t for t in self._tables.tasks.values() if matches(t, query)]
        ended = [t.uid for t in matched if t.status not in UNENDED]
        for uid in ended:
            del self._tables.tasks[uid]
            self._tables.writes.pop(uid, None)
        details = {**task.details, "matchedTasks": len(matched), "deletedTasks": len(ended)}
        opened = self._tables.new_task(replace(task, details=details))
        self._tables.finish(opened.uid, "succeeded", details, None, task.at_ms)
        return self._tables.tasks[opened.uid]

    # ---- webhooks

    @_durable
    def webhooks(self) -> tuple[Webhook, ...]:
        """See `Store.webhooks`."""
        return tuple(webhook for _, webhook in sorted(self._tables.webhooks.items()))

    @_durable
    def put_webhook(self, webhook: Webhook) -> None:
        """See `Store.put_webhook`."""
        self._tables.webhooks[webhook.uuid] = webhook

    @_durable
    def drop_webhook(self, uuid: str) -> bool:
        """See `Store.drop_webhook`."""
        self._tables.notices = [n for n in self._tables.notices if n[0] != uuid]
        return self._tables.webhooks.pop(uuid, None) is not None

    @_durable
    def notices(self, uuid: str, limit: Backlog) -> tuple[Notice, ...]:
        """See `Store.notices`."""
        mine = [n for to, n in self._tables.notices if to == uuid]
        return tuple(mine[: within(mine, limit)])

    @_durable
    def trim_notices(self, uuid: str, limit: Backlog) -> int:
        """See `Store.trim_notices`."""
        mine = [n for to, n in reversed(self._tables.notices) if to == uuid]
        gone = {n.number for n in mine[within(mine, limit) :]}
        kept = [(to, n) for to, n in self._tables.notices if n.number not in gone]
        self._tables.notices = kept
        return len(gone)

    @_durable
    def drop_notices(self, uuid: str, up_to: int) -> None:
        """See `Store.drop_notices`."""
        self._tables.notices = [
            (to, n) for to, n in self._tables.notices if to != uuid or n.number > up_to
        ]

    # ---- replicas

    @_durable
    def out_of_sync(self) -> Mapping[tuple[IndexUid, NodeId], str]:
        """See `Store.out_of_sync`."""
        return dict(sorted(self._tables.lagging.items()))

    @_durable
    def set_in_sync(self, index_uid: IndexUid, node_id: NodeId) -> None:
        """See `Store.set_in_sync`."""
        self._tables.lagging.pop((index_uid, node_id), None)

    @_durable
    def set_out_of_sync(self, index_uid: IndexUid, node_id: NodeId, reason: str) -> None:
        """See `Store.set_out_of_sync`."""
        self._tables.lagging.setdefault((index_uid, node_id), reason)
