"""
A path table: method and path -> handler. No framework on the way of a search.

Patterns are Meilisearch's, with `{name}` for one segment. Literal segments win over names. A path
that is known with other methods gives 405; one that is not known at all, 404.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from miroir.api.http import Reply, Request
from miroir.errors import MethodNotAllowed, RouteNotFound

_KNOWN_MAX: Final = 1024

Handler = Callable[[Request, Mapping[str, str]], Awaitable[Reply]]


class Access(Enum):
    """Who gets through to a route; looked at before a body is read."""

    OPEN = auto()
    """Everybody."""
    MASTER = auto()
    """The master key."""
    NODES = auto()
    """Any token: the nodes decide."""
    ADMIN = auto()
    """The admin key."""


@dataclass(frozen=True)
class Route:
    """One row of the table."""

    method: str
    pattern: str
    handler: Handler
    access: Access = Access.MASTER


@dataclass
class _Branch:
    literals: "dict[str, _Branch]" = field(default_factory=dict)
    named: "_Branch | None" = None
    name: str = ""
    routes: dict[str, Route] = field(default_factory=dict)


class Router:
    """Finds the route of a request."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._root = _Branch()
        self._known: dict[tuple[str, str], tuple[Route, Mapping[str, str]]] = {}
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        branch = self._root
        for segment in route.pattern.strip("/").split("/"):
            if segment.startswith("{"):
                branch.named = branch.named or _Branch(name=segment[1:-1])
                assert branch.named.name == segment[1:-1], f"two names at {route.pattern}"
                branch = branch.named
            else:
                branch = branch.literals.setdefault(segment, _Branch())
        assert route.method not in branch.routes, f"twice: {route.method} {route.pattern}"
        branch.routes[route.method] = route

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        """
        Return the route and the named segments, decoded.

        The last ones found are kept: most requests are for a few paths.

        Raises:
            RouteNotFound: No such path.
            MethodNotAllowed: The path takes other methods.
        """
        found = self._known.get((method, path))
        if found is None:
            found = self._find(method, path)
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            self._known[(method, path)] = found
        return found

    def has(self, method: str, path: str) -> bool:
        """Whether there is a route for this."""
        try:
            self.find(method, path)
        except (RouteNotFound, MethodNotAllowed):
            return False
        return True

    def _find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        branch: _Branch | None = self._root
        named: dict[str, str] = {}
        for segment in path.strip("/").split("/"):
            assert branch is not None
            literal = branch.literals.get(segment)
            if literal is None and branch.named is not None:
                named[branch.named.name] = unquote(segment)
            branch = literal or branch.named
            if branch is None:
                raise RouteNotFound(f"`{path}` is neither a route of Meilisearch nor of Miroir.")
        assert branch is not None
        if not branch.routes:
            raise RouteNotFound(f"`{path}` is neither a route of Meilisearch nor of Miroir.")
        route = branch.routes.get(method)
        if route is None:
            allowed = ", ".join(sorted(branch.routes))
            raise MethodNotAllowed(
                f"`{path}` does not take {method}, but {allowed}.", tuple(sorted(branch.routes))
            )
        return route, MappingProxyType(named)
