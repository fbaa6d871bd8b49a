"""
Batches: what was done together, as it was at the time.

A batch holds one task here, and with a cancelation the tasks that it canceled. Its record is
written in the transaction that ends it and stays as it is: later renames of indexes do not reach
it. A batch is forgotten with the last of its tasks.
"""

# ruff: noqa: S608  conditions come from tasks/filters.py, values are always bound

import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from miroir.node.json_text import decode, encode_text
from miroir.node.sizes import human_size
from miroir.node.store import Store
from miroir.node.tasks.filters import PAGE, Condition, selection
from miroir.node.tasks.model import COLUMNS, Task, from_row
from miroir.node.tasks.views import batch_view

_TASKS: Final = f"SELECT {COLUMNS} FROM tasks WHERE batch_uid = ? ORDER BY uid"


@dataclass(frozen=True)
class BatchPage:
    """A part of the list of batches and how to get the next one."""

    views: list[dict[str, Any]]
    total: int
    first: int | None
    next: int | None


def record_batch(db: sqlite3.Connection, task: Task, sizes_bytes: tuple[int, int]) -> None:
    """
    Write down the batch of a task that has ended, within the transaction that ends it.

    Args:
        db: The connection of the transaction.
        task: The task with its end.
        sizes_bytes: Of the documents of its index, before and after.
    """
    tasks = [from_row(row) for row in db.execute(_TASKS, (task.batch_uid,))]
    stats = _counted(tasks) | _measured(task, *sizes_bytes)
    view = encode_text(batch_view(task, stats))
    db.execute("INSERT OR REPLACE INTO batches VALUES (?, ?)", (task.batch_uid, view))


def _measured(task: Task, before: int, after: int) -> dict[str, Any]:
    """Return what is measured of the work: the whole span, and how the documents grew."""
    assert task.started_at is not None, "a batch that has ended was started"
    assert task.finished_at is not None, "a batch that has ended has an end"
    milliseconds = (task.finished_at - task.started_at) / 1e6
    stats: dict[str, Any] = {"progressTrace": {"processing tasks": f"{milliseconds:.2f}ms"}}
    if task.status == "succeeded" and _indexes(task, before, after):
        stats["writeChannelCongestion"] = _NO_CHANNEL
    if before != after:
        sign, size = "+" if after > before else "-", human_size(abs(after - before))
        stats["internalDatabaseSizes"] = {"documents": f"{human_size(after)} ({sign}{size})"}
    return stats


def _indexes(task: Task, before: int, after: int) -> bool:
    """Tell whether documents were indexed, which for Meilisearch means through a channel."""
    match task.type:
        case "documentAdditionOrUpdate":
            return True
        case "settingsUpdate":
            return after > 0
        case "documentDeletion":
            return before != after and "providedIds" in (task.details or {})
        case _:
            return False


_NO_CHANNEL: Final = {"attempts": 0, "blocking_attempts": 0, "blocking_ratio": None}
"""Here nothing is written through a channel."""


def _counted(tasks: list[Task]) -> dict[str, Any]:
    names = Counter(task.index_uid for task in tasks if task.index_uid is not None)
    return {
        "totalNbTasks": len(tasks),
        "status": dict(sorted(Counter(task.status for task in tasks).items())),
        "types": dict(sorted(Counter(task.type for task in tasks).items())),
        "indexUids": dict(sorted(names.items())),
        "progressTrace": {},
    }


def batch_selection(read: dict[str, Any]) -> Condition:
    """
    Return the condition on `batch_uid` for batches: each parameter looks for a task of its own.

    A batch that runs is found by no uid and no moment of registration of its tasks; `canceledBy`
    means the batch of the cancelation. Index names are those of the time when the batch ran.
    """
    condition = Condition("batch_uid IS NOT NULL", ())
    for name, value in read.items():
        if value is None or name in PAGE:
            continue
        if name == "batchUids":
            found = Condition(f"batch_uid IN ({','.join('?' * len(value))})", tuple(value))
        elif name == "indexUids":
            found = _batches_of_indexes(value)
        else:
            found = _batches_with(name, value)
        condition = condition.also(found.sql, *found.arguments)
    return condition


def _batches_with(name: str, value: Any) -> Condition:
    wanted = selection({name: value})
    if name == "canceledBy":
        wanted = selection({"uids": value}).also(
            "type = 'taskCancelation' AND status = 'succeeded'"
        )
    elif name == "uids" or name.endswith("EnqueuedAt"):
        wanted = wanted.also("status <> 'processing'")
    return Condition(
        f"batch_uid IN (SELECT batch_uid FROM tasks WHERE {wanted.sql})", wanted.arguments
    )


def _batches_of_indexes(names: list[str]) -> Condition:
    marks = ",".join("?" * len(names))
    running = selection({"indexUids": names}).also("status = 'processing'")
    return Condition(
        "batch_uid IN (SELECT batches.uid FROM batches, json_each(view, '$.stats.indexUids') AS n "
        f"WHERE n.key IN ({marks})) OR batch_uid IN (SELECT batches.uid FROM batches, "
        "json_each(view, '$.details.swaps') AS swap, json_each(swap.value, '$.indexes') AS n "
        f"WHERE n.value IN ({marks})) OR batch_uid IN (SELECT uid FROM batches "
        f"WHERE json_extract(view, '$.details.newIndexUid') IN ({marks})) "
        f"OR batch_uid IN (SELECT batch_uid FROM tasks WHERE {running.sql})",
        (*names, *names, *names, *running.arguments),
    )


def page_of_batches(
    store: Store,
    where: Condition,
    is_shown: Callable[[dict[str, Any]], bool],
    *,
    limit: int,
    start: int | None,
    reverse: bool,
) -> BatchPage:
    """
    Return one page of the batches that meet a condition, newest first.

    As on Meilisearch batches that are not shown count and take up room on their page.
    """
    row = store.row(
        f"SELECT COUNT(DISTINCT batch_uid) AS total FROM tasks WHERE {where.sql}", where.arguments
    )
    assert row is not None, "a count has a row"
    if start is not None:
        where = where.also("batch_uid >= ?" if reverse else "batch_uid <= ?", start)
    rows = store.rows(
        f"SELECT DISTINCT batch_uid FROM tasks WHERE {where.sql} "
        f"ORDER BY batch_uid {'ASC' if reverse else 'DESC'} LIMIT ?",
        (*where.arguments, limit + 1),
    )
    views = [view for found in rows if is_shown(view := _view(store, int(found["batch_uid"])))]
    return BatchPage(
        views=views[:limit],
        total=int(row["total"]),
        first=views[0]["uid"] if limit and views else None,
        next=views[limit]["uid"] if len(views) > limit else None,
    )


def indexes_of(view: dict[str, Any]) -> set[str]:
    """Return the names of the indexes that a batch was about, those of swaps too."""
    swapped = (name for swap in view["details"].get("swaps", ()) for name in swap["indexes"])
    renamed = [view["details"]["newIndexUid"]] if "newIndexUid" in view["details"] else []
    return {*view["stats"]["indexUids"], *swapped, *renamed}


def _view(store: Store, uid: int) -> dict[str, Any]:
    row = store.row("SELECT view FROM batches WHERE uid = ?", (uid,))
    if row is not None:
        view: dict[str, Any] = decode(row["view"])
        return view
    tasks = [from_row(found) for found in store.rows(_TASKS, (uid,))]
    assert tasks, "a batch that is found has a task"
    return batch_view(tasks[0], _counted(tasks))
