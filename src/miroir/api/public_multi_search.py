"""Public route: many searches in one request."""

from collections.abc import Mapping
from functools import partial

from miroir.api.edge import ReadEdge, floor_of
from miroir.api.http import Reply, Request
from miroir.api.router import Access, Route
from miroir.services.multi_nodes import MultiRequest


def routes(edge: ReadEdge) -> tuple[Route, ...]:
    """Return the rows of this route."""
    return (Route("POST", "/multi-search", MultiSearch(edge).search, Access.NODES),)


class MultiSearch:
    """
    The indexes are named in the body, so their rights are looked at there.

    For keys of the cluster by `Request.confined`; for tenant tokens and keys of the nodes by the
    nodes, which get them.
    """

    def __init__(self, edge: ReadEdge) -> None:
        self._edge = edge

    async def search(self, request: Request, _named: Mapping[str, str]) -> Reply:
        """`POST /multi-search`."""
        floor_of(request, "")  # What is no floor at all is refused before anything else.
        metadata = request.header("meili-include-metadata")
        answer = await self._edge.joiner.multi_search(
            MultiRequest(
                body=request.body,
                content_type=request.header("content-type"),
                authorization=self._edge.guard.for_nodes(request),
                confined=request.confined,
                floor=partial(floor_of, request),
                headers={"meili-include-metadata": metadata} if metadata else {},
            )
        )
        return Reply(answer.status, answer.body, answer.headers)
