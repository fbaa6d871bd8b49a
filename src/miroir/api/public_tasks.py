"""Public routes: tasks, under Miroir's own numbers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from miroir.api.edge import Edge
from miroir.api.http import Reply, Request, reply_json
from miroir.api.parameters import (
    check_names,
    flag,
    index_uid,
    listed,
    moment_ms,
    number,
    one_of,
    task_number,
)
from miroir.api.router import Route
from miroir.api.views import task_view
from miroir.core.numbers import U32_MAX, unsigned
from miroir.core.rights import covers
from miroir.errors import BadParameter, TaskNotFound
from miroir.ports.records import TaskPage, TaskQuery

_STATUSES: Final = ("enqueued", "processing", "succeeded", "failed", "canceled")
_TYPES: Final = (
    "documentAdditionOrUpdate",
    "documentEdition",
    "documentDeletion",
    "settingsUpdate",
    "indexCreation",
    "indexDeletion",
    "indexUpdate",
    "indexSwap",
    "taskCancelation",
    "taskDeletion",
    "dumpCreation",
    "snapshotCreation",
    "export",
    "upgradeDatabase",
    "indexCompaction",
    "networkTopologyChange",
    "dsrUpdate",
    "dsrClear",
)
_MOMENTS: Final = {
    f"{side}{name}At": (name.lower(), "<" if side == "before" else ">")
    for name in ("Enqueued", "Started", "Finished")
    for side in ("after", "before")
}
_PARAMETERS: Final = (
    "limit", "from", "reverse", "batchUids", "uids", "canceledBy", "types", "statuses",
    "indexUids", *_MOMENTS,
)  # fmt: skip


def routes(edge: Edge) -> tuple[Route, ...]:
    """Return the rows of these routes."""
    tasks = TaskRoutes(edge)
    return (
        Route("GET", "/tasks", tasks.list),
        Route("GET", "/tasks/{task}", tasks.get),
    )


class TaskRoutes:
    """Answered from the store."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def get(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`GET /tasks/{uid}`."""
        text = named["task"]
        uid = unsigned(text, U32_MAX)
        if uid is None:
            raise BadParameter(
                "invalid_task_uids",
                f"Task uid `{text}` is invalid. It should only contain numeric characters.",
            )
        task = await self._edge.store.task(uid)
        if task is None or not _open_to(request, task.index_uid):
            raise TaskNotFound(f"Task `{uid}` not found.")
        return reply_json(task_view(task))

    async def list(self, request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /tasks`."""
        asked = self._confined(request, _query(request.query))
        page = TaskPage((), 0, None) if asked is None else await self._edge.store.tasks(asked)
        results: list[dict[str, Any]] = [task_view(task) for task in page.results]
        return reply_json(
            {
                "results": results,
                "total": page.total,
                "limit": _limit(request.query),
                "from": results[0]["uid"] if results else None,
                "next": page.next_uid,
            }
        )

    def _confined(self, request: Request, asked: TaskQuery | None) -> TaskQuery | None:
        """Narrow a query to the indexes that the key opens, of those that are or were known."""
        if asked is None or request.confined is None:
            return asked
        view = self._edge.cluster.view
        exact = {pattern for pattern in request.confined if not pattern.endswith("*")}
        uids = asked.index_uids or (*sorted({*view.indexes, *view.deleted, *exact}),)
        mine = tuple(uid for uid in uids if _open_to(request, uid))
        return replace(asked, index_uids=mine) if mine else None


def _open_to(request: Request, index_uid: str | None) -> bool:
    if request.confined is None:
        return True
    return index_uid is not None and covers(request.confined, index_uid)


def _limit(query: Mapping[str, str]) -> int:
    return number(query, "limit", 20, "invalid_task_limit", most=U32_MAX)


def _query(query: Mapping[str, str]) -> TaskQuery | None:
    """Return what is asked for; None if nothing can match."""
    check_names(query, _PARAMETERS)
    times = []
    for name, (field, operator) in _MOMENTS.items():
        code = "invalid_task_" + "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
        at_ms = moment_ms(query, name, code, end=operator == ">")
        if at_ms is not None:
            times.append((field, operator, at_ms))
    from_uid = number(query, "from", -1, "invalid_task_from", most=U32_MAX)
    statuses = one_of("invalid_task_statuses", "task status", _STATUSES)
    types = one_of("invalid_task_types", "task type", _TYPES)
    lists: dict[str, tuple[Any, ...] | None] = {
        "uids": listed(query, "uids", task_number("invalid_task_uids")),
        "statuses": listed(query, "statuses", statuses),
        "types": listed(query, "types", types),
        "index_uids": listed(query, "indexUids", index_uid),
        "canceled_by": listed(query, "canceledBy", task_number("invalid_task_canceled_by")),
    }
    if listed(query, "batchUids", task_number("invalid_batch_uids")) is not None:
        lists["batches"] = ()  # No task of Miroir's belongs to a batch.
    asked = TaskQuery(
        limit=_limit(query),
        from_uid=from_uid if from_uid >= 0 else None,
        reverse=flag(query, "reverse", "invalid_task_reverse"),
        times=tuple(times),
    )
    if () in lists.values():
        return None
    wanted: dict[str, Any] = {name: values for name, values in lists.items() if values}
    return replace(asked, **wanted)
