"""
Which tasks a request means: the filters of GET /tasks, GET /batches, cancelation and deletion.

Reads the query string, turns it into one SQL condition, and runs nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from miroir.node.errors import ApiError
from miroir.node.index_uids import require_index_uid
from miroir.node.query import Parameter, count, flag, star_or_list
from miroir.node.tasks.model import STATUSES, TYPES
from miroir.node.times import next_day, parse_day, parse_rfc3339
from miroir.node.validate import listed

UID_MAX: Final = 2**32 - 1


@dataclass(frozen=True)
class Condition:
    """An SQL condition on the table `tasks` and its arguments."""

    sql: str
    arguments: tuple[Any, ...]

    def also(self, sql: str, *arguments: Any) -> "Condition":
        """Return this condition with another one that must hold too."""
        return Condition(f"{self.sql} AND ({sql})", (*self.arguments, *arguments))


EVERYTHING: Final = Condition("1", ())
OF_NO_ONE_INDEX: Final = (
    "indexSwap", "taskCancelation", "taskDeletion", "dumpCreation", "snapshotCreation", "export",
    "upgradeDatabase", "networkTopologyChange",
)  # fmt: skip
_MARKS: Final = ",".join("?" * len(OF_NO_ONE_INDEX))
ABOUT_ONE_INDEX: Final = Condition(f"type NOT IN ({_MARKS})", OF_NO_ONE_INDEX)
"""What is shown of the tasks of an index, and to a key for some indexes only."""


def _uid(text: str) -> int:
    value = count(text)
    if value > UID_MAX:
        raise ValueError(f"could not parse `{text}` as a positive integer")
    return value


def _word(accepted: tuple[str, ...], what: str, what_many: str) -> Callable[[str], str]:
    known = {name.lower(): name for name in accepted}

    def parse(text: str) -> str:
        if text.lower() not in known:
            names = listed(list(accepted))
            raise ValueError(f"`{text}` is not a valid task {what}. {what_many} are {names}.")
        return known[text.lower()]

    return parse


def _index_uid(text: str) -> str:
    try:
        return require_index_uid(text)
    except ApiError as error:
        raise ValueError(error.message) from error


def _moment(*, after: bool) -> Callable[[str], int | None]:
    def parse(text: str) -> int | None:
        if text == "*":
            return None
        if (moment := parse_rfc3339(text)) is not None:
            return moment
        if (day := parse_day(text)) is not None:
            return next_day(day) if after else day
        raise ValueError(
            f"`{text}` is an invalid date-time. "
            "It should follow the YYYY-MM-DD or RFC 3339 date-time format."
        )

    return parse


_LISTS: Final = {
    "uids": Parameter(star_or_list(_uid), "invalid_task_uids"),
    "batchUids": Parameter(star_or_list(_uid), "invalid_batch_uids"),
    "canceledBy": Parameter(star_or_list(_uid), "invalid_task_canceled_by"),
    "types": Parameter(
        star_or_list(_word(TYPES, "type", "Available types")), "invalid_task_types"
    ),
    "statuses": Parameter(
        star_or_list(_word(STATUSES, "status", "Available statuses")), "invalid_task_statuses"
    ),
    "indexUids": Parameter(star_or_list(_index_uid), "invalid_index_uid"),
}
_DATES: Final = {
    f"{side}{moment}At": Parameter(
        _moment(after=side == "after"), f"invalid_task_{side}_{moment.lower()}_at"
    )
    for moment in ("Enqueued", "Started", "Finished")
    for side in ("after", "before")
}
SELECTION: Final = {**_LISTS, **_DATES}
PAGE: Final = {
    "limit": Parameter(_uid, "invalid_task_limit"),
    "from": Parameter(_uid, "invalid_task_from"),
    "reverse": Parameter(flag, "invalid_task_reverse"),
}
LISTING: Final = {
    **PAGE,
    **{name: _LISTS[name] for name in ("batchUids", "uids")},
    **{name: _LISTS[name] for name in ("canceledBy", "types", "statuses", "indexUids")},
    **_DATES,
}
_COLUMNS: Final = {
    "uids": "uid",
    "batchUids": "batch_uid",
    "canceledBy": "canceled_by",
    "types": "type",
    "statuses": "status",
    "indexUids": "index_uid",
}
# A swap belongs to no single index, but counts under each of its indexes; one that gives an index
# a new name is found under both (`foundAs`).
_SWAPS: Final = (
    "type = 'indexSwap' AND EXISTS (SELECT 1 FROM json_each(tasks.request, '$.swaps') AS swap, "
    "json_each(swap.value, '$.indexes') AS name WHERE name.value IN ({})) "
    "OR type = 'indexUpdate' AND json_extract(request, '$.foundAs') IN ({})"
)


def selection(read: dict[str, Any]) -> Condition:
    """Return the condition of the selecting parameters among those that were read."""
    condition = EVERYTHING
    for name, value in read.items():
        if value is None or name in PAGE:
            continue
        if name in _COLUMNS:
            marks = ",".join("?" * len(value))
            sql, arguments = f"{_COLUMNS[name]} IN ({marks})", value
            if name == "indexUids":
                sql = f"{sql} OR {_SWAPS.format(marks, marks)}"
                arguments = [*value, *value, *value]
            condition = condition.also(sql, *arguments)
        else:
            column, sign = _date_column(name)
            condition = condition.also(f"{column} {sign} ?", value)
    return condition


def _date_column(name: str) -> tuple[str, str]:
    after = name.startswith("after")
    moment = name.removeprefix("after" if after else "before").removesuffix("At").lower()
    return f"{moment}_at", ">" if after else "<"
