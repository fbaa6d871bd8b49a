"""
What is asked of tasks and batches, and the pages that are answered.

Query parameters and paths -> `TaskQuery` and numbers, with Meilisearch's words for what is wrong.
`GET /tasks`, `GET /batches`, `POST /tasks/cancel` and `DELETE /tasks` know the same filters; only
lists have pages. A list that is empty, or names nothing that exists, matches nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

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
from miroir.core.numbers import U32_MAX, unsigned
from miroir.errors import BadParameter
from miroir.ports.records import BatchPage, TaskPage, TaskQuery

STATUSES: Final = ("enqueued", "processing", "succeeded", "failed", "canceled")
TYPES: Final = (
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
_PAGING: Final = ("limit", "from", "reverse")
_OF_LISTS: Final = (
    *_PAGING, "batchUids", "uids", "canceledBy", "types", "statuses", "indexUids", *_MOMENTS,
)  # fmt: skip
_OF_CHANGES: Final = (
    "uids", "batchUids", "canceledBy", "types", "statuses", "indexUids", *_MOMENTS,
)  # fmt: skip
_LIMIT: Final = 20


def of_list(request: Request) -> TaskQuery | None:
    """Return what a list is asked for, by this key; None if nothing can match."""
    query = request.query
    check_names(query, _OF_LISTS)
    asked = _filtered(request)
    start = number(query, "from", -1, "invalid_task_from", most=U32_MAX)
    reverse = flag(query, "reverse", "invalid_task_reverse")
    limit = limit_of(request)
    if asked is None:
        return None
    start_uid = start if start >= 0 else None
    return replace(asked, limit=limit, from_uid=start_uid, reverse=reverse)


def of_change(request: Request) -> TaskQuery | None:
    """Return which tasks are to be cancelled or deleted; None if nothing can match."""
    check_names(request.query, _OF_CHANGES)
    return _filtered(request)


def limit_of(request: Request) -> int:
    """Return how long a page may be."""
    return number(request.query, "limit", _LIMIT, "invalid_task_limit", most=U32_MAX)


def uid_in(path: str, what: str) -> int:
    """
    Return the number in a path.

    Args:
        path: Its last part.
        what: `task` or `batch`.

    Raises:
        BadParameter: It is none.
    """
    uid = unsigned(path, U32_MAX)
    if uid is None:
        raise BadParameter(
            f"invalid_{what}_uids",
            f"{what.capitalize()} uid `{path}` is invalid. It should only contain numeric "
            "characters.",
        )
    return uid


def page_of(
    request: Request, page: TaskPage | BatchPage | None, views: Sequence[Mapping[str, Any]]
) -> Reply:
    """Return the answer to a list; `page` is None if nothing could match."""
    return reply_json(
        {
            "results": views,
            "total": page.total if page else 0,
            "limit": limit_of(request),
            "from": views[0]["uid"] if views else None,
            "next": page.next_uid if page else None,
        }
    )


def _filtered(request: Request) -> TaskQuery | None:
    query = request.query
    statuses = one_of("invalid_task_statuses", "task status", STATUSES)
    types = one_of("invalid_task_types", "task type", TYPES)
    lists: dict[str, tuple[Any, ...] | None] = {
        "batches": listed(query, "batchUids", task_number("invalid_batch_uids")),
        "uids": listed(query, "uids", task_number("invalid_task_uids")),
        "canceled_by": listed(query, "canceledBy", task_number("invalid_task_canceled_by")),
        "types": listed(query, "types", types),
        "statuses": listed(query, "statuses", statuses),
        "index_uids": listed(query, "indexUids", index_uid),
    }
    times = _times(query)
    if () in lists.values():
        return None
    wanted: dict[str, Any] = {name: values for name, values in lists.items() if values}
    return TaskQuery(times=times, open_to=request.confined, **wanted)


def _times(query: Mapping[str, str]) -> tuple[tuple[str, str, int], ...]:
    times: list[tuple[str, str, int]] = []
    for name, (field, operator) in _MOMENTS.items():
        code = "invalid_task_" + "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
        at_ms = moment_ms(query, name, code, end=operator == ">")
        if at_ms is not None:
            times.append((field, operator, at_ms))
    return tuple(times)
