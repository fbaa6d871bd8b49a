"""Durations as people and servers write them: `10m`, `PT1.5S`."""

import re
from typing import Final

from miroir.cli.faults import UsageFault

_GIVEN: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")
_ISO: Final = re.compile(r"P(?:(\d+)D)?T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?")


def duration_of(text: str, option: str) -> int:
    """Return seconds from `90`, `90s`, `10m`, `1h30m`; `UsageFault` if it is none of them."""
    found = _GIVEN.fullmatch(text.strip())
    seconds = 0
    if found:
        hours, minutes, rest = (int(part or 0) for part in found.groups())
        seconds = hours * 3600 + minutes * 60 + rest
    if not seconds:
        raise UsageFault(f"{option} `{text}` is no duration; write 90s, 10m or 1h30m")
    return seconds


def seconds_of(iso: str | None) -> float | None:
    """Return seconds from ISO 8601 as Meilisearch writes it; None if there are none."""
    found = _ISO.fullmatch(iso or "")
    if not found:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + seconds


def words(seconds: float) -> str:
    """Return a duration for people: `0.4 s`, `12 s`, `3 min`, `2.5 h`."""
    if seconds < 10:
        return f"{max(seconds, 0.1):.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def moment(rfc3339: str | None) -> str:
    """Return a moment for people, to the second; servers write UTC."""
    return f"{(rfc3339 or '-').replace('T', ' ')[:19]} UTC"
