"""
Statements that cancel and delete tasks.

Each function is the body of one transaction; the contract is `ports/task_store.py`.
"""

from dataclasses import replace
from typing import Final

from miroir.adapters import store_codec as codec, store_intents, store_task_queries, store_tasks
from miroir.adapters.store_tasks import UNENDED
from miroir.adapters.store_transaction import Transaction
from miroir.core.broadcast_types import Phase
from miroir.ports.records import Intent, NewTask, TaskQuery, TaskRecord

_TO_BE_LEFT: Final = ("taskCancelation", "taskDeletion")
"""They end by themselves at once, or as soon as what they wait for has ended."""


def open_cancelation(tx: Transaction, query: TaskQuery, task: NewTask) -> TaskRecord:
    """See `Store.open_cancelation`."""
    where, values = store_task_queries.where(query)
    details = {**task.details, "matchedTasks": _count(tx, where, values), "canceledTasks": None}
    opened = store_tasks.insert(tx, replace(task, details=details))
    tx.run(
        f"UPDATE task SET recalled_by = ? WHERE {where} AND {UNENDED}"
        " AND recalled_by IS NULL AND uid <> ? AND type NOT IN (?, ?)",
        *(opened.uid, *values, opened.uid, *_TO_BE_LEFT),
    )
    store_tasks.start(tx, opened.uid, at_ms=task.at_ms)
    store_tasks.settle_cancelation(tx, opened.uid, at_ms=task.at_ms)
    return _found(tx, opened.uid)


def recalled_tasks(tx: Transaction) -> tuple[TaskRecord, ...]:
    """See `Store.recalled_tasks`. The condition is that of the index `recalled_task`."""
    rows = tx.rows("SELECT * FROM task WHERE recalled_by IS NOT NULL ORDER BY uid")
    return tuple(codec.task_record(row) for row in rows)


def let_go(tx: Transaction, uid: int, *, at_ms: int) -> None:
    """See `Store.let_go`."""
    row = tx.row("SELECT recalled_by FROM task WHERE uid = ? AND recalled_by IS NOT NULL", uid)
    if row is None:
        return
    tx.run("UPDATE task SET recalled_by = NULL WHERE uid = ?", uid)
    store_tasks.settle_cancelation(tx, row["recalled_by"], at_ms=at_ms)


def cancel_intent(tx: Transaction, intent_id: int, *, at_ms: int) -> Intent | None:
    """See `Store.cancel_intent`."""
    intent = store_intents.intent(tx, intent_id)
    row = tx.row(
        "SELECT 1 AS waits FROM intent WHERE intent_id = ? AND started = 0 AND closed = 0",
        intent_id,
    )
    if row is None:
        return None
    state = replace(intent.state, phase=Phase.CANCELED)
    tx.run(
        "UPDATE intent SET state = ?, phase = ?, closed = 1, closed_at_ms = ?,"
        " revision = revision + 1 WHERE intent_id = ?",
        *(codec.to_json(state), state.phase.value, at_ms, intent_id),
    )
    if intent.task_uid is not None:
        task = _found(tx, intent.task_uid)
        store_tasks.finish(
            tx, task.uid, status="canceled", details=task.details, error=None, at_ms=at_ms
        )
    return store_intents.intent(tx, intent_id)


def delete_tasks(tx: Transaction, query: TaskQuery, task: NewTask) -> TaskRecord:
    """See `Store.delete_tasks`."""
    where, values = store_task_queries.where(query)
    matched = _count(tx, where, values)
    ended = f"SELECT uid FROM task WHERE {where} AND NOT {UNENDED}"
    for table in ("node_task", "write_part"):
        tx.run(f"DELETE FROM {table} WHERE task_uid IN ({ended})", *values)
    deleted = tx.run(f"DELETE FROM task WHERE {where} AND NOT {UNENDED}", *values)
    details = {**task.details, "matchedTasks": matched, "deletedTasks": deleted}
    opened = store_tasks.insert(tx, replace(task, details=details))
    store_tasks.finish(
        tx, opened.uid, status="succeeded", details=details, error=None, at_ms=task.at_ms
    )
    return _found(tx, opened.uid)


def _count(tx: Transaction, where: str, values: list[object]) -> int:
    row = tx.row(f"SELECT count(*) AS found FROM task WHERE {where}", *values)
    assert row is not None
    return int(row["found"])


def _found(tx: Transaction, uid: int) -> TaskRecord:
    task = store_tasks.get(tx, uid)
    assert task is not None, uid
    return task
