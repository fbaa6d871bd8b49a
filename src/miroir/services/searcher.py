"""
Search: scattered over a covering set, merged exactly.

With one shard the client's request goes to one node as it came and the answer comes back byte for
byte. With more, each shard is asked for the whole window with score details and the answers are
merged (core.merge). What a node would refuse, a node refuses: bodies that cannot be read are
passed on as they are.
"""

import os
from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

import msgspec
import orjson

from miroir.core import merge
from miroir.core.merge import CannotMerge, HybridPlan, SearchSettings
from miroir.core.merge.hidden import Hidden
from miroir.core.numbers import unsigned
from miroir.core.topology import IndexUid, NodeId, ShardId
from miroir.errors import CannotBeMerged
from miroir.ports.node import NodeRequest
from miroir.ports.records import IndexRecord
from miroir.services.cluster import IndexView
from miroir.services.hidden_values import with_bodies, with_hidden_values
from miroir.services.hybrid_searcher import lacks_feature, search_hybrid
from miroir.services.scatter import Gathered, Scatter, Wish

_JSON: Final = "application/json"
_NUMBERS: Final = ("offset", "limit", "page", "hitsPerPage")
_SETTINGS_MAX: Final = 1024
_VERSION_4: Final = 0x4000_8000_0000_0000_0000
_CHANCE: Final = ~0xF000_C000_0000_0000_0000
_FLAGS: Final = ("showRankingScore", "showRankingScoreDetails")


class Answer(msgspec.Struct, frozen=True):
    """
    What goes back to the client.

    Attributes:
        headers: About the settings version behind it.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]


class SearchRequest(msgspec.Struct, frozen=True):
    """
    One search as it came.

    Attributes:
        method: POST with a JSON body, or GET with a query string.
        content_type: Of the body, as it came.
        authorization: The client's own token for the nodes; None = the cluster's.
        floor: Lowest settings version.
        headers: Further headers for the nodes.
        only: See `Wish.only`.
    """

    index: IndexView
    method: str
    query_string: str
    body: bytes
    content_type: str | None
    authorization: str | None
    floor: int | None
    headers: Mapping[str, str]
    only: frozenset[NodeId] | None = None


class Searcher:
    """Answers searches."""

    def __init__(self, *, scatter: Scatter, shard_count: int, timeout_s: float) -> None:
        self._scatter = scatter
        self._shard_count = shard_count
        self._timeout_s = timeout_s
        self._settings: dict[str, tuple[IndexRecord, SearchSettings]] = {}

    async def search(self, request: SearchRequest) -> Answer:
        """
        Answer a search.

        Raises:
            CannotBeMerged: It cannot be answered exactly over several shards.
            Unavailable: See `Scatter.ask`.
        """
        query = _readable(request)
        if self._shard_count == 1 or query is None:
            return await self._pass_on(request)
        if "hybrid" in query or "hybridEmbedder" in query:
            answer = await self._hybrid(request, query)
            if answer is not None:
                return answer
        rewritten = merge.rewrite_search(
            query, self._shard_count, self._settings_of(request.index)
        )
        if isinstance(rewritten, CannotMerge):
            return await self._refused(request, rewritten)
        gathered = await self._ask(request, _with_query(request, rewritten.body))
        if (refusal := gathered.refusal) is not None:
            return Answer(refusal.status, refusal.body, gathered.headers)
        bodies = [reply.body for reply in gathered.replies]
        if rewritten.asked.hidden is not None:
            bodies = await self._looked_up(request, bodies, rewritten.asked.hidden)
        mixed = gathered.inconsistent and request.only is None
        merged = merge.merge_search(bodies, rewritten.asked, _new_uid(), mixed=mixed)
        if isinstance(merged, CannotMerge):
            raise CannotBeMerged(merged.reason)
        return Answer(200, merged, gathered.headers)

    async def _hybrid(self, request: SearchRequest, query: Mapping[str, Any]) -> Answer | None:
        """Answer by keywords and meaning; None: it is a search by one of them."""
        plan = merge.plan_hybrid(query, self._shard_count, self._settings_of(request.index))
        if plan is None:
            return None
        if isinstance(plan, CannotMerge):
            return await self._refused(request, plan)

        async def ask(body: Mapping[str, Any]) -> Gathered:
            gathered = await self._ask(request, _with_query(request, body))
            if plan.asked.hidden is None or gathered.refusal is not None:
                return gathered
            bodies = [reply.body for reply in gathered.replies]
            found = await self._looked_up(request, bodies, plan.asked.hidden)
            return with_bodies(gathered, found)

        said, body = await search_hybrid(plan, ask, partial(self._ranked, request))
        if body is not None:
            return Answer(200, body, said.headers)
        assert said.refusal is not None, "no body without a refusal"
        return Answer(said.refusal.status, said.refusal.body, said.headers)

    async def _ranked(self, request: SearchRequest, plan: HybridPlan) -> Gathered | None:
        """Ask as a network does; None: nodes do not answer that without its feature."""
        to_nodes = NodeRequest(
            "POST",
            "/multi-search",
            orjson.dumps(merge.ranked_body(plan, request.index.record.uid)),
            _JSON,
            authorization=request.authorization,
            headers={merge.PROXY_HEADER: "true"},
        )
        gathered = await self._ask(request, to_nodes)
        return None if lacks_feature(gathered.refusal) else gathered

    async def _looked_up(
        self, request: SearchRequest, bodies: list[bytes], hidden: Hidden
    ) -> list[bytes]:
        return await with_hidden_values(
            bodies,
            lambda _: hidden,
            self._scatter,
            request.index.record.uid,
            timeout_s=self._timeout_s,
            only=request.only,
        )

    def _settings_of(self, index: IndexView) -> SearchSettings:
        """See `settings_of`; the last ones of each index are kept."""
        record = index.record
        known = self._settings.get(record.uid)
        if known is None or known[0] is not record:
            if len(self._settings) >= _SETTINGS_MAX:
                self._settings.clear()
            known = self._settings[record.uid] = (record, settings_of(index))
        return known[1]

    async def _pass_on(self, request: SearchRequest) -> Answer:
        """Let one node answer: it holds everything, or it is going to say no."""
        gathered = await self._ask(request, _as_it_came(request), ShardId(0))
        reply = gathered.replies[0]
        return Answer(reply.status, reply.body, gathered.headers)

    async def _refused(self, request: SearchRequest, why: CannotMerge) -> Answer:
        """Return a node's no, which goes first: about what one node would not do either."""
        answer = await self._pass_on(request)
        if answer.status < 400:
            raise CannotBeMerged(why.reason)
        return answer

    async def _ask(
        self, request: SearchRequest, to_nodes: NodeRequest, shard: ShardId | None = None
    ) -> Gathered:
        return await self._scatter.ask(
            Wish(
                index_uid=IndexUid(request.index.record.uid),
                request=to_nodes,
                timeout_s=self._timeout_s,
                floor=request.floor,
                shard=shard,
                only=request.only,
            )
        )


def _as_it_came(request: SearchRequest) -> NodeRequest:
    return _to_nodes(request, request.query_string, request.body, request.content_type)


def _to_nodes(
    request: SearchRequest, query_string: str, body: bytes, content_type: str | None
) -> NodeRequest:
    question = f"?{query_string}" if query_string else ""
    return NodeRequest(
        method=request.method,
        path=f"/indexes/{quote(request.index.record.uid)}/search{question}",
        body=body,
        content_type=content_type,
        authorization=request.authorization,
        headers=request.headers,
    )


def _readable(request: SearchRequest) -> dict[str, Any] | None:
    """Return the parameters as rewriting needs them; None if only a node can judge them."""
    if request.method == "GET":
        return _from_query(request.query_string)
    if (request.content_type or "").split(";")[0].strip().lower() != _JSON:
        return None
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def _from_query(query_string: str) -> dict[str, Any]:
    """Read what rewriting looks at; everything else stays text and goes on as it is."""
    query: dict[str, Any] = dict(parse_qsl(query_string, keep_blank_values=True))
    for name in _NUMBERS:
        if (value := unsigned(query.get(name, ""))) is not None:
            query[name] = value
    for name in _FLAGS:
        if query.get(name) in {"true", "false"}:
            query[name] = query[name] == "true"
    if "attributesToRetrieve" in query:
        query["attributesToRetrieve"] = query["attributesToRetrieve"].split(",")
    return query


def _with_query(request: SearchRequest, rewritten: Mapping[str, Any]) -> NodeRequest:
    if request.method == "POST":
        return _to_nodes(request, request.query_string, orjson.dumps(rewritten), _JSON)
    parameters = {name: _as_text(value) for name, value in rewritten.items() if value is not None}
    return _to_nodes(request, urlencode(parameters), request.body, request.content_type)


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(value) if isinstance(value, list) else str(value)


def _new_uid() -> str:
    """Return a UUID of version 4, as `uuid.uuid4` makes it in five times the time."""
    text = f"{int.from_bytes(os.urandom(16)) & _CHANCE | _VERSION_4:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def settings_of(index: IndexView) -> SearchSettings:
    """Return what merging must know of an index's settings."""
    settings = index.record.settings or {}
    faceting = settings.get("faceting") or {}
    ranked, displayed = settings.get("rankingRules"), settings.get("displayedAttributes")
    return SearchSettings(
        distinct_attribute=settings.get("distinctAttribute"),
        displayed_attributes=("*",) if displayed is None else tuple(displayed),
        max_total_hits=(settings.get("pagination") or {}).get("maxTotalHits", 1000),
        sort_facet_values_by=faceting.get("sortFacetValuesBy") or {"*": "alpha"},
        max_values_per_facet=faceting.get("maxValuesPerFacet", 100),
        primary_key=index.record.primary_key,
        ranking_rules=("sort",) if ranked is None else tuple(ranked),
    )
