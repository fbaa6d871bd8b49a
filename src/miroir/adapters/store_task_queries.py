"""
What a `TaskQuery` means in SQL: conditions, each with the values of its `?`.

The paging of a query is not looked at here. Conditions are made of column names of ours alone;
whatever a client has said is a value. Prefixes are compared by `substr`: LIKE knows no case.
"""

from collections.abc import Iterable
from itertools import groupby
from typing import Any, Final

from miroir.adapters.store_transaction import marks
from miroir.ports.records import OF_ONE_INDEX, TaskQuery

Condition = tuple[str, tuple[Any, ...]]

BATCH: Final = "coalesce(canceled_by, uid)"
"""The batch of a task that has one; the expression is that of an index."""
HAS_BATCH: Final = "(started_at_ms IS NOT NULL OR finished_at_ms IS NOT NULL)"
TIME_COLUMNS: Final = {
    "enqueued": "at_ms",
    "started": "started_at_ms",
    "finished": "finished_at_ms",
}


def where(query: TaskQuery) -> tuple[str, list[Any]]:
    """Return the one condition for tasks that all restrictions of a query hold for."""
    return joined((*_own(query), *_of_indexes(query)))


def joined(conditions: Iterable[Condition]) -> tuple[str, list[Any]]:
    """Return all conditions as one."""
    parts, values = ["1 = 1"], list[Any]()
    for condition, more in conditions:
        parts.append(condition)
        values += more
    return " AND ".join(parts), values


def is_one(column: str, wanted: tuple[Any, ...]) -> tuple[Condition, ...]:
    """Return that a column is one of these; nothing for no restriction."""
    return ((f"{column} IN ({marks(wanted)})", wanted),) if wanted else ()


def times(query: TaskQuery, field: str) -> tuple[Condition, ...]:
    """Return that a moment is within its bounds; nothing for no bounds."""
    found: list[Condition] = []
    for name, operator, at_ms in query.times:
        assert operator in {"<", ">"}, operator
        if name == field:
            found.append((f"{TIME_COLUMNS[field]} {operator} ?", (at_ms,)))
    return tuple(found)


def open_to(patterns: tuple[str, ...]) -> Condition:
    """
    Return that the index of a task is one that a key opens.

    One part for each length of a prefix: a key may have thousands of patterns, and SQLite takes no
    expression that is deeper than a thousand.
    """
    exact = tuple(pattern for pattern in patterns if not pattern.endswith("*"))
    prefixes = sorted((p[:-1] for p in patterns if p.endswith("*")), key=len)
    parts, values = ["1 = 0"], list[Any]()
    for condition, more in is_one("index_uid", exact):
        parts.append(condition)
        values += more
    for length, equally_long in groupby(prefixes, key=len):
        begin = tuple(equally_long)
        parts.append(f"substr(index_uid, 1, ?) IN ({marks(begin)})")
        values += (length, *begin)
    return f"({' OR '.join(parts)})", tuple(values)


def _own(query: TaskQuery) -> tuple[Condition, ...]:
    batches = is_one(BATCH, query.batches)
    return (
        *is_one("uid", query.uids),
        *is_one("status", query.statuses),
        *is_one("type", query.types),
        *is_one("canceled_by", query.canceled_by),
        *batches,
        *(((HAS_BATCH, ()),) if batches else ()),
        *(condition for field in TIME_COLUMNS for condition in times(query, field)),
    )


def _of_indexes(query: TaskQuery) -> tuple[Condition, ...]:
    if not query.index_uids and query.open_to is None:
        return ()
    return (
        *is_one("type", OF_ONE_INDEX),
        *is_one("index_uid", query.index_uids),
        *((open_to(query.open_to),) if query.open_to is not None else ()),
    )
