"""
Searches among the values of a facet: every shard is asked the same, counts are added up.

With one shard the answer comes back byte for byte. A body that cannot be read goes to one node,
which says no in its own words.
"""

from typing import Any, Final
from urllib.parse import quote

import orjson

from miroir.core import merge
from miroir.core.topology import IndexUid, ShardId
from miroir.errors import CannotBeMerged
from miroir.ports.node import NodeRequest
from miroir.services.scatter import Gathered, Scatter, Wish
from miroir.services.searcher import Answer, SearchRequest, settings_of

JSON: Final = "application/json"


class FacetSearcher:
    """Answers `facet-search`."""

    def __init__(self, *, scatter: Scatter, shard_count: int, timeout_s: float) -> None:
        self._scatter = scatter
        self._shard_count = shard_count
        self._timeout_s = timeout_s

    async def search(self, request: SearchRequest) -> Answer:
        """
        Answer a search among facet values.

        Raises:
            CannotBeMerged: It cannot be answered exactly over several shards.
            Unavailable: See `Scatter.ask`.
        """
        query = readable_body(request)
        if self._shard_count == 1 or query is None:
            return await self._pass_on(request)
        if (cannot := merge.check_facet_search(query)) is not None:
            answer = await self._pass_on(request)  # A node's own no goes first.
            if answer.status < 400:
                raise CannotBeMerged(cannot.reason)
            return answer
        gathered = await self._ask(request, None)
        if (refusal := gathered.refusal) is not None:
            return Answer(refusal.status, refusal.body, gathered.headers)
        settings = settings_of(request.index)
        merged = merge.merge_facet_search(
            [reply.body for reply in gathered.replies],
            order=settings.facet_order(str(query.get("facetName"))),
            values_max=settings.max_values_per_facet,
        )
        return Answer(200, merged, gathered.headers)

    async def _pass_on(self, request: SearchRequest) -> Answer:
        gathered = await self._ask(request, ShardId(0))
        reply = gathered.replies[0]
        return Answer(reply.status, reply.body, gathered.headers)

    async def _ask(self, request: SearchRequest, shard: ShardId | None) -> Gathered:
        question = f"?{request.query_string}" if request.query_string else ""
        to_nodes = NodeRequest(
            method=request.method,
            path=f"/indexes/{quote(request.index.record.uid)}/facet-search{question}",
            body=request.body,
            content_type=request.content_type,
            authorization=request.authorization,
        )
        uid = IndexUid(request.index.record.uid)
        return await self._scatter.ask(
            Wish(uid, to_nodes, timeout_s=self._timeout_s, floor=request.floor, shard=shard)
        )


def readable_body(request: SearchRequest) -> dict[str, Any] | None:
    """Return a body that is announced as JSON and is an object; None for any other."""
    if (request.content_type or "").split(";")[0].strip().lower() != JSON:
        return None
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None
