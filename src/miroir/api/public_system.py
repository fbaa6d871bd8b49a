"""Public routes: health and version, and the rows of what Miroir does not offer."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from miroir.api.edge import Edge
from miroir.api.http import Reply, Request, reply_json
from miroir.api.router import Access, Route
from miroir.errors import NoCoveringSet, RouteNotSupported
from miroir.services.write_plan import any_shortage

_BACKUP: Final = (
    "it would be a file on each node with a part of the documents, which can only be brought back "
    "node by node; ask the nodes themselves"
)
_CHATS: Final = (
    "a node searches its own documents for a conversation, and keeps its workspaces and their "
    "secrets to itself; put a search of Miroir's into the prompt instead"
)
_EXPORT: Final = (
    "a node would send its own documents, and secrets of settings unmasked; ask the nodes "
    "themselves, each sends its part"
)
_LOGS: Final = "logs are a node's own; ask the node itself"
_NETWORK: Final = "shards and replicas are Miroir's; nodes know nothing of each other"
_PAYLOADS: Final = (
    "a node keeps the part of a payload that it was sent, and only until it has worked on it"
)
_PINS: Final = (
    "a rule pins documents to places on a page, and each shard would place its own on a page of "
    "its own"
)
_RESTART: Final = "a node must be restarted after it; ask the node itself"

UNSUPPORTED: Final[tuple[tuple[str, str, str], ...]] = (
    ("GET", "/tasks/{task}/documents", _PAYLOADS),
    ("POST", "/tasks/compact", _RESTART),
    ("POST", "/dumps", _BACKUP),
    ("POST", "/snapshots", _BACKUP),
    ("POST", "/export", _EXPORT),
    ("GET", "/metrics", "Miroir's own metrics are at `/_miroir/metrics`"),
    ("GET", "/network", _NETWORK),
    ("PATCH", "/network", _NETWORK),
    ("POST", "/network/control", _NETWORK),
    ("POST", "/logs/stream", _LOGS),
    ("DELETE", "/logs/stream", _LOGS),
    ("POST", "/logs/stderr", _LOGS),
    ("GET", "/chats", _CHATS),
    ("GET", "/chats/{workspace}", _CHATS),
    ("DELETE", "/chats/{workspace}", _CHATS),
    ("GET", "/chats/{workspace}/settings", _CHATS),
    ("PATCH", "/chats/{workspace}/settings", _CHATS),
    ("DELETE", "/chats/{workspace}/settings", _CHATS),
    ("POST", "/chats/{workspace}/chat/completions", _CHATS),
    ("POST", "/dynamic-search-rules", _PINS),
    ("DELETE", "/dynamic-search-rules", _PINS),
    ("GET", "/dynamic-search-rules/{rule}", _PINS),
    ("PATCH", "/dynamic-search-rules/{rule}", _PINS),
    ("DELETE", "/dynamic-search-rules/{rule}", _PINS),
)
"""Routes of Meilisearch 1.50 that answer 501: method, path, why."""


def routes(edge: Edge) -> tuple[Route, ...]:
    """Return the rows of these routes."""
    system = System(edge)
    refusals = tuple(
        Route(method, path, partial(_refuse, method, path, why))
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
        short = any_shortage(view)
        return reply_json(
            {"status": "available"}, headers={"X-Miroir-Degraded": short} if short else {}
        )

    async def version(self, _request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /version`: the engine's, since clients decide by it what they may ask."""
        return reply_json(await self._edge.catalog.version())


async def _refuse(
    method: str, path: str, why: str, _request: Request, _named: Mapping[str, str]
) -> Reply:
    raise RouteNotSupported(f"`{method} {path}` is not offered by Miroir: {why}.")
