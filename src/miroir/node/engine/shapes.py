"""
Shapes of documents (`_geojson`), and which of them touch a polygon.

A shape is its points, its lines and its rings, whatever GeoJSON calls them. Everything is flat:
degrees are lengths, as for Meilisearch's own cells at the scale of cities; a shape across the date
line is not understood. A point on the border is outside.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

Point = tuple[float, float]  # longitude, latitude
FIELD: Final = "_geojson"
METRES_PER_DEGREE: Final = 111_195.08
CIRCLE_CORNERS: Final = 125


@dataclass(slots=True)
class Shape:
    """What a GeoJSON object is made of; the rings of one polygon are kept together."""

    points: list[Point] = field(default_factory=list)
    lines: list[list[Point]] = field(default_factory=list)
    polygons: list[list[list[Point]]] = field(default_factory=list)

    def touches(self, corners: Sequence[Point]) -> bool:
        """Tell whether any part of the shape is inside a polygon or crosses its border."""
        if any(is_inside(point, corners) for point in self.points):
            return True
        border = [*corners, corners[0]]
        for line in self.lines:
            if any(is_inside(point, corners) for point in line) or _cross(line, border):
                return True
        for rings in self.polygons:
            if not rings or not rings[0]:
                continue
            if any(is_inside(point, corners) for point in rings[0]) or _cross(rings[0], border):
                return True
            around = (corner for corner in corners if is_inside(corner, rings[0]))
            if any(not any(is_inside(c, hole) for hole in rings[1:]) for c in around):
                return True
        return False


def shape_of(value: Any) -> Shape | None:
    """Return the shape of a GeoJSON object, None for anything else."""
    if not isinstance(value, dict):
        return None
    shape = Shape()
    try:
        _collect(value, shape)
    except (KeyError, TypeError, ValueError, IndexError):
        # The documents layer refuses such shapes; one that slips through is nowhere.
        return None
    return shape


def _collect(value: Mapping[str, Any], into: Shape) -> None:
    match value["type"]:
        case "Feature":
            if value.get("geometry") is not None:
                _collect(value["geometry"], into)
        case "FeatureCollection":
            for feature in value["features"]:
                _collect(feature, into)
        case "GeometryCollection":
            for geometry in value["geometries"]:
                _collect(geometry, into)
        case kind:
            _geometry(kind, value["coordinates"], into)


def _geometry(kind: str, coordinates: Any, into: Shape) -> None:
    match kind:
        case "Point":
            into.points.append(_point(coordinates))
        case "MultiPoint":
            into.points.extend(map(_point, coordinates))
        case "LineString":
            into.lines.append(_line(coordinates))
        case "MultiLineString":
            into.lines.extend(map(_line, coordinates))
        case "Polygon":
            into.polygons.append([_line(ring) for ring in coordinates])
        case "MultiPolygon":
            into.polygons.extend([_line(ring) for ring in rings] for rings in coordinates)
        case _:
            raise ValueError(kind)


def _point(value: Any) -> Point:
    return float(value[0]), float(value[1])


def _line(values: Any) -> list[Point]:
    return [_point(value) for value in values]


def is_inside(point: Point, corners: Sequence[Point]) -> bool:
    """Tell whether a point is inside a polygon: a ray from it crosses the border an odd number."""
    x, y = point
    inside = False
    for (x1, y1), (x2, y2) in pairwise([*corners, corners[0]]):
        side = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)
        if side == 0 and min(x1, x2) <= x <= max(x1, x2) and min(y1, y2) <= y <= max(y1, y2):
            return False
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside


def _cross(line: Sequence[Point], border: Sequence[Point]) -> bool:
    return any(_meet(a, b, c, d) for a, b in pairwise(line) for c, d in pairwise(border))


def _meet(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Tell whether two lines cross somewhere between their ends."""
    return _turn(a, b, c) * _turn(a, b, d) < 0 and _turn(c, d, a) * _turn(c, d, b) < 0


def _turn(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def circle(lat: float, lng: float, radius_m: float, corners: int = CIRCLE_CORNERS) -> list[Point]:
    """Return a polygon in the place of a circle on the ground."""
    high = max(radius_m, 0.01) / METRES_PER_DEGREE
    wide = high / max(math.cos(math.radians(lat)), 1e-6)
    turns = (2 * math.pi * at / corners for at in range(corners))
    return [(lng + wide * math.cos(turn), lat + high * math.sin(turn)) for turn in turns]


def touching(contents: Mapping[int, Mapping[str, Any]], corners: Sequence[Point]) -> Iterator[int]:
    """Yield the documents whose shape touches a polygon."""
    for number, content in contents.items():
        shape = shape_of(content.get(FIELD))
        if shape is not None and shape.touches(corners):
            yield number
