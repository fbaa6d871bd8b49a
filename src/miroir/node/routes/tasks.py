"""Routes of tasks and batches: list, get, cancel, delete."""

from typing import Any, Final

from miroir.node.errors import ApiError
from miroir.node.features import require_feature
from miroir.node.http import Response, answer
from miroir.node.json_text import raw_items
from miroir.node.routes.base import Call, Route
from miroir.node.tasks.batches import BatchPage, page_of_batches
from miroir.node.tasks.filters import LISTING, SELECTION, UID_MAX, Condition, selection
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
    """Return the condition narrowed to the indexes that the key covers."""
    if call.access.covers_everything():
        return where
    parts, arguments = [], []
    for pattern in call.access.patterns:
        if pattern.endswith("*"):
            parts.append("substr(index_uid, 1, ?) = ?")
            arguments += [len(pattern) - 1, pattern[:-1]]
        else:
            parts.append("index_uid = ?")
            arguments.append(pattern)
    return where.also(" OR ".join(parts) or "0", *arguments)


def _asked(call: Call) -> tuple[Condition, dict[str, Any]]:
    """Return which tasks a listing is about, and which part of it is wanted."""
    asked = call.request.parameters(LISTING)
    page = {
        "limit": asked.get("limit", 20),
        "start": asked.get("from"),
        "reverse": asked.get("reverse", False),
    }
    return _permitted(call, selection(asked)), page


def _listing(page: Page | BatchPage, limit: int, results: list[dict[str, Any]]) -> Response:
    return answer({
        "results": results,
        "total": page.total,
        "limit": limit,
        "from": page.first,
        "next": page.next,
    })  # fmt: skip


def _list(call: Call) -> Response:
    where, wanted = _asked(call)
    page = call.node.queue.page(where, **wanted)
    shown = page.tasks
    if call.request.parameters(LISTING).get("indexUids") is not None:
        # Meilisearch counts swaps of an index, and shows only tasks that are about one index.
        shown = [task for task in shown if task.type != "indexSwap"]
    return _listing(page, wanted["limit"], [task_view(task) for task in shown])


def _batches(call: Call) -> Response:
    where, wanted = _asked(call)
    page = page_of_batches(call.node.store, where, **wanted)
    return _listing(page, wanted["limit"], page.views)


def _number(text: str, what: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= UID_MAX:
        return int(text)
    raise ApiError(
        f"invalid_{what}_uids",
        f"{what.capitalize()} uid `{text}` is invalid. It should only contain numeric characters.",
    )


def _one(call: Call, number: int) -> Task | None:
    where = _permitted(call, Condition("uid = ?", (number,)))
    page = call.node.queue.page(where, limit=1, start=None, reverse=False)
    return page.tasks[0] if page.tasks else None


def _get(call: Call) -> Response:
    number = _number(call.request.arguments["task_uid"], "task")
    if (task := _one(call, number)) is None:
        raise task_not_found(number)
    return answer(task_view(task))


def _get_batch(call: Call) -> Response:
    number = _number(call.request.arguments["batch_uid"], "batch")
    where = _permitted(call, Condition("batch_uid = ?", (number,)))
    page = page_of_batches(call.node.store, where, limit=1, start=None, reverse=False)
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
    return call.node.queue.matching(_permitted(call, selection(asked)))


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
