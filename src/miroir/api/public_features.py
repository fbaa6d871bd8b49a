"""Public routes: experimental features, of the whole cluster."""

from collections.abc import Mapping

from miroir.api.edge import Edge
from miroir.api.http import Reply, Request, reply_json
from miroir.api.router import Route
from miroir.ports.node import NodeRequest


def routes(edge: Edge) -> tuple[Route, ...]:
    """Return the rows of these routes."""
    features = FeatureRoutes(edge)
    return (
        Route("GET", "/experimental-features", features.get),
        Route("PATCH", "/experimental-features", features.change),
    )


class FeatureRoutes:
    """Answered from the store, switched on every node."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def get(self, _request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /experimental-features`."""
        return reply_json(dict(await self._edge.flags.all()))

    async def change(self, request: Request, _named: Mapping[str, str]) -> Reply:
        """`PATCH /experimental-features`: answered when every node has been read back."""
        own = NodeRequest(
            "PATCH", "/experimental-features", request.body, request.header("content-type")
        )
        return reply_json(dict(await self._edge.flags.change(own)))
