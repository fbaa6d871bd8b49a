"""Names of indexes and patterns of names: which are valid, and which a pattern covers."""

import re
from typing import Final

from miroir.node.errors import ApiError

_UID: Final = re.compile(r"[A-Za-z0-9_-]{1,400}\Z")


def require_index_uid(uid: str) -> str:
    """
    Return the uid of an index.

    Raises:
        ApiError: `invalid_index_uid`, it is no valid name.
    """
    if _UID.match(uid):
        return uid
    raise ApiError(
        "invalid_index_uid",
        f"`{uid}` is not a valid index uid. Index uid can be an integer or a string containing "
        "only alphanumeric characters, hyphens (-) and underscores (_), and can not be more than "
        "512 bytes.",
    )


def is_pattern(text: str) -> bool:
    """Return whether a text is a uid, a uid's beginning followed by `*`, or `*`."""
    return text == "*" or bool(_UID.match(text.removesuffix("*")))


def covers(pattern: str, uid: str) -> bool:
    """Return whether a pattern means this index."""
    if pattern.endswith("*"):
        return uid.startswith(pattern[:-1])
    return pattern == uid


def index_not_found(uid: str) -> ApiError:
    """Return the error of an unknown index."""
    return ApiError("index_not_found", f"Index `{uid}` not found.")
