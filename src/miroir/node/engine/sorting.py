"""
Sorting by values of documents: the `sort` parameter, and ranking rules like `price:asc`.

Numbers come before strings in both directions, documents without a value last in both. Of several
values the best counts: the smallest for `asc`, the greatest for `desc`. Distances are computed per
document, in metres, on a sphere (haversine).

Parsing of sort expressions and their errors is in `sort_parser.py`.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pyroaring import BitMap

from miroir.node.engine.facet_index import FacetIndex, Value
from miroir.node.engine.fields import walk
from miroir.node.engine.graph import Path
from miroir.node.engine.rules import Bucket, Part
from miroir.node.engine.scores import Detail, GeoDistance, SortValue
from miroir.node.engine.store import Document, IndexStore

EARTH_RADIUS_M: Final = 6_371_000.0
_NUMBERS, _STRINGS, _NOTHING = 0, 1, 2


@dataclass(frozen=True, slots=True)
class SortField:
    """`field:asc` or `field:desc`."""

    field: str
    ascending: bool


@dataclass(frozen=True, slots=True)
class SortPoint:
    """`_geoPoint(lat, lng):asc` or `:desc`."""

    point: tuple[float, float]
    ascending: bool


SortBy = SortField | SortPoint


class Sort:
    """A rule that orders documents by the value of one field."""

    def __init__(self, facets: FacetIndex, by: SortField, *, hidden: bool) -> None:
        self._values = facets.field(by.field).of
        self._by = by
        self._hidden = hidden

    def split(self, bucket: Bucket) -> Iterator[tuple[Detail, Bucket]]:
        """Yield the documents of each value."""
        by = self._by
        grouped = _grouped(bucket, self.best)
        order = _ordered(grouped, ascending=by.ascending)
        for kind, value in order:
            shown = None if kind == _NOTHING else value
            found = _bucket(grouped[(kind, value)])
            yield SortValue(by.field, by.ascending, shown, self._hidden), found

    def best(self, document: int) -> tuple[int, Any]:
        """Return the value that counts for a document, numbers before strings."""
        return best_value(self._values.get(document, ()), ascending=self._by.ascending)


class GeoSort:
    """A rule that orders documents by their distance to a point."""

    def __init__(self, facets: FacetIndex, by: SortPoint) -> None:
        self._points = facets.points
        self._by = by

    def split(self, bucket: Bucket) -> Iterator[tuple[Detail, Bucket]]:
        """Yield the documents at each distance."""
        target, ascending = self._by.point, self._by.ascending
        grouped = _grouped(bucket, self._points.get)
        points = [point for point in grouped if point is not None]
        points.sort(key=lambda p: (distance_m(target, p), p), reverse=not ascending)
        for point in points:
            found = _bucket(grouped[point])
            yield GeoDistance(target, ascending, point, distance_m(target, point)), found
        if None in grouped:
            yield GeoDistance(target, ascending, None, None), _bucket(grouped[None])


def best_value(values: Sequence[Value], *, ascending: bool) -> tuple[int, Any]:
    """Return (kind, value) of the value that counts."""
    if len(values) == 1:
        only = values[0]
        return (_NUMBERS if isinstance(only, float) else _STRINGS), only
    pick = min if ascending else max
    numbers = [value for value in values if isinstance(value, float)]
    if numbers:
        return _NUMBERS, pick(numbers)
    strings = [value for value in values if isinstance(value, str)]
    return (_STRINGS, pick(strings)) if strings else (_NOTHING, None)


def sort_documents(
    documents: Iterable[int], facets: FacetIndex, by: Iterable[SortBy]
) -> list[int]:
    """Return the documents in the order of the sort expressions, ties by number."""
    bucket: list[Bucket] = [[Part(BitMap(documents))]]
    for expression in by:
        rule = (
            Sort(facets, expression, hidden=False)
            if isinstance(expression, SortField)
            else GeoSort(facets, expression)
        )
        bucket = [inner for outer in bucket for _, inner in rule.split(outer)]
    return [document for found in bucket for part in found for document in part.documents]


def sort_values(
    store: IndexStore, documents: Iterable[int], by: Sequence[SortBy]
) -> list[list[dict[str, Any]]]:
    """Return what each document is sorted by, as nodes tell each other in a network."""
    return [[_told(store, document, one) for one in by] for document in documents]


def _told(store: IndexStore, document: int, by: SortBy) -> dict[str, Any]:
    if isinstance(by, SortPoint):
        point = store.facets.points.get(document)
        distance = None if point is None else distance_m(by.point, point)
        return {"geoSort": {"asc": by.ascending, "distance": distance}}
    kind, value = Sort(store.facets, by, hidden=False).best(document)
    if kind == _NUMBERS:
        value = _as_written(store.contents[document], by.field, value)
    return {"sort": {"asc": by.ascending, "value": None if kind == _NOTHING else value}}


def _as_written(document: Document, field: str, number: float) -> int | float:
    """Return a number as the document has it: 3 is not 3.0."""
    for path, found, _ in walk(document):
        if path != field or isinstance(found, bool) or not isinstance(found, int | float):
            continue
        if float(found) == number:
            return found
    return number


def distance_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return the distance of two points (degrees) in metres, to the millimetre."""
    lat1, lng1, lat2, lng2 = map(math.radians, (*one, *other))
    half = (1 - math.cos(lat2 - lat1)) / 2
    half += math.cos(lat1) * math.cos(lat2) * (1 - math.cos(lng2 - lng1)) / 2
    metres = 2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(max(half, 0.0))))
    return math.floor(metres * 1000 + 0.5) / 1000


_Group = list[tuple[list[int], tuple[Path, ...]]]


def _grouped(bucket: Bucket, key: Callable[[int], Any]) -> dict[Any, _Group]:
    """Group the documents of a bucket by a key, keeping the readings of each part."""
    grouped: dict[Any, _Group] = {}
    for part in bucket:
        by_key: dict[Any, list[int]] = {}
        for document in part.documents:
            by_key.setdefault(key(document), []).append(document)
        for found, documents in by_key.items():
            grouped.setdefault(found, []).append((documents, part.paths))
    return grouped


def _bucket(group: _Group) -> Bucket:
    """Make a bucket only when it is asked for: most values of a long sort never are."""
    return [Part(BitMap(documents), paths) for documents, paths in group]


def _ordered(keys: Mapping[tuple[int, Any], Any], *, ascending: bool) -> list[tuple[int, Any]]:
    ordered: list[tuple[int, Any]] = []
    for kind in (_NUMBERS, _STRINGS, _NOTHING):
        of_kind = [key for key in keys if key[0] == kind]
        if kind != _NOTHING:
            of_kind.sort(key=lambda key: key[1], reverse=not ascending)
        ordered.extend(of_kind)
    return ordered
