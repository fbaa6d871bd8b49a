"""
Federated searches: one list of hits of several queries, over indexes and shards.

    plan_federated (federated_plan.py) -> one answer per index and shard
    merge_federated: hits per query over the shards (ranking.py), per index over its queries, then
                     over indexes (weighted.py)

A document lives on one shard, so the shard has shown it once, with the query that fits it best.
With `federation.distinct` each value comes once in all hits; what was dropped for that is taken
from the total, as far as it was looked at, and not from facets.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from miroir.core.merge.distinct import Value, distinct_values
from miroir.core.merge.facets import FacetStats, merge_distributions, merge_facet_stats
from miroir.core.merge.federated_plan import FederatedPlan
from miroir.core.merge.hidden import redacted
from miroir.core.merge.hits import Hit, cut
from miroir.core.merge.known_rules import Key
from miroir.core.merge.query import Asked, CannotMerge
from miroir.core.merge.ranking import Incomparable, Ranking
from miroir.core.merge.search import as_asked
from miroir.core.merge.ties import Tie, tie_reader
from miroir.core.merge.weighted import (
    Candidate,
    head_of,
    merge_candidates,
    values_of,
    values_told,
)
from miroir.errors import NodeAnswerUnreadable


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
    performance_details: Raw | UnsetType = UNSET


_TOLD_TO_NODES: Final = frozenset({"weightedScoreValues", "extra_document"})
"""What a node adds to a hit for whoever asks as a network does."""
_decode: Final = msgspec.json.Decoder(_Answer).decode
_decode_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode


_Entry = tuple[Key, Tie, int, Candidate]
"""A hit of a query: its place by the rules, among equals, and its shard."""


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
    once = _Once(plan)
    try:
        page = _page(parts, plan, once, mixed=mixed)
    except Incomparable as reason:
        return CannotMerge(str(reason))
    hits = b",".join(_body(candidate, plan.asked[candidate.place]) for candidate in page)
    members = _members(parts, plan, page, request_uid, dropped=once.dropped)
    return b'{"hits":[%b],%b}' % (hits, b",".join(members))


def _read(answer: bytes, shard: int) -> _Answer:
    try:
        return _decode(answer)
    except msgspec.DecodeError as error:
        raise NodeAnswerUnreadable(f"not a federated answer: {error}", shard) from None


class _Once:
    """Lets a value of the distinct attribute through once; counts what it has dropped."""

    def __init__(self, plan: FederatedPlan) -> None:
        self._plan = plan
        self.dropped = 0

    def first(self, candidates: Iterator[Candidate]) -> Iterator[Candidate]:
        """Yield the first hit of each value; all of them, if values may come again."""
        seen: set[Value] = set()
        for candidate in candidates:
            attribute = self._plan.asked[candidate.place].distinct
            if self._plan.distinct and attribute is not None:
                values = distinct_values(candidate.hit.document, attribute)
                if not seen.isdisjoint(values):
                    self.dropped += 1
                    continue
                seen |= values
            yield candidate


def _page(
    parts: Mapping[str, Sequence[_Answer]], plan: FederatedPlan, once: _Once, *, mixed: bool
) -> list[Candidate]:
    start, end = plan.window.offset, plan.window.offset + plan.window.limit
    try:
        lists = [_of_index(uid, parts[uid], plan, once) for uid in sorted(parts)]
        merged = once.first(merge_candidates(lists))
        # What is dropped behind the window counts as well.
        return (list(merged) if plan.distinct else list(islice(merged, end)))[start:end]
    except Incomparable:
        if not mixed:
            raise
        return _by_score(parts, plan)[start:end]


def _of_index(
    uid: str, parts: Sequence[_Answer], plan: FederatedPlan, once: _Once
) -> Iterator[Candidate]:
    """Yield the hits of one index; a node shows no more than `maxTotalHits` of it."""
    places = plan.places[uid]
    by_query: dict[int, list[list[_Entry]]] = {p: [] for p in places}
    rankings = {place: Ranking() for place in places}
    tie_of = tie_reader(plan.settings[uid].primary_key)
    for shard, part in enumerate(parts):
        mine: dict[int, list[_Entry]] = {p: [] for p in places}
        for raw in part.hits:
            head = head_of(raw)
            place, score = places[head.queries_position], head.weighted_ranking_score
            hit, details = cut(bytes(raw))
            # The list of a hybrid query is one already, in an order of its own.
            key = () if uid in plan.hybrid else rankings[place].key(details)
            told = head.weighted_score_values
            values = values_of(details, score) if told is None else values_told(told)
            candidate = Candidate(hit, uid, place, score, values)
            mine[place].append((key, tie_of(hit.raw), shard, candidate))
        for place, found in mine.items():
            by_query[place].append(found)
    lists = [
        _of_query(by_query[p], None if plan.distinct else plan.asked[p].distinct) for p in places
    ]
    end = plan.window.offset + plan.window.limit
    merged = once.first(merge_candidates(lists))
    return islice(merged, min(end, plan.settings[uid].max_total_hits))


def _by_score(parts: Mapping[str, Sequence[_Answer]], plan: FederatedPlan) -> list[Candidate]:
    """Return all hits by their weighted score alone; never for exact answers."""
    found: list[Candidate] = []
    for uid, of_index in parts.items():
        for raw in (raw for part in of_index for raw in part.hits):
            head = head_of(raw)
            place = plan.places[uid][head.queries_position]
            hit, _ = cut(bytes(raw))
            found.append(Candidate(hit, uid, place, head.weighted_ranking_score, None))
    return sorted(found, key=lambda candidate: (-candidate.score, candidate.place))


def _of_query(per_shard: Sequence[Sequence[_Entry]], distinct: str | None) -> Iterator[Candidate]:
    seen: set[Value] = set()
    for *_, candidate in heapq.merge(*per_shard, key=lambda entry: entry[:3]):
        if distinct is not None:
            values = distinct_values(candidate.hit.document, distinct)
            if not seen.isdisjoint(values):
                continue
            seen |= values
        yield candidate


def _body(candidate: Candidate, asked: Asked) -> bytes:
    """Return the hit as the client wants it, with the place that the client gave its query."""
    hit: Hit = as_asked(candidate.hit, asked)
    if asked.hidden is not None:
        hit = redacted(hit)
    members = _decode_members(
        hit.body(show_score=asked.show_score, show_details=asked.show_details)
    )
    federation = _decode_members(members["_federation"])
    federation["queriesPosition"] = Raw(b"%d" % candidate.place)
    for told in _TOLD_TO_NODES & federation.keys():
        del federation[told]
    members["_federation"] = Raw(msgspec.json.encode(federation))
    return msgspec.json.encode(members)


def _members(
    parts: Mapping[str, Sequence[_Answer]],
    plan: FederatedPlan,
    page: Sequence[Candidate],
    request_uid: str,
    *,
    dropped: int,
) -> Iterator[bytes]:
    firsts = {uid: of_index[0] for uid, of_index in parts.items()}
    everything = [part for of_index in parts.values() for part in of_index]
    vectors = _vectors(firsts, plan)
    if vectors is not None:
        yield _member("queryVectors", vectors)
    slowest = max(everything, key=lambda part: part.processing_time_ms)
    yield b'"processingTimeMs":%d' % slowest.processing_time_ms
    totals = {uid: sum(map(_total, of_index)) for uid, of_index in parts.items()}
    yield _pagination(plan.window, max(sum(totals.values()) - dropped, 0))
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
    if slowest.performance_details is not UNSET:
        yield _member("performanceDetails", slowest.performance_details)


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
