"""
Batches: what was done together, as it was at the time.

A batch holds one task here, and with a cancelation the tasks that it canceled. Its record is
written in the transaction that ends it and stays as it is: later renames of indexes do not reach
it. A batch is found by its tasks and is forgotten with the last of them.
"""

# ruff: noqa: S608  conditions come from tasks/filters.py, values are always bound

import sqlite3
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from miroir.node.json_text import decode, encode_text
from miroir.node.store import Store
from miroir.node.tasks.filters import Condition
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


def record_batch(db: sqlite3.Connection, task: Task) -> None:
    """Write down the batch of a task that has ended, within the transaction that ends it."""
    tasks = [from_row(row) for row in db.execute(_TASKS, (task.batch_uid,))]
    view = encode_text(batch_view(task, _counted(tasks)))
    db.execute("INSERT OR REPLACE INTO batches VALUES (?, ?)", (task.batch_uid, view))


def _counted(tasks: list[Task]) -> dict[str, Any]:
    names = Counter(task.index_uid for task in tasks if task.index_uid is not None)
    return {
        "totalNbTasks": len(tasks),
        "status": dict(sorted(Counter(task.status for task in tasks).items())),
        "types": dict(sorted(Counter(task.type for task in tasks).items())),
        "indexUids": dict(sorted(names.items())),
        "progressTrace": {},
    }


def page_of_batches(
    store: Store, where: Condition, *, limit: int, start: int | None, reverse: bool
) -> BatchPage:
    """Return one page of the batches of the tasks that meet a condition, newest first."""
    where = where.also("batch_uid IS NOT NULL")
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
    uids = [int(found["batch_uid"]) for found in rows]
    return BatchPage(
        views=[_view(store, uid) for uid in uids[:limit]],
        total=int(row["total"]),
        first=uids[0] if limit and uids else None,
        next=uids[limit] if len(uids) > limit else None,
    )


def _view(store: Store, uid: int) -> dict[str, Any]:
    row = store.row("SELECT view FROM batches WHERE uid = ?", (uid,))
    if row is not None:
        view: dict[str, Any] = decode(row["view"])
        return view
    tasks = [from_row(found) for found in store.rows(_TASKS, (uid,))]
    assert tasks, "a batch that is found has a task"
    return batch_view(tasks[0], _counted(tasks))
