"""
Public routes: batches, under Miroir's own numbers.

Miroir sends each write to the nodes by itself, and they batch as they like; so a batch of Miroir's
is one task, or a cancelation with what it has cancelled. What nodes make of it, they tell.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from miroir.api import task_filters
from miroir.api.edge import Edge
from miroir.api.http import Reply, Request, reply_json
from miroir.api.router import Route
from miroir.api.views import COUNTED, duration, moment, task_view
from miroir.errors import BatchNotFound
from miroir.ports.records import TaskQuery, TaskRecord

_ALONE: Final = frozenset(
    {"indexCreation", "indexUpdate", "indexSwap", "taskCancelation", "indexCompaction"}
)


def routes(edge: Edge) -> tuple[Route, ...]:
    """Return the rows of these routes."""
    batches = BatchRoutes(edge)
    return (
        Route("GET", "/batches", batches.list),
        Route("GET", "/batches/{batch}", batches.get),
    )


class BatchRoutes:
    """Answered from the store."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def get(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`GET /batches/{uid}`."""
        uid = task_filters.uid_in(named["batch"], "batch")
        query = TaskQuery(batches=(uid,), open_to=request.confined)
        for number, tasks in (await self._edge.store.batches(query)).results:
            return reply_json(batch_view(number, tasks))
        raise BatchNotFound(f"Batch `{uid}` not found.")

    async def list(self, request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /batches`."""
        asked = task_filters.of_list(request)
        page = None if asked is None else await self._edge.store.batches(asked)
        views = [batch_view(uid, tasks) for uid, tasks in page.results] if page else []
        return task_filters.page_of(request, page, views)


def batch_view(uid: int, tasks: Sequence[TaskRecord]) -> dict[str, Any]:
    """Return a batch as `GET /batches/{uid}` shows it; `tasks` are its own, at least one."""
    # What was cancelled may have begun long before; the batch began with the cancelation.
    head = next((task for task in tasks if task.canceled_by is None), tasks[-1])
    lasted = duration(head.started_at_ms, head.finished_at_ms)
    return {
        "uid": uid,
        "progress": None,  # How far the nodes are with it is not known here.
        "details": _details(tasks),
        "stats": {
            "totalNbTasks": len(tasks),
            "status": Counter(task.status for task in tasks),
            "types": Counter(task.type for task in tasks),
            "indexUids": Counter(task.index_uid for task in tasks if task.index_uid is not None),
            "progressTrace": _trace(head),
        },
        "duration": lasted,
        "startedAt": moment(head.started_at_ms),
        "finishedAt": moment(head.finished_at_ms),
        "batchStrategy": _strategy(head),
    }


def _details(tasks: Sequence[TaskRecord]) -> dict[str, Any]:
    """Return the details of all tasks as one node adds them up: counts summed, else the first."""
    joined: dict[str, Any] = {}
    for task in tasks:
        for name, value in (task_view(task).get("details") or {}).items():
            known = joined.get(name)
            both_count = type(known) is int and type(value) is int
            joined[name] = known + value if both_count else value if known is None else known
    return {n: v for n, v in joined.items() if v is not None or n in COUNTED}


def _trace(head: TaskRecord) -> dict[str, str]:
    if head.started_at_ms is None or head.finished_at_ms is None:
        return {}
    return {"processing tasks": f"{head.finished_at_ms - head.started_at_ms:.2f}ms"}


def _strategy(head: TaskRecord) -> str:
    """Return why nothing else is in the batch, in Meilisearch's words; nothing is held back."""
    kind = f"`{head.type}`"
    if head.type in _ALONE:
        return (
            f"created batch containing only task with id {head.uid} of type {kind} that cannot be "
            "batched with any other task."
        )
    if head.type == "taskDeletion":
        return (
            f"stopped after the last task of type {kind} because they cannot be batched with "
            "tasks of any other type."
        )
    if head.type == "indexDeletion":
        return f"stopped after task with id {head.uid} because it deletes the index"
    return "batched all enqueued tasks"
