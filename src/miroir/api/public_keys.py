"""Public routes: API keys, of the whole cluster. A key's value stands in these replies alone."""

from collections.abc import Mapping

from miroir.api.edge import Edge
from miroir.api.http import Reply, Request, reply_json
from miroir.api.parameters import check_names, number
from miroir.api.router import Route


def routes(edge: Edge) -> tuple[Route, ...]:
    """Return the rows of these routes."""
    keys = KeyRoutes(edge)
    return (
        Route("GET", "/keys", keys.list),
        Route("POST", "/keys", keys.create),
        Route("GET", "/keys/{key}", keys.get),
        Route("PATCH", "/keys/{key}", keys.change),
        Route("DELETE", "/keys/{key}", keys.delete),
    )


class KeyRoutes:
    """Answered from the store, changed on every node."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def list(self, request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /keys`."""
        self._edge.ring.require_master_key()
        check_names(request.query, ("offset", "limit"))
        offset = number(request.query, "offset", 0, "invalid_api_key_offset")
        limit = number(request.query, "limit", 20, "invalid_api_key_limit")
        await self._edge.ring.begun()
        return reply_json(self._edge.ring.page(offset, limit))

    async def create(self, request: Request, _named: Mapping[str, str]) -> Reply:
        """`POST /keys`: answered when every node has been read back."""
        self._edge.ring.require_master_key()
        return reply_json(await self._edge.ring.create(request.json()), 201)

    async def get(self, _request: Request, named: Mapping[str, str]) -> Reply:
        """`GET /keys/{uid or value}`."""
        ring = self._edge.ring
        await ring.begun()
        uid = ring.find(named["key"])
        return reply_json(ring.shown(uid, ring.live()[uid]))

    async def change(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`PATCH /keys/{uid or value}`: answered when every node has been read back."""
        self._edge.ring.require_master_key()
        return reply_json(await self._edge.ring.change(named["key"], request.json()))

    async def delete(self, _request: Request, named: Mapping[str, str]) -> Reply:
        """`DELETE /keys/{uid or value}`: answered when no node has it any more."""
        await self._edge.ring.delete(named["key"])
        return Reply(204)
