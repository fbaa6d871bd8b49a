"""
Hits of different queries in one order, as a node puts them in a federated search.

Each query's hits are a list, best first; the heads of the lists are compared, value by value:

    a run of rules of relevancy   one number, times the weight of the query
    similarity                    likewise; both kinds of numbers can be compared
    sort, custom rule             the value; numbers before text before nothing
    geo distance                  the farther one first, in both directions, as nodes have it

Of values that cannot be compared, the hit with more of them left is better, else the weighted
score decides; a full tie goes to the query that was named first.

A node shows the number of a run only where there is no more than one. Where `sort` stands in the
midst of the rules there are two, and it tells them to whoever merges hits in a network
(`values_told`), if the experimental feature of that name is on.

Source: weighted_scores.rs and score_details.rs of Meilisearch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from miroir.core.merge.hits import Hit
from miroir.core.merge.ranking import Details, Incomparable

_EPSILON: Final = 2.220446049250313e-16
_RELEVANCY: Final = frozenset(
    {
        "words", "typo", "proximity", "attribute", "attributeRank", "wordPosition", "exactness",
        "skipped",
    }
)  # fmt: skip

Value = tuple[str, Any]
"""What kind of value, and the value: kinds that differ cannot be compared."""


class _Sort(msgspec.Struct):
    asc: bool
    value: Any


class _GeoSort(msgspec.Struct):
    asc: bool
    distance: float | None


class Told(msgspec.Struct, rename="camel"):
    """One of the `weightedScoreValues` of a hit: one of these, and weighted."""

    weighted_score: float | None = None
    vector_sort: float | None = None
    sort: _Sort | None = None
    geo_sort: _GeoSort | None = None


class Federation(msgspec.Struct, rename="camel"):
    """
    What a node says of a hit.

    Attributes:
        queries_position: The place of its query among those asked.
        weighted_ranking_score: Its score, times the weight of the query.
        weighted_score_values: What it is compared by; told only to whoever asks as a network does.
    """

    queries_position: int
    weighted_ranking_score: float
    weighted_score_values: list[Told] | None = None


class _Head(msgspec.Struct):
    federation: Federation = msgspec.field(name="_federation")


_decode_head: Final = msgspec.json.Decoder(_Head).decode


def head_of(raw: bytes | msgspec.Raw) -> Federation:
    """Return what a node says of a raw hit."""
    return _decode_head(raw).federation


@dataclass(frozen=True)
class Candidate:
    """
    A hit of a query.

    Attributes:
        place: Of its query.
        score: Weighted.
        values: What it is compared by with hits of other queries; None: that is not shown.
    """

    hit: Hit
    index_uid: str
    place: int
    score: float
    values: tuple[Value, ...] | None

    def goes_before(self, other: "Candidate") -> bool:
        """
        Tell which of two hits of different queries is better.

        Raises:
            Incomparable: Nodes do not show what decides.
        """
        if self.values is None or other.values is None:
            raise Incomparable(
                "hits of several queries, sorted in the midst of other rules, can be merged only "
                "with the experimental feature `network`"
            )
        order = _order(self.values, other.values)
        if order is None:
            order = (self.score > other.score) - (self.score < other.score)
        return order > 0 or (order == 0 and self.place < other.place)


def values_of(details: Details, weighted_score: float) -> tuple[Value, ...] | None:
    """Return what a hit is compared by; None if it has more than one run of relevancy."""
    values: list[Value] = []
    in_run = False
    for name, rule in sorted(details.items(), key=lambda item: item[1].order):
        relevant = name in _RELEVANCY
        if (relevant and not in_run) or name == "vectorSort":
            values.append(("number", weighted_score))
        elif name.startswith("_geoPoint("):
            values.append((f"geo {name.rpartition(':')[2]}", rule.distance))
        elif not relevant:
            values.append((f"sort {rule.hidden or name.rpartition(':')[2]}", rule.value))
        in_run = relevant
    runs = sum(kind == "number" for kind, _ in values)
    return tuple(values) if runs < 2 else None


def values_told(told: Sequence[Told], share: float = 1.0) -> tuple[Value, ...]:
    """Return what a hit is compared by, as its node tells it; numbers count by a share."""
    values: list[Value] = []
    for value in told:
        if value.sort is not None:
            values.append((f"sort {_direction(value.sort.asc)}", value.sort.value))
        elif value.geo_sort is not None:
            values.append((f"geo {_direction(value.geo_sort.asc)}", value.geo_sort.distance))
        else:
            number = value.vector_sort if value.weighted_score is None else value.weighted_score
            values.append(("number", (number or 0.0) * share))
    return tuple(values)


def _direction(ascending: bool) -> str:  # noqa: FBT001 - a word for a boolean is its whole job
    return "asc" if ascending else "desc"


def merge_candidates(lists: Sequence[Iterator[Candidate]]) -> Iterator[Candidate]:
    """Yield the hits of several lists, each best first, in one order."""
    heads = [(head, rest) for rest in lists if (head := next(rest, None)) is not None]
    while heads:
        best = 0
        for at in range(1, len(heads)):
            if heads[at][0].goes_before(heads[best][0]):
                best = at
        head, rest = heads[best]
        yield head
        following = next(rest, None)
        if following is None:
            del heads[best]
        else:
            heads[best] = (following, rest)


def _order(left: Sequence[Value], right: Sequence[Value]) -> int | None:
    for (kind, one), (other_kind, other) in zip(left, right, strict=False):
        if kind != other_kind:
            rest = len(left) - len(right)
            return None if rest == 0 else (1 if rest > 0 else -1)
        if order := _compared(kind, one, other):
            return order
    return (len(left) > len(right)) - (len(left) < len(right))


def _compared(kind: str, one: Any, other: Any) -> int:
    if kind.startswith("sort"):
        return _sorted(one, other, ascending=kind == "sort asc")
    if one is None or other is None:
        return (one is not None) - (other is not None)
    if abs(one - other) <= _EPSILON:
        return 0
    return 1 if one > other else -1


def _sorted(one: Any, other: Any, *, ascending: bool) -> int:
    kinds = [0 if v is None else 1 if isinstance(v, str) else 2 for v in (one, other)]
    if kinds[0] != kinds[1]:
        return 1 if kinds[0] > kinds[1] else -1
    if one == other:
        return 0
    return 1 if (one < other) == ascending else -1
