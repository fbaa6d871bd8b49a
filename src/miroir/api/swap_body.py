"""
Reads the body of `POST /swap-indexes`, and refuses a bad one in Meilisearch's words.

First the form of all pairs, then pair by pair their number and the rights, at last what they have
in common.
"""

from collections.abc import Callable
from typing import Any, Final

import orjson

from miroir.api.parameters import described, instead
from miroir.core.swaps import Swap, Swaps, named_twice
from miroir.core.topology import IndexUid
from miroir.errors import BadParameter, InvalidApiKey, InvalidIndexUid, RequestRefused
from miroir.services.intake import check_uid

_FIELDS: Final = ("indexes", "rename")
_INDEXES: Final = "invalid_swap_indexes"


def read_swaps(body: Any, opens: Callable[[str], bool]) -> Swaps:
    """
    Return the pairs.

    Args:
        body: The decoded JSON.
        opens: Whether the client's key opens an index.
    """
    if not isinstance(body, list):
        raise RequestRefused(f"Invalid value type: expected an array, but found {described(body)}")
    pairs = [_pair(value, f"[{place}]") for place, value in enumerate(body)]
    swaps = tuple(_swap(uids, opens, rename=rename) for uids, rename in pairs)
    if (twice := named_twice(swaps)) is not None:
        raise BadParameter("invalid_swap_duplicate_index_found", twice)
    return swaps


def _pair(value: Any, place: str) -> tuple[list[str], bool]:
    if not isinstance(value, dict):
        raise RequestRefused(
            f"Invalid value type at `{place}`: expected an object, but found {described(value)}"
        )
    read = {name: _field(name, field, place) for name, field in value.items()}
    if "indexes" not in read:
        raise BadParameter("missing_swap_indexes", f"Missing field `indexes` inside `{place}`")
    return read["indexes"], read.get("rename", False)


def _field(name: str, value: Any, place: str) -> Any:
    match name:
        case "indexes":
            return _uids(value, f"{place}.indexes")
        case "rename" if isinstance(value, bool):
            return value
        case "rename":
            raise _mistyped("invalid_swap_rename", f"{place}.rename", "a boolean", value)
        case _:
            raise RequestRefused(
                f"Unknown field `{name}` inside `{place}`: {instead(name, _FIELDS)}"
            )


def _uids(value: Any, place: str) -> list[str]:
    if not isinstance(value, list):
        raise _mistyped(_INDEXES, place, "an array", value)
    for number, uid in enumerate(value):
        here = f"{place}[{number}]"
        if not isinstance(uid, str):
            raise _mistyped(_INDEXES, here, "a string", uid)
        try:
            check_uid(uid)
        except InvalidIndexUid as error:
            raise BadParameter(_INDEXES, f"Invalid value at `{here}`: {error}") from None
    return value


def _mistyped(code: str, place: str, expected: str, value: Any) -> BadParameter:
    message = f"Invalid value type at `{place}`: expected {expected}, but found {described(value)}"
    return BadParameter(code, message)


def _swap(uids: list[str], opens: Callable[[str], bool], *, rename: bool) -> Swap:
    if len(uids) != 2:
        names = ", ".join(orjson.dumps(uid).decode() for uid in uids)
        raise BadParameter(
            _INDEXES,
            f"Two indexes must be given for each swap. The list `[{names}]` contains {len(uids)} "
            "indexes.",
        )
    if not all(opens(uid) for uid in uids):
        raise InvalidApiKey("The provided API key is invalid.")
    left, right = uids
    return Swap(IndexUid(left), IndexUid(right), rename=rename)
