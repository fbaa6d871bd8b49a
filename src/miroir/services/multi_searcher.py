"""
Many searches in one request: each index answered by one covering set, at one settings version.

With one shard each result is the node's own. With more, each query is merged like a single search.
"""

from uuid import uuid4

import orjson

from miroir.core.merge import MultiSearch, SearchSettings
from miroir.core.merge.multi_search import (
    join_results,
    read_multi_search,
    results_of,
    with_index,
)
from miroir.core.topology import IndexUid
from miroir.errors import CannotBeMerged, IndexNotFound
from miroir.services.cluster import Cluster
from miroir.services.federated_searcher import FederatedSearcher
from miroir.services.index_queries import IndexQueries, planned
from miroir.services.multi_nodes import MultiNodes, MultiRequest, QueryRefused, headers_of
from miroir.services.scatter import Gathered
from miroir.services.searcher import Answer, settings_of
from miroir.services.side_by_side import side_by_side


class MultiSearcher:
    """Answers multi-searches."""

    def __init__(
        self, *, nodes: MultiNodes, federated: FederatedSearcher, cluster: Cluster
    ) -> None:
        self._nodes = nodes
        self._federated = federated
        self._cluster = cluster

    async def search(self, request: MultiRequest) -> Answer:
        """
        Answer all queries, or none.

        Raises:
            CannotBeMerged: A query cannot be answered exactly over several shards.
            InvalidApiKey: An index is not open to the key.
            RefusedByNode: A node refused a query, or the whole.
            Unavailable: See `Scatter.ask`.
        """
        asked = _readable(request)
        if asked is None or not asked.queries:
            reply = await self._nodes.judged(request, asked)
            return Answer(reply.status, reply.body, {})
        await self._nodes.check_indexes(request, asked)
        try:
            if asked.federation is not None:
                return await self._federated.search(request, asked)
            return await self._one_by_one(request, asked)
        except QueryRefused as refused:
            raise await self._nodes.explained(request, asked, refused) from None
        except CannotBeMerged:
            if asked.federation is None:  # A node's own no goes first, as in a federation.
                await self._nodes.check(request, asked, asked.queries[0]["indexUid"])
            raise

    async def _one_by_one(self, request: MultiRequest, asked: MultiSearch) -> Answer:
        groups, request_uid = asked.by_index, str(uuid4())
        answers = await side_by_side(
            *(self._of_index(request, asked, index_uid, request_uid) for index_uid in groups)
        )
        results: dict[int, bytes] = {}
        for places, (of_index, _) in zip(groups.values(), answers, strict=True):
            results.update(zip(places, of_index, strict=True))
        parts = {uid: part for uid, (_, part) in zip(groups, answers, strict=True)}
        body = join_results([results[place] for place in range(len(results))])
        return Answer(200, body, headers_of(parts))

    async def _of_index(
        self, request: MultiRequest, asked: MultiSearch, index_uid: str, request_uid: str
    ) -> tuple[list[bytes], Gathered]:
        """Return the results of one index's queries, in their order."""
        places = asked.by_index[index_uid]
        queries = [asked.queries[place] for place in places]
        shards = self._cluster.view.topology.shard_count
        if shards == 1:
            gathered = await self._nodes.gather(request, index_uid, {"queries": queries}, places)
            return results_of(gathered.replies[0].body, 0, len(queries)), gathered
        settings = self._settings(index_uid)
        plans = [
            planned(query, shards, settings, place)
            for query, place in zip(queries, places, strict=True)
        ]
        asking = IndexQueries(self._nodes, request, index_uid, plans=plans, places=places)
        results, gathered = await asking.answered(request_uid)
        return [with_index(index_uid, result) for result in results], gathered

    def _settings(self, index_uid: str) -> SearchSettings:
        index = self._cluster.view.live(IndexUid(index_uid))
        if index is None:
            raise IndexNotFound(f"Index `{index_uid}` not found.")
        return settings_of(index)


def _readable(request: MultiRequest) -> MultiSearch | None:
    if (request.content_type or "").split(";")[0].strip().lower() != "application/json":
        return None
    try:
        return read_multi_search(orjson.loads(request.body))
    except orjson.JSONDecodeError:
        return None
