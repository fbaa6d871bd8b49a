"""Public routes: health and version, and the rows of what Miroir does not offer."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from miroir.api.edge import Edge
from miroir.api.http import Reply, Request, reply_json
from miroir.api.router import Access, Route
from miroir.errors import NoCoveringSet, RouteNotSupported

_LATER: Final = "it is not supported yet"
_NEVER: Final = "a node would do it on its own data alone; Miroir owns the topology"
_ADMIN: Final = "it concerns one node; ask the node itself"

UNSUPPORTED: Final[tuple[tuple[str, str, str], ...]] = (
    ("POST", "/indexes/{uid}/documents/edit", _LATER),
    ("POST", "/indexes/{uid}/fields", _LATER),
    ("POST", "/indexes/{uid}/compact", _ADMIN),
    ("POST", "/tasks/cancel", _LATER),
    ("DELETE", "/tasks", _LATER),
    ("GET", "/tasks/{task}/documents", _LATER),
    ("POST", "/tasks/compact", _ADMIN),
    ("GET", "/batches", _LATER),
    ("GET", "/batches/{batch}", _LATER),
    ("GET", "/webhooks", _LATER),
    ("POST", "/webhooks", _LATER),
    ("GET", "/webhooks/{webhook}", _LATER),
    ("PATCH", "/webhooks/{webhook}", _LATER),
    ("DELETE", "/webhooks/{webhook}", _LATER),
    ("POST", "/dumps", _ADMIN),
    ("POST", "/snapshots", _ADMIN),
    ("POST", "/export", _ADMIN),
    ("GET", "/metrics", "Miroir's own metrics are at `/_miroir/metrics`"),
    ("GET", "/network", _NEVER),
    ("PATCH", "/network", _NEVER),
    ("POST", "/network/control", _NEVER),
    ("POST", "/logs/stream", _ADMIN),
    ("DELETE", "/logs/stream", _ADMIN),
    ("POST", "/logs/stderr", _ADMIN),
    ("GET", "/chats", _LATER),
    ("GET", "/chats/{workspace}", _LATER),
    ("DELETE", "/chats/{workspace}", _LATER),
    ("GET", "/chats/{workspace}/settings", _LATER),
    ("PATCH", "/chats/{workspace}/settings", _LATER),
    ("DELETE", "/chats/{workspace}/settings", _LATER),
    ("POST", "/chats/{workspace}/chat/completions", _NEVER),
    ("POST", "/dynamic-search-rules", _LATER),
    ("DELETE", "/dynamic-search-rules", _LATER),
    ("GET", "/dynamic-search-rules/{rule}", _LATER),
    ("PATCH", "/dynamic-search-rules/{rule}", _LATER),
    ("DELETE", "/dynamic-search-rules/{rule}", _LATER),
    ("POST", "/render-template", _LATER),
)
"""Routes of Meilisearch 1.50 that answer 501: method, path, why."""


def routes(edge: Edge) -> tuple[Route, ...]:
    """Return the rows of these routes."""
    system = System(edge)
    refusals = tuple(
        Route(method, path, partial(_refuse, method, path, why), Access.OPEN)
        for method, path, why in UNSUPPORTED
    )
    return (
        Route("GET", "/", system.root, Access.OPEN),
        Route("GET", "/health", system.health, Access.OPEN),
        Route("GET", "/version", system.version),
        *refusals,
    )


class System:
    """About the whole cluster."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def root(self, _request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /`: what a node answers, for whoever only looks whether somebody is there."""
        return reply_json({"status": "Meilisearch is running"})

    async def health(self, _request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /health`: available while every shard has a node that answers."""
        view = self._edge.cluster.view
        if not view.topology.covers(view.healthy):
            raise NoCoveringSet("some shard has no node that answers", ())
        return reply_json({"status": "available"})

    async def version(self, _request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /version`: the engine's, since clients decide by it what they may ask."""
        return reply_json(await self._edge.catalog.version())


async def _refuse(
    method: str, path: str, why: str, _request: Request, _named: Mapping[str, str]
) -> Reply:
    raise RouteNotSupported(f"`{method} {path}` is not offered by Miroir: {why}.")
