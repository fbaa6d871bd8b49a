"""
Query parameters and small bodies, checked with Meilisearch's words and codes.

For what Miroir answers itself. What nodes answer is judged by the nodes.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import orjson
from rapidfuzz.distance import DamerauLevenshtein

from miroir.core.numbers import U32_MAX, U64_MAX, unsigned
from miroir.errors import BadParameter, InvalidIndexUid, RequestRefused
from miroir.services.intake import check_uid

Value = TypeVar("Value")
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.][0-9]+)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2}))?"
)
# Bytes of a name up to which so many slips still give a suggestion (deserr 0.6, did_you_mean).
_SLIPS: Final = ((3, 0), (7, 1), (12, 2), (17, 3), (24, 4))
_SLIPS_MAX: Final = 5


def check_names(query: Mapping[str, str], allowed: Collection[str]) -> None:
    """Refuse the first parameter that the route does not have."""
    for name in query:
        if name not in allowed:
            raise RequestRefused(f"Unknown parameter `{name}`: {instead(name, allowed)}")


def instead(name: str, allowed: Collection[str]) -> str:
    """Return what to write instead of an unknown name."""
    slips = next((slips for size, slips in _SLIPS if len(name.encode()) <= size), _SLIPS_MAX)
    distances = {a: DamerauLevenshtein.distance(name, a) for a in allowed}
    nearest = min(distances, key=distances.__getitem__)
    near = f"did you mean `{nearest}`? " if 0 < distances[nearest] <= slips else ""
    return f"{near}expected one of " + ", ".join(f"`{a}`" for a in allowed)


def number(
    query: Mapping[str, str], name: str, default: int, code: str, *, most: int = U64_MAX
) -> int:
    """Return a parameter that must be a positive integer (zero included), at most `most`."""
    text = query.get(name)
    return default if text is None else _integer(text, name, code, most)


def _integer(text: str, name: str, code: str, most: int) -> int:
    value = unsigned(text, most)
    if value is None:
        raise BadParameter(
            code,
            f"Invalid value in parameter `{name}`: could not parse `{text}` as a positive integer",
        )
    return value


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


def choice(query: Mapping[str, str], name: str, allowed: Sequence[str], code: str) -> str | None:
    """Return a parameter that must be one of these words; None if absent."""
    text = query.get(name)
    if text is None or text in allowed:
        return text
    raise BadParameter(
        code, f"Unknown value `{text}` for parameter `{name}`: {instead(text, allowed)}"
    )


def listed(
    query: Mapping[str, str], name: str, read: Callable[[str, str], Value]
) -> tuple[Value, ...] | None:
    """
    Return a comma-separated parameter; None for no restriction, empty for "matches nothing".

    Args:
        query: The parameters.
        name: Of the parameter.
        read: Reads one value; its second argument is the place to name in an error.
    """
    text = query.get(name)
    if text is None:
        return None
    parts = text.split(",")
    places = (name if len(parts) == 1 else f"{name}[{i}]" for i in range(len(parts)))
    if "*" in parts:
        return None
    return tuple(read(part, place) for part, place in zip(parts, places, strict=True) if part)


def one_of(code: str, what: str, allowed: Collection[str]) -> Callable[[str, str], str]:
    """Return a reader that takes only known values, e.g. task statuses."""

    def read(text: str, place: str) -> str:
        for value in allowed:
            if value.lower() == text.lower():
                return value
        available = ", ".join(f"`{a}`" for a in allowed)
        plural = {"task status": "task statuses", "task type": "task types"}.get(what, what)
        available_are = f"Available {plural.removeprefix('task ')} are {available}."
        raise BadParameter(
            code,
            f"Invalid value in parameter `{place}`: `{text}` is not a valid {what}. "
            f"{available_are}",
        )

    return read


def task_number(code: str) -> Callable[[str, str], int]:
    """Return a reader of task uids."""
    return lambda text, place: _integer(text, place, code, U32_MAX)


def index_uid(text: str, place: str) -> str:
    """Read an index uid."""
    try:
        check_uid(text)
    except InvalidIndexUid as error:
        raise InvalidIndexUid(f"Invalid value in parameter `{place}`: {error}") from None
    return text


def moment_ms(query: Mapping[str, str], name: str, code: str, *, end: bool) -> int | None:
    """
    Return a date or RFC 3339 moment in milliseconds; None if absent.

    A bare date as the end of a range (`end`, i.e. an `after...` parameter) means its last moment.
    """
    text = query.get(name)
    if text is None or text == "*":
        return None
    try:
        moment = datetime.fromisoformat(text if _MOMENT.fullmatch(text) else "")
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


def body_object(
    value: Any, allowed: Collection[str], *, immutable: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """
    Return a JSON body that must be an object with none but these fields.

    Args:
        value: The decoded body.
        allowed: The fields.
        immutable: Fields that are known but cannot be written -> the code that says so.
    """
    if not isinstance(value, dict):
        raise RequestRefused(
            f"Invalid value type: expected an object, but found {described(value)}"
        )
    for name in value:
        if immutable and name in immutable:
            expected = ", ".join(f"`{a}`" for a in allowed)
            raise BadParameter(
                immutable[name], f"Immutable field `{name}`: expected one of {expected}"
            )
        if name not in allowed:
            raise RequestRefused(f"Unknown field `{name}`: {instead(name, allowed)}")
    return value


def text_field(body: Mapping[str, Any], name: str, code: str) -> str | None:
    """Return a string field, or None if it is absent or null."""
    value = body.get(name)
    if value is None or isinstance(value, str):
        return value
    raise BadParameter(
        code,
        f"Invalid value type at `.{name}`: expected a string, but found {described(value)}",
    )


def described(value: Any) -> str:
    """Return a JSON value as an error names it: its type and itself."""
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
