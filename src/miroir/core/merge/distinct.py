"""
One hit per value of the distinct attribute, over shards.

Each node has done this for its own documents; what is left is the same value on two shards. The
better hit comes first in merged order and wins. Values are compared as nodes compare them: the
first 468 bytes of texts, trimmed, in compatibility decomposition, lower case; numbers as numbers;
a document without a value always stays. With one value per document the page is exact, and needs
no more hits per shard than any page does. Inexact, and documented: totals and facet counts still
count what was dropped, and with several values per document a node may have dropped a hit for the
sake of one that is dropped here.
"""

import unicodedata
from collections.abc import Iterator
from typing import Any, Final

import msgspec

_TEXT_MAX: Final = 468
"""Bytes that a node indexes of a text."""

Value = tuple[str, str | float]


def normal_text(text: str) -> str:
    """Return a string as nodes compare facet values."""
    return unicodedata.normalize("NFKD", text.strip()).lower()


def cut_text(text: str) -> str:
    """Return as much of a normal text as nodes index of a value."""
    if len(text) <= _TEXT_MAX // 4:
        return text
    return text.encode()[:_TEXT_MAX].decode(errors="ignore")


def distinct_values(document: bytes, attribute: str) -> frozenset[Value]:
    """
    Return the comparable values of an attribute.

    Args:
        document: The members of a raw document, without its braces.
        attribute: A name, or a path `a.b` into objects and lists of objects.
    """
    return frozenset(_values(msgspec.json.decode(b"{%b}" % document), attribute))


def _values(value: Any, path: str) -> Iterator[Value]:
    if isinstance(value, list):
        for item in value:
            yield from _values(item, path)
    elif path and isinstance(value, dict):
        for name, inner in value.items():
            if path == name:
                yield from _values(inner, "")
            elif path.startswith(name + "."):
                yield from _values(inner, path[len(name) + 1 :])
    elif not path:
        yield from _leaf(value)


def _leaf(value: Any) -> Iterator[Value]:
    if isinstance(value, bool):
        yield ("string", "true" if value else "false")
    elif isinstance(value, int | float):
        yield ("number", float(value))
    elif isinstance(value, str) and value:  # Nodes index no empty text.
        yield ("string", cut_text(normal_text(value)))
