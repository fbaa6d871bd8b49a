"""
Which documents a filter means.

A condition looks at the values kept by `facet_index.py`: a value of the filter is compared as a
number with numbers, and as a normalised string with strings (also by < and >, as in Meilisearch).
An operator must be allowed by the rule of `filterableAttributes` that matches the field. A filter
on a field that no document has finds nothing, `!=` included.

Errors carry the code of where the filter came from. Parsing is `filter_parser.py`.
"""

import math
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

from pyroaring import BitMap

from miroir.node.engine.errors import EvaluationError
from miroir.node.engine.facet_index import FieldValues, facet_normalized
from miroir.node.engine.filter_parser import parse_expression, parse_filter
from miroir.node.engine.filter_text import rendered
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
    conditions,
    foreigns,
    nodes,
)
from miroir.node.engine.filter_vectors import matching_vectors
from miroir.node.engine.index_settings import FilterableRule
from miroir.node.engine.shapes import Point, circle, touching
from miroir.node.engine.sort_parser import bad_coordinate, number_shown
from miroir.node.engine.sorting import distance_m
from miroir.node.engine.store import IndexStore
from miroir.node.engine.types import Features
from miroir.node.errors import ApiError

_FLOAT: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_CONTAINS_IS_OFF: Final = (
    "Using `CONTAINS` in a filter requires enabling the `contains filter` experimental feature. "
    "See https://github.com/orgs/meilisearch/discussions/763"
)
_VECTORS_ARE_OFF: Final = (
    "using a vector filter requires enabling the `multimodal` experimental feature. "
    "See https://github.com/orgs/meilisearch/discussions/846"
)
_FOREIGN_IS_OFF: Final = (
    "using a foreign filter requires enabling the `foreign_keys` experimental feature. "
    "See https://github.com/orgs/meilisearch/discussions/873"
)
_RESOLUTIONS: Final = range(3, 1001)
_SEARCH_CODE: Final = "invalid_search_filter"


class FilterEvaluator:
    """Evaluates filters over the documents of one index as it is now."""

    def __init__(self, store: IndexStore, documents: BitMap, *, code: str) -> None:
        self._store = store
        self._settings = store.settings
        self._documents = documents
        self._code = code

    def matching(self, value: Any, features: Features) -> BitMap:
        """Return the documents that a filter of a request matches; all, if it is empty."""
        root = value if isinstance(value, Filter) else parse_filter(value, code=self._code)
        if root is None:
            return BitMap(self._documents)
        if root is not value:
            require_features(root, features)
        if (found := next(foreigns(root), None)) is not None:
            message = "Filter condition `_foreign` is not supported for this endpoint."
            raise ApiError(self._code, found.field.error(message))
        if self._code == _SEARCH_CODE and root is not value:
            root = parse_expression(rendered(root))
            assert root is not None, "a rendered filter is never empty"
        self._check(root)
        return self._evaluate(root)

    def _check(self, root: Filter) -> None:
        for condition in conditions(root):
            field = condition.field
            if not self._settings.is_filterable(field.text):
                self._fail(field, self._not_filterable(field.text))

    def _evaluate(self, node: Filter) -> BitMap:
        match node:
            case Not(inner):
                return self._documents - self._evaluate(inner)
            case Or(parts):
                return BitMap.union(*(self._evaluate(part) for part in parts))
            case And(parts):
                found = self._evaluate(parts[0])
                for part in parts[1:]:
                    if not found:
                        break
                    found = found & self._evaluate(part)
                return found
            case GeoRadius() | GeoBox() | GeoPolygon():
                return self._geo(node)
            case Vectors():
                store = self._store
                return matching_vectors(node, store.vectors, store.contents, self._code)
            case Foreign():
                raise AssertionError("refused before")
            case Compare() | Between() | In() | Is():
                return self._condition(node)

    def _condition(self, node: Compare | Between | In | Is) -> BitMap:
        path = node.field.text
        values = self._store.facets.field(path)
        found = self._settings.filterable_rule(path)
        assert found is not None, "checked before"
        if not self._store.knows(path):
            return BitMap()
        number, rule = found
        match node:
            case In(_, pieces):
                self._allow(path, "IN" if not pieces else "=", rule.equality or not pieces, number)
                return BitMap.union(BitMap(), *(_equal(values, piece) for piece in pieces))
            case Between(_, low, high):
                self._allow(path, "TO", rule.comparison, number)
                return _within(values, low, high)
            case Is(_, what):
                return {"EXISTS": values.exists, "IS NULL": values.null}.get(what, values.empty)
            case Compare():
                return self._compare(node, values, rule, number)

    def _compare(
        self, node: Compare, values: FieldValues, rule: FilterableRule, number: int
    ) -> BitMap:
        operator, piece = node.operator, node.value
        if operator in ("=", "!="):
            self._allow(node.field.text, operator, rule.equality, number)
            equal = _equal(values, piece)
            return equal if operator == "=" else self._documents - equal
        if operator in _COMPARISONS:
            self._allow(node.field.text, operator, rule.comparison, number)
            return _beyond(values, piece, _COMPARISONS[operator])
        wanted = facet_normalized(piece.text)
        if operator == "CONTAINS":
            return _strings(values, lambda text: wanted in text)
        if not wanted:
            return values.exists
        return _strings(values, lambda text: text.startswith(wanted))

    def _geo(self, node: GeoRadius | GeoBox | GeoPolygon) -> BitMap:
        corners: list[Point] = []
        inside: Callable[[tuple[float, float]], bool] | None = None
        if isinstance(node, GeoPolygon):
            piece = node.points[0][0]
            corners = [(p[1], p[0]) for p in (self._point(lat, lng) for lat, lng in node.points)]
        elif isinstance(node, GeoRadius):
            inside, piece = self._in_radius(node), node.lat
            centre, radius = self._point(node.lat, node.lng), self._number(node.radius_m)
            corners = circle(*centre, radius)
        else:
            inside, piece = self._in_box(node), node.top
            top, right = self._point(node.top, node.right)
            bottom, left = self._point(node.bottom, node.left)
            corners = [(left, bottom), (left, top), (right, top), (right, bottom)]
        shapes, places = (self._settings.is_filterable(name) for name in ("_geojson", "_geo"))
        if not shapes and (inside is None or not places):
            name = "_geojson" if inside is None else "_geo/_geojson"
            self._fail(piece, self._not_filterable(name))
        found = BitMap(touching(self._store.contents, corners)) if shapes else BitMap()
        if places and inside is not None:
            found |= BitMap(d for d, point in self._store.facets.points.items() if inside(point))
        return found

    def _in_radius(self, node: GeoRadius) -> Callable[[tuple[float, float]], bool]:
        centre = self._point(node.lat, node.lng)
        radius = self._number(node.radius_m)
        if node.resolution is not None:
            resolution = int(self._number(node.resolution))
            if resolution not in _RESOLUTIONS:
                message = f"Invalid resolution `{resolution}`. Resolution must be between 3 and"
                self._fail(node.resolution, message + " 1000.")
        return lambda point: distance_m(centre, point) <= radius + 1e-9

    def _in_box(self, node: GeoBox) -> Callable[[tuple[float, float]], bool]:
        top, right = self._point(node.top, node.right)
        bottom, left = self._point(node.bottom, node.left)
        if top < bottom:
            message = f"The top latitude `{number_shown(top)}` is below the bottom latitude"
            self._fail(node.left, f"{message} `{number_shown(bottom)}`.")
        if right < left:  # around the back of the earth
            return lambda p: bottom <= p[0] <= top and (p[1] >= left or p[1] <= right)
        return lambda p: bottom <= p[0] <= top and left <= p[1] <= right

    def _point(self, lat: Piece, lng: Piece) -> tuple[float, float]:
        point = self._number(lat), self._number(lng)
        if (error := bad_coordinate(*point)) is not None:
            self._fail(lat if error.startswith("Bad latitude") else lng, error)
        return point

    def _number(self, piece: Piece) -> float:
        number = float(piece.text)
        if not math.isfinite(number):
            self._fail(piece, "Non finite floats are not supported")
        return number

    def _allow(self, path: str, operator: str, allowed: bool, number: int) -> None:  # noqa: FBT001
        if not allowed:
            rule = self._settings.filterable[number]
            raise EvaluationError(self._code, _not_allowed(path, operator, rule, number))

    def _not_filterable(self, path: str) -> str:
        patterns = self._settings.filterable_patterns(lambda rule: rule.is_filterable)
        if not patterns:
            rest = "This index does not have configured filterable attributes."
        else:
            shown = ", ".join(f"`{pattern}`" for pattern in patterns)
            rest = f"Available filterable attribute patterns are: {shown}."
        return f"Attribute `{path}` is not filterable. {rest}"

    def _fail(self, piece: Piece, message: str) -> NoReturn:
        raise EvaluationError(self._code, piece.error(message))


_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": lambda value, bound: bool(value < bound),
    "<=": lambda value, bound: bool(value <= bound),
    ">": lambda value, bound: bool(value > bound),
    ">=": lambda value, bound: bool(value >= bound),
}


def require_features(root: Filter, features: Features) -> None:
    """Refuse operators of experimental features that are off (`feature_not_enabled`)."""
    every = list(nodes(root, of_foreign=True))
    if not features.contains_filter:
        for node in every:
            if isinstance(node, Compare) and node.operator == "CONTAINS":
                raise ApiError("feature_not_enabled", node.keyword.error(_CONTAINS_IS_OFF))
    if not features.multimodal:
        for node in every:
            if isinstance(node, Vectors):
                raise ApiError("feature_not_enabled", node.field.error(_VECTORS_ARE_OFF))
    if not features.foreign_keys:
        for node in every:
            if isinstance(node, Foreign):
                raise ApiError("feature_not_enabled", node.field.error(_FOREIGN_IS_OFF))


def _not_allowed(path: str, operator: str, rule: FilterableRule, number: int) -> str:
    operators = ["OR", "AND", "NOT"]
    operators += ["=", "!=", "IN"] if rule.equality else []
    operators += ["<", ">", "<=", ">=", "TO"] if rule.comparison else []
    operators += ["IS EMPTY", "IS NULL", "EXISTS"]
    feature = "equality" if operator in ("=", "!=", "IN") else "comparison"
    return (
        f"Filter operator `{operator}` is not allowed for the attribute `{path}`.\n"
        f"  - Note: allowed operators: {', '.join(operators)}.\n"
        f"  - Note: field `{path}` matched rule #{number} in `filterableAttributes`\n"
        f"  - Hint: enable {feature} in rule #{number} by modifying the features.filter object\n"
        f"  - Hint: prepend another rule matching `{path}` with appropriate filter features "
        f"before rule #{number}"
    )


def _as_number(piece: Piece) -> float | None:
    return float(piece.text) if _FLOAT.fullmatch(piece.text) else None


def _equal(values: FieldValues, piece: Piece) -> BitMap:
    found = values.documents(facet_normalized(piece.text))
    number = _as_number(piece)
    return found if number is None else found | values.documents(number)


def _beyond(values: FieldValues, piece: Piece, holds: Callable[[Any, Any], bool]) -> BitMap:
    text, number = facet_normalized(piece.text), _as_number(piece)
    found = [docs for value, docs in values.strings.items() if holds(value, text)]
    if number is not None:
        found += [docs for value, docs in values.numbers.items() if holds(value, number)]
    return BitMap.union(BitMap(), *found)


def _within(values: FieldValues, low: Piece, high: Piece) -> BitMap:
    first, last = facet_normalized(low.text), facet_normalized(high.text)
    found = [docs for value, docs in values.strings.items() if first <= value <= last]
    least, most = _as_number(low), _as_number(high)
    if least is not None and most is not None:
        found += [docs for value, docs in values.numbers.items() if least <= value <= most]
    return BitMap.union(BitMap(), *found)


def _strings(values: FieldValues, holds: Callable[[str], bool]) -> BitMap:
    found = (documents for text, documents in values.strings.items() if holds(text))
    return BitMap.union(BitMap(), *found)
