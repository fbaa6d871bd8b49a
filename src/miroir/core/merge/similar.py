"""
Documents similar to one document, over shards.

    plan_similar -> the shard of the document answers `similar`: who it is, whether the client may
                    see it, what is wrong with the request, and its own neighbours
                 -> the other shards answer a search by the document's vector
    merge_similar: both kinds of hits by similarity; equals in the order of their ids (ties.py)

A search ranks by more than the vector: by the distinct attribute of the index, and by rules that
stand before the first rule of relevancy. Where an index has such, this is refused. Hits without a
vector are left out, as `similar` does; totals are counted up to `maxTotalHits`, as there.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from miroir.core.merge.hits import Hit, cut
from miroir.core.merge.query import CannotMerge
from miroir.core.merge.ranking import Incomparable
from miroir.core.merge.ties import Tie, TieOf, tie_reader
from miroir.errors import NodeAnswerUnreadable

_LIMIT: Final = 20
_RELEVANCY: Final = frozenset(
    {"words", "typo", "proximity", "attribute", "attributeRank", "wordPosition", "exactness"}
)
_PERFORMANCE: Final = "showPerformanceDetails"
_OF_HITS: Final = (
    "attributesToRetrieve", "retrieveVectors", "filter", "rankingScoreThreshold", _PERFORMANCE,
)  # fmt: skip


class _Similar(msgspec.Struct, rename="camel"):
    hits: list[Raw]
    id: Raw
    processing_time_ms: int
    estimated_total_hits: int
    performance_details: Raw | UnsetType = UNSET


class _Found(msgspec.Struct, rename="camel"):
    hits: list[Raw]
    processing_time_ms: int
    estimated_total_hits: int
    performance_details: Raw | UnsetType = UNSET


_decode_similar: Final = msgspec.json.Decoder(_Similar).decode
_decode_found: Final = msgspec.json.Decoder(_Found).decode


@dataclass(frozen=True)
class SimilarPlan:
    """
    What the client asked for.

    Attributes:
        document_id: As text.
        query: Its parameters.
        max_total_hits: Hits that a search returns at most.
        primary_key: Of the index.
    """

    document_id: str
    embedder: str
    offset: int
    limit: int
    query: Mapping[str, Any]
    max_total_hits: int
    primary_key: str | None = None

    @property
    def window(self) -> dict[str, Any]:
        """The parameters of `similar` that are other for a shard."""
        shown = {"showRankingScore": True, "showRankingScoreDetails": True}
        return {"offset": 0, "limit": self.offset + self.limit, **shown}

    def search(self, vector: Sequence[float]) -> dict[str, Any]:
        """Return the search for the other shards; without a vector it only counts."""
        given = {name: self.query[name] for name in _OF_HITS if self.query.get(name) is not None}
        if not vector:
            return {**given, "offset": 0, "limit": 0}
        hybrid = {"embedder": self.embedder, "semanticRatio": 1.0}
        return {**given, "vector": vector, "hybrid": hybrid, **self.window}


def plan_similar(
    query: Mapping[str, Any], settings: Mapping[str, Any], primary_key: str | None = None
) -> SimilarPlan | CannotMerge | None:
    """
    Return how to answer; None if only a node can judge the request.

    Args:
        query: The client's parameters; numbers are integers.
        settings: Of the index, as it has them.
        primary_key: Of the index.
    """
    document_id, embedder = query.get("id"), query.get("embedder")
    offset, limit = query.get("offset", 0), query.get("limit", _LIMIT)
    if type(document_id) is int:
        document_id = str(document_id)
    if not isinstance(document_id, str) or not isinstance(embedder, str):
        return None
    if not all(type(number) is int and number >= 0 for number in (offset, limit)):
        return None
    if settings.get("distinctAttribute"):
        return CannotMerge(
            "similar documents of an index with a `distinctAttribute` cannot be merged over "
            "several shards"
        )
    ranked = settings.get("rankingRules")
    rules = [rule for rule in (["words"] if ranked is None else ranked) if rule != "sort"]
    if not rules or rules[0] not in _RELEVANCY:
        return CannotMerge(
            "similar documents of an index that ranks by an attribute before relevancy cannot be "
            "merged over several shards"
        )
    max_total_hits = (settings.get("pagination") or {}).get("maxTotalHits", 1000)
    return SimilarPlan(document_id, embedder, offset, limit, query, max_total_hits, primary_key)


def vector_of(document: Mapping[str, Any], embedder: str) -> list[float] | CannotMerge:
    """Return the vector of a document that was read with `retrieveVectors`; empty for none."""
    vectors = ((document.get("_vectors") or {}).get(embedder) or {}).get("embeddings") or []
    if len(vectors) > 1:
        return CannotMerge(
            "documents similar to one with several vectors cannot be merged over several shards"
        )
    vector: list[float] = vectors[0] if vectors else []
    return vector


def merge_similar(answers: Sequence[bytes], owner: int, plan: SimilarPlan) -> bytes | CannotMerge:
    """
    Merge one answer per shard.

    Args:
        answers: In shard order; that of the owner to `similar`, of the others to the search.
        owner: The shard of the document.
        plan: What was asked.

    Raises:
        NodeAnswerUnreadable: An answer is none to what was asked.
    """
    own, parts = _read(answers, owner)
    try:
        lists = [_with_vector(part, tie_reader(plan.primary_key)) for part in parts]
        hits = list(heapq.merge(*lists, key=lambda found: found[0]))
    except Incomparable as reason:
        return CannotMerge(str(reason))
    end = plan.offset + plan.limit
    for shard, part in enumerate(parts):
        if shard != owner and plan.max_total_hits <= len(part.hits) < end:
            return CannotMerge(
                "similar documents beyond `maxTotalHits` cannot be merged over several shards"
            )
    query = plan.query
    score, details = (query.get(n) is True for n in ("showRankingScore", _DETAILS))
    shown = (h.body(show_score=score, show_details=details) for _, h in hits)
    total = min(sum(part.estimated_total_hits for part in parts), plan.max_total_hits)
    slowest = max(parts, key=lambda part: part.processing_time_ms)
    performance = b""
    if slowest.performance_details is not UNSET:
        performance = b',"performanceDetails":%b' % bytes(slowest.performance_details)
    return (
        b'{"hits":[%b],"id":%b,"processingTimeMs":%d,"limit":%d,"offset":%d,'
        b'"estimatedTotalHits":%d%b}'
    ) % (
        b",".join(islice(shown, plan.offset, end)),
        bytes(own.id),
        slowest.processing_time_ms,
        plan.limit,
        plan.offset,
        total,
        performance,
    )


_DETAILS: Final = "showRankingScoreDetails"


def _read(answers: Sequence[bytes], owner: int) -> tuple[_Similar, list[_Similar | _Found]]:
    parts: list[_Similar | _Found] = []
    for shard, answer in enumerate(answers):
        try:
            parts.append(_decode_similar(answer) if shard == owner else _decode_found(answer))
        except msgspec.DecodeError as error:
            raise NodeAnswerUnreadable(f"not similar documents: {error}", shard) from None
    own = parts[owner]
    assert isinstance(own, _Similar), "the owner's answer was read as one"
    return own, parts


def _with_vector(
    part: _Similar | _Found, tie_of: TieOf
) -> Iterator[tuple[tuple[float, Tie], Hit]]:
    """Yield the hits of a shard, each with its place in the order."""
    for raw in part.hits:
        hit, details = cut(bytes(raw))
        rule = details.get("vectorSort")
        if rule is None:
            raise Incomparable("a node sent hits without score details")
        if rule.similarity is not None:
            yield (-rule.similarity, tie_of(hit.raw)), hit
