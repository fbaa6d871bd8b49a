"""Queries of one index, in rounds: which are asked for, and when they are believed."""

import json
from typing import Any

import pytest
from tests.support.search_answers import answer, hit

from miroir.core.merge import SearchSettings
from miroir.errors import CannotBeMerged, SettingsVersionStale
from miroir.ports.node import NodeReply
from miroir.services.index_queries import IndexQueries, planned
from miroir.services.multi_nodes import MultiRequest
from miroir.services.scatter import Gathered

pytestmark = pytest.mark.anyio
KEYED = SearchSettings(primary_key="id", ranking_rules=("words", "sort", "exactness"))
WORDS = ("words", {"matchingWords": 1, "maxMatchingWords": 1, "score": 1.0})
PLAIN = {"q": "a"}
HYBRID = {"q": "a", "hybrid": {"embedder": "e"}, "limit": 2}
BROUGHT = {**HYBRID, "vector": [1.0]}


class Nodes:
    """Two shards; they answer by what is asked, at these versions one after the other."""

    def __init__(self, *versions: int, score: float = 0.4, tells: bool = True) -> None:
        self.asked: list[list[str]] = []
        self._versions = list(versions)
        self._score = score
        self._tells = tells

    async def gather(self, _request: object, _uid: str, body: Any, _places: object) -> Gathered:
        queries = body["queries"]
        self.asked.append([self._kind(query) for query in queries])
        shards = [[self._answer(query, shard) for query in queries] for shard in (1, 2)]
        return self._gathered([{"results": results} for results in shards])

    async def gather_as_network(
        self, _request: object, _uid: str, _body: Any, _places: object
    ) -> Gathered | None:
        self.asked.append(["told"])
        return self._gathered([self._told(shard) for shard in (1, 2)]) if self._tells else None

    def _gathered(self, bodies: list[Any]) -> Gathered:
        replies = tuple(NodeReply(200, {}, json.dumps(body).encode()) for body in bodies)
        return Gathered(replies, self._versions.pop(0), inconsistent=False)

    def _kind(self, query: Any) -> str:
        ratio = query.get("hybrid", {}).get("semanticRatio", 0)
        return "meaning" if ratio else "keywords"

    def _answer(self, query: Any, shard: int) -> Any:
        if self._kind(query) == "meaning":
            near = hit({"id": 10 + shard}, ("vectorSort", {"similarity": 0.99}), score=0.99)
            return json.loads(answer([near], semanticHitCount=1))
        rules = [WORDS]
        if query.get("sort"):
            rules += [("size:asc", {"value": shard}), ("exactness", {"score": 1.0})]
        return json.loads(answer([hit({"id": shard}, *rules, score=self._score)]))

    def _told(self, shard: int) -> Any:
        values = [{"weightedScore": 1.0}, {"sort": {"asc": True, "value": shard}}]
        federation = {"queriesPosition": 0, "weightedRankingScore": 0.1}
        told = {"id": shard, "_federation": {**federation, "weightedScoreValues": values}}
        return {"hits": [told]}


def asking(nodes: Nodes, *queries: dict) -> IndexQueries:
    plans = [planned(query, 2, KEYED, place) for place, query in enumerate(queries)]
    request = MultiRequest(b"", None, None, None, lambda _: None, {})
    places = list(range(len(plans)))
    return IndexQueries(nodes, request, "movies", plans=plans, places=places)  # type: ignore[arg-type]  # plays nodes


async def ids(nodes: Nodes, *queries: dict) -> list[list[int]]:
    results, _ = await asking(nodes, *queries).answered("an uid")
    return [[one["id"] for one in json.loads(result)["hits"]] for result in results]


async def test_one_round_is_enough_where_nothing_has_to_be_computed():
    """The client has brought the vector, or asks for no meaning at all."""
    nodes = Nodes(1)
    assert await ids(nodes, PLAIN, BROUGHT) == [[1, 2], [11, 12]]
    assert nodes.asked == [["keywords", "keywords", "meaning"]]


async def test_meaning_is_asked_for_only_where_keywords_do_not_do():
    """Whoever computes vectors is paid for each of them."""
    nodes = Nodes(1, score=1.0)
    assert await ids(nodes, HYBRID, PLAIN) == [[1, 2], [1, 2]]
    assert nodes.asked == [["keywords", "keywords"]]
    late = Nodes(1, 1)
    assert await ids(late, PLAIN, HYBRID) == [[1, 2], [11, 12]]
    assert late.asked == [["keywords", "keywords"], ["meaning"]]


async def test_a_vector_that_was_not_needed_is_forgotten():
    """Keywords alone are the answer then, as on one node."""
    assert await ids(Nodes(1, score=0.95), BROUGHT) == [[1, 2]]


async def test_rounds_at_two_versions_are_taken_again():
    """Their lists were ranked by different settings."""
    nodes = Nodes(1, 2, 2, 2)
    assert await ids(nodes, HYBRID) == [[11, 12]]
    assert len(nodes.asked) == 4
    with pytest.raises(SettingsVersionStale):
        await ids(Nodes(1, 2, 3, 4, 5, 6), HYBRID)


async def test_what_hits_do_not_show_is_asked_for():
    """The score before the sort; all three rounds at one version."""
    by_size = {**BROUGHT, "sort": ["size:asc"]}
    nodes = Nodes(1, 1)
    assert await ids(nodes, by_size) == [[1, 2]]
    assert nodes.asked == [["keywords", "meaning"], ["told"]]
    assert await ids(Nodes(1, 2, 2, 2), by_size) == [[1, 2]]


async def test_nodes_that_do_not_tell_it_are_not_guessed_at():
    """The refusal names the query, and what would help."""
    with pytest.raises(CannotBeMerged, match=r"Inside `.queries\[1\]`.*`network`"):
        await ids(Nodes(1, tells=False), PLAIN, {**BROUGHT, "sort": ["size:asc"]})
