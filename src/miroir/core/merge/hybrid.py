"""
Hybrid search over shards: two lists, each exact over all shards, then Meilisearch's own rule.

A node runs both searches itself and decides by its own hits, so that shards may decide
differently. Here every shard is asked for both lists, and the decision is made once:

    keywords    asked with semanticRatio 0
    meaning     asked with a ratio just below 1: all its hits by similarity, with the highlights,
                totals and facets that a node gives to both lists together
    keywords good enough  ─▶ they are the answer: as many as asked for, each worth 0.45 or more
    else                  ─▶ both by score times their share; a document, or a distinct value, once

Source: milli/src/search/hybrid.rs of Meilisearch 1.50. Refused: `sort` in the midst of the ranking
rules (nodes do not show what decides), and documents whose id is not displayed.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from msgspec import Raw

from miroir.core.merge.distinct import Value, distinct_values
from miroir.core.merge.hits import Hit, cut, merge_hits
from miroir.core.merge.identity import identity_of
from miroir.core.merge.query import (
    Asked,
    CannotMerge,
    SearchSettings,
    is_covered,
    rewrite_search,
)
from miroir.core.merge.ranking import Incomparable
from miroir.core.merge.search import once_per_value, read_answer, written
from miroir.core.merge.weighted import Candidate, merge_candidates, values_of

_GOOD_ENOUGH: Final = 0.45
_NEARLY_ALL: Final = 0.99999
_EVEN: Final = 0.5


@dataclass(frozen=True)
class HybridPlan:
    """
    What is asked of the shards, and what becomes of it.

    Attributes:
        keywords: The first body for every shard.
        meaning: The second.
        ratio: Share of the similarity, in the 32 bits in which nodes have it.
        asked: What the client asked for.
        primary_key: Tells which hits of both lists are one document.
        brings_vector: The query's vector came with it: nodes need not compute one.
    """

    keywords: Mapping[str, Any]
    meaning: Mapping[str, Any]
    ratio: float
    asked: Asked
    primary_key: str
    brings_vector: bool

    @property
    def wanted(self) -> int:
        """Hits from the first to the window's end."""
        return min(self.asked.offset + self.asked.limit, self.asked.settings.max_total_hits)


def plan_hybrid(
    query: Mapping[str, Any], shards: int, settings: SearchSettings
) -> HybridPlan | CannotMerge | None:
    """
    Plan a search by keywords and meaning; None: it is one of either, or for a node to refuse.

    Args:
        query: The client's body, or its query string as one.
        shards: How many shards answer.
        settings: The index's, in force.
    """
    ratio, primary_key = _ratio(query), settings.primary_key
    if ratio is None or not 0 < ratio < 1 or primary_key is None or not _has_words(query):
        return None
    rewritten = rewrite_search(query, shards, settings)
    if isinstance(rewritten, CannotMerge):
        return rewritten
    if not is_covered(primary_key, settings.displayed_attributes):
        return CannotMerge(
            f"`{primary_key}` is the primary key and not displayed: hits by keywords and by "
            "meaning cannot be told to be one document over several shards"
        )
    return HybridPlan(
        keywords=_with_ratio(rewritten.body, 0.0),
        meaning=_with_ratio(rewritten.body, _NEARLY_ALL),
        ratio=_as_f32(ratio),
        asked=rewritten.asked,
        primary_key=primary_key,
        brings_vector=query.get("vector") is not None,
    )


def good_enough(answers: Sequence[bytes], plan: HybridPlan) -> bool:
    """
    Whether the answers by keywords need no others.

    Raises:
        NodeAnswerUnreadable: An answer is not one of a search.
    """
    try:
        hits = _best(answers, plan)
    except Incomparable:
        return False  # Merging says why.
    share = _as_f32(1.0 - plan.ratio)
    return len(hits) >= plan.wanted and all(hit.score * share >= _GOOD_ENOUGH for hit in hits)


def merge_hybrid(
    keywords: Sequence[bytes],
    meaning: Sequence[bytes] | None,
    plan: HybridPlan,
    request_uid: str | None = None,
) -> bytes | CannotMerge:
    """
    Merge the answers of all shards into one.

    Args:
        keywords: By keywords, in shard order.
        meaning: By meaning; None: the keywords are good enough.
        plan: From `plan_hybrid`.
        request_uid: A fresh id for the answer; None leaves it out.

    Raises:
        NodeAnswerUnreadable: An answer is not one of a search.
    """
    asked, semantic = plan.asked, 0
    try:
        hits = _best(keywords, plan)
        if meaning is None:
            hits = hits[asked.offset : asked.window_end] if asked.window_end else []
        else:
            window = islice(_in_one_order(hits, meaning, plan), asked.offset, asked.window_end)
            chosen = list(window) if asked.window_end else []
            semantic = sum(candidate.place == 0 for candidate in chosen)
            hits = [candidate.hit for candidate in chosen]
    except Incomparable as reason:
        return CannotMerge(str(reason))
    parts = [read_answer(body, shard) for shard, body in enumerate(meaning or keywords)]
    return written(parts, asked, hits, request_uid, semantic_hits=semantic)


def _best(answers: Sequence[bytes], plan: HybridPlan) -> list[Hit]:
    """Return the hits of one list up to the window's end."""
    merged = merge_hits(_hits(answers), plan.primary_key)
    return list(islice(_distinct(merged, plan), plan.wanted))


def _hits(answers: Sequence[bytes]) -> list[list[Raw]]:
    return [read_answer(answer, shard).hits for shard, answer in enumerate(answers)]


def _distinct(hits: Iterable[Hit], plan: HybridPlan) -> Iterator[Hit]:
    distinct = plan.asked.distinct
    return iter(hits) if distinct is None else once_per_value(hits, distinct)


def _in_one_order(
    keywords: Sequence[Hit], meaning: Sequence[bytes], plan: HybridPlan
) -> Iterator[Candidate]:
    """Yield documents once each, best first."""
    by_meaning = [[raw for raw in hits if _is_semantic(raw)] for hits in _hits(meaning)]
    lists = [
        _candidates(_distinct(merge_hits(by_meaning, plan.primary_key), plan), 0, plan.ratio),
        _candidates(keywords, 1, _as_f32(1.0 - plan.ratio)),
    ]
    seen: set[str | None] = set()
    values: set[Value] = set()
    for candidate in merge_candidates(lists):
        document = identity_of(candidate.hit.document, plan.primary_key)
        if document in seen:
            continue
        seen.add(document)
        if plan.asked.distinct is not None:
            found = distinct_values(candidate.hit.document, plan.asked.distinct)
            if not values.isdisjoint(found):
                continue
            values |= found
        yield candidate


def _is_semantic(raw: Raw) -> bool:
    return "vectorSort" in cut(bytes(raw))[1]


def _candidates(hits: Iterable[Hit], place: int, share: float) -> Iterator[Candidate]:
    for hit in hits:
        score = hit.score * share
        yield Candidate(hit, "", place, score, values_of(cut(hit.raw)[1], score))


# ---- the query, as a body or as a query string


def _has_words(query: Mapping[str, Any]) -> bool:
    words = query.get("q")
    return isinstance(words, str) and bool(words.strip()) and query.get("media") is None


def _ratio(query: Mapping[str, Any]) -> float | None:
    """Return the share of the similarity; None if none is asked for, or a node refuses it."""
    hybrid = query.get("hybrid")
    if isinstance(hybrid, Mapping):
        ratio = hybrid.get("semanticRatio", _EVEN)
        is_number = isinstance(ratio, int | float) and not isinstance(ratio, bool)
        return float(ratio) if is_number and hybrid.get("embedder") else None
    if query.get("hybridEmbedder"):
        try:
            return float(query.get("hybridSemanticRatio", _EVEN))
        except ValueError:
            return None
    return None


def _with_ratio(body: Mapping[str, Any], ratio: float) -> dict[str, Any]:
    if "hybrid" in body:
        return {**body, "hybrid": {**body["hybrid"], "semanticRatio": ratio}}
    return {**body, "hybridSemanticRatio": ratio}


def _as_f32(number: float) -> float:
    value: float = struct.unpack("f", struct.pack("f", number))[0]
    return value
