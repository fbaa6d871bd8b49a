"""
Fills in the hits of searches with documents of other indexes, over shards (core/merge/joins.py).

A layer around the searchers: it has them show ids, and in their answers puts what one node would
put there. Filters on other indexes, which the searchers refuse when nodes have found them right,
are answered first (`foreign_filters.py`). More rounds of requests, with the cluster's own key as
nodes do it, and only for indexes that have foreign keys; with one shard, and for every other
index, nothing is touched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

import msgspec
import orjson
from msgspec import Raw

from miroir.core.merge.joins import (
    Documents,
    Join,
    displayed,
    filled,
    id_of,
    join_of,
    named_in,
    with_key,
)
from miroir.core.topology import IndexUid
from miroir.errors import BadParameter, CannotBeMerged
from miroir.ports.node import NodeRequest
from miroir.services.cluster import Cluster, IndexView
from miroir.services.foreign_filters import ForeignFilters
from miroir.services.multi_nodes import MultiRequest
from miroir.services.multi_searcher import MultiSearcher
from miroir.services.scatter import Scatter, Wish
from miroir.services.searcher import Answer, Searcher, SearchRequest
from miroir.services.side_by_side import side_by_side

_JSON: Final = "application/json"
_RETRIEVE: Final = "attributesToRetrieve"
_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_hits: Final = msgspec.json.Decoder(list[Raw]).decode


class _Page(msgspec.Struct):
    results: list[Raw]


class _Place(msgspec.Struct, rename="camel"):
    queries_position: int


class _Head(msgspec.Struct):
    federation: _Place = msgspec.field(name="_federation")


_page: Final = msgspec.json.Decoder(_Page).decode
_head: Final = msgspec.json.Decoder(_Head).decode
Found = Sequence[tuple[bytes, str, Join]]
"""Hits, each with its index and what fills it in."""


class Joiner:
    """Answers searches and multi-searches with hits filled in."""

    def __init__(
        self,
        *,
        searcher: Searcher,
        multi_searcher: MultiSearcher,
        scatter: Scatter,
        cluster: Cluster,
        timeout_s: float,
    ) -> None:
        self._searcher = searcher
        self._multi_searcher = multi_searcher
        self._scatter = scatter
        self._cluster = cluster
        self._timeout_s = timeout_s
        self._known: tuple[Mapping[IndexUid, IndexView], bool] = ({}, False)
        self._filters = ForeignFilters(scatter=scatter, cluster=cluster, timeout_s=timeout_s)

    async def search(self, request: SearchRequest) -> Answer:
        """Answer a search; see `Searcher.search`."""
        query = _query_of(request) if self._joins(request.index) else None
        join = None if query is None else _join(request.index, query)
        if query is None or join is None:
            return await self._searcher.search(request)
        asked = with_key(query, join)
        try:
            answer = await self._searcher.search(_asking(request, asked))
        except CannotBeMerged:
            own = await self._filters.without(request.index, _with_filter_read(query))
            if own == query:
                raise
            answer = await self._searcher.search(_asking(request, with_key(own, join)))
        if answer.status != 200:
            return answer
        uid = request.index.record.uid
        members = _members(answer.body)
        hits = [(bytes(hit), uid, join) for hit in _hits(members["hits"])]
        members["hits"] = _listed(await self._filled(hits))
        return msgspec.structs.replace(answer, body=msgspec.json.encode(members))

    async def multi_search(self, request: MultiRequest) -> Answer:
        """Answer many searches; see `MultiSearcher.search`."""
        asked = self._multi_query(request)
        if asked is None:
            return await self._multi_searcher.search(request)
        body, joins = asked
        try:
            answer = await self._multi_searcher.search(replace(request, body=orjson.dumps(body)))
        except CannotBeMerged:
            own = {**body, "queries": await self._own_filters(body["queries"], joins)}
            if own == body:
                raise
            answer = await self._multi_searcher.search(replace(request, body=orjson.dumps(own)))
        if answer.status != 200:
            return answer
        uids = [query["indexUid"] for query in body["queries"]]
        members = _members(answer.body)
        if body.get("federation") is not None:
            members["hits"] = await self._of_federation(members["hits"], uids, joins)
        else:
            members["results"] = await self._of_results(members["results"], uids, joins)
        return msgspec.structs.replace(answer, body=msgspec.json.encode(members))

    async def _own_filters(
        self, queries: Sequence[dict[str, Any]], joins: Sequence[Join | None]
    ) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for place, (query, join) in enumerate(zip(queries, joins, strict=True)):
            index = self._cluster.view.live(query["indexUid"])
            if join is None or index is None:
                found.append(query)
                continue
            try:
                found.append(await self._filters.without(index, query))
            except BadParameter as error:
                said = f"Inside `.queries[{place}]`: {error.message}"
                raise BadParameter(error.code, said) from None
        return found

    def _multi_query(
        self, request: MultiRequest
    ) -> tuple[dict[str, Any], list[Join | None]] | None:
        """Return the body for hits that show ids; None if nothing is to be filled in."""
        if not self._any_joins():
            return None
        view = self._cluster.view
        try:
            body = orjson.loads(request.body)
            indexes = [view.live(query["indexUid"]) for query in body["queries"]]
        except (orjson.JSONDecodeError, TypeError, KeyError):
            return None  # A node says what is wrong with it.
        pairs = list(zip(body["queries"], indexes, strict=True))
        joins = [None if i is None or not self._joins(i) else _join(i, q) for q, i in pairs]
        if not any(joins):
            return None
        queries = [
            q if j is None else with_key(q, j) for (q, _), j in zip(pairs, joins, strict=True)
        ]
        return {**body, "queries": queries}, joins

    async def _of_federation(
        self, hits: Raw, uids: Sequence[str], joins: Sequence[Join | None]
    ) -> Raw:
        found = [bytes(hit) for hit in _hits(hits)]
        places = [_head(hit).federation.queries_position for hit in found]
        joined = [
            (at, join) for at, place in enumerate(places) if (join := joins[place]) is not None
        ]
        done = await self._filled([(found[at], uids[places[at]], join) for at, join in joined])
        for (at, _), hit in zip(joined, done, strict=True):
            found[at] = hit
        return _listed(found)

    async def _of_results(
        self, results: Raw, uids: Sequence[str], joins: Sequence[Join | None]
    ) -> Raw:
        async def one(result: Raw, uid: str, join: Join | None) -> bytes:
            if join is None:
                return bytes(result)
            members = _members(result)
            hits = [(bytes(hit), uid, join) for hit in _hits(members["hits"])]
            members["hits"] = _listed(await self._filled(hits))
            return msgspec.json.encode(members)

        calls = [one(*each) for each in zip(_hits(results), uids, joins, strict=True)]
        return _listed(await side_by_side(*calls))

    async def _filled(self, hits: Found) -> list[bytes]:
        """Return hits with the documents that they name."""
        stored = await self._stored(hits)
        named: dict[str, dict[str, None]] = {}
        for hit, uid, join in hits:
            for other, name in named_in(stored.get((uid, id_of(hit, join) or ""), {}), join):
                named.setdefault(other, {})[name] = None
        documents: dict[tuple[str, str], Raw] = {}
        for other, ids in named.items():
            documents.update(await self._documents(other, list(ids)))
        return [
            filled(hit, stored.get((uid, id_of(hit, join) or ""), {}), join, documents)
            for hit, uid, join in hits
        ]

    async def _stored(self, hits: Found) -> dict[tuple[str, str], Mapping[str, Any]]:
        """Return what is stored behind hits, of what names other documents."""
        wanted: dict[str, tuple[Join, dict[str, None]]] = {}
        for hit, uid, join in hits:
            if (name := id_of(hit, join)) is not None:
                wanted.setdefault(uid, (join, {}))[1][name] = None
        found: dict[tuple[str, str], Mapping[str, Any]] = {}
        for uid, (join, ids) in wanted.items():
            for raw in await self._fetched(uid, list(ids), join.stored_fields):
                found[uid, id_of(raw, join) or ""] = msgspec.json.decode(raw)
        return found

    async def _documents(self, index_uid: str, ids: list[str]) -> Documents:
        index = self._cluster.view.live(index_uid)
        key = None if index is None else index.record.primary_key
        if index is None or key is None:
            return {}
        patterns = (index.record.settings or {}).get("displayedAttributes") or ["*"]
        named = Join(key, {})
        return {
            (index_uid, id_of(raw, named) or ""): displayed(raw, patterns)
            for raw in await self._fetched(index_uid, ids, None)
        }

    async def _fetched(
        self, index_uid: str, ids: list[str], fields: Sequence[str] | None
    ) -> list[Raw]:
        body: dict[str, Any] = {"ids": ids, "limit": len(ids)}
        if fields is not None:
            body["fields"] = list(fields)
        path = f"/indexes/{quote(index_uid)}/documents/fetch"
        request = NodeRequest("POST", path, orjson.dumps(body), _JSON)
        wish = Wish(IndexUid(index_uid), request, timeout_s=self._timeout_s)
        gathered = await self._scatter.ask(wish)
        if gathered.refusal is not None:
            return []  # An id that can be none names no document.
        return [raw for reply in gathered.replies for raw in _page(reply.body).results]

    def _any_joins(self) -> bool:
        """Whether any index has foreign keys; looked at anew when indexes have changed."""
        indexes = self._cluster.view.indexes
        if self._known[0] is not indexes:
            self._known = indexes, any(map(self._joins, indexes.values()))
        return self._known[1]

    def _joins(self, index: IndexView) -> bool:
        several = self._cluster.view.topology.shard_count > 1
        return several and bool((index.record.settings or {}).get("foreignKeys"))


def _join(index: IndexView, query: Mapping[str, Any]) -> Join | None:
    return join_of(index.record.settings, index.record.primary_key, query)


def _query_of(request: SearchRequest) -> dict[str, Any] | None:
    """Return the parameters; None if only a node can judge them."""
    if request.method == "GET":
        query: dict[str, Any] = dict(parse_qsl(request.query_string, keep_blank_values=True))
        if _RETRIEVE in query:
            query[_RETRIEVE] = query[_RETRIEVE].split(",")
        return query
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def _with_filter_read(query: dict[str, Any]) -> dict[str, Any]:
    """Return the query with its filter as lists, where a query string has them as text."""
    given = query.get("filter")
    if not isinstance(given, str) or not given.lstrip().startswith("["):
        return query
    try:
        return {**query, "filter": orjson.loads(given)}
    except orjson.JSONDecodeError:
        return query


def _asking(request: SearchRequest, asked: Mapping[str, Any]) -> SearchRequest:
    if request.method == "POST":
        return msgspec.structs.replace(request, body=orjson.dumps(asked))
    texts = {name: _text(name, value) for name, value in asked.items()}
    return msgspec.structs.replace(request, query_string=urlencode(texts))


def _text(name: str, value: Any) -> str:
    if not isinstance(value, list):
        return str(value)
    return ",".join(value) if name == _RETRIEVE else orjson.dumps(value).decode()


def _listed(items: Sequence[bytes]) -> Raw:
    return Raw(b"[%b]" % b",".join(items))
