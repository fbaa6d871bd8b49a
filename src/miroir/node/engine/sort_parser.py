"""
Sort expressions, parsed and checked: `price:desc`, `_geoPoint(48.8, 2.3):asc`.

Errors have Meilisearch's words and the code of where the expression came from: searches and
document fetches differ in code and, for the sortable attributes, in what they may tell.
"""

import re
from collections.abc import Sequence
from typing import Final

from miroir.node.engine.errors import EvaluationError
from miroir.node.engine.index_settings import IndexSettings
from miroir.node.engine.sorting import SortBy, SortField, SortPoint
from miroir.node.errors import ApiError

SEARCH_CODE: Final = "invalid_search_sort"
DOCUMENT_CODE: Final = "invalid_document_sort"
_RESERVED: Final = frozenset(
    {"_geo", "_geojson", "_geoDistance", "_geoPoint", "_geoRadius", "_geoBoundingBox"}
)
_RESERVED_CALLS: Final = ("_geoRadius(", "_geoBoundingBox(", "_geo(", "_geoDistance(")
_POINT: Final = re.compile(r"_geoPoint\((.*)\)", re.DOTALL)
_FLOAT: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_USE_POINT: Final = (
    "Use the _geoPoint(latitude, longitude) built-in rule to sort on _geo field coordinates."
)


def parse_sort(expressions: Sequence[str], *, code: str = SEARCH_CODE) -> list[SortBy]:
    """Return the parsed expressions; ApiError with `code` for one that is none."""
    return [_parse(expression, code) for expression in expressions]


def check_sort(by: Sequence[SortBy], settings: IndexSettings, *, code: str = SEARCH_CODE) -> None:
    """Refuse sorting by what is not sortable."""
    if not by:
        return
    if code == SEARCH_CODE and "sort" not in settings.ranking_rules:
        message = "You must specify where `sort` is listed in the rankingRules setting"
        raise EvaluationError(code, message + " to use the sort parameter at search time.")
    for expression in by:
        if isinstance(expression, SortPoint):
            name, is_sortable = "_geo", "_geo" in settings.sortable
        else:
            name, is_sortable = expression.field, settings.is_sortable(expression.field)
        if not is_sortable:
            raise EvaluationError(
                code, _not_sortable(name, settings, may_hide=code == SEARCH_CODE)
            )


def _not_sortable(name: str, settings: IndexSettings, *, may_hide: bool) -> str:
    names, some_hidden = sorted(settings.sortable), False
    if may_hide:
        names, some_hidden = settings.without_hidden(settings.sortable)
    if not names:
        rest = "This index does not have configured sortable attributes."
    else:
        hidden = ", <..hidden-attributes>" if some_hidden else ""
        rest = f"Available sortable attributes are: `{', '.join(names)}{hidden}`."
    return f"Attribute `{name}` is not sortable. {rest}"


def _parse(expression: str, code: str) -> SortBy:
    member, _, direction = expression.rpartition(":")
    if direction not in ("asc", "desc"):
        message = "Invalid syntax for the sort parameter: expected expression ending by `:asc`"
        raise ApiError(code, f"{message} or `:desc`, found `{expression}`.")
    ascending = direction == "asc"
    point = _POINT.fullmatch(member)
    if point is not None:
        return SortPoint(_point(member, point[1], code), ascending)
    if member in _RESERVED or member.startswith(_RESERVED_CALLS):
        raise ApiError(code, _reserved(member))
    return SortField(member, ascending)


def _reserved(member: str) -> str:
    message = "`{}` is a reserved keyword and thus can't be used as a sort expression."
    if member.startswith("_geoPoint"):
        return _bad_point(member)
    for name in ("_geoRadius", "_geoBoundingBox"):
        if member.startswith(name):
            return f"{message.format(name)} {_USE_POINT}"
    if member == "_geo":
        return f"{message.format(member)} {_USE_POINT}"
    return message.format(member)


def _bad_point(member: str) -> str:
    return (
        "Invalid syntax for the geo parameter: expected expression formated like "
        "`_geoPoint(latitude, longitude)` and ending by `:asc` or `:desc`, "
        f"found `{member}`."
    )


def _point(member: str, arguments: str, code: str) -> tuple[float, float]:
    parts = [part.strip() for part in arguments.split(",", 1)]
    if len(parts) != 2 or not all(_FLOAT.fullmatch(part) for part in parts):
        raise ApiError(code, _bad_point(member))
    lat, lng = float(parts[0]), float(parts[1])
    if (error := bad_coordinate(lat, lng)) is not None:
        raise ApiError(code, error)
    return lat, lng


def bad_coordinate(lat: float, lng: float) -> str | None:
    """Return what is wrong with a latitude and longitude in degrees, None if nothing is."""
    if not -90 <= lat <= 90:
        text = number_shown(lat)
        return f"Bad latitude `{text}`. Latitude must be contained between -90 and 90 degrees."
    if not -180 <= lng <= 180:
        better = number_shown((lng + 180) % 360 - 180)
        return (
            f"Bad longitude `{number_shown(lng)}`. Longitude must be contained between -180 and "
            f"180 degrees. Hint: try using `{better}` instead."
        )
    return None


def number_shown(number: float) -> str:
    """Return a number as messages show it: without a fraction that is zero."""
    return str(int(number)) if number == int(number) else repr(number)
