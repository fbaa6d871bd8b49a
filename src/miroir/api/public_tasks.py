"""Public routes: tasks, under Miroir's own numbers."""

from collections.abc import Mapping
from typing import Any, Final

from miroir.api.edge import Edge
from miroir.api.http import Reply, Request, reply_json
from miroir.api.parameters import check_names, flag, listed, moment_ms, number, one_of, task_number
from miroir.api.router import Route
from miroir.api.views import task_view
from miroir.errors import BadParameter, TaskNotFound
from miroir.ports.records import TaskQuery

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
        self._edge.guard.check_master(request)
        text = named["task"]
        if not text.isascii() or not text.isdigit():
            raise BadParameter(
                "invalid_task_uids",
                f"Task uid `{text}` is invalid. It should only contain numeric characters.",
            )
        task = await self._edge.store.task(int(text))
        if task is None:
            raise TaskNotFound(f"Task `{text}` not found.")
        return reply_json(task_view(task))

    async def list(self, request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /tasks`."""
        self._edge.guard.check_master(request)
        asked = _query(request.query)
        page = await self._edge.store.tasks(asked)
        results: list[dict[str, Any]] = [task_view(task) for task in page.results]
        return reply_json(
            {
                "results": results,
                "total": page.total,
                "limit": asked.limit,
                "from": results[0]["uid"] if results else None,
                "next": page.next_uid,
            }
        )


def _query(query: Mapping[str, str]) -> TaskQuery:
    check_names(query, _PARAMETERS)
    times = []
    for name, (field, operator) in _MOMENTS.items():
        code = "invalid_task_" + "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
        at_ms = moment_ms(query, name, code, end=operator == ">")
        if at_ms is not None:
            times.append((field, operator, at_ms))
    from_uid = number(query, "from", -1, "invalid_task_from")
    statuses = one_of("statuses", "invalid_task_statuses", "task status", _STATUSES)
    types = one_of("types", "invalid_task_types", "task type", _TYPES)
    return TaskQuery(
        limit=number(query, "limit", 20, "invalid_task_limit"),
        from_uid=from_uid if from_uid >= 0 else None,
        reverse=flag(query, "reverse", "invalid_task_reverse"),
        uids=listed(query, "uids", task_number("uids", "invalid_task_uids")),
        statuses=listed(query, "statuses", statuses),
        types=listed(query, "types", types),
        index_uids=listed(query, "indexUids", str),
        canceled_by=listed(
            query, "canceledBy", task_number("canceledBy", "invalid_task_canceled_by")
        ),
        times=tuple(times),
    )
