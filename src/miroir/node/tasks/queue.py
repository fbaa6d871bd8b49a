"""
The task queue in the database.

Rules: a task is durable before its registration is answered; uids grow by one and are never used
again, also after tasks were deleted; tasks are done one at a time, oldest first, except that
cancelations and then deletions of tasks go before everything else. The queue runs nothing.
"""

# ruff: noqa: S608  conditions come from tasks/filters.py, values are always bound

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from miroir.node.json_text import decode, encode_text
from miroir.node.store import Store, put_meta
from miroir.node.tasks.batches import record_batch
from miroir.node.tasks.filters import EVERYTHING, Condition
from miroir.node.tasks.model import (
    COLUMNS,
    NewTask,
    Task,
    details_of_failure,
    from_row,
    task_not_found,
)
from miroir.node.times import now_ns

_FIRST: Final = (
    "CASE type WHEN 'taskCancelation' THEN 0 WHEN 'taskDeletion' THEN 1 ELSE 2 END, uid"
)


@dataclass(frozen=True)
class Page:
    """A part of the task list and how to get the next one."""

    tasks: list[Task]
    total: int
    first: int | None
    next: int | None


class Queue:
    """
    Registers, lists and finishes tasks.

    Args:
        store: The database.
        registered: Called after each registration, from the registering thread.
    """

    def __init__(self, store: Store, registered: Callable[[Task], None]) -> None:
        self._store = store
        self._registered = registered

    def register(self, new: NewTask) -> Task:
        """Write a task down and return it. Safe from any thread; never idempotent."""
        with self._store.transaction() as db:
            uid = _count_up(db, "next_task_uid")
            now = now_ns()
            db.execute(
                "INSERT INTO tasks (uid, index_uid, status, type, details, request, payload, "
                "metadata, enqueued_at) VALUES (?, ?, 'enqueued', ?, ?, ?, ?, ?, ?)",
                (
                    uid, new.index_uid, new.type, _json(new.details), encode_text(new.request),
                    new.payload, new.metadata, now,
                ),
            )  # fmt: skip
        task = self.get(uid)
        self._registered(task)
        return task

    def get(self, uid: int) -> Task:
        """
        Return a task.

        Raises:
            ApiError: `task_not_found`.
        """
        row = self._store.row(f"SELECT {COLUMNS} FROM tasks WHERE uid = ?", (uid,))
        if row is None:
            raise task_not_found(uid)
        return from_row(row)

    def payload(self, uid: int) -> bytes:
        """Return the payload of a task that has not ended."""
        row = self._store.row("SELECT payload FROM tasks WHERE uid = ?", (uid,))
        assert row is not None
        assert row["payload"] is not None, f"task {uid} has no payload"
        return bytes(row["payload"])

    def payload_of(self, uid: int) -> bytes | None:
        """Return the payload of a task, None when it has none or has ended."""
        row = self._store.row("SELECT payload FROM tasks WHERE uid = ?", (uid,))
        return None if row is None or row["payload"] is None else bytes(row["payload"])

    def page(
        self,
        where: Condition,
        shown: Condition = EVERYTHING,
        *,
        limit: int,
        start: int | None,
        reverse: bool,
    ) -> Page:
        """
        Return one page of the tasks that meet a condition, newest first unless reversed.

        As on Meilisearch tasks that are not shown count and take up room on their page.
        """
        total = self._count(where)
        if start is not None:
            where = where.also("uid >= ?" if reverse else "uid <= ?", start)
        order = "ASC" if reverse else "DESC"
        page = f"SELECT * FROM tasks WHERE {where.sql} ORDER BY uid {order} LIMIT ?"
        rows = self._store.rows(
            f"SELECT {COLUMNS} FROM ({page}) WHERE {shown.sql} ORDER BY uid {order}",
            (*where.arguments, limit + 1, *shown.arguments),
        )
        tasks = [from_row(row) for row in rows]
        numbers = [task.uid for task in tasks]
        return Page(
            tasks=tasks[:limit],
            total=total,
            first=numbers[0] if limit and numbers else None,
            next=numbers[limit] if len(numbers) > limit else None,
        )

    def _count(self, where: Condition) -> int:
        sql = f"SELECT COUNT(*) FROM tasks WHERE {where.sql}"
        row = self._store.row(sql, where.arguments)
        assert row is not None
        return int(row[0])

    def matching(self, where: Condition) -> list[int]:
        """Return the uids of the tasks that meet a condition."""
        rows = self._store.rows(f"SELECT uid FROM tasks WHERE {where.sql}", where.arguments)
        return [row["uid"] for row in rows]

    def ended_in(self, batch_uid: int) -> list[Task]:
        """Return the tasks of a batch that have ended."""
        sql = f"SELECT {COLUMNS} FROM tasks WHERE batch_uid = ? AND finished_at IS NOT NULL"
        return [from_row(row) for row in self._store.rows(f"{sql} ORDER BY uid", (batch_uid,))]

    def recover(self) -> None:
        """Put the tasks that ran when the process died back into the queue."""
        with self._store.transaction() as db:
            db.execute(
                "UPDATE tasks SET status = 'enqueued', started_at = NULL, batch_uid = NULL "
                "WHERE status = 'processing'"
            )

    def start_next(self) -> Task | None:
        """Mark the next task as processing and return it, None when there is nothing to do."""
        sql = f"SELECT {COLUMNS} FROM tasks WHERE status = 'enqueued' ORDER BY {_FIRST} LIMIT 1"
        row = self._store.row(sql)
        if row is None:
            return None
        with self._store.transaction() as db:
            started, batch_uid = now_ns(), _count_up(db, "next_batch_uid")
            db.execute(
                "UPDATE tasks SET status = 'processing', started_at = ?, batch_uid = ? "
                "WHERE uid = ?",
                (started, batch_uid, row["uid"]),
            )
        return replace(from_row(row), status="processing", started_at=started, batch_uid=batch_uid)

    def put_back(self, task: Task) -> None:
        """Return a running task to the queue."""
        with self._store.transaction() as db:
            db.execute(
                "UPDATE tasks SET status = 'enqueued', started_at = NULL, batch_uid = NULL "
                "WHERE uid = ?",
                (task.uid,),
            )


def finish(db: sqlite3.Connection, task: Task, sizes_bytes: tuple[int, int] = (0, 0)) -> None:
    """
    Write down how a task and its batch ended, within the transaction of its effect.

    Args:
        db: The connection of the transaction.
        task: The task with its end.
        sizes_bytes: Of the documents of its index, before and after.
    """
    ended = replace(task, finished_at=now_ns())
    db.execute(
        "UPDATE tasks SET status = ?, details = ?, error = ?, finished_at = ?, payload = NULL "
        "WHERE uid = ?",
        (ended.status, _json(ended.details), _json(ended.error), ended.finished_at, ended.uid),
    )
    record_batch(db, ended, sizes_bytes)


def cancel(db: sqlite3.Connection, uids: Iterable[int], by: Task) -> int:
    """Cancel those of the tasks that have not ended; return how many."""
    canceled = 0
    for uid in uids:
        row = db.execute(
            "SELECT details FROM tasks WHERE uid = ? AND uid <> ? "
            "AND status IN ('enqueued', 'processing')",
            (uid, by.uid),
        ).fetchone()
        if row is None:
            continue
        details = None if row["details"] is None else decode(row["details"])
        db.execute(
            "UPDATE tasks SET status = 'canceled', canceled_by = ?, finished_at = ?, "
            "batch_uid = ?, started_at = ?, payload = NULL, details = ? WHERE uid = ?",
            (
                by.uid, now_ns(), by.batch_uid, by.started_at,
                _json(details_of_failure(details)), uid,
            ),
        )  # fmt: skip
        canceled += 1
    return canceled


def forget(db: sqlite3.Connection, uids: Iterable[int]) -> int:
    """Delete those of the tasks that have ended, and their batches; return how many."""
    deleted = sum(
        db.execute(
            "DELETE FROM tasks WHERE uid = ? AND status IN ('succeeded', 'failed', 'canceled')",
            (uid,),
        ).rowcount
        for uid in uids
    )
    known = "SELECT batch_uid FROM tasks WHERE batch_uid IS NOT NULL"
    db.execute(f"DELETE FROM batches WHERE uid NOT IN ({known})")
    return deleted


def rename_index_of_tasks(db: sqlite3.Connection, pair: tuple[str, str], before: int) -> None:
    """
    Let the tasks registered before `before` follow their indexes to new names.

    Also where a name was free and an index is only renamed, tasks change sides in both directions:
    those of an index that had the name before come to the name that is given up.
    """
    left, right = pair
    names = {left: right, right: left}
    cases = " ".join("WHEN ? THEN ?" for _ in names)
    pairs = [part for pair in names.items() for part in pair]
    marks = ",".join("?" * len(names))
    db.execute(
        f"UPDATE tasks SET index_uid = CASE index_uid {cases} END "
        f"WHERE uid < ? AND index_uid IN ({marks})",
        (*pairs, before, *names),
    )
    for uid, alias in db.execute(
        "SELECT uid, json_extract(request, '$.foundAs') AS alias FROM tasks "
        f"WHERE uid < ? AND type = 'indexUpdate' AND alias IN ({marks})",
        (before, *names),
    ).fetchall():
        db.execute(
            "UPDATE tasks SET request = json_set(request, '$.foundAs', ?) WHERE uid = ?",
            (names[alias], uid),
        )
    swaps = db.execute(
        "SELECT uid, details FROM tasks WHERE uid < ? AND type = 'indexSwap'", (before,)
    ).fetchall()
    for row in swaps:
        _rename_in_swap(db, row["uid"], decode(row["details"]), names)


def _rename_in_swap(
    db: sqlite3.Connection, uid: int, details: dict[str, Any], names: dict[str, str]
) -> None:
    for pair in details["swaps"]:
        pair["indexes"] = [names.get(index, index) for index in pair["indexes"]]
    text = encode_text(details)
    db.execute("UPDATE tasks SET details = ?, request = ? WHERE uid = ?", (text, text, uid))


def _count_up(db: sqlite3.Connection, counter: str) -> int:
    row = db.execute("SELECT value FROM meta WHERE name = ?", (counter,)).fetchone()
    value = 0 if row is None else int(row["value"])
    put_meta(db, counter, str(value + 1))
    return value


def _json(value: dict[str, Any] | None) -> str | None:
    return None if value is None else encode_text(value)
