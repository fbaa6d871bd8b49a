"""
Score details as lists of values that can be compared: for merging rankings of several queries.

Neighbouring ranks fold into one number; sorts and distances stay what they are. A number is
multiplied by the weight of its query. Who merges what is in `semantic.py` and in `federation/`.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from miroir.node.engine.scores import Detail, GeoDistance, Rank, Similarity, SortValue, folded

Weighted = float | SortValue | GeoDistance
EPSILON: Final = 2.220446049250313e-16


def values_of(details: Iterable[Detail], weight: float) -> list[Weighted]:
    """Return the comparable values of a document, best rule first."""
    values: list[Weighted] = []
    for found in _with_ranks_folded(details):
        if isinstance(found, Similarity):
            values.append((found.value or 0.0) * weight)
        else:
            values.append(found * weight if isinstance(found, float) else found)
    return values


def told_values(details: Iterable[Detail], weight: float) -> list[dict[str, Any]]:
    """Return the same values as nodes of a network tell them to the one that merges."""
    return [_told(found, weight) for found in _with_ranks_folded(details)]


def _told(found: float | SortValue | GeoDistance | Similarity, weight: float) -> dict[str, Any]:
    match found:
        case SortValue():
            return {"sort": {"asc": found.ascending, "value": found.value}}
        case GeoDistance():
            return {"geoSort": {"asc": found.ascending, "distance": found.distance_m}}
        case Similarity():
            return {"vectorSort": (found.value or 0.0) * weight}
        case _:
            return {"weightedScore": found * weight}


def _with_ranks_folded(
    details: Iterable[Detail],
) -> Iterator[float | SortValue | GeoDistance | Similarity]:
    ranks: list[Rank] = []
    for detail in details:
        if isinstance(detail, Rank):
            ranks.append(detail)
            continue
        if ranks:
            yield folded(ranks)
            ranks = []
        yield detail
    if ranks:
        yield folded(ranks)


def number_order(left: float, right: float) -> int:
    """Return -1, 0 or 1; what differs by rounding alone is equal."""
    if abs(left - right) <= EPSILON:
        return 0
    return 1 if left > right else -1


def sort_order(left: SortValue, right: SortValue) -> int | None:
    """Return which value comes first, 1 for the left; None for opposite directions."""
    if left.ascending != right.ascending:
        return None
    one, other = _sortable(left.value), _sortable(right.value)
    if one[0] != other[0]:
        return 1 if one[0] > other[0] else -1
    if one == other:
        return 0
    return 1 if (one < other) == left.ascending else -1


def _sortable(value: object) -> tuple[int, object]:
    """Return (kind, value): nothing is worse than text, text worse than numbers."""
    if value is None:
        return 0, 0
    return (1, value) if isinstance(value, str) else (2, value)


def distance_order(left: GeoDistance, right: GeoDistance) -> int | None:
    """Return which distance comes first, 1 for the left; None for opposite directions."""
    if left.ascending != right.ascending:
        return None
    order = farther(left, right)
    both = left.distance_m is not None and right.distance_m is not None
    return -order if left.ascending and both else order


def farther(left: GeoDistance, right: GeoDistance) -> int:
    """Return 1 when the left is farther away, -1 when the right is; no place is nearest."""
    one, other = left.distance_m, right.distance_m
    if one is None or other is None:
        return (one is not None) - (other is not None)
    return number_order(one, other)


def hybrid_order(left: Sequence[Weighted], right: Sequence[Weighted]) -> int:
    """Return which of two documents of one search is better; a number goes before a sort."""
    for one, other in zip(left, right, strict=False):
        if isinstance(one, float) or isinstance(other, float):
            order = _with_number(one, other)
        elif isinstance(one, SortValue) and isinstance(other, SortValue):
            order = sort_order(one, other) or 0
        elif isinstance(one, GeoDistance) and isinstance(other, GeoDistance):
            order = distance_order(one, other) or 0
        else:
            order = 0  # one search has one list of rules
        if order:
            return order
    return (len(left) > len(right)) - (len(left) < len(right))


def _with_number(left: Weighted, right: Weighted) -> int:
    if isinstance(left, float):
        if isinstance(right, float):
            return number_order(left, right)
        return -1 if left == 0 else 1
    return 1 if right == 0 else -1


def federated_order(left: Sequence[Weighted], right: Sequence[Weighted]) -> int | None:
    """
    Return which of two documents of different queries is better; None if they cannot be compared.

    Distances are compared as Meilisearch does in a federated search: the farther one is better in
    both directions.
    """
    for one, other in zip(left, right, strict=False):
        order = _comparable(one, other)
        if order is None:
            rest = len(left) - len(right)
            return None if rest == 0 else (1 if rest > 0 else -1)
        if order:
            return order
    return (len(left) > len(right)) - (len(left) < len(right))


def _comparable(one: Weighted, other: Weighted) -> int | None:
    if isinstance(one, float) and isinstance(other, float):
        return number_order(one, other)
    if isinstance(one, SortValue) and isinstance(other, SortValue):
        return sort_order(one, other)
    if isinstance(one, GeoDistance) and isinstance(other, GeoDistance):
        return farther(one, other) if one.ascending == other.ascending else None
    return None
