"""
Values of documents by field, for filters, sorts, facets and distinct.

    field "genre":  strings {"horror": docs, ...}  numbers {1999.0: docs}  of {doc: ("horror",)}
                    exists, null, empty: docs

Strings are kept normalised (trimmed, decomposed, lower case); booleans are the strings `true` and
`false`; all numbers are floats. Only fields that some setting needs are kept. The spelling of a
value is looked up in a document when it must be shown.

What a filter or a sort means with these values is decided by their own files.
"""

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pyroaring import BitMap

from miroir.node.engine.fields import walk

Value = float | str
STRING_BYTES_MAX: Final = 468
_GEO: Final = "_geo"


def facet_normalized(text: str) -> str:
    """Return the form under which a string is compared by filters, sorts and facets."""
    plain = text.strip()
    if not plain.isascii():
        plain = unicodedata.normalize("NFKD", plain)
    plain = plain.lower()
    if len(plain) * 4 > STRING_BYTES_MAX and len(plain.encode()) > STRING_BYTES_MAX:
        plain = plain.encode()[:STRING_BYTES_MAX].decode(errors="ignore")
    return plain


def facet_value(value: Any) -> Value | None:
    """Return the comparable form of a scalar, None for what has none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, str) and value:
        return facet_normalized(value)
    return None


_TUPLE_MAX: Final = 16
"""Beyond that the values of a document are a list, which grows without being copied."""


class FieldValues:
    """The values of one field in all documents."""

    def __init__(self) -> None:
        self.numbers: dict[float, BitMap] = {}
        self.strings: dict[str, BitMap] = {}
        self.of: dict[int, tuple[Value, ...] | list[Value]] = {}
        self.exists = BitMap()
        self.null = BitMap()
        self.empty = BitMap()

    def add(self, document: int, value: Any, *, direct: bool) -> None:
        """Add one value of a document; `direct` if it stands under its key, not in an array."""
        self.exists.add(document)
        found = facet_value(value)
        if found is not None:
            self._add_value(document, found)
        elif direct and value is None:
            self.null.add(document)
        elif direct and value in ("", [], {}):
            self.empty.add(document)

    def remove(self, document: int) -> None:
        """Forget everything about a document."""
        for value in self.of.pop(document, ()):
            self._drop(document, value)
        for bitmap in (self.exists, self.null, self.empty):
            bitmap.discard(document)

    def documents(self, value: Value) -> BitMap:
        """Return the documents that have this value; must not be changed."""
        if isinstance(value, str):
            return self.strings.get(value, BitMap())
        return self.numbers.get(value, BitMap())

    def _add_value(self, document: int, value: Value) -> None:
        if isinstance(value, str):
            holders = self.strings.setdefault(value, BitMap())
        else:
            holders = self.numbers.setdefault(value, BitMap())
        if document in holders:
            return
        holders.add(document)
        known = self.of.get(document, ())
        if isinstance(known, list):
            known.append(value)
        else:
            many = len(known) >= _TUPLE_MAX
            self.of[document] = [*known, value] if many else (*known, value)

    def _drop(self, document: int, value: Value) -> None:
        bitmap = self.documents(value)
        bitmap.discard(document)
        if bitmap:
            return
        if isinstance(value, str):
            del self.strings[value]
        else:
            del self.numbers[value]


class FacetIndex:
    """The values of all fields that `wanted` names, and the points of `_geo`."""

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self._wanted = wanted
        self._known: dict[str, bool] = {}
        self.fields: dict[str, FieldValues] = {}
        self.points: dict[int, tuple[float, float]] = {}

    def add(self, document: int, content: Mapping[str, Any]) -> None:
        """Index a document that is not in the index."""
        for path, value, direct in walk(content):
            if self._is_wanted(path):
                self.fields.setdefault(path, FieldValues()).add(document, value, direct=direct)
        point = geo_point(content.get(_GEO))
        if point is not None:
            self.points[document] = point

    def remove(self, document: int) -> None:
        """Take out a document."""
        for values in self.fields.values():
            values.remove(document)
        self.points.pop(document, None)

    def field(self, path: str) -> FieldValues:
        """Return the values of a field, empty ones if no document has it."""
        return self.fields.get(path) or FieldValues()

    def _is_wanted(self, path: str) -> bool:
        wanted = self._known.get(path)
        if wanted is None:
            wanted = self._known[path] = self._wanted(path)
        return wanted


def geo_point(value: Any) -> tuple[float, float] | None:
    """Return latitude and longitude of a `_geo` value, given as numbers or as strings."""
    if not isinstance(value, dict):
        return None
    try:
        return float(value["lat"]), float(value["lng"])
    except (KeyError, TypeError, ValueError):
        # The documents layer refuses such documents; one that slips through is without a point.
        return None


def spelling(content: Mapping[str, Any], path: str, normalized: str) -> str:
    """Return how a document writes the value that is kept as `normalized`."""
    for text in _strings(content, path):
        if facet_normalized(text) == normalized:
            return text
    return normalized


def _strings(content: Mapping[str, Any], path: str) -> Iterator[str]:
    for found, value, _ in walk(content):
        if found == path and isinstance(value, str):
            yield value
