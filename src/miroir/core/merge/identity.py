"""
Which document is this? The value of its primary key, as nodes compare it.

`42` and `"42"` are one document, `"a"` and `"A"` are two.
"""

from typing import Any

import msgspec


def identity_of(document: bytes, primary_key: str) -> str | None:
    """
    Return a document's id as text; None if the key is not among its members.

    Args:
        document: Its members, without braces.
        primary_key: A name, or a path `a.b` into objects.
    """
    found = _at(msgspec.json.decode(b"{%b}" % document), primary_key)
    return found if isinstance(found, str) else str(found) if type(found) is int else None


def _at(value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        return None
    if path in value:
        return value[path]
    name, dot, rest = path.partition(".")
    return _at(value.get(name), rest) if dot else None
