"""The route of fields: every field that documents of an index have, and what settings do to it."""

from collections.abc import Mapping
from typing import Any, Final

from miroir.node.engine.fields import covers, matches_pattern
from miroir.node.engine.index_settings import IndexSettings
from miroir.node.http import Response, answer
from miroir.node.routes.base import Call, Route
from miroir.node.settings import engine_form
from miroir.node.validate import Member, Place, array, boolean, nullable, string, struct, unsigned

_CODE: Final = "invalid_index_fields_filter"
_ROLES: Final = (
    "displayed", "searchable", "sortable", "distinct", "rankingRule", "filterable",
)  # fmt: skip


def _role_code(name: str) -> str:
    words = "".join(f"_{char.lower()}" if char.isupper() else char for char in name)
    return f"{_CODE}_{words}"


_filter: Final = struct(
    attributePatterns=Member(nullable(array(string)), f"{_CODE}_attribute_patterns"),
    **{name: Member(nullable(boolean), _role_code(name)) for name in _ROLES},
)
_body: Final = struct(
    offset=Member(unsigned(), "invalid_index_offset"),
    limit=Member(unsigned(), "invalid_index_limit"),
    filter=Member(nullable(_filter), _CODE),
)


def _fields(call: Call) -> Response:
    asked = _body(call.request.json(), Place())
    row = call.index()
    with call.node.catalog.lock:
        names = call.node.catalog.engine(row.iid).field_names()
    settings = engine_form(row.settings)
    wanted = asked.get("filter") or {}
    found = [view for name in names if _meets(view := _view(name, settings), wanted)]
    offset, limit = asked.get("offset", 0), asked.get("limit", 20)
    return answer({
        "results": found[offset : offset + limit],
        "offset": offset,
        "limit": limit,
        "total": len(found),
    })  # fmt: skip


def _meets(view: dict[str, Any], wanted: Mapping[str, Any]) -> bool:
    patterns = wanted.get("attributePatterns")
    if patterns is not None and not any(matches_pattern(p, view["name"]) for p in patterns):
        return False
    roles = ((name, wanted.get(name)) for name in _ROLES)
    return all(value is None or view[name]["enabled"] == value for name, value in roles)


def _view(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    read = IndexSettings(settings)
    direction = _custom_rule(name, settings["rankingRules"])
    ordered = {} if direction is None else {"order": direction}
    return {
        "name": name,
        "displayed": {"enabled": read.is_displayed(name)},
        "searchable": {"enabled": _is_searchable(name, settings["searchableAttributes"])},
        "sortable": {"enabled": read.is_sortable(name)},
        "distinct": {"enabled": name == settings["distinctAttribute"]},
        "rankingRule": {"enabled": direction is not None, **ordered},
        "filterable": _filterable(name, read),
        "localized": {"locales": _locales(name, settings["localizedAttributes"] or ())},
    }


def _is_searchable(name: str, attributes: list[str]) -> bool:
    if name.split(".", 1)[0] in {"_geo", "_geojson", "_vectors"}:
        return False
    return "*" in attributes or any(covers(attribute, name) for attribute in attributes)


def _custom_rule(name: str, rules: list[str]) -> str | None:
    for rule in rules:
        attribute, colon, direction = rule.rpartition(":")
        if colon and attribute == name:
            return direction
    return None


def _filterable(name: str, settings: IndexSettings) -> dict[str, Any]:
    found = settings.filterable_rule(name)
    equality = comparison = facet_search = False
    if found is not None:
        rule = found[1]
        equality, comparison, facet_search = rule.equality, rule.comparison, rule.facet_search
    order = settings.facet_order
    return {
        "enabled": equality or comparison or facet_search,
        "sortBy": order.get(name) or order.get("*", "alpha"),
        "facetSearch": facet_search,
        "equality": equality,
        "comparison": comparison,
    }


def _locales(name: str, rules: Any) -> list[str]:
    for rule in rules:
        if any(matches_pattern(pattern, name) for pattern in rule["attributePatterns"]):
            return [code.capitalize() for code in rule["locales"]]  # as of the Rust names
    return []


ROUTES: Final = (Route("POST", "/indexes/{index_uid}/fields", "fields.post", _fields, "search"),)
