"""Records of the store in the JSON forms that Meilisearch gives them."""

from datetime import UTC, datetime
from typing import Any, Final

from miroir.ports.records import IndexRecord, TaskRecord

COUNTED: Final = (
    "indexedDocuments",
    "deletedDocuments",
    "editedDocuments",
    "canceledTasks",
    "deletedTasks",
)
_ALWAYS_DETAILED: Final = frozenset({"settingsUpdate"})


def moment(at_ms: int | None) -> str | None:
    """Return RFC 3339 in UTC; None stays None."""
    if at_ms is None:
        return None
    when = datetime.fromtimestamp(at_ms // 1000, tz=UTC)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def duration(started_at_ms: int | None, finished_at_ms: int | None) -> str | None:
    """Return ISO 8601; None while there is no end."""
    if started_at_ms is None or finished_at_ms is None:
        return None
    return f"PT{max(0, finished_at_ms - started_at_ms) / 1000:.3f}S"


def task_summary(task: TaskRecord) -> dict[str, Any]:
    """Return what an accepted write answers."""
    view: dict[str, Any] = {
        "taskUid": task.uid,
        "indexUid": task.index_uid,
        "status": "enqueued",
        "type": task.type,
        "enqueuedAt": moment(task.at_ms),
    }
    if task.custom_metadata is not None:
        view["customMetadata"] = task.custom_metadata
    return view


def task_view(task: TaskRecord) -> dict[str, Any]:
    """Return a task as `GET /tasks/{uid}` shows it."""
    view: dict[str, Any] = {
        "uid": task.uid,
        "batchUid": task.batch_uid,
        "indexUid": task.index_uid,
        "status": task.status,
        "type": task.type,
        "canceledBy": task.canceled_by,
        "details": _details(task),
        "error": task.error,
        "duration": duration(task.started_at_ms, task.finished_at_ms),
        "enqueuedAt": moment(task.at_ms),
        "startedAt": moment(task.started_at_ms),
        "finishedAt": moment(task.finished_at_ms),
    }
    if view["details"] is None:
        del view["details"]
    if task.custom_metadata is not None:
        view["customMetadata"] = task.custom_metadata
    return view


def index_view(record: IndexRecord) -> dict[str, Any]:
    """Return an index as `GET /indexes/{uid}` shows it."""
    return {
        "uid": record.uid,
        "createdAt": moment(record.created_at_ms),
        "updatedAt": moment(record.updated_at_ms),
        "primaryKey": record.primary_key,
    }


def _details(task: TaskRecord) -> dict[str, Any] | None:
    """Counts of an unfinished task are null, as on one node; no details at all are left out."""
    details = dict(task.details)
    if task.status in {"enqueued", "processing"}:
        for name in COUNTED:
            if name in details:
                details[name] = None
    return details or (None if task.type not in _ALWAYS_DETAILED else {})
