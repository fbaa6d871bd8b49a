"""
Documents similar to a document, in two steps: its own shard, then the others by its vector.

The vector is read with the cluster's own key, and used only if the shard has answered the client's
own request: whoever may not see the document gets the node's refusal. Both steps must be answered
at one settings version, or they are taken again. With one shard the answer comes back byte for
byte.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

import orjson

from miroir.core import merge
from miroir.core.merge import CannotMerge, SimilarPlan
from miroir.core.numbers import unsigned
from miroir.core.topology import IndexUid, ShardId
from miroir.errors import CannotBeMerged, SettingsVersionStale
from miroir.ports.node import NodeReply, NodeRequest
from miroir.services.cluster import Cluster
from miroir.services.facet_searcher import JSON, readable_body
from miroir.services.scatter import Gathered, Scatter, Wish
from miroir.services.searcher import Answer, SearchRequest
from miroir.services.side_by_side import side_by_side
from miroir.services.writer import owner

_ATTEMPTS_MAX: Final = 3
_FIRST: Final = ShardId(0)
_FLAGS: Final = (
    "showRankingScore", "showRankingScoreDetails", "retrieveVectors", "showPerformanceDetails",
)  # fmt: skip


class SimilarFinder:
    """Answers `similar`."""

    def __init__(self, *, scatter: Scatter, cluster: Cluster, timeout_s: float) -> None:
        self._scatter = scatter
        self._cluster = cluster
        self._timeout_s = timeout_s

    async def similar(self, request: SearchRequest) -> Answer:
        """
        Answer a request for similar documents.

        Raises:
            CannotBeMerged: It cannot be answered exactly over several shards.
            SettingsVersionStale: The settings changed between the two steps, again and again.
            Unavailable: See `Scatter.ask`.
        """
        query = _readable(request)
        if self._cluster.view.topology.shard_count == 1 or query is None:
            return await self._pass_on(request)
        index = request.index.record
        plan = merge.plan_similar(query, index.settings or {}, index.primary_key)
        if plan is None:
            return await self._pass_on(request)
        if isinstance(plan, CannotMerge):
            own = await self._pass_on(request, owner(self._cluster.view, str(query["id"])))
            if own.status < 400:  # A node's own no goes first.
                raise CannotBeMerged(plan.reason)
            return own
        for _ in range(_ATTEMPTS_MAX):
            answer = await self._attempt(request, plan)
            if answer is not None:
                return answer
        raise SettingsVersionStale("the settings changed while the nodes answered")

    async def _pass_on(self, request: SearchRequest, shard: ShardId = _FIRST) -> Answer:
        came = _to_nodes(request, request.query_string, request.body, request.content_type)
        return _only(await self._ask(request, came, shard))

    async def _attempt(self, request: SearchRequest, plan: SimilarPlan) -> Answer | None:
        """Return the answer, or None if the two steps met different versions."""
        shard = owner(self._cluster.view, plan.document_id)
        own, document = await side_by_side(
            self._ask(request, _with_window(request, plan), shard),
            self._ask(request, _document(request, plan), shard),
        )
        if own.replies[0].status >= 400:
            return _only(own)
        if document.replies[0].status >= 400:
            return None  # It is gone since, and the next attempt says so.
        vector = merge.vector_of(orjson.loads(document.replies[0].body), plan.embedder)
        if isinstance(vector, CannotMerge):
            raise CannotBeMerged(vector.reason)
        search = _json(request, "search", plan.search(vector), request.authorization)
        rest = await self._ask(request, search, None)
        if rest.refusal is not None:
            return Answer(rest.refusal.status, rest.refusal.body, rest.headers)
        flagged = own if own.inconsistent else rest
        if not flagged.inconsistent and own.version != rest.version:
            return None
        bodies = [reply.body for reply in rest.replies]
        bodies[shard] = own.replies[0].body
        merged = merge.merge_similar(bodies, shard, plan)
        if isinstance(merged, CannotMerge):
            raise CannotBeMerged(merged.reason)
        return Answer(200, merged, flagged.headers)

    async def _ask(
        self, request: SearchRequest, to_nodes: NodeRequest, shard: ShardId | None
    ) -> Gathered:
        uid = IndexUid(request.index.record.uid)
        return await self._scatter.ask(
            Wish(uid, to_nodes, timeout_s=self._timeout_s, floor=request.floor, shard=shard)
        )


def _only(gathered: Gathered) -> Answer:
    reply: NodeReply = gathered.replies[0]
    return Answer(reply.status, reply.body, gathered.headers)


def _readable(request: SearchRequest) -> dict[str, Any] | None:
    return readable_body(request) if request.method == "POST" else _from_query(request)


def _from_query(request: SearchRequest) -> dict[str, Any]:
    """Read what merging and searching need, in the form of a body."""
    query: dict[str, Any] = dict(parse_qsl(request.query_string, keep_blank_values=True))
    for name in ("offset", "limit"):
        if (number := unsigned(query.get(name, ""))) is not None:
            query[name] = number
    for name in _FLAGS:
        if name in query:
            query[name] = query[name] == "true"
    if "attributesToRetrieve" in query:
        query["attributesToRetrieve"] = query["attributesToRetrieve"].split(",")
    for name, read in (("filter", orjson.loads), ("rankingScoreThreshold", float)):
        try:
            query[name] = read(query[name])
        except (KeyError, ValueError):
            continue  # A filter that is no JSON is text; nodes refuse any other threshold.
    return query


def _with_window(request: SearchRequest, plan: SimilarPlan) -> NodeRequest:
    """Return the client's own request for the shard of the document, up to the window's end."""
    if request.method == "POST":
        return _to_nodes(request, request.query_string, _dumps(plan.query, plan.window), JSON)
    given = dict(parse_qsl(request.query_string, keep_blank_values=True))
    window = {name: orjson.dumps(value).decode() for name, value in plan.window.items()}
    question = urlencode({**given, **window})
    return _to_nodes(request, question, request.body, request.content_type)


def _document(request: SearchRequest, plan: SimilarPlan) -> NodeRequest:
    uid, document_id = quote(request.index.record.uid), quote(plan.document_id, safe="")
    question = "retrieveVectors=true&fields=_vectors"
    return NodeRequest("GET", f"/indexes/{uid}/documents/{document_id}?{question}")


def _to_nodes(
    request: SearchRequest, query_string: str, body: bytes, content_type: str | None
) -> NodeRequest:
    question = f"?{query_string}" if query_string else ""
    path = f"/indexes/{quote(request.index.record.uid)}/similar{question}"
    return NodeRequest(
        request.method, path, body, content_type, authorization=request.authorization
    )


def _json(
    request: SearchRequest, route: str, body: Mapping[str, Any], authorization: str | None
) -> NodeRequest:
    path = f"/indexes/{quote(request.index.record.uid)}/{route}"
    return NodeRequest("POST", path, orjson.dumps(body), JSON, authorization=authorization)


def _dumps(query: Mapping[str, Any], window: Mapping[str, Any]) -> bytes:
    """Return a body; parameters that are no booleans or numbers stay for the node to refuse."""
    body = dict(query)
    for name, value in window.items():
        if type(body.get(name, value)) is type(value):
            body[name] = value
    return orjson.dumps(body)
