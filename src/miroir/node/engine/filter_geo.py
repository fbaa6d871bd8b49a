"""
The geographic filters of the grammar, and the reserved words around them.

    _geoRadius(lat, lng, metres[, resolution])
    _geoBoundingBox([lat, lng], [lat, lng])
    _geoPolygon([lat, lng], [lat, lng], [lat, lng]...)

Numbers are read here, their ranges are checked when the filter is evaluated (`filter_eval.py`).
"""

from typing import Final, NoReturn

from miroir.node.engine.filter_scanner import Scanner
from miroir.node.engine.filter_tree import Filter, GeoBox, GeoPolygon, GeoRadius, Piece

_RADIUS: Final = (
    "The `_geoRadius` filter must be in the form: "
    "`_geoRadius(latitude, longitude, radius, optionalResolution)`."
)
_BOX: Final = (
    "The `_geoBoundingBox` filter expects two pairs of arguments: "
    "`_geoBoundingBox([latitude, longitude], [latitude, longitude])`."
)
_POLYGON: Final = (
    "The `_geoPolygon` filter doesn't match the expected format: "
    "`_geoPolygon([latitude, longitude], [latitude, longitude])`."
)
_RESERVED: Final = (
    "`{}` is a reserved keyword and thus can't be used as a filter expression. Use the "
    "`_geoRadius(latitude, longitude, distance)` or `_geoBoundingBox([latitude, longitude], "
    "[latitude, longitude])` built-in rules to filter on `_geo` coordinates."
)


def geo_filter(scan: Scanner) -> Filter | None:
    """Read a geographic filter, if one stands here; the rest of it must then be right."""
    if scan.whole_word("_geoRadius"):
        return _radius(scan)
    if scan.whole_word("_geoBoundingBox"):
        return _box(scan)
    if scan.whole_word("_geoPolygon"):
        return _polygon(scan)
    return None


def refuse_geo_as_value(scan: Scanner) -> None:
    """Refuse reserved geographic words where a field or a value is expected."""
    scan.skip_space()
    word = scan.peek_word()
    for reserved in ("_geoPoint", "_geoDistance"):
        if word.startswith(reserved):
            scan.fail(_RESERVED.format(reserved))
    if word == "_geo":
        scan.fail(_RESERVED.format("_geo"))
    for operation in ("_geoRadius", "_geoBoundingBox"):
        if word == operation:
            scan.fail(f"The `{operation}` filter is an operation and can't be used as a value.")


def _radius(scan: Scanner) -> Filter:
    numbers = _numbers(scan, "(", ")")
    if numbers is None:
        _fail(scan, _RADIUS)
    if len(numbers) not in (3, 4):
        message = "Was expecting 3 or 4 arguments for `_geoRadius`, but instead found"
        scan.fail(f"{message} {len(numbers)}.")
    resolution = numbers[3] if len(numbers) == 4 else None
    return GeoRadius(numbers[0], numbers[1], numbers[2], resolution)


def _box(scan: Scanner) -> Filter:
    points = _points(scan, _BOX)
    if len(points) != 2:
        scan.fail(_BOX)
    (top, right), (bottom, left) = _pairs(scan, points)
    return GeoBox(top, right, bottom, left)


def _polygon(scan: Scanner) -> Filter:
    points = _points(scan, _POLYGON)
    if len(points) < 3:
        message = "The `_geoPolygon` filter expects at least 3 points but only"
        scan.fail(f"{message} {len(points)} were specified", points[-1][-1])
    return GeoPolygon(_pairs(scan, points))


def _points(scan: Scanner, message: str) -> list[list[Piece]]:
    """Read `([n, n], [n, n] ...)`."""
    points: list[list[Piece]] = []
    if not scan.literal("("):
        _fail(scan, message)
    while True:
        scan.skip_space()
        numbers = _numbers(scan, "[", "]")
        if numbers is None:
            _fail(scan, message)
        points.append(numbers)
        scan.skip_space()
        if scan.literal(")"):
            return points
        if not scan.literal(","):
            _fail(scan, message)


def _pairs(scan: Scanner, points: list[list[Piece]]) -> tuple[tuple[Piece, Piece], ...]:
    pairs: list[tuple[Piece, Piece]] = []
    for point in points:
        if len(point) != 2:
            message = "Was expecting 2 coordinates but instead found"
            scan.fail(f"{message} {len(point)}.", point[0])
        pairs.append((point[0], point[1]))
    return tuple(pairs)


def _numbers(scan: Scanner, opening: str, closing: str) -> list[Piece] | None:
    """Read numbers between brackets; None if they are not there, the cursor at the fault."""
    if not scan.literal(opening):
        return None
    numbers: list[Piece] = []
    while True:
        number = scan.number()
        if number is None:
            return None
        numbers.append(number)
        if scan.literal(closing):
            return numbers
        if not scan.literal(","):
            return None


def _fail(scan: Scanner, message: str) -> NoReturn:
    scan.fail(message)
