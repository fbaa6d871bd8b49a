"""
Takes attributes out of a raw document that merging has asked for and the client has not.

A node shows what is retrieved twice where something is formatted: as it is, and in `_formatted`.
There it stays if the client has asked for it to be formatted. What is not taken out stays as the
node wrote it, byte for byte.
"""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Raw

from miroir.core.merge.query import is_covered

_members: Final = msgspec.json.Decoder(dict[str, Raw])
_FORMATTED: Final = "_formatted"


def without(document: bytes, attributes: Iterable[str], formatted: tuple[str, ...] = ()) -> bytes:
    """
    Return the members of a raw document without some attributes.

    Args:
        document: Its members, without braces.
        attributes: Names, or paths `a.b` into objects and lists of objects.
        formatted: Patterns of the attributes that stay in `_formatted`.
    """
    members = _members.decode(b"{%b}" % document)
    for attribute in attributes:
        members = _without(members, attribute)
        if _FORMATTED in members and not is_covered(attribute, formatted):
            left = _inner_without(members[_FORMATTED], attribute)
            members[_FORMATTED] = Raw(b"{}") if left is None else left
    return msgspec.json.encode(members)[1:-1]


def _without(members: dict[str, Raw], path: str) -> dict[str, Raw]:
    kept: dict[str, Raw] = {}
    for name, raw in members.items():
        if path == name:
            continue
        inner = raw
        if path.startswith(name + "."):
            rest = _inner_without(raw, path[len(name) + 1 :])
            if rest is None:
                continue
            inner = rest
        kept[name] = inner
    return kept


def _inner_without(raw: Raw, path: str) -> Raw | None:
    """Return the value without the path; None when nothing is left of it."""
    first = bytes(memoryview(raw)[:1])
    if first == b"{":
        kept = _without(_members.decode(raw), path)
        return Raw(msgspec.json.encode(kept)) if kept else None
    if first == b"[":
        items = [_inner_without(item, path) for item in msgspec.json.decode(raw, type=list[Raw])]
        left = [item for item in items if item is not None]
        return Raw(msgspec.json.encode(left)) if left else None
    return raw
