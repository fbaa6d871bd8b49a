"""Public routes: indexes and their stats."""

from collections.abc import Mapping
from typing import Final

from miroir.api.edge import Edge, uid_of
from miroir.api.http import Reply, Request, reply_json
from miroir.api.parameters import (
    body_object,
    check_names,
    choice,
    flag,
    number,
    text_field,
)
from miroir.api.router import Access, Route
from miroir.api.swap_body import read_swaps
from miroir.api.views import index_view, task_summary
from miroir.core.rights import covers
from miroir.core.topology import IndexUid
from miroir.errors import BadParameter, InvalidApiKey, InvalidIndexUid, RouteNotSupported
from miroir.ports.records import TaskRecord
from miroir.services.catalog import StatsQuery
from miroir.services.intake import check_uid

_IMMUTABLE: Final = {
    "createdAt": "immutable_index_created_at",
    "updatedAt": "immutable_index_updated_at",
}


def routes(edge: Edge) -> tuple[Route, ...]:
    """Return the rows of these routes."""
    indexes = Indexes(edge)
    return (
        Route("GET", "/indexes", indexes.list),
        Route("POST", "/indexes", indexes.create),
        Route("GET", "/indexes/{uid}", indexes.get),
        Route("PATCH", "/indexes/{uid}", indexes.update),
        Route("DELETE", "/indexes/{uid}", indexes.delete),
        Route("POST", "/swap-indexes", indexes.swap),
        Route("GET", "/indexes/{uid}/stats", indexes.stats, Access.NODES),
        Route("GET", "/stats", indexes.all_stats),
    )


class Indexes:
    """Indexes are the cluster's own: answered from the store, changed on every node."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def list(self, request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /indexes`."""
        check_names(request.query, ("offset", "limit"))
        offset = number(request.query, "offset", 0, "invalid_index_offset")
        limit = number(request.query, "limit", 20, "invalid_index_limit")
        view = self._edge.cluster.view
        live = [
            i.record
            for uid, i in sorted(view.indexes.items())
            if not i.record.deleted and _open_to(request, uid)
        ]
        page = [index_view(record) for record in live[offset : offset + limit]]
        return reply_json({"results": page, "offset": offset, "limit": limit, "total": len(live)})

    async def create(self, request: Request, _named: Mapping[str, str]) -> Reply:
        """`POST /indexes`."""
        body = body_object(request.json(), ("uid", "primaryKey"))
        uid = text_field(body, "uid", "invalid_index_uid")
        key = text_field(body, "primaryKey", "invalid_index_primary_key")
        if "uid" not in body:
            raise BadParameter("missing_index_uid", "Missing field `uid`")
        if uid is None:
            message = "Invalid value type at `.uid`: expected a string, but found null"
            raise BadParameter("invalid_index_uid", message)
        if not _open_to(request, uid):
            raise InvalidApiKey("The provided API key is invalid.")
        try:
            task = await self._edge.lifecycle.create_index(IndexUid(uid), key)
        except (
            InvalidIndexUid
        ) as error:  # In a body a node names the place, in a path it does not.
            raise InvalidIndexUid(f"Invalid value at `.uid`: {error}") from None
        return reply_json(task_summary(task), 202)

    async def get(self, _request: Request, named: Mapping[str, str]) -> Reply:
        """`GET /indexes/{uid}`."""
        return reply_json(index_view(self._edge.index(named["uid"]).record))

    async def update(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`PATCH /indexes/{uid}`: the primary key, or the uid."""
        check_uid(named["uid"])
        body = body_object(request.json(), ("primaryKey", "uid"), immutable=_IMMUTABLE)
        key = text_field(body, "primaryKey", "invalid_index_primary_key")
        new_uid = text_field(body, "uid", "invalid_index_uid")
        if new_uid is None:
            task = await self._edge.lifecycle.update_index(uid_of(named), key)
        else:
            task = await self._renamed(uid_of(named), IndexUid(new_uid), key)
        return reply_json(task_summary(task), 202)

    async def _renamed(self, uid: IndexUid, new_uid: IndexUid, key: str | None) -> TaskRecord:
        """Rename; an index that has no primary key yet, and so no documents, is given it first."""
        try:
            return await self._edge.swapper.rename(uid, new_uid, key)
        except RouteNotSupported:
            index = self._edge.cluster.view.live(uid)
            if index is not None and index.record.primary_key is not None:
                raise
        await self._edge.lifecycle.ensure_index(uid, key)
        return await self._edge.swapper.rename(uid, new_uid, key)

    async def swap(self, request: Request, _named: Mapping[str, str]) -> Reply:
        """`POST /swap-indexes`: pairs of indexes exchange what they hold, all or none."""
        swaps = read_swaps(request.json(), lambda uid: _open_to(request, uid))
        return reply_json(task_summary(await self._edge.swapper.swap(swaps)), 202)

    async def delete(self, _request: Request, named: Mapping[str, str]) -> Reply:
        """`DELETE /indexes/{uid}`."""
        check_uid(named["uid"])
        task = await self._edge.writer.delete_index(uid_of(named))
        return reply_json(task_summary(task), 202)

    async def stats(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`GET /indexes/{uid}/stats`, summed over one replica of each shard."""
        asked = _stats_query(request)
        authorization = self._edge.guard.for_nodes(request)
        index = self._edge.index(named["uid"])
        answer = await self._edge.catalog.index_stats(index, authorization, asked)
        return Reply(answer.status, answer.body, answer.headers)

    async def all_stats(self, request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /stats`, of every index of the cluster that the key opens."""
        stats = await self._edge.catalog.stats(_stats_query(request))
        stats["indexes"] = {u: s for u, s in stats["indexes"].items() if _open_to(request, u)}
        return reply_json(stats)


def _open_to(request: Request, index_uid: str) -> bool:
    return request.confined is None or covers(request.confined, index_uid)


def _stats_query(request: Request) -> StatsQuery:
    query = request.query
    check_names(query, ("showInternalDatabaseSizes", "sizeFormat"))
    code = "invalid_stats_show_internal_database_sizes"
    inside = flag(query, "showInternalDatabaseSizes", code)
    form = choice(query, "sizeFormat", ("human", "raw"), "invalid_stats_size_format")
    return StatsQuery(inside=inside, in_words=form == "human")
