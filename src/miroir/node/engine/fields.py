"""
Fields of documents: nested paths, patterns, and which field plays which role.

A path is the keys joined by dots (`a.b`); arrays add nothing to a path. A setting names a field or
a parent of it (`a` covers `a.b`), or it is a pattern: `*` at its start or end stands for anything,
and one without means a single field.

No index structures here; values are looked at only to walk through them.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

VECTORS = "_vectors"
RESERVED = (VECTORS, "_geo", "_geojson")


def covers(attribute: str, path: str) -> bool:
    """Tell whether an attribute of the settings means this field or a parent of it."""
    return path == attribute or (path.startswith(attribute) and path[len(attribute)] == ".")


def matches_pattern(pattern: str, path: str) -> bool:
    """Tell whether `pattern` means this field: `*`, `*end`, `start*`, `*part*`, or its name."""
    if pattern == "*":
        return True
    if pattern.startswith("*"):
        inner = pattern[1:]
        return inner[:-1] in path if inner.endswith("*") else path.endswith(inner)
    if pattern.endswith("*"):
        return path.startswith(pattern[:-1])
    return pattern == path


def meet(one: str, other: str) -> bool:
    """Tell whether two patterns may mean the same field, or one the other's parent."""
    return any(matches_pattern(a, b) or covers(b, a) for a, b in ((one, other), (other, one)))


def is_reserved(path: str) -> bool:
    """Tell whether a path belongs to the engine and is never searched as text."""
    return path.split(".", 1)[0] in RESERVED


def walk(document: Mapping[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    """
    Yield every value of a document: path, value, whether it stands directly under its key.

    A container is yielded before what it contains, at the top level after (positions of words
    depend on it). An array met inside an array is not yielded itself, and its items (like all
    items of arrays) do not stand directly under a key.
    """
    for key, value in document.items():
        if key == VECTORS:
            pass  # thousands of numbers that are no fields
        elif isinstance(value, dict):
            yield from _walk_object(value, key)
        elif isinstance(value, list):
            yield from _walk_array(value, key)
        yield key, value, True


def _walk_object(value: dict[str, Any], base: str) -> Iterator[tuple[str, Any, bool]]:
    for key, inner in value.items():
        path = f"{base}.{key}"
        yield path, inner, True
        if isinstance(inner, dict):
            yield from _walk_object(inner, path)
        elif isinstance(inner, list):
            yield from _walk_array(inner, path)


def _walk_array(values: list[Any], base: str) -> Iterator[tuple[str, Any, bool]]:
    for inner in values:
        if isinstance(inner, dict):
            yield from _walk_object(inner, base)
        elif isinstance(inner, list):
            yield from _walk_array(inner, base)
        else:
            yield base, inner, False


def scalar_text(value: Any) -> str | None:
    """Return the text that is searched for a scalar, None for null and containers."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    return None


class Searchable:
    """The searchable fields of an index: rank, exactness and visibility of each."""

    def __init__(self, attributes: Iterable[str], exact: Iterable[str]) -> None:
        listed = tuple(attributes)
        self.listed: tuple[str, ...] | None = None if "*" in listed else listed
        self._exact = tuple(exact)

    @property
    def weight_max(self) -> int:
        """The rank of the last listed attribute; 0 when all fields are equal."""
        return max(len(self.listed) - 1, 0) if self.listed is not None else 0

    def weight(self, path: str) -> int | None:
        """Return the rank of a field, 0 the most important; None if it is not searched."""
        if is_reserved(path):
            return None
        if self.listed is None:
            return 0
        for rank, attribute in enumerate(self.listed):
            if covers(attribute, path):
                return rank
        return None

    def is_exact(self, path: str) -> bool:
        """Tell whether typos are switched off for a field."""
        return any(covers(attribute, path) for attribute in self._exact)
