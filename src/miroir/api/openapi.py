"""
docs/reference/openapi.json: the admin side in OpenAPI 3.1, made from the route table.

`python -m miroir.api.openapi > docs/reference/openapi.json`. What a route is for is its handler's
docstring; what it takes and answers is the table below, in the shapes of `openapi_shapes.py`. A
route without a row is our bug, found by an assert. The public side is Meilisearch's own API.
"""

import json
import re
import sys
from dataclasses import dataclass
from typing import Any, Final

from miroir import __version__
from miroir.api.openapi_shapes import NUMBER, SHAPES, TEXT, Shape, ref
from miroir.api.reference import offered
from miroir.api.router import Access, Route


@dataclass(frozen=True)
class _Row:
    """
    What a route takes and answers.

    Attributes:
        answer: Name of its shape; None: the text of Prometheus.
        query: Parameter -> shape.
    """

    answer: str | None
    status: int = 200
    body: str | None = None
    query: tuple[tuple[str, Shape], ...] = ()


_PAGES: Final = (("limit", NUMBER), ("from", NUMBER))
_ROWS: Final[dict[tuple[str, str], _Row]] = {
    ("GET", "/_miroir/topology"): _Row("Topology"),
    ("GET", "/_miroir/metrics"): _Row(None),
    ("GET", "/_miroir/features"): _Row("Features"),
    ("GET", "/_miroir/keys"): _Row("Keys"),
    ("GET", "/_miroir/drift"): _Row("Drift"),
    ("PATCH", "/_miroir/drift/{uid}"): _Row("DriftRuled", body="DriftOrder"),
    ("POST", "/_miroir/drift/{uid}/repair"): _Row("DriftRows"),
    ("POST", "/_miroir/drift/{uid}/adopt"): _Row("DriftRows", query=(("node", TEXT),)),
    ("POST", "/_miroir/indexes/{uid}/adopt"): _Row("Task", 202),
    ("GET", "/_miroir/intents"): _Row(
        "Intents", query=(*_PAGES, ("index", TEXT), ("state", TEXT))
    ),
    ("GET", "/_miroir/intents/{id}"): _Row("Intent"),
    ("POST", "/_miroir/intents/{id}/cancel"): _Row("Intent"),
    ("GET", "/_miroir/settings/{uid}"): _Row("Settings"),
    ("GET", "/_miroir/settings/{uid}/history"): _Row("History", query=_PAGES),
    ("GET", "/_miroir/settings/{uid}/history/{version}"): _Row("WholeVersion"),
    ("POST", "/_miroir/settings/{uid}/rollback"): _Row("Task", 202, "Rollback"),
    ("POST", "/_miroir/settings/{uid}/apply"): _Row("Task", 202, "Apply"),
    ("POST", "/_miroir/settings/{uid}/confirm"): _Row("Index", body="Confirm"),
    ("POST", "/_miroir/settings/{uid}/thaw"): _Row("Index"),
}
_NUMBERED: Final = frozenset({"id", "version"})


def openapi() -> dict[str, Any]:
    """Return the whole description."""
    paths: dict[str, Any] = {}
    for route in sorted(offered(), key=lambda r: (r.pattern, r.method)):
        if route.access is Access.ADMIN:
            paths.setdefault(route.pattern, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Miroir's admin API",
            "version": __version__,
            "description": "Behind the admin key. The public API is Meilisearch's.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "security": [{"adminKey": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"adminKey": {"type": "http", "scheme": "bearer"}},
            "schemas": SHAPES,
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    row = _ROWS.get((route.method, route.pattern))
    assert row is not None, f"{route.method} {route.pattern} has no row in openapi.py"
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__.rstrip("_"),
        "summary": _summary(route),
        "parameters": [*_path_parameters(route.pattern), *_query_parameters(row)],
        "responses": {
            str(row.status): {"description": "Done, or accepted.", "content": _content(row)},
            "default": {
                "description": "An error in Meilisearch's form.",
                "content": {"application/json": {"schema": ref("Error")}},
            },
        },
    }
    if row.body is not None:
        schema = {"schema": ref(row.body)}
        operation["requestBody"] = {"required": True, "content": {"application/json": schema}}
    return operation


def _summary(route: Route) -> str:
    """Return what the handler says of itself, behind the route that it begins with."""
    first = (route.handler.__doc__ or "").strip().splitlines()[0]
    said = re.sub(r"^`[^`]*`[:.,]?\s*", "", first)
    return said[:1].upper() + said[1:] or "One of them, by its number."


def _path_parameters(pattern: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": NUMBER if name in _NUMBERED else TEXT,
        }
        for name in re.findall(r"{(\w+)}", pattern)
    ]


def _query_parameters(row: _Row) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": name == "node", "schema": shape}
        for name, shape in row.query
    ]


def _content(row: _Row) -> dict[str, Any]:
    if row.answer is None:
        return {"text/plain": {"schema": TEXT}}
    return {"application/json": {"schema": ref(row.answer)}}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(openapi(), indent=2) + "\n")
