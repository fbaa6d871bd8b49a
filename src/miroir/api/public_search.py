"""Public routes: search in one index, for documents, for facet values, for similar documents."""

from collections.abc import Mapping

from miroir.api.edge import ReadEdge, floor_of
from miroir.api.http import Reply, Request
from miroir.api.router import Access, Route
from miroir.services.searcher import Answer, SearchRequest


def routes(edge: ReadEdge) -> tuple[Route, ...]:
    """Return the rows of these routes."""
    search = Search(edge)
    return (
        Route("GET", "/indexes/{uid}/search", search.search, Access.NODES),
        Route("POST", "/indexes/{uid}/search", search.search, Access.NODES),
        Route("POST", "/indexes/{uid}/facet-search", search.facet_search, Access.NODES),
        Route("GET", "/indexes/{uid}/similar", search.similar, Access.NODES),
        Route("POST", "/indexes/{uid}/similar", search.similar, Access.NODES),
    )


class Search:
    """The client's own key goes through to the nodes, which enforce its rights."""

    def __init__(self, edge: ReadEdge) -> None:
        self._edge = edge

    async def search(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`GET` and `POST /indexes/{uid}/search`."""
        asked = await self._asked(request, named["uid"])
        return _reply(await self._edge.joiner.search(asked))

    async def facet_search(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`POST /indexes/{uid}/facet-search`."""
        asked = await self._asked(request, named["uid"])
        return _reply(await self._edge.facet_searcher.search(asked))

    async def similar(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`GET` and `POST /indexes/{uid}/similar`."""
        asked = await self._asked(request, named["uid"])
        return _reply(await self._edge.similar_finder.similar(asked))

    async def _asked(self, request: Request, index_uid: str) -> SearchRequest:
        authorization = self._edge.guard.for_nodes(request)
        index = await self._edge.index_to_read(request, index_uid)
        metadata = request.header("meili-include-metadata")
        return SearchRequest(
            index=index,
            method=request.method,
            query_string=request.query_string,
            body=request.body,
            content_type=request.header("content-type"),
            authorization=authorization,
            floor=floor_of(request, index_uid),
            headers={"meili-include-metadata": metadata} if metadata else {},
        )


def _reply(answer: Answer) -> Reply:
    return Reply(answer.status, answer.body, answer.headers)
