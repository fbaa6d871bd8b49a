"""Public routes: the fields of an index, and the compaction of its databases."""

from collections.abc import Mapping

from miroir.api.edge import Edge, uid_of
from miroir.api.http import Reply, Request, reply_json
from miroir.api.router import Access, Route
from miroir.api.views import task_summary


def routes(edge: Edge) -> tuple[Route, ...]:
    """Return the rows of these routes."""
    index = Fields(edge)
    return (
        Route("POST", "/indexes/{uid}/fields", index.fields, Access.NODES),
        Route("POST", "/indexes/{uid}/compact", index.compact),
    )


class Fields:
    """About an index as a whole, but for its settings."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def fields(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`POST /indexes/{uid}/fields`."""
        query = await self._edge.document_query(request, named["uid"])
        answer = await self._edge.catalog.fields(query, request)
        return Reply(answer.status, answer.body, answer.headers)

    async def compact(self, _request: Request, named: Mapping[str, str]) -> Reply:
        """`POST /indexes/{uid}/compact`: every node in its turn with the index's writes."""
        task = await self._edge.writer.compact(uid_of(named))
        return reply_json(task_summary(task), 202)
