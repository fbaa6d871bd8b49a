"""
Trees of filters back to text, in the one form that Meilisearch hands to its indexes.

Errors of evaluation point into this text, not into what the client wrote: `many = Glass` becomes
`"many" = "Glass"`. Parsing is `filter_parser.py`.
"""

import json
from typing import assert_never

from miroir.node.engine.filter_tree import (
    And,
    Between,
    Compare,
    Filter,
    Foreign,
    GeoBox,
    GeoPolygon,
    GeoRadius,
    In,
    Is,
    Not,
    Or,
    Piece,
    Vectors,
)


def rendered(node: Filter) -> str:  # noqa: PLR0911  one line for each kind of node
    """Return a filter that means the same, with everything quoted and bracketed."""
    match node:
        case Not(inner):
            return f"NOT ({rendered(inner)})"
        case And(parts):
            return " AND ".join(f"({rendered(part)})" for part in parts)
        case Or(parts):
            return " OR ".join(f"({rendered(part)})" for part in parts)
        case Compare(field, operator, value, _):
            return f"{_quoted(field)} {operator} {_quoted(value)}"
        case Between(field, low, high):
            return f"{_quoted(field)} {_quoted(low)} TO {_quoted(high)}"
        case In(field, values):
            return f"{_quoted(field)} IN [{', '.join(map(_quoted, values))}]"
        case Is(field, what):
            return f"{_quoted(field)} {what}"
        case GeoRadius() | GeoBox() | GeoPolygon():
            return _geo(node)
        case Foreign(field, inner):
            return f"_foreign({_quoted(field)}, {rendered(inner)})"
        case Vectors():
            return _vectors(node)
        case _:
            assert_never(node)


def _vectors(node: Vectors) -> str:
    parts = ["_vectors"]
    if node.embedder is not None:
        parts.append(_quoted(node.embedder))
    if node.what is not None:
        parts.append(node.what.text)
    if node.fragment is not None:
        parts.append(_quoted(node.fragment))
    return f"{'.'.join(parts)} EXISTS"


def _geo(node: GeoRadius | GeoBox | GeoPolygon) -> str:
    match node:
        case GeoRadius(lat, lng, radius, resolution):
            pieces = [lat, lng, radius] + ([] if resolution is None else [resolution])
            return f"_geoRadius({', '.join(piece.text for piece in pieces)})"
        case GeoBox(top, right, bottom, left):
            return f"_geoBoundingBox({_point(top, right)}, {_point(bottom, left)})"
        case GeoPolygon(points):
            return f"_geoPolygon({', '.join(_point(lat, lng) for lat, lng in points)})"
        case _:
            assert_never(node)


def _point(lat: Piece, lng: Piece) -> str:
    return f"[{lat.text}, {lng.text}]"


def _quoted(piece: Piece) -> str:
    return json.dumps(piece.text, ensure_ascii=False)
