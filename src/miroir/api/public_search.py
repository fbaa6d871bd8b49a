"""Public routes: search."""

from collections.abc import Mapping

from miroir.api.edge import Edge, floor_of
from miroir.api.http import Reply, Request
from miroir.api.router import Access, Route
from miroir.services.searcher import SearchRequest


def routes(edge: Edge) -> tuple[Route, ...]:
    """Return the rows of these routes."""
    search = Search(edge)
    return (
        Route("GET", "/indexes/{uid}/search", search.search, Access.NODES),
        Route("POST", "/indexes/{uid}/search", search.search, Access.NODES),
    )


class Search:
    """The client's own key goes through to the nodes, which enforce its rights."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def search(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`GET` and `POST /indexes/{uid}/search`."""
        edge = self._edge
        authorization = edge.guard.for_nodes(request)
        index = await edge.index_to_read(request, named["uid"])
        metadata = request.header("meili-include-metadata")
        answer = await edge.searcher.search(
            SearchRequest(
                index=index,
                method=request.method,
                query_string=request.query_string,
                body=request.body,
                content_type=request.header("content-type"),
                authorization=authorization,
                floor=floor_of(request, named["uid"]),
                headers={"meili-include-metadata": metadata} if metadata else {},
            )
        )
        return Reply(answer.status, answer.body, answer.headers)
