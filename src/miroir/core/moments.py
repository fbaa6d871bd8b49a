"""
Moments as nodes write them (RFC 3339, down to nanoseconds) as milliseconds since 1970 UTC.

By each node's own clock: differences of one node's moments are durations; those of two nodes are
not. No other form of time belongs here.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def moment_ms(text: str | None) -> int | None:
    """Return a moment in milliseconds; None if there is none, or it cannot be read."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None  # Shown to people only: better no duration than no settings change.
    if moment.tzinfo is None:
        return None
    return (moment - _EPOCH) // _MILLISECOND
