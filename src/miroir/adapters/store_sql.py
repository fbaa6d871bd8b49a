"""
The store in an SQL database: the port, method by method, each one transaction.

The statements are in the other files called `store_...`; the dialect (`store_sqlite`) brings the
transactions. No statement and no rule here.
"""

from collections.abc import Callable, Mapping
from typing import Any, Concatenate, ParamSpec, TypeVar

from miroir.adapters import (
    store_batches,
    store_history,
    store_indexes,
    store_intents,
    store_recalls,
    store_tasks,
    store_webhooks,
)
from miroir.adapters.store_transaction import Database, Transaction
from miroir.core.broadcast_types import Broadcast
from miroir.core.topology import IndexUid, NodeId
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

P = ParamSpec("P")
Result = TypeVar("Result")


class SqlStore:
    """Implements `Store`; see there for every method."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def _run(
        self,
        work: Callable[Concatenate[Transaction, P], Result],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Result:
        return await self._database.transact(lambda tx: work(tx, *args, **kwargs))

    async def aclose(self) -> None:
        """See `Store.aclose`."""
        await self._database.aclose()

    # ---- leases and facts

    async def take_lease(
        self, scope: str, holder: str, *, ttl_ms: int, now_ms: int
    ) -> Lease | None:
        """See `Store.take_lease`."""
        return await self._run(
            store_indexes.take_lease, scope, holder, ttl_ms=ttl_ms, now_ms=now_ms
        )

    async def release_lease(self, lease: Lease) -> None:
        """See `Store.release_lease`."""
        await self._run(store_indexes.release_lease, lease)

    async def fact(self, name: str) -> str | None:
        """See `Store.fact`."""
        return await self._run(store_indexes.fact, name)

    async def set_fact(self, name: str, value: str) -> None:
        """See `Store.set_fact`."""
        await self._run(store_indexes.set_fact, name, value)

    # ---- indexes, versions, history

    async def indexes(self) -> tuple[IndexRecord, ...]:
        """See `Store.indexes`."""
        return await self._run(store_indexes.indexes)

    async def index(self, index_uid: IndexUid) -> IndexRecord | None:
        """See `Store.index`."""
        return await self._run(store_indexes.index, index_uid)

    async def node_versions(self) -> tuple[NodeVersion, ...]:
        """See `Store.node_versions`."""
        return await self._run(store_indexes.node_versions)

    async def unprove(self, index_uid: IndexUid, node_ids: tuple[NodeId, ...]) -> None:
        """See `Store.unprove`."""
        await self._run(store_indexes.unprove, index_uid, node_ids)

    async def prove(
        self, index_uid: IndexUid, proved: Mapping[NodeId, str], *, version: int, at_ms: int
    ) -> bool:
        """See `Store.prove`."""
        return await self._run(
            store_indexes.prove, index_uid, proved, version=version, at_ms=at_ms
        )

    async def learn(
        self,
        index_uid: IndexUid,
        *,
        version: int,
        engine: str,
        fingerprint: str,
        settings: Mapping[str, Any],
    ) -> IndexRecord | None:
        """See `Store.learn`."""
        return await self._run(
            store_indexes.learn,
            index_uid,
            version=version,
            engine=engine,
            fingerprint=fingerprint,
            settings=settings,
        )

    async def history(
        self, index_uid: IndexUid, *, limit: int | None = None, from_version: int | None = None
    ) -> tuple[HistoryEntry, ...]:
        """See `Store.history`."""
        return await self._run(
            store_history.history, index_uid, limit=limit, from_version=from_version
        )

    async def settings_of(self, index_uid: IndexUid, version: int) -> Mapping[str, Any] | None:
        """See `Store.settings_of`."""
        return await self._run(store_history.settings_of, index_uid, version)

    async def confirm(self, index_uid: IndexUid, version: int) -> bool:
        """See `Store.confirm`."""
        return await self._run(store_indexes.confirm, index_uid, version)

    async def thaw(self, index_uid: IndexUid) -> None:
        """See `Store.thaw`."""
        await self._run(store_indexes.thaw, index_uid)

    async def expected(self, target_hash: str, engine: str) -> Mapping[str, Any] | None:
        """See `Store.expected`."""
        return await self._run(store_indexes.expected, target_hash, engine)

    async def keep_expected(
        self, target_hash: str, engine: str, read_back: Mapping[str, Any]
    ) -> None:
        """See `Store.keep_expected`."""
        await self._run(store_indexes.keep_expected, target_hash, engine, read_back)

    # ---- intents

    async def open_intent(self, intent: NewIntent) -> Intent:
        """See `Store.open_intent`."""
        return await self._run(store_intents.open_intent, intent)

    async def accept_intent(self, intent: NewIntent, task: NewTask) -> tuple[Intent, TaskRecord]:
        """See `Store.accept_intent`."""
        return await self._run(store_intents.accept_intent, intent, task)

    async def intent(self, intent_id: int) -> Intent:
        """See `Store.intent`."""
        return await self._run(store_intents.intent, intent_id)

    async def open_intents(self) -> tuple[Intent, ...]:
        """See `Store.open_intents`."""
        return await self._run(store_intents.open_intents)

    async def recent_intents(self, limit: int) -> tuple[Intent, ...]:
        """See `Store.recent_intents`."""
        return await self._run(store_intents.recent_intents, limit)

    async def find_intents(self, query: IntentQuery) -> tuple[Intent, ...]:
        """See `Store.find_intents`."""
        return await self._run(store_history.find_intents, query)

    async def intent_tasks(
        self, intent_ids: tuple[int, ...]
    ) -> Mapping[int, tuple[IntentTask, ...]]:
        """See `Store.intent_tasks`."""
        return await self._run(store_history.intent_tasks, intent_ids)

    async def start_intent(self, intent: Intent, lease: Lease) -> Intent:
        """See `Store.start_intent`."""
        return await self._run(store_intents.start_intent, intent, lease)

    async def save_intent(
        self,
        intent: Intent,
        state: Broadcast,
        lease: Lease,
        *,
        ended: tuple[IntentTask, ...] = (),
    ) -> Intent:
        """See `Store.save_intent`."""
        return await self._run(store_intents.save_intent, intent, state, lease, ended=ended)

    async def commit(self, intent: Intent, record: CommitRecord, lease: Lease) -> int:
        """See `Store.commit`."""
        return await self._run(store_intents.commit, intent, record, lease)

    async def commit_swap(self, intent: Intent, record: SwapRecord, lease: Lease) -> int:
        """See `Store.commit_swap`."""
        return await self._run(store_intents.commit_swap, intent, record, lease)

    async def freeze(self, intent: Intent, reason: str, lease: Lease) -> None:
        """See `Store.freeze`."""
        await self._run(store_intents.freeze, intent, reason, lease)

    # ---- tasks and document writes

    async def open_task(
        self,
        task: NewTask,
        *,
        status: str = "enqueued",
        error: Mapping[str, Any] | None = None,
    ) -> TaskRecord:
        """See `Store.open_task`."""
        return await self._run(store_tasks.open_task, task, status=status, error=error)

    async def open_write(
        self, task: NewTask, parts: tuple[WritePart, ...], targets: tuple[NodeTaskRecord, ...]
    ) -> TaskRecord:
        """See `Store.open_write`."""
        return await self._run(store_tasks.open_write, task, parts, targets)

    async def save_shares(
        self, shares: tuple[NodeTaskRecord, ...], *, out_of_sync: Mapping[NodeId, str]
    ) -> None:
        """See `Store.save_shares`."""
        await self._run(store_tasks.save_shares, shares, out_of_sync=out_of_sync)

    async def unfinished_writes(
        self,
    ) -> tuple[tuple[TaskRecord, tuple[WritePart, ...], tuple[NodeTaskRecord, ...]], ...]:
        """See `Store.unfinished_writes`."""
        return await self._run(store_tasks.unfinished_writes)

    async def shares(self, task_uid: int) -> tuple[NodeTaskRecord, ...]:
        """See `Store.shares`."""
        return await self._run(store_tasks.shares, task_uid)

    async def start_task(self, uid: int, *, at_ms: int) -> None:
        """See `Store.start_task`."""
        await self._run(store_tasks.start, uid, at_ms=at_ms)

    async def finish_task(
        self,
        uid: int,
        *,
        status: str,
        details: Mapping[str, Any],
        error: Mapping[str, Any] | None,
        at_ms: int,
    ) -> None:
        """See `Store.finish_task`."""
        await self._run(
            store_tasks.finish, uid, status=status, details=details, error=error, at_ms=at_ms
        )

    async def unfinished_tasks(self) -> Mapping[str, int]:
        """See `Store.unfinished_tasks`."""
        return await self._run(store_tasks.unfinished)

    async def task(self, uid: int) -> TaskRecord | None:
        """See `Store.task`."""
        return await self._run(store_tasks.get, uid)

    async def tasks(self, query: TaskQuery) -> TaskPage:
        """See `Store.tasks`."""
        return await self._run(store_tasks.find, query)

    async def batches(self, query: TaskQuery) -> BatchPage:
        """See `Store.batches`."""
        return await self._run(store_batches.find, query)

    async def open_cancelation(self, query: TaskQuery, task: NewTask) -> TaskRecord:
        """See `Store.open_cancelation`."""
        return await self._run(store_recalls.open_cancelation, query, task)

    async def recalled_tasks(self) -> tuple[TaskRecord, ...]:
        """See `Store.recalled_tasks`."""
        return await self._run(store_recalls.recalled_tasks)

    async def let_go(self, uid: int, *, at_ms: int) -> None:
        """See `Store.let_go`."""
        await self._run(store_recalls.let_go, uid, at_ms=at_ms)

    async def cancel_intent(self, intent_id: int, *, at_ms: int) -> Intent | None:
        """See `Store.cancel_intent`."""
        return await self._run(store_recalls.cancel_intent, intent_id, at_ms=at_ms)

    async def delete_tasks(self, query: TaskQuery, task: NewTask) -> TaskRecord:
        """See `Store.delete_tasks`."""
        return await self._run(store_recalls.delete_tasks, query, task)

    # ---- webhooks

    async def webhooks(self) -> tuple[Webhook, ...]:
        """See `Store.webhooks`."""
        return await self._run(store_webhooks.webhooks)

    async def put_webhook(self, webhook: Webhook) -> None:
        """See `Store.put_webhook`."""
        await self._run(store_webhooks.put, webhook)

    async def drop_webhook(self, uuid: str) -> bool:
        """See `Store.drop_webhook`."""
        return await self._run(store_webhooks.drop, uuid)

    async def notices(self, uuid: str, limit: Backlog) -> tuple[Notice, ...]:
        """See `Store.notices`."""
        return await self._run(store_webhooks.notices, uuid, limit)

    async def trim_notices(self, uuid: str, limit: Backlog) -> int:
        """See `Store.trim_notices`."""
        return await self._run(store_webhooks.trim_notices, uuid, limit)

    async def drop_notices(self, uuid: str, up_to: int) -> None:
        """See `Store.drop_notices`."""
        await self._run(store_webhooks.drop_notices, uuid, up_to)

    # ---- replicas

    async def out_of_sync(self) -> Mapping[tuple[IndexUid, NodeId], str]:
        """See `Store.out_of_sync`."""
        return await self._run(store_indexes.out_of_sync)

    async def set_in_sync(self, index_uid: IndexUid, node_id: NodeId) -> None:
        """See `Store.set_in_sync`."""
        await self._run(store_indexes.set_in_sync, index_uid, node_id)

    async def set_out_of_sync(self, index_uid: IndexUid, node_id: NodeId, reason: str) -> None:
        """See `Store.set_out_of_sync`."""
        await self._run(store_indexes.set_out_of_sync, index_uid, node_id, reason)
