"""
Filters as trees: what the parser makes and the evaluation walks.

A `Piece` is a part of the filter text with its place, so that errors can point at it the way
Meilisearch does: `message`, a new line, `first:last whole filter`, columns counted from 1.

No parsing and no documents here.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Piece:
    """
    A word or value of a filter.

    Attributes:
        text: What it says, escapes resolved.
        raw: How it was written, without its quotes.
        column: Where it begins, counted from 1.
        whole: The filter it is part of.
    """

    text: str
    raw: str
    column: int
    whole: str

    def error(self, message: str) -> str:
        """Return the message with the place of this piece."""
        return f"{message}\n{self.column}:{self.column + len(self.raw)} {self.whole}"


@dataclass(frozen=True, slots=True)
class Compare:
    """`field op value`; op is =, !=, >, >=, <, <=, CONTAINS or STARTS WITH."""

    field: Piece
    operator: str
    value: Piece
    keyword: Piece


@dataclass(frozen=True, slots=True)
class Between:
    """`field low TO high`, both included."""

    field: Piece
    low: Piece
    high: Piece


@dataclass(frozen=True, slots=True)
class In:
    """`field IN [values]`."""

    field: Piece
    values: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Is:
    """`field EXISTS`, `field IS NULL`, `field IS EMPTY`; `what` is the operator's name."""

    field: Piece
    what: str


@dataclass(frozen=True, slots=True)
class GeoRadius:
    """`_geoRadius(lat, lng, metres)`, with an optional resolution that only shapes use."""

    lat: Piece
    lng: Piece
    radius_m: Piece
    resolution: Piece | None


@dataclass(frozen=True, slots=True)
class GeoBox:
    """`_geoBoundingBox([top, right], [bottom, left])`."""

    top: Piece
    right: Piece
    bottom: Piece
    left: Piece


@dataclass(frozen=True, slots=True)
class GeoPolygon:
    """`_geoPolygon([lat, lng], [lat, lng], [lat, lng], ...)`."""

    points: tuple[tuple[Piece, Piece], ...]


@dataclass(frozen=True, slots=True)
class Vectors:
    """`_vectors EXISTS`, `_vectors.embedder EXISTS`, and what may stand after the embedder."""

    field: Piece
    embedder: Piece | None
    what: Piece | None
    fragment: Piece | None


@dataclass(frozen=True, slots=True)
class Foreign:
    """`_foreign(field, filter)`: the filter is about the index that the field refers to."""

    field: Piece
    inner: "Filter"


@dataclass(frozen=True, slots=True)
class Not:
    """`NOT filter`."""

    inner: "Filter"


@dataclass(frozen=True, slots=True)
class And:
    """All of the filters."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of the filters."""

    parts: tuple["Filter", ...]


Filter = (
    Compare
    | Between
    | In
    | Is
    | GeoRadius
    | GeoBox
    | GeoPolygon
    | Foreign
    | Vectors
    | Not
    | And
    | Or
)


def conditions(root: Filter) -> Iterator[Compare | Between | In | Is]:
    """Yield the conditions on fields, the last of an AND or OR first, as Meilisearch checks."""
    stack: list[Filter] = [root]
    while stack:
        node = stack.pop()
        match node:
            case Not(inner):
                stack.append(inner)
            case And(parts) | Or(parts):
                stack.extend(parts)
            case Compare() | Between() | In() | Is():
                yield node
            case GeoRadius() | GeoBox() | GeoPolygon() | Foreign() | Vectors():
                pass  # these name no field of this index


def nodes(root: Filter, *, of_foreign: bool = False) -> Iterator[Filter]:
    """Yield every part of a filter, from left to right; what is inside `_foreign` if asked."""
    yield root
    match root:
        case Not(inner):
            yield from nodes(inner, of_foreign=of_foreign)
        case And(parts) | Or(parts):
            for part in parts:
                yield from nodes(part, of_foreign=of_foreign)
        case Foreign(_, inner) if of_foreign:
            yield from nodes(inner, of_foreign=True)
        case _:
            pass


def foreigns(root: Filter) -> Iterator[Foreign]:
    """Yield the parts of a filter that are about other indexes."""
    return (node for node in nodes(root) if isinstance(node, Foreign))
