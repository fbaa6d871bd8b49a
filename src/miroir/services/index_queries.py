"""
The queries of one index within a multi-search, over several shards: in one round or more.

    each query; of a hybrid one the keywords ─▶ merged
                    └─ keywords that do not do ─▶ by meaning ─▶ merged by core.merge.hybrid
                     └─ what they are compared by, where their hits do not show it

All queries of a round go in one request to each node of one covering set. Where the client has
brought the vector, or no query is hybrid, there is one round. All rounds are answered at one
settings version, or they are taken again.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from miroir.core import merge
from miroir.core.merge import CannotMerge, HybridPlan, NodeQuery, SearchSettings
from miroir.core.merge.multi_search import results_of
from miroir.errors import CannotBeMerged, SettingsVersionStale
from miroir.services.multi_nodes import MultiNodes, MultiRequest
from miroir.services.scatter import Gathered

_ATTEMPTS_MAX: Final = 3

Plan = NodeQuery | HybridPlan
_Lists = list[list[bytes]]
"""The answers to several queries, each in shard order."""


class IndexQueries:
    """
    The queries of one index, in one request of a client.

    Attributes:
        plans: What is asked instead of each query.
        places: Where the client has it.
    """

    def __init__(
        self,
        nodes: MultiNodes,
        request: MultiRequest,
        index_uid: str,
        *,
        plans: Sequence[Plan],
        places: Sequence[int],
    ) -> None:
        self._nodes = nodes
        self._request = request
        self._index_uid = index_uid
        self.plans = plans
        self.places = places

    async def answered(self, request_uid: str) -> tuple[list[bytes], Gathered]:
        """
        Return the results of all queries, in their order, and what they were made of.

        Raises:
            CannotBeMerged: One cannot be answered exactly.
            QueryRefused: A node said no.
            SettingsVersionStale: The settings changed between two rounds, again and again.
            Unavailable: See `Scatter.ask`.
        """
        everything = range(len(self.plans))
        for _ in range(_ATTEMPTS_MAX):
            lists, first = await self._asked(
                [(at, b) for at in everything for b in self._first(at)]
            )
            wanting = [at for at in everything if self._wants_meaning(at, lists[at])]
            more, later = await self._meant(wanting, lists)
            told, last = await self._told(wanting)
            rounds = [first, *later, *last]
            flagged = next((r for r in rounds if r.inconsistent), first)
            if flagged.inconsistent or len({r.version for r in rounds}) == 1:
                found = {at: lists[at] + more.get(at, []) for at in everything}
                mixed = flagged.inconsistent
                return self._merged(found, told, request_uid, mixed=mixed), flagged
        raise SettingsVersionStale("the settings changed while the nodes answered")

    def _first(self, at: int) -> list[Mapping[str, Any]]:
        plan = self.plans[at]
        if isinstance(plan, NodeQuery):
            return [plan.body]
        return [plan.keywords, plan.meaning] if plan.brings_vector else [plan.keywords]

    async def _asked(
        self, bodies: Sequence[tuple[int, Mapping[str, Any]]]
    ) -> tuple[dict[int, _Lists], Gathered]:
        """Ask for these bodies, each of a query; return their answers by query."""
        queries = {"queries": [body for _, body in bodies]}
        places = [self.places[at] for at, _ in bodies]
        gathered = await self._nodes.gather(self._request, self._index_uid, queries, places)
        per_shard = [
            results_of(reply.body, shard, len(bodies))
            for shard, reply in enumerate(gathered.replies)
        ]
        found: dict[int, _Lists] = {at: [] for at, _ in bodies}
        for number, (at, _) in enumerate(bodies):
            of_shards = [results[number] for results in per_shard]
            found[at].append(await self._looked_up(at, of_shards))
        return found, gathered

    async def _looked_up(self, at: int, answers: list[bytes]) -> list[bytes]:
        plan = self.plans[at]
        hidden = plan.asked.hidden if isinstance(plan, NodeQuery) else plan.hidden
        if hidden is None:
            return answers
        return await self._nodes.looked_up_in(answers, self._index_uid, lambda _: hidden)

    def _wants_meaning(self, at: int, lists: _Lists) -> bool:
        """Whether keywords do not do; where they do, what else was asked for is forgotten."""
        plan = self.plans[at]
        if isinstance(plan, NodeQuery):
            return False
        if merge.good_enough(lists[0], plan):
            del lists[1:]
            return False
        return True

    async def _meant(
        self, wanting: Sequence[int], lists: Mapping[int, _Lists]
    ) -> tuple[dict[int, _Lists], list[Gathered]]:
        """Ask for the meaning of queries that have not been asked for it."""
        late = [(at, self._hybrid(at).meaning) for at in wanting if len(lists[at]) == 1]
        if not late:
            return {}, []
        found, gathered = await self._asked(late)
        return found, [gathered]

    async def _told(
        self, wanting: Sequence[int]
    ) -> tuple[dict[int, merge.ToldOf], list[Gathered]]:
        """Ask for what hits by keywords are compared by, where they do not show it."""
        told: dict[int, merge.ToldOf] = {}
        rounds: list[Gathered] = []
        for at in wanting:
            plan = self._hybrid(at)
            if plan.ranked is None:
                continue
            body = merge.ranked_body(plan, self._index_uid)
            gathered = await self._nodes.gather_as_network(
                self._request, self._index_uid, body, [self.places[at]]
            )
            if gathered is not None:
                rounds.append(gathered)
                told[at] = merge.told_of([reply.body for reply in gathered.replies], plan)
        return told, rounds

    def _hybrid(self, at: int) -> HybridPlan:
        plan = self.plans[at]
        assert isinstance(plan, HybridPlan), "no other query is asked for by meaning"
        return plan

    def _merged(
        self,
        found: Mapping[int, _Lists],
        told: Mapping[int, merge.ToldOf],
        request_uid: str,
        *,
        mixed: bool,
    ) -> list[bytes]:
        results: list[bytes] = []
        for at, (plan, place) in enumerate(zip(self.plans, self.places, strict=True)):
            lists = found[at]
            if isinstance(plan, NodeQuery):
                merged = merge.merge_search(lists[0], plan.asked, request_uid, mixed=mixed)
            else:
                meaning = lists[1] if len(lists) > 1 else None
                merged = merge.merge_hybrid(
                    lists[0], meaning, plan, request_uid, told=told.get(at)
                )
            if isinstance(merged, CannotMerge):
                raise cannot(merged, place)
            results.append(merged)
        return results


def planned(query: Mapping[str, Any], shards: int, settings: SearchSettings, place: int) -> Plan:
    """
    Return what each shard is asked instead of a query.

    Raises:
        CannotBeMerged: It cannot be answered exactly.
    """
    hybrid = merge.plan_hybrid(query, shards, settings) if query.get("hybrid") else None
    plan = merge.rewrite_search(query, shards, settings) if hybrid is None else hybrid
    if isinstance(plan, CannotMerge):
        raise cannot(plan, place)
    return plan


def cannot(why: CannotMerge, place: int) -> CannotBeMerged:
    """Return the refusal of one query."""
    return CannotBeMerged(f"Inside `.queries[{place}]`: {why.reason}")
