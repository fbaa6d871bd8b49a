"""Which tasks, batches and notices the store in memory answers with: its queries as predicates."""

from itertools import accumulate
from typing import Any

import msgspec

from miroir.ports.records import (
    OF_ONE_INDEX,
    Backlog,
    Notice,
    TaskQuery,
    TaskRecord,
)


def matches(task: TaskRecord, query: TaskQuery) -> bool:
    """Whether a task answers a query, but for its paging."""
    lists: tuple[tuple[Any, tuple[Any, ...]], ...] = (
        (task.uid, query.uids),
        (task.status, query.statuses),
        (task.type, query.types),
        (task.canceled_by, query.canceled_by),
    )
    if (query.index_uids or query.open_to is not None) and task.type not in OF_ONE_INDEX:
        return False
    if query.index_uids and task.index_uid not in query.index_uids:
        return False
    if query.open_to is not None and not open_to(task, query.open_to):
        return False
    if query.batches and task.batch_uid not in query.batches:
        return False
    return all(not wanted or value in wanted for value, wanted in lists) and all(
        in_time(task, *bound) for bound in query.times
    )


def in_time(task: TaskRecord, name: str, operator: str, bound: int) -> bool:
    """Whether a moment of a task is on the right side."""
    at = {
        "enqueued": task.at_ms,
        "started": task.started_at_ms,
        "finished": task.finished_at_ms,
    }[name]
    return at is not None and (at < bound if operator == "<" else at > bound)


def open_to(task: TaskRecord, patterns: tuple[str, ...]) -> bool:
    """Whether the index of a task is within patterns."""
    uid = task.index_uid
    return uid is not None and any(
        uid.startswith(p[:-1]) if p.endswith("*") else uid == p for p in patterns
    )


def batch_matches(uid: int, tasks: list[TaskRecord], query: TaskQuery) -> bool:
    """Whether a batch answers a query, but for its paging."""
    heads = [task for task in tasks if task.canceled_by is None]
    wanted: list[bool] = [
        not query.batches or uid in query.batches,
        not query.uids or any(t.uid in query.uids for t in tasks),
        not query.statuses or any(t.status in query.statuses for t in tasks),
        not query.types or any(t.type in query.types for t in tasks),
        not query.canceled_by
        or any(
            t.uid in query.canceled_by and (t.type, t.status) == ("taskCancelation", "succeeded")
            for t in tasks
        ),
        not query.index_uids or any(t.index_uid in query.index_uids for t in tasks),
        query.open_to is None or any(open_to(t, query.open_to) for t in tasks),
    ]
    if query.index_uids or query.open_to is not None:
        wanted.append(all(t.type in OF_ONE_INDEX for t in tasks))
    for field_name in ("enqueued", "started", "finished"):
        bounds = [bound for bound in query.times if bound[0] == field_name]
        among = tasks if field_name == "enqueued" else heads
        wanted.append(not bounds or any(all(in_time(t, *b) for b in bounds) for t in among))
    return all(wanted)


def within(notices: list[Notice], limit: Backlog) -> int:
    """Return how many of them, from the first on, are within a limit; one is in any case."""
    chars = accumulate(len(msgspec.json.encode(n.task)) for n in notices[: limit.count])
    return max(1, sum(total <= limit.chars for total in chars))
