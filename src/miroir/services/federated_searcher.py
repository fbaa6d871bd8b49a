"""
Federated searches: each index answered by one covering set, one list of hits made of all answers.

What concerns several indexes (whether their rules can be compared, whether they order a facet in
one way) no part of the request shows: with several indexes a node looks at the whole as well, for
no hits. Hits of several queries that are sorted in the midst of the rules of relevancy are
compared by what nodes tell each other in a network, where they do so. A single index on a single
shard is answered by the node itself.
"""

from collections.abc import Sequence
from functools import partial
from uuid import uuid4

import msgspec

from miroir.core import merge
from miroir.core.merge import CannotMerge, FederatedPlan, HybridPart, MultiSearch, SearchSettings
from miroir.core.topology import IndexUid
from miroir.errors import CannotBeMerged, IndexNotFound, RequestRefused
from miroir.ports.node import NodeReply
from miroir.services.cluster import Cluster
from miroir.services.index_queries import IndexQueries
from miroir.services.multi_nodes import MultiNodes, MultiRequest, headers_of
from miroir.services.scatter import Gathered
from miroir.services.searcher import Answer, settings_of
from miroir.services.side_by_side import side_by_side


class FederatedSearcher:
    """Answers multi-searches with a federation."""

    def __init__(self, *, nodes: MultiNodes, cluster: Cluster) -> None:
        self._nodes = nodes
        self._cluster = cluster

    async def search(self, request: MultiRequest, asked: MultiSearch) -> Answer:
        """
        Answer a request whose indexes are all there.

        Raises:
            CannotBeMerged: It cannot be answered exactly.
            QueryRefused: A node said no to the queries of an index.
            RefusedByNode: A node said no to the whole.
            Unavailable: See `Scatter.ask`.
        """
        places = asked.by_index
        first = next(iter(places))
        if len(places) == 1 and self._cluster.view.topology.shard_count == 1:
            body = {"queries": asked.queries, "federation": asked.federation}
            gathered = await self._nodes.gather(request, first, body, places[first])
            return Answer(200, gathered.replies[0].body, headers_of({first: gathered}))
        plan = merge.plan_federated(asked, {uid: self._settings(uid) for uid in places})
        if plan is None:
            await self._nodes.check(request, asked, first)
            raise RequestRefused("The federation cannot be read.")
        if isinstance(plan, CannotMerge):
            await self._nodes.check(request, asked, first)  # Its own no goes first.
            raise CannotBeMerged(plan.reason)
        parts: dict[str, Gathered] = {}
        calls = [self._gather(request, plan, uid, parts) for uid in places]
        if len(places) > 1 or asked.facets_elsewhere or plan.hybrid:
            calls.append(self._nodes.check(request, asked, first))
        await side_by_side(*calls)
        parts = {uid: parts[uid] for uid in places}
        answers = {uid: [reply.body for reply in part.replies] for uid, part in parts.items()}
        mixed = any(part.inconsistent for part in parts.values())
        merged = merge.merge_federated(answers, plan, str(uuid4()), mixed=mixed)
        if isinstance(merged, CannotMerge):
            raise CannotBeMerged(merged.reason)
        return Answer(200, merged, headers_of(parts))

    async def _gather(
        self, request: MultiRequest, plan: FederatedPlan, uid: str, parts: dict[str, Gathered]
    ) -> None:
        part = plan.hybrid.get(uid)
        if part is not None:
            parts[uid] = await self._hybrid(request, part, plan.places[uid])
            return
        gathered = await self._with_values(request, plan, uid)
        if uid in plan.hides:
            gathered = await self._nodes.looked_up(gathered, uid, partial(plan.hidden_of, uid))
        parts[uid] = gathered

    async def _hybrid(
        self, request: MultiRequest, part: HybridPart, places: Sequence[int]
    ) -> Gathered:
        """Answer a hybrid query as a search of its own, and in the form of a federated answer."""
        uid = part.index_uid
        asking = IndexQueries(self._nodes, request, uid, plans=[part.plan], places=places)
        [merged], gathered = await asking.answered(str(uuid4()))
        reply = NodeReply(200, {}, merge.as_part(merged, part))
        return msgspec.structs.replace(gathered, replies=(reply,))

    async def _with_values(self, request: MultiRequest, plan: FederatedPlan, uid: str) -> Gathered:
        """
        Ask the nodes of an index, for what they tell each other if hits are compared by it.

        They tell it only with the feature `network`: without it merging says what is missing.
        """
        body, places = plan.bodies[uid], plan.places[uid]
        told = None
        if plan.by_values:
            told = await self._nodes.gather_as_network(request, uid, body, places)
        return told or await self._nodes.gather(request, uid, body, places)

    def _settings(self, index_uid: str) -> SearchSettings:
        index = self._cluster.view.live(IndexUid(index_uid))
        if index is None:
            raise IndexNotFound(f"Index `{index_uid}` not found.")
        return settings_of(index)
