"""
All routes, and which one a request means.

A path is split into segments; a literal segment goes before a `{name}`. An unknown path is 404 and
an unknown verb on a known path 405, both without a body, as Meilisearch answers them.
"""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from miroir.node.routes import (
    documents,
    fields,
    indexes,
    keys,
    multi_search,
    render,
    search,
    settings,
    system,
    tasks,
    webhooks,
)
from miroir.node.routes.base import Route


@dataclass
class _Branch:
    """One segment of the tree of paths."""

    literal: dict[str, "_Branch"] = field(default_factory=dict)
    named: "_Branch | None" = None
    name: str = ""
    routes: dict[str, Route] = field(default_factory=dict)


class RouteTable:
    """Finds routes by verb and path."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self._root = _Branch()
        for route in routes:
            branch = self._root
            for segment in _segments(route.path):
                branch = _grown(branch, segment)
            assert route.method not in branch.routes, f"two routes: {route.method} {route.path}"
            branch.routes[route.method] = route

    def find(self, method: str, path: str) -> tuple[Route | None, dict[str, str], bool]:
        """
        Return the route, what its names matched, and whether the path exists at all.

        The path is as it was sent: segments are decoded one by one.
        """
        branch, arguments = self._root, {}
        for segment in map(unquote, _segments(path)):
            if segment in branch.literal:
                branch = branch.literal[segment]
            elif branch.named is not None:
                arguments[branch.name] = segment
                branch = branch.named
            else:
                return None, {}, False
        return branch.routes.get(method), arguments, bool(branch.routes)


def _grown(branch: _Branch, segment: str) -> _Branch:
    if not segment.startswith("{"):
        return branch.literal.setdefault(segment, _Branch())
    if branch.named is None:
        branch.named, branch.name = _Branch(), segment[1:-1]
    assert branch.name == segment[1:-1], f"two names for one segment: {segment}"
    return branch.named


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]


TABLE: Final = RouteTable((
    *indexes.ROUTES,
    *documents.ROUTES,
    *settings.ROUTES,
    *search.ROUTES,
    *multi_search.ROUTES,
    *tasks.ROUTES,
    *keys.ROUTES,
    *fields.ROUTES,
    *webhooks.ROUTES,
    *render.ROUTES,
    *system.ROUTES,
))  # fmt: skip
