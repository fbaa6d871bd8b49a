"""Routes of tasks and batches: list, get, cancel, delete."""

from collections.abc import Callable
from typing import Any, Final

from miroir.node.errors import ApiError
from miroir.node.features import require_feature
from miroir.node.http import Response, answer
from miroir.node.json_text import raw_items
from miroir.node.routes.base import Call, Route
from miroir.node.tasks.batches import BatchPage, batch_selection, indexes_of, page_of_batches
from miroir.node.tasks.filters import (
    ABOUT_ONE_INDEX,
    EVERYTHING,
    LISTING,
    OF_NO_ONE_INDEX,
    SELECTION,
    UID_MAX,
    Condition,
    selection,
)
from miroir.node.tasks.model import Task, task_not_found
from miroir.node.tasks.queue import Page
from miroir.node.tasks.views import task_view
from miroir.node.validate import listed

_FILTERS: Final = listed([
    "uids", "indexUids", "statuses", "types", "canceledBy", "beforeEnqueuedAt",
    "afterEnqueuedAt", "beforeStartedAt", "afterStartedAt", "beforeFinishedAt",
    "afterFinishedAt",
])  # fmt: skip


def _permitted(call: Call, where: Condition) -> Condition:
    """Return the condition narrowed to the indexes that the key covers, all that a task names."""
    if call.access.covers_everything():
        return where
    for name in ("index_uid", "COALESCE(json_extract(request, '$.foundAs'), index_uid)"):
        parts, arguments = [], []
        for pattern in call.access.patterns:
            if pattern.endswith("*"):
                parts.append(f"substr({name}, 1, ?) = ?")
                arguments += [len(pattern) - 1, pattern[:-1]]
            else:
                parts.append(f"{name} = ?")
                arguments.append(pattern)
        where = where.also(" OR ".join(parts) or "0", *arguments)
    return where


def _shown(call: Call, asked: dict[str, Any]) -> Condition:
    """Return which of the tasks found the client is told of."""
    if asked.get("indexUids") is None and call.access.covers_everything():
        return EVERYTHING
    return _permitted(call, ABOUT_ONE_INDEX)


def _asked(call: Call) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the parameters of a listing, and which part of it is wanted."""
    asked = call.request.parameters(LISTING)
    page = {
        "limit": asked.get("limit", 20),
        "start": asked.get("from"),
        "reverse": asked.get("reverse", False),
    }
    return asked, page


def _listing(page: Page | BatchPage, limit: int, results: list[dict[str, Any]]) -> Response:
    return answer({
        "results": results,
        "total": page.total,
        "limit": limit,
        "from": page.first,
        "next": page.next,
    })  # fmt: skip


def _list(call: Call) -> Response:
    asked, wanted = _asked(call)
    page = call.node.queue.page(selection(asked), _shown(call, asked), **wanted)
    return _listing(page, wanted["limit"], [task_view(task) for task in page.tasks])


def _batches(call: Call) -> Response:
    asked, wanted = _asked(call)
    where = batch_selection(asked)
    page = page_of_batches(call.node.store, where, _batch_filter(call, asked), **wanted)
    return _listing(page, wanted["limit"], page.views)


def _batch_filter(call: Call, asked: dict[str, Any]) -> Callable[[dict[str, Any]], bool]:
    """
    Return what tells whether a batch is shown.

    Where only batches about one index shall be, Meilisearch takes out the *numbers of tasks* that
    are not, which mostly are those of their batches.
    """
    if asked.get("indexUids") is None and call.access.covers_everything():
        return lambda _: True

    def is_shown(view: dict[str, Any]) -> bool:
        same_number = call.node.queue.matching(Condition("uid = ?", (view["uid"],)))
        if same_number and call.node.queue.get(view["uid"]).type in OF_NO_ONE_INDEX:
            return False
        names = indexes_of(view)
        return not names or any(call.access.covers(name) for name in names)

    return is_shown


def _number(text: str, what: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= UID_MAX:
        return int(text)
    raise ApiError(
        f"invalid_{what}_uids",
        f"{what.capitalize()} uid `{text}` is invalid. It should only contain numeric characters.",
    )


def _one(call: Call, number: int) -> Task | None:
    where = Condition("uid = ?", (number,))
    page = call.node.queue.page(where, _shown(call, {}), limit=1, start=None, reverse=False)
    return page.tasks[0] if page.tasks else None


def _get(call: Call) -> Response:
    number = _number(call.request.arguments["task_uid"], "task")
    if (task := _one(call, number)) is None:
        raise task_not_found(number)
    return answer(task_view(task))


def _get_batch(call: Call) -> Response:
    number = _number(call.request.arguments["batch_uid"], "batch")
    where, is_shown = batch_selection({"batchUids": [number]}), _batch_filter(call, {})
    page = page_of_batches(call.node.store, where, is_shown, limit=1, start=None, reverse=False)
    if not page.views:
        raise ApiError("batch_not_found", f"Batch `{number}` not found.")
    return answer(page.views[0])


def _documents(call: Call) -> Response:
    number = _number(call.request.arguments["task_uid"], "task")
    action = "Getting the documents of an enqueued task"
    require_feature(call.node.features, "getTaskDocumentsRoute", action)
    if (task := _one(call, number)) is None:
        raise task_not_found(number)
    payload = call.node.queue.payload_of(number)
    if task.type != "documentAdditionOrUpdate" or payload is None:
        raise ApiError(
            "task_file_not_found",
            f"Task `{number}` does not contain any documents. Only `documentAdditionOrUpdate` "
            "tasks with the statuses `enqueued` or `processing` contain documents",
        )
    lines = b"".join(bytes(item) + b"\n" for item in raw_items(payload))
    return Response(200, lines, ((b"content-type", b"application/x-ndjson"),), json=False)


def _matched(call: Call, verb: str) -> list[int]:
    asked = call.request.parameters(SELECTION)
    if not asked:
        raise ApiError(
            "missing_task_filters",
            f"Query parameters to filter the tasks to {verb} are missing. "
            f"Available query parameters are: {_FILTERS}.",
        )
    where, shown = selection(asked), _shown(call, asked)
    return call.node.queue.matching(where.also(shown.sql, *shown.arguments))


def _cancel(call: Call) -> Response:
    uids = _matched(call, "cancel")
    details = {
        "matchedTasks": len(uids),
        "canceledTasks": None,
        "originalFilter": f"?{call.request.raw_query}",
    }
    return call.enqueue(
        "taskCancelation", index_uid=None, details=details, request={"uids": uids}, status=200
    )


def _delete(call: Call) -> Response:
    uids = _matched(call, "delete")
    details = {
        "matchedTasks": len(uids),
        "deletedTasks": None,
        "originalFilter": f"?{call.request.raw_query}",
    }
    return call.enqueue(
        "taskDeletion", index_uid=None, details=details, request={"uids": uids}, status=200
    )


ROUTES: Final = (
    Route("GET", "/tasks", "tasks.get", _list),
    Route("DELETE", "/tasks", "tasks.delete", _delete, "write"),
    Route("POST", "/tasks/cancel", "tasks.cancel", _cancel, "write"),
    Route("GET", "/tasks/{task_uid}", "tasks.get", _get),
    Route("GET", "/tasks/{task_uid}/documents", "tasks.get", _documents),
    Route("GET", "/batches", "tasks.get", _batches),
    Route("GET", "/batches/{batch_uid}", "tasks.get", _get_batch),
)
