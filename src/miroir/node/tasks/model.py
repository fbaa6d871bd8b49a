"""
What a task is.

```
enqueued -> processing -> succeeded | failed
    |            |
    +------------+-> canceled          (processing goes back to enqueued when the process dies)
```
A `Task` is a frozen copy of one row of the table `tasks`. Its `request` holds everything that the
execution needs, except a document payload, which is a blob of its own. Nothing here does I/O.
"""

import sqlite3
from dataclasses import dataclass
from typing import Any, Final

from miroir.node.errors import ApiError
from miroir.node.json_text import decode

STATUSES: Final = ("enqueued", "processing", "succeeded", "failed", "canceled")
TYPES: Final = (
    "documentAdditionOrUpdate", "documentEdition", "documentDeletion", "settingsUpdate",
    "indexCreation", "indexDeletion", "indexUpdate", "indexSwap", "taskCancelation",
    "taskDeletion", "dumpCreation", "snapshotCreation", "export", "upgradeDatabase",
    "indexCompaction", "networkTopologyChange", "dsrUpdate", "dsrClear",
)  # fmt: skip
FINISHED: Final = ("succeeded", "failed", "canceled")
COLUMNS: Final = (
    "uid, batch_uid, index_uid, status, type, canceled_by, details, error, request, metadata, "
    "enqueued_at, started_at, finished_at"
)
# What a task that did nothing shows instead of null.
_ZERO_WHEN_FAILED: Final = (
    "indexedDocuments", "deletedDocuments", "canceledTasks", "deletedTasks",
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """
    One task. Times are in nanoseconds since 1970.

    Attributes:
        details: What the API shows of the work; None when the type has none.
        error: The JSON object of the error of a failed task.
        request: What to do, for the execution of the type.
        metadata: The client's own text (`customMetadata`).
    """

    uid: int
    batch_uid: int | None
    index_uid: str | None
    status: str
    type: str
    canceled_by: int | None
    details: dict[str, Any] | None
    error: dict[str, Any] | None
    request: dict[str, Any]
    metadata: str | None
    enqueued_at: int
    started_at: int | None
    finished_at: int | None


@dataclass(frozen=True)
class NewTask:
    """A task to register; the queue gives it a uid and a time."""

    type: str
    index_uid: str | None
    details: dict[str, Any] | None
    request: dict[str, Any]
    payload: bytes | None = None
    metadata: str | None = None


class AbortedError(Exception):
    """The running task was asked to stop before its effect was committed."""


def from_row(row: sqlite3.Row) -> Task:
    """Return the task of a table row."""
    values = dict(row)
    for name in ("details", "error", "request"):
        values[name] = None if values[name] is None else decode(values[name])
    return Task(**values)


def details_of_failure(details: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the details of a task that changed nothing: its open counts are zero."""
    if details is None:
        return None
    return {
        key: 0 if value is None and key in _ZERO_WHEN_FAILED else value
        for key, value in details.items()
    }


def task_not_found(uid: int | str) -> ApiError:
    """Return the error of an unknown task."""
    return ApiError("task_not_found", f"Task `{uid}` not found.")
