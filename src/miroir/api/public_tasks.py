"""Public routes: tasks, under Miroir's own numbers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from miroir.api import task_filters
from miroir.api.edge import Edge
from miroir.api.http import Reply, Request, reply_json
from miroir.api.router import Route
from miroir.api.views import task_summary, task_view
from miroir.core.rights import covers
from miroir.errors import MissingTaskFilters, TaskNotFound
from miroir.ports.records import OF_ONE_INDEX, TaskQuery, TaskRecord

_FILTERS: Final = (
    "`uids`, `indexUids`, `statuses`, `types`, `canceledBy`, `beforeEnqueuedAt`, "
    "`afterEnqueuedAt`, `beforeStartedAt`, `afterStartedAt`, `beforeFinishedAt`, "
    "`afterFinishedAt`"
)
_NOTHING: Final = TaskQuery(open_to=())


def routes(edge: Edge) -> tuple[Route, ...]:
    """Return the rows of these routes."""
    tasks = TaskRoutes(edge)
    return (
        Route("GET", "/tasks", tasks.list),
        Route("GET", "/tasks/{task}", tasks.get),
        Route("POST", "/tasks/cancel", tasks.cancel),
        Route("DELETE", "/tasks", tasks.delete),
    )


class TaskRoutes:
    """Answered from the store."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def get(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`GET /tasks/{uid}`."""
        uid = task_filters.uid_in(named["task"], "task")
        task = await self._edge.store.task(uid)
        if task is None or not _open_to(request, task):
            raise TaskNotFound(f"Task `{uid}` not found.")
        return reply_json(task_view(task))

    async def list(self, request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /tasks`."""
        asked = task_filters.of_list(request)
        page = None if asked is None else await self._edge.store.tasks(asked)
        views = [task_view(task) for task in page.results] if page else []
        return task_filters.page_of(request, page, views)

    async def cancel(self, request: Request, _named: Mapping[str, str]) -> Reply:
        """`POST /tasks/cancel`: what has not begun on any node is cancelled for certain."""
        query = self._wanted(request, "cancel")
        return _accepted(await self._edge.keeper.cancel(query, f"?{request.query_string}"))

    async def delete(self, request: Request, _named: Mapping[str, str]) -> Reply:
        """`DELETE /tasks`: of those that have ended; the nodes keep their own."""
        query = self._wanted(request, "delete")
        return _accepted(await self._edge.keeper.delete(query, f"?{request.query_string}"))

    @staticmethod
    def _wanted(request: Request, verb: str) -> TaskQuery:
        query = task_filters.of_change(request)
        if not request.query:
            raise MissingTaskFilters(
                f"Query parameters to filter the tasks to {verb} are missing. Available query "
                f"parameters are: {_FILTERS}."
            )
        return _NOTHING if query is None else query


def _accepted(task: TaskRecord) -> Reply:
    # 200 and not 202, as on one node.
    return reply_json(task_summary(replace(task, status="enqueued")))


def _open_to(request: Request, task: TaskRecord) -> bool:
    if request.confined is None:
        return True
    uid = task.index_uid
    return task.type in OF_ONE_INDEX and uid is not None and covers(request.confined, uid)
