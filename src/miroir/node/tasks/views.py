"""
Tasks and batches as the API shows them.

A batch shows the details of the task that it was made for (`batches.py`). Secrets in `details`
are masked when the task is registered, never here.
"""

from typing import Any, Final

from miroir.node.tasks.model import Task
from miroir.node.times import iso_duration, optional_rfc3339, rfc3339

_ALONE: Final = (
    "indexCreation", "indexUpdate", "indexSwap", "taskCancelation", "dumpCreation",
    "indexCompaction", "export",
)  # fmt: skip
_TOGETHER: Final = ("taskDeletion", "snapshotCreation")


def summary(task: Task) -> dict[str, Any]:
    """Return the answer to the request that registered the task, as it was then."""
    view = {
        "taskUid": task.uid,
        "indexUid": task.index_uid,
        "status": "enqueued",  # It may have been carried out by now.
        "type": task.type,
        "enqueuedAt": rfc3339(task.enqueued_at),
    }
    if task.metadata is not None:
        view["customMetadata"] = task.metadata
    return view


def task_view(task: Task) -> dict[str, Any]:
    """Return a task as GET /tasks shows it."""
    view: dict[str, Any] = {
        "uid": task.uid,
        "batchUid": task.batch_uid,
        "indexUid": task.index_uid,
        "status": task.status,
        "type": task.type,
        "canceledBy": task.canceled_by,
    }
    if task.details is not None:
        view["details"] = task.details
    view |= {
        "error": task.error,
        "duration": _duration(task),
        "enqueuedAt": rfc3339(task.enqueued_at),
        "startedAt": optional_rfc3339(task.started_at),
        "finishedAt": optional_rfc3339(task.finished_at),
    }
    if task.metadata is not None:
        view["customMetadata"] = task.metadata
    return view


def batch_view(task: Task, stats: dict[str, Any]) -> dict[str, Any]:
    """Return the batch of a task as GET /batches shows it."""
    details = {key: value for key, value in (task.details or {}).items() if _in_batch(key, value)}
    running = task.status == "processing"
    return {
        "uid": task.batch_uid,
        "progress": {"steps": [], "percentage": 0.0} if running else None,
        "details": details,
        "stats": stats,
        "duration": _duration(task),
        "startedAt": optional_rfc3339(task.started_at),
        "finishedAt": optional_rfc3339(task.finished_at),
        "batchStrategy": _strategy(task),
    }


def _in_batch(key: str, value: Any) -> bool:
    return not (value is None and key in {"primaryKey", "originalFilter"})


def _strategy(task: Task) -> str:
    if task.type in _ALONE:
        return (
            f"created batch containing only task with id {task.uid} of type `{task.type}` "
            "that cannot be batched with any other task."
        )
    if task.type in _TOGETHER:
        return (
            f"stopped after the last task of type `{task.type}` because they cannot be batched "
            "with tasks of any other type."
        )
    if task.type == "indexDeletion":
        return f"stopped after task with id {task.uid} because it deletes the index"
    return "batched all enqueued tasks"


def _duration(task: Task) -> str | None:
    if task.started_at is None or task.finished_at is None:
        return None
    return iso_duration(task.finished_at - task.started_at)
