"""
Statements about batches: what the tasks themselves say of them.

The contract is `ports/task_store.py`. A batch has no row of its own: it is one task, or a
cancelation with what it has cancelled.
"""

from typing import Any

from miroir.adapters import store_codec as codec
from miroir.adapters.store_task_queries import (
    BATCH,
    HAS_BATCH,
    Condition,
    is_one,
    joined,
    open_to,
    times,
)
from miroir.adapters.store_transaction import Transaction, marks
from miroir.ports.records import OF_ONE_INDEX, BatchPage, TaskQuery, TaskRecord


def find(tx: Transaction, query: TaskQuery) -> BatchPage:
    """See `Store.batches`. One more than asked for is read, as with tasks."""
    where, values = joined(((HAS_BATCH, ()), *_conditions(query)))
    count = tx.row(f"SELECT count(DISTINCT {BATCH}) AS total FROM task WHERE {where}", *values)
    assert count is not None
    if query.from_uid is not None:
        where += f" AND {BATCH} {'>=' if query.reverse else '<='} ?"
        values.append(query.from_uid)
    order = "ASC" if query.reverse else "DESC"
    rows = tx.rows(
        f"SELECT DISTINCT {BATCH} AS batch FROM task WHERE {where} ORDER BY batch {order} LIMIT ?",
        *(*values, query.limit + 1),
    )
    found: list[int] = [row["batch"] for row in rows]
    next_uid = found[-1] if len(found) > query.limit else None
    return BatchPage(_with_tasks(tx, found[: query.limit]), count["total"], next_uid)


def _with_tasks(
    tx: Transaction, batches: list[int]
) -> tuple[tuple[int, tuple[TaskRecord, ...]], ...]:
    tasks: dict[int, list[TaskRecord]] = {batch: [] for batch in batches}
    for row in tx.rows(
        f"SELECT * FROM task WHERE {BATCH} IN ({marks(batches)}) AND {HAS_BATCH} ORDER BY uid",
        *batches,
    ):
        task = codec.task_record(row)
        assert task.batch_uid is not None
        tasks[task.batch_uid].append(task)
    return tuple((batch, tuple(members)) for batch, members in tasks.items())


def _conditions(query: TaskQuery) -> list[Condition]:
    """Return what must hold for the batch of a task."""
    about_tasks: list[tuple[Condition, ...]] = [
        is_one("uid", query.uids),
        is_one("status", query.statuses),
        is_one("type", query.types),
        times(query, "enqueued"),
        # What was cancelled may have begun long before the batch in which it ended.
        _of_heads(times(query, "started")),
        _of_heads(times(query, "finished")),
    ]
    if query.canceled_by:
        canceled = (*is_one("uid", query.canceled_by), *is_one("type", ("taskCancelation",)))
        about_tasks.append((*canceled, *is_one("status", ("succeeded",))))
    found = [_some_task(conditions) for conditions in about_tasks if conditions]
    if query.index_uids or query.open_to is not None:
        found += [_some_task(is_one("index_uid", query.index_uids))] if query.index_uids else []
        found += [_some_task((open_to(query.open_to),))] if query.open_to is not None else []
        found.append(_no_task((f"type NOT IN ({marks(OF_ONE_INDEX)})", OF_ONE_INDEX)))
    return [*found, *is_one(BATCH, query.batches)]


def _of_heads(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    return (*conditions, ("canceled_by IS NULL", ())) if conditions else ()


def _some_task(conditions: tuple[Condition, ...]) -> Condition:
    return _within("IN", conditions)


def _no_task(condition: Condition) -> Condition:
    return _within("NOT IN", (condition,))


def _within(operator: str, conditions: tuple[Condition, ...]) -> Condition:
    where, values = joined(((HAS_BATCH, ()), *conditions))
    inner: tuple[Any, ...] = tuple(values)
    return f"{BATCH} {operator} (SELECT {BATCH} FROM task WHERE {where})", inner
