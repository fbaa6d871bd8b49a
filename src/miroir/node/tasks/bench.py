"""
What the execution of a task works with, and what it hands back.

An execution computes everything it can and returns a `Plan`; it changes nothing itself. The
scheduler then carries the plan out: memory and store change together, under the catalog's lock, in
the transaction that also ends the task.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from miroir.node.catalog import Catalog
from miroir.node.errors import ApiError
from miroir.node.faults import Faults
from miroir.node.index_uids import index_not_found
from miroir.node.indexes import IndexRow, find_index, insert_index, require_index
from miroir.node.store import Store
from miroir.node.tasks.model import Task
from miroir.node.tasks.queue import Queue


@dataclass(frozen=True)
class Bench:
    """Everything that executions may use."""

    store: Store
    catalog: Catalog
    queue: Queue
    faults: Faults


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Plan:
    """
    The effect of a task.

    Attributes:
        store: Writes the effect; returns final details to merge into the task's.
        memory: Changes the engines; undone by `reload` when the commit fails.
        reload: The index whose engine `memory` changes in place, if it does.
        indexed: The number of the index whose documents are indexed, if any are.
    """

    store: Callable[[sqlite3.Connection], dict[str, Any]]
    memory: Callable[[], None] = field(default=_nothing)
    reload: str | None = None
    indexed: int | None = None


def ensure_index(bench: Bench, task: Task) -> IndexRow:
    """
    Return the index of a writing task, creating it when the task may.

    The creation is durable by itself: Meilisearch keeps the new index too when the task then
    fails.

    Raises:
        ApiError: `index_not_found`, the task may not create indexes.
    """
    assert task.index_uid is not None
    found = find_index(bench.store, task.index_uid)
    if found is not None:
        return found
    if not task.request.get("mayCreate"):
        raise index_not_found(task.index_uid)
    create_index(bench, task.index_uid, None)
    return require_index(bench.store, task.index_uid)


def create_index(bench: Bench, uid: str, primary_key: str | None) -> None:
    """Create an empty index in store and memory."""
    with bench.catalog.lock:
        with bench.store.transaction() as db:
            insert_index(db, uid, primary_key)
        row = require_index(bench.store, uid)
        bench.catalog.put(row.iid, bench.catalog.empty(row, primary_key))


def index_of(bench: Bench, task: Task) -> IndexRow:
    """Return the index of a task that never creates one; raises `index_not_found`."""
    assert task.index_uid is not None
    return require_index(bench.store, task.index_uid)


def named(error: ApiError, uid: str) -> ApiError:
    """Return an error of the engine with the index named in front, as tasks show it."""
    return ApiError(error.code, f"Index `{uid}`: {error.message}")
