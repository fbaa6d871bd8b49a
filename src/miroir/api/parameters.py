"""
Query parameters and small bodies, checked with Meilisearch's words and codes.

For what Miroir answers itself. What nodes answer is judged by the nodes.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import orjson
from rapidfuzz.distance import DamerauLevenshtein

from miroir.errors import BadParameter, RequestRefused

Value = TypeVar("Value")
# Bytes of a name up to which so many slips still give a suggestion (deserr 0.6, did_you_mean).
_SLIPS: Final = ((3, 0), (7, 1), (12, 2), (17, 3), (24, 4))
_SLIPS_MAX: Final = 5


def check_names(query: Mapping[str, str], allowed: Collection[str]) -> None:
    """Refuse the first parameter that the route does not have."""
    for name in query:
        if name not in allowed:
            raise RequestRefused(f"Unknown parameter `{name}`: {_instead(name, allowed)}")


def _instead(name: str, allowed: Collection[str]) -> str:
    slips = next((slips for size, slips in _SLIPS if len(name.encode()) <= size), _SLIPS_MAX)
    distances = {a: DamerauLevenshtein.distance(name, a) for a in allowed}
    nearest = min(distances, key=distances.__getitem__)
    near = f"did you mean `{nearest}`? " if 0 < distances[nearest] <= slips else ""
    return f"{near}expected one of " + ", ".join(f"`{a}`" for a in allowed)


def number(query: Mapping[str, str], name: str, default: int, code: str) -> int:
    """Return a parameter that must be a positive integer (zero included)."""
    text = query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit():
        raise BadParameter(
            code,
            f"Invalid value in parameter `{name}`: could not parse `{text}` as a positive integer",
        )
    return int(text)


def flag(query: Mapping[str, str], name: str, code: str) -> bool:
    """Return a parameter that must be true or false; absent = false."""
    text = query.get(name, "false")
    if text not in {"true", "false"}:
        raise BadParameter(
            code,
            f"Invalid value in parameter `{name}`: could not parse `{text}` as a boolean, "
            "expected either `true` or `false`",
        )
    return text == "true"


def listed(query: Mapping[str, str], name: str, read: Callable[[str], Value]) -> tuple[Value, ...]:
    """Return a comma-separated parameter; `*` or absent = no restriction."""
    text = query.get(name)
    if text is None or text.strip() == "*":
        return ()
    return tuple(read(part.strip()) for part in text.split(","))


def one_of(name: str, code: str, what: str, allowed: Collection[str]) -> Callable[[str], str]:
    """Return a reader that takes only known values, e.g. task statuses."""

    def read(text: str) -> str:
        for value in allowed:
            if value.lower() == text.lower():
                return value
        available = ", ".join(f"`{a}`" for a in allowed)
        plural = {"task status": "task statuses", "task type": "task types"}.get(what, what)
        available_are = f"Available {plural.removeprefix('task ')} are {available}."
        raise BadParameter(
            code,
            f"Invalid value in parameter `{name}`: `{text}` is not a valid {what}. "
            f"{available_are}",
        )

    return read


def task_number(name: str, code: str) -> Callable[[str], int]:
    """Return a reader of task uids."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit():
            raise BadParameter(
                code,
                f"Invalid value in parameter `{name}`: could not parse `{text}` as a "
                "positive integer",
            )
        return int(text)

    return read


def moment_ms(query: Mapping[str, str], name: str, code: str, *, end: bool) -> int | None:
    """
    Return a date or RFC 3339 moment in milliseconds; None if absent.

    A bare date as the end of a range (`end`, i.e. an `after...` parameter) means its last moment.
    """
    text = query.get(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadParameter(
            code,
            f"Invalid value in parameter `{name}`: `{text}` is an invalid date-time. It should "
            "follow the YYYY-MM-DD or RFC 3339 date-time format.",
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    milliseconds = int(moment.timestamp() * 1000)
    return milliseconds + 86_399_999 if end and len(text) == len("2026-01-01") else milliseconds


def body_object(value: Any, allowed: Collection[str]) -> dict[str, Any]:
    """Return a JSON body that must be an object with none but these fields."""
    if not isinstance(value, dict):
        raise RequestRefused(
            f"Invalid value type: expected an object, but found {_described(value)}"
        )
    for name in value:
        if name not in allowed:
            raise RequestRefused(f"Unknown field `{name}`: {_instead(name, allowed)}")
    return value


def text_field(body: Mapping[str, Any], name: str, code: str) -> str | None:
    """Return a string field, or None if it is absent or null."""
    value = body.get(name)
    if value is None or isinstance(value, str):
        return value
    raise BadParameter(
        code,
        f"Invalid value type at `.{name}`: expected a string, but found {_described(value)}",
    )


def _described(value: Any) -> str:
    shown = orjson.dumps(value).decode()
    kind = {
        bool: "a boolean",
        int: "a positive integer"
        if isinstance(value, int) and value >= 0
        else "a negative integer",
        float: "a number",
        str: "a string",
        list: "an array",
        dict: "an object",
        type(None): "null",
    }[type(value)]
    return kind if value is None else f"{kind}: `{shown}`"
