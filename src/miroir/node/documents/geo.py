"""
The fields `_geo` and `_geojson` of documents, where settings make use of them.

A place is `{"lat": number, "lng": number}`, numbers also as text, or null; a shape is a GeoJSON
object. Whatever else fails the task, in the words of milli (error.rs) and of the `geojson` crate.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from miroir.node.engine.fields import covers, matches_pattern
from miroir.node.engine.shapes import FIELD as SHAPE
from miroir.node.errors import ApiError
from miroir.node.json_text import RawDocument, decode, encode_text

PLACE: Final = "_geo"
_CODE: Final = "invalid_document_geo_field"
_GEOMETRIES: Final = frozenset({
    "Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon",
})  # fmt: skip


class GeoCheck:
    """Checks the documents of one task by the settings of its index."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        filterable = settings.get("filterableAttributes") or ()
        sortable = settings.get("sortableAttributes") or ()
        self._places = _is_filterable(PLACE, filterable) or PLACE in sortable
        self._shapes = _is_filterable(SHAPE, filterable)

    def check(self, id_: Any, document: RawDocument) -> None:
        """
        Refuse a document with a bad place or shape.

        Raises:
            ApiError: `invalid_document_geo_field`.
        """
        if self._places and PLACE in document:
            _require_place(encode_text(id_), decode(document[PLACE]))
        if self._shapes and SHAPE in document:
            _require_shape(decode(document[SHAPE]))

    def check_all(self, documents: Iterable[tuple[str, RawDocument]]) -> None:
        """Refuse documents that are there already; errors as `check`."""
        if self._places or self._shapes:
            for id_, document in documents:
                self.check(id_, document)


def _is_filterable(name: str, rules: Iterable[Any]) -> bool:
    return any(
        covers(rule, name)
        if isinstance(rule, str)
        else any(matches_pattern(pattern, name) for pattern in rule["attributePatterns"])
        for rule in rules
    )


def _require_place(id_: str, value: Any) -> None:
    if value is None:
        return
    where = f"in the document with the id: `{id_}`"
    if not isinstance(value, dict):
        raise _bad(
            f"The `_geo` field {where} is not an object. Was expecting an object with the "
            f"`_geo.lat` and `_geo.lng` fields but instead got `{encode_text(value)}`."
        )
    missing = [name for name in ("lat", "lng") if name not in value]
    if len(missing) == 2:
        raise _bad(
            f"Could not find latitude nor longitude {where}. Was expecting `_geo.lat` and "
            "`_geo.lng` fields."
        )
    if missing:
        axis = "latitude" if missing == ["lat"] else "longitude"
        raise _bad(f"Could not find {axis} {where}. Was expecting a `_geo.{missing[0]}` field.")
    _require_numbers(where, value["lat"], value["lng"])
    extra = {name: member for name, member in value.items() if name not in {"lat", "lng"}}
    if extra:
        shown = encode_text(extra)
        raise _bad(
            f"The `_geo` field {where} contains the following unexpected fields: `{shown}`."
        )


def _require_numbers(where: str, lat: Any, lng: Any) -> None:
    bad = [not _is_finite(lat), not _is_finite(lng)]
    if all(bad):
        raise _bad(
            f"Could not parse latitude nor longitude {where}. Was expecting finite numbers but "
            f"instead got `{encode_text(lat)}` and `{encode_text(lng)}`."
        )
    if any(bad):
        axis, value = ("latitude", lat) if bad[0] else ("longitude", lng)
        raise _bad(
            f"Could not parse {axis} {where}. Was expecting a finite number but instead got "
            f"`{encode_text(value)}`."
        )


def _is_finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    try:
        return math.isfinite(float(value))
    except (ValueError, OverflowError):
        return False


def _require_shape(value: Any) -> None:
    if not isinstance(value, dict):
        raise _bad(f"Expected an owned Object, but got `{encode_text(value)}`")
    kind = value.get("type")
    if not isinstance(kind, str):
        raise _bad("Encountered an unknown 'geometry' object type: `type`")
    if kind == "Feature":
        if value.get("geometry") is not None:
            _require_shape(value["geometry"])
    elif kind in {"FeatureCollection", "GeometryCollection"}:
        name = "features" if kind == "FeatureCollection" else "geometries"
        if not isinstance(value.get(name), list):
            raise _bad(f"Expected a GeoJSON property for `{name}`, but got None")
        for member in value[name]:
            _require_shape(member)
    elif kind not in _GEOMETRIES:
        raise _bad("Expected a Feature, FeatureCollection, or Geometry, but got an empty type")
    else:
        _require_coordinates(value.get("coordinates"), _DEPTHS[kind])


_DEPTHS: Final = {
    "Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2,
    "MultiPolygon": 3,
}  # fmt: skip


def _require_coordinates(value: Any, depth: int) -> None:
    if not isinstance(value, list):
        raise _bad("Expected a GeoJSON property for `coordinates`, but got None")
    if depth:
        if depth == 2 and not value:
            raise _bad("invalid ring (not enough coordinate)")
        for member in value:
            _require_coordinates(member, depth - 1)
        return
    if len(value) < 2:
        raise _bad(f"A position must contain two or more elements, but got `{len(value)}`")
    if not all(_is_finite(number) and not isinstance(number, str) for number in value):
        raise _bad("Expected a floating-point value, but got None")


def _bad(message: str) -> ApiError:
    return ApiError(_CODE, message)
