"""
Times as the node keeps and shows them.

Inside, a moment is an integer: nanoseconds since 1970 UTC (SQLite stores it, filters compare it).
Outside it is RFC 3339 with as many decimals as needed, and a span is an ISO 8601 duration, in the
forms that Meilisearch prints. Nothing else of the node formats or parses a date.
"""

import re
import time
from datetime import UTC, datetime
from typing import Final

_SECOND: Final = 1_000_000_000
_DAY_S: Final = 86_400
_RFC3339: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d+))?([Zz]|[+-]\d{2}:\d{2})\Z"
)
_LOCAL: Final = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})\Z")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}\Z")


def now_ns() -> int:
    """Return the wall clock in nanoseconds since 1970 UTC."""
    return time.time_ns()


def rfc3339(moment_ns: int) -> str:
    """Return a moment as `2026-01-02T03:04:05.678Z`, without trailing zeros."""
    seconds, nanos = divmod(moment_ns, _SECOND)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    decimals = f".{nanos:09d}".rstrip("0") if nanos else ""
    return f"{whole}{decimals}Z"


def optional_rfc3339(moment_ns: int | None) -> str | None:
    """Return `rfc3339` of a moment that may not have come yet."""
    return None if moment_ns is None else rfc3339(moment_ns)


def iso_duration(span_ns: int) -> str:
    """Return a span as `PT0.012345S` (days are named when there are any)."""
    seconds, nanos = divmod(max(span_ns, 0), _SECOND)
    days, seconds = divmod(seconds, _DAY_S)
    date = f"{days}D" if days else ""
    if date and not seconds and not nanos:
        return f"P{date}"
    return f"P{date}T{seconds}{_decimals(nanos)}S"


def _decimals(nanos: int) -> str:
    if not nanos:
        return ""
    for digits, unit in ((3, 1_000_000), (6, 1_000)):
        if nanos % unit == 0:
            return f".{nanos // unit:0{digits}d}"
    return f".{nanos:09d}"


def parse_rfc3339(text: str) -> int | None:
    """Return the moment that an RFC 3339 text names, None when it names none."""
    if not (match := _RFC3339.match(text)):
        return None
    day, clock, fraction, zone = match.groups()
    zone = "+00:00" if zone in "Zz" else zone
    seconds = _epoch(f"{day}T{clock}{zone}")
    if seconds is None:
        return None
    return seconds * _SECOND + int((fraction or "0")[:9].ljust(9, "0"))


def parse_moment(text: str) -> int | None:
    """Return the moment named by RFC 3339, a local date-time (as UTC) or a date (its midnight)."""
    if (moment := parse_rfc3339(text)) is not None:
        return moment
    if match := _LOCAL.match(text):
        seconds = _epoch(f"{match[1]}T{match[2]}+00:00")
        return None if seconds is None else seconds * _SECOND
    return parse_day(text)


def parse_day(text: str) -> int | None:
    """Return midnight UTC of a `YYYY-MM-DD`, None for anything else."""
    if not _DATE.match(text):
        return None
    seconds = _epoch(f"{text}T00:00:00+00:00")
    return None if seconds is None else seconds * _SECOND


def next_day(moment_ns: int) -> int:
    """Return the moment one day later."""
    return moment_ns + _DAY_S * _SECOND


def _epoch(text: str) -> int | None:
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError):
        return None  # a shape of a date that names no day, such as February 30
