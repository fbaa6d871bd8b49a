"""
Hybrid search over shards: two lists, each exact over all shards, then Meilisearch's own rule.

A node runs both searches itself and decides by its own hits, so that shards may decide
differently. Here every shard is asked for both lists, and the decision is made once:

    keywords    asked with semanticRatio 0
    meaning     asked with a ratio just below 1: all its hits by similarity, with the highlights,
                totals and facets that a node gives to both lists together
    keywords good enough  ─▶ they are the answer: as many as asked for, each worth 0.45 or more
    else                  ─▶ both by score times their share; a document, or a distinct value, once

Where `sort` stands in the midst of the rules of relevancy, hits by keywords do not show what
decides: nodes are asked for it a third time, as they ask each other in a network (`ranked`), and
tell it with the experimental feature of that name. Documents whose id is not displayed are
refused.

Source: milli/src/search/hybrid.rs of Meilisearch 1.50.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec import Raw

from miroir.core.merge.distinct import Value, distinct_values
from miroir.core.merge.hidden import Hidden
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
from miroir.core.merge.sort_rules import split_sort, splits_relevancy
from miroir.core.merge.weighted import (
    Candidate,
    Told,
    head_of,
    merge_candidates,
    values_of,
    values_told,
)
from miroir.errors import NodeAnswerUnreadable

_GOOD_ENOUGH: Final = 0.45
_NEARLY_ALL: Final = 0.99999
_EVEN: Final = 0.5
_OF_RANKING: Final = (
    "q", "filter", "sort", "distinct", "matchingStrategy", "attributesToSearchOn",
    "rankingScoreThreshold", "locales",
)  # fmt: skip
_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "filter": msgspec.json.decode,
    "sort": split_sort,
    "attributesToSearchOn": lambda text: text.split(","),
    "rankingScoreThreshold": float,
    "locales": lambda text: text.split(","),
}

ToldOf = Mapping[str | None, Sequence[Told]]
"""What a hit is compared by, by the id of its document."""


class _Federated(msgspec.Struct):
    hits: list[Raw]


_decode_federated: Final = msgspec.json.Decoder(_Federated).decode


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
        hidden: What hits are ordered by and do not show.
        ranked: The query, of a federated search, for what hits by keywords are compared by; None:
            they show it.
    """

    keywords: Mapping[str, Any]
    meaning: Mapping[str, Any]
    ratio: float
    asked: Asked
    primary_key: str
    brings_vector: bool
    hidden: Hidden | None = None
    ranked: Mapping[str, Any] | None = None

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
        hidden=rewritten.asked.hidden,
        ranked=_ranked(query, settings),
    )


def ranked_body(plan: HybridPlan, index_uid: str) -> dict[str, Any]:
    """Return the multi-search to be asked with `PROXY_HEADER`."""
    assert plan.ranked is not None, "hits show what they are compared by"
    query = {**plan.ranked, "indexUid": index_uid}
    return {"queries": [query], "federation": {"offset": 0, "limit": plan.wanted}}


def told_of(answers: Sequence[bytes], plan: HybridPlan) -> ToldOf:
    """
    Return what hits by keywords are compared by.

    Args:
        answers: To `ranked_body`, in shard order.
        plan: From `plan_hybrid`.

    Raises:
        NodeAnswerUnreadable: An answer does not tell it.
    """
    told: dict[str | None, Sequence[Told]] = {}
    for shard, answer in enumerate(answers):
        try:
            for raw in _decode_federated(answer).hits:
                values = head_of(raw).weighted_score_values
                if values is not None:
                    told[identity_of(bytes(raw)[1:-1], plan.primary_key)] = values
        except msgspec.DecodeError as error:
            raise NodeAnswerUnreadable(f"not a federated answer: {error}", shard) from None
    return told


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
    *,
    told: ToldOf | None = None,
) -> bytes | CannotMerge:
    """
    Merge the answers of all shards into one.

    Args:
        keywords: By keywords, in shard order.
        meaning: By meaning; None: the keywords are good enough.
        plan: From `plan_hybrid`.
        request_uid: A fresh id for the answer; None leaves it out.
        told: What the keywords' hits are compared by; None: what they show.

    Raises:
        NodeAnswerUnreadable: An answer is not one of a search.
    """
    asked, semantic = plan.asked, 0
    try:
        hits = _best(keywords, plan)
        if meaning is None:
            hits = hits[asked.offset : asked.window_end] if asked.window_end else []
        else:
            window = islice(
                _in_one_order(hits, meaning, plan, told), asked.offset, asked.window_end
            )
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
    keywords: Sequence[Hit], meaning: Sequence[bytes], plan: HybridPlan, told: ToldOf | None
) -> Iterator[Candidate]:
    """Yield documents once each, best first."""
    by_meaning = [[raw for raw in hits if _is_semantic(raw)] for hits in _hits(meaning)]
    nearest = _distinct(merge_hits(by_meaning, plan.primary_key), plan)
    share = _as_f32(1.0 - plan.ratio)
    fitting = _candidates(keywords, 1, share)
    if told is not None:
        fitting = _as_told(fitting, told, plan.primary_key, share)
    lists = [_candidates(nearest, 0, plan.ratio), fitting]
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


def _as_told(
    candidates: Iterable[Candidate], told: ToldOf, primary_key: str, share: float
) -> Iterator[Candidate]:
    """Yield hits with what nodes tell of them; one that is gone since is none any more."""
    for candidate in candidates:
        found = told.get(identity_of(candidate.hit.document, primary_key))
        if found is not None:
            yield replace(candidate, values=values_told(found, share))


# ---- the query, as a body or as a query string


def _ranked(query: Mapping[str, Any], settings: SearchSettings) -> dict[str, Any] | None:
    """Return the search by keywords whose hits show no more than who they are."""
    if not splits_relevancy(query.get("sort"), settings.ranking_rules):
        return None
    given = {name: query[name] for name in _OF_RANKING if query.get(name) is not None}
    body = given if "hybrid" in query else _as_body(given)
    return {**body, "attributesToRetrieve": [settings.primary_key]}


def _as_body(parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return what a body has instead of these; what nodes refuse, they have refused before."""
    body: dict[str, Any] = dict(parameters)
    for name, read in _READERS.items():
        if name in body:
            with suppress(ValueError, msgspec.DecodeError):  # A filter that is no JSON is text.
                body[name] = read(body[name])
    return body


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
