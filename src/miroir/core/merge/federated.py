"""
Federated searches: one list of hits of several queries, over indexes and shards.

    plan_federated -> per index: its queries, federated, up to the window's end, to every shard
                   -> merge_federated: hits per query over the shards (ranking.py), per
                                       index over its queries, then over indexes (weighted.py)

A document lives on one shard, so the shard has shown it once, with the query that fits it best.
Positions of queries are the client's in the answer and count per index in what nodes are asked.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from miroir.core.merge.distinct import Value, distinct_values
from miroir.core.merge.facets import FacetStats, merge_distributions, merge_facet_stats
from miroir.core.merge.hits import Hit, cut
from miroir.core.merge.known_rules import Key
from miroir.core.merge.multi_search import MultiSearch
from miroir.core.merge.query import (
    Asked,
    CannotMerge,
    SearchSettings,
    refused_parameter,
    rewrite_search,
    window_of,
)
from miroir.core.merge.ranking import Incomparable, Ranking
from miroir.core.merge.search import as_asked
from miroir.core.merge.ties import Tie, tie_reader
from miroir.core.merge.weighted import Candidate, merge_candidates, values_of
from miroir.errors import NodeAnswerUnreadable

_PAGING: Final = ("offset", "limit", "page", "hitsPerPage")
_MEMBERS: Final = frozenset(
    {
        *_PAGING, "facetsByIndex", "mergeFacets", "distinct", "showPerformanceDetails",
        "personalize",
    }
)  # fmt: skip


class _Federation(msgspec.Struct, rename="camel"):
    queries_position: int
    weighted_ranking_score: float


class _Head(msgspec.Struct):
    federation: _Federation = msgspec.field(name="_federation")


class _Facets(msgspec.Struct):
    distribution: dict[str, dict[str, int]]
    stats: dict[str, FacetStats]


class _Answer(msgspec.Struct, rename="camel"):
    hits: list[Raw]
    processing_time_ms: int
    estimated_total_hits: int = 0
    total_hits: int = 0
    query_vectors: dict[str, Raw] | UnsetType = UNSET
    facets_by_index: dict[str, _Facets] = {}
    metadata: list[Raw] = []
    semantic_hit_count: int | UnsetType = UNSET


_decode: Final = msgspec.json.Decoder(_Answer).decode
_decode_head: Final = msgspec.json.Decoder(_Head).decode
_decode_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode


_Entry = tuple[Key, Tie, int, Candidate]
"""A hit of a query: its place by the rules, among equals, and its shard."""


@dataclass(frozen=True)
class FederatedPlan:
    """
    What is asked, and what was asked for.

    Attributes:
        bodies: For each index what every shard is asked.
        places: For each index the places of its queries.
        asked: For each query what its hits must look like.
        window: The page, as of a single search.
        merge_facets: How facets of all indexes become one; None: they do not.
    """

    bodies: Mapping[str, Mapping[str, Any]]
    places: Mapping[str, Sequence[int]]
    asked: Sequence[Asked]
    settings: Mapping[str, SearchSettings]
    window: Asked
    merge_facets: Mapping[str, Any] | None


def plan_federated(
    search: MultiSearch, settings: Mapping[str, SearchSettings]
) -> FederatedPlan | CannotMerge | None:
    """Return what every shard of each index is asked; None if only a node can judge it."""
    federation = search.federation
    assert federation is not None, "the caller has looked"
    if not _is_readable(federation):
        return None
    if federation.get("distinct") is not None:
        return CannotMerge("`federation.distinct` cannot be merged over several shards")
    if (reason := refused_parameter(federation)) is not None:
        return CannotMerge(reason)
    rewritten = _rewritten(search, settings)
    if isinstance(rewritten, CannotMerge):
        return rewritten
    queries = [query for query, _ in rewritten]
    window = window_of(federation, SearchSettings())
    facets = federation.get("facetsByIndex") or {}
    bodies: dict[str, dict[str, Any]] = {
        uid: {
            "queries": [queries[place] for place in places],
            "federation": _up_to(window) | {"facetsByIndex": {uid: facets.get(uid)}},
        }
        for uid, places in search.by_index.items()
    }
    return FederatedPlan(
        bodies,
        search.by_index,
        [asked for _, asked in rewritten],
        settings,
        window,
        federation.get("mergeFacets"),
    )


def _is_readable(federation: Mapping[str, Any]) -> bool:
    """Whether all that is not passed on to nodes is as they take it."""
    facets, merge = federation.get("facetsByIndex", {}), federation.get("mergeFacets")
    most = merge.get("maxValuesPerFacet") if isinstance(merge, dict) else None
    return (
        federation.keys() <= _MEMBERS
        and all(_is_count(federation.get(name, 0)) for name in ("offset", "limit"))
        and all(_is_count(federation.get(n) or 0) for n in ("page", "hitsPerPage"))
        and isinstance(facets, dict)
        and isinstance(merge, dict | None)
        and (merge is None or merge.keys() <= {"maxValuesPerFacet"})
        and (most is None or _is_count(most))
        and isinstance(federation.get("showPerformanceDetails", False), bool)
        and isinstance(federation.get("distinct"), str | None)
        and federation.get("personalize", True) not in ({}, [], "", 0)
    )


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _rewritten(
    search: MultiSearch, settings: Mapping[str, SearchSettings]
) -> list[tuple[dict[str, Any], Asked]] | CannotMerge:
    """Return what is asked instead of each query: no window, which nodes refuse in a query."""
    found: list[tuple[dict[str, Any], Asked]] = []
    for query in search.queries:
        # With one shard several indexes are merged like several shards.
        rewritten = rewrite_search(query, 2, settings[query["indexUid"]])
        if isinstance(rewritten, CannotMerge):
            return rewritten
        if rewritten.asked.distinct and len(search.by_index[query["indexUid"]]) > 1:
            return CannotMerge(
                "several federated queries of one index with a distinct attribute cannot be merged"
            )
        refused = (*_PAGING, "showPerformanceDetails")
        body = {name: value for name, value in rewritten.body.items() if name not in refused}
        body |= {name: query[name] for name in refused if name in query}
        found.append((body, rewritten.asked))
    return found


def _up_to(window: Asked) -> dict[str, Any]:
    end = window.offset + window.limit if window.limit else 0
    if window.page is None:
        return {"offset": 0, "limit": end}
    return {"page": 1, "hitsPerPage": end}


def merge_federated(
    answers: Mapping[str, Sequence[bytes]],
    plan: FederatedPlan,
    request_uid: str,
    *,
    mixed: bool = False,
) -> bytes | CannotMerge:
    """
    Merge one answer per index and shard.

    Args:
        answers: The nodes' bodies by index, in shard order.
        plan: What was asked.
        request_uid: A fresh id for the answer.
        mixed: The shards may serve different settings, and the answer says so: hits that were
            ranked by different rules are put in order by score instead of being refused.

    Raises:
        NodeAnswerUnreadable: An answer is none of a federated search.
    """
    parts = {uid: [_read(a, shard) for shard, a in enumerate(answers[uid])] for uid in answers}
    try:
        page = _page(parts, plan, mixed=mixed)
    except Incomparable as reason:
        return CannotMerge(str(reason))
    hits = b",".join(_body(candidate, plan.asked[candidate.place]) for candidate in page)
    return b'{"hits":[%b],%b}' % (hits, b",".join(_members(parts, plan, page, request_uid)))


def _read(answer: bytes, shard: int) -> _Answer:
    try:
        return _decode(answer)
    except msgspec.DecodeError as error:
        raise NodeAnswerUnreadable(f"not a federated answer: {error}", shard) from None


def _page(
    parts: Mapping[str, Sequence[_Answer]], plan: FederatedPlan, *, mixed: bool
) -> list[Candidate]:
    start, end = plan.window.offset, plan.window.offset + plan.window.limit
    try:
        lists = [_of_index(uid, parts[uid], plan, end) for uid in sorted(parts)]
        return list(islice(merge_candidates(lists), start, end))
    except Incomparable:
        if not mixed:
            raise
        return _by_score(parts, plan)[start:end]


def _of_index(
    uid: str, parts: Sequence[_Answer], plan: FederatedPlan, end: int
) -> Iterator[Candidate]:
    """Yield the hits of one index; a node shows no more than `maxTotalHits` of it."""
    places = plan.places[uid]
    by_query: dict[int, list[list[_Entry]]] = {p: [] for p in places}
    rankings = {place: Ranking() for place in places}
    tie_of = tie_reader(plan.settings[uid].primary_key)
    for shard, part in enumerate(parts):
        mine: dict[int, list[_Entry]] = {p: [] for p in places}
        for raw in part.hits:
            head = _decode_head(raw).federation
            place, score = places[head.queries_position], head.weighted_ranking_score
            hit, details = cut(bytes(raw))
            key = rankings[place].key(details)
            candidate = Candidate(hit, uid, place, score, values_of(details, score))
            mine[place].append((key, tie_of(hit.raw), shard, candidate))
        for place, found in mine.items():
            by_query[place].append(found)
    lists = [_of_query(by_query[place], plan.asked[place]) for place in places]
    return islice(merge_candidates(lists), min(end, plan.settings[uid].max_total_hits))


def _by_score(parts: Mapping[str, Sequence[_Answer]], plan: FederatedPlan) -> list[Candidate]:
    """Return all hits by their weighted score alone; never for exact answers."""
    found: list[Candidate] = []
    for uid, of_index in parts.items():
        for raw in (raw for part in of_index for raw in part.hits):
            head = _decode_head(raw).federation
            place = plan.places[uid][head.queries_position]
            hit, _ = cut(bytes(raw))
            found.append(Candidate(hit, uid, place, head.weighted_ranking_score, None))
    return sorted(found, key=lambda candidate: (-candidate.score, candidate.place))


def _of_query(per_shard: Sequence[Sequence[_Entry]], asked: Asked) -> Iterator[Candidate]:
    seen: set[Value] = set()
    for *_, candidate in heapq.merge(*per_shard, key=lambda entry: entry[:3]):
        if asked.distinct is not None:
            values = distinct_values(candidate.hit.document, asked.distinct)
            if not seen.isdisjoint(values):
                continue
            seen |= values
        yield candidate


def _body(candidate: Candidate, asked: Asked) -> bytes:
    """Return the hit as the client wants it, with the place that the client gave its query."""
    hit: Hit = as_asked(candidate.hit, asked)
    members = _decode_members(
        hit.body(show_score=asked.show_score, show_details=asked.show_details)
    )
    federation = _decode_members(members["_federation"])
    federation["queriesPosition"] = Raw(b"%d" % candidate.place)
    members["_federation"] = Raw(msgspec.json.encode(federation))
    return msgspec.json.encode(members)


def _members(
    parts: Mapping[str, Sequence[_Answer]],
    plan: FederatedPlan,
    page: Sequence[Candidate],
    request_uid: str,
) -> Iterator[bytes]:
    firsts = {uid: of_index[0] for uid, of_index in parts.items()}
    everything = [part for of_index in parts.values() for part in of_index]
    vectors = _vectors(firsts, plan)
    if vectors is not None:
        yield _member("queryVectors", vectors)
    yield b'"processingTimeMs":%d' % max(part.processing_time_ms for part in everything)
    totals = {uid: sum(map(_total, of_index)) for uid, of_index in parts.items()}
    yield _pagination(plan.window, sum(totals.values()))
    yield from _facets(parts, totals, plan)
    yield _member("requestUid", request_uid)
    told = {
        place: metadata
        for uid, part in firsts.items()
        for place, metadata in zip(plan.places[uid], part.metadata, strict=False)
    }
    if told:
        yield _member("metadata", [told[place] for place in sorted(told)])
    if any(part.semantic_hit_count is not UNSET for part in everything):
        yield b'"semanticHitCount":%d' % sum(b'"vectorSort":{' in c.hit.details for c in page)


def _vectors(firsts: Mapping[str, _Answer], plan: FederatedPlan) -> dict[str, Raw] | None:
    found: dict[int, Raw] = {}
    shown = False
    for uid, part in firsts.items():
        if part.query_vectors is not UNSET:
            shown = True
            for number, vector in part.query_vectors.items():
                found[plan.places[uid][int(number)]] = vector
    return {str(place): found[place] for place in sorted(found)} if shown else None


def _total(part: _Answer) -> int:
    return part.estimated_total_hits + part.total_hits  # One of the two is shown.


def _facets(
    parts: Mapping[str, Sequence[_Answer]], totals: Mapping[str, int], plan: FederatedPlan
) -> Iterator[bytes]:
    merged: dict[str, _Facets] = {}
    for uid in sorted(parts):
        found = [part.facets_by_index[uid] for part in parts[uid] if uid in part.facets_by_index]
        if found:
            merged[uid] = _Facets(
                merge_distributions(
                    [f.distribution for f in found], plan.settings[uid], totals[uid]
                ),
                merge_facet_stats([f.stats for f in found]),
            )
    if plan.merge_facets is None:
        if merged:
            yield _member("facetsByIndex", merged)
    elif merged:
        yield _member("facetDistribution", _added_up(merged, plan))
        yield _member("facetStats", merge_facet_stats([f.stats for f in merged.values()]))


def _added_up(merged: Mapping[str, _Facets], plan: FederatedPlan) -> dict[str, dict[str, int]]:
    """Return the counts of all indexes, by text or by count, as a node adds them up."""
    assert plan.merge_facets is not None
    summed: dict[str, dict[str, int]] = {}
    by_count: set[str] = set()
    for uid, facets in merged.items():
        for name, counts in facets.distribution.items():
            if plan.settings[uid].facet_order(name) == "count":
                by_count.add(name)
            known = summed.setdefault(name, {})
            for value, count in counts.items():
                known[value] = known.get(value, 0) + count
    shown: dict[str, dict[str, int]] = {}
    for name in sorted(summed):
        items = sorted(summed[name].items())
        if name in by_count:
            items.sort(key=lambda item: -item[1])
        shown[name] = dict(items[: plan.merge_facets.get("maxValuesPerFacet")])
    return shown


def _pagination(asked: Asked, total: int) -> bytes:
    if asked.page is None:
        numbers = (asked.limit, asked.offset, total)
        return b'"limit":%d,"offset":%d,"estimatedTotalHits":%d' % numbers
    size = asked.hits_per_page
    numbers_of_pages = (size, asked.page, -(-total // size) if size else 0, total)
    return b'"hitsPerPage":%d,"page":%d,"totalPages":%d,"totalHits":%d' % numbers_of_pages


def _member(name: str, value: Any) -> bytes:
    return b'"%b":%b' % (name.encode(), msgspec.json.encode(value))
