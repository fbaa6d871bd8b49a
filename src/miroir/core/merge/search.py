"""
The answers of a scattered search -> one answer.

    hits        merged by score details, windowed, stripped (hits.py, ranking.py, distinct.py)
    totals      summed; pages computed anew
    facets      facets.py
    time        the slowest node's, and so are its details

Members stand in the order in which a node writes them. `requestUid` is the caller's.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from miroir.core.merge.additions import without
from miroir.core.merge.distinct import Value, distinct_values
from miroir.core.merge.facets import FacetStats, merge_distributions, merge_facet_stats
from miroir.core.merge.hidden import redacted
from miroir.core.merge.hits import Hit, merge_by_score, merge_hits
from miroir.core.merge.query import Asked, CannotMerge
from miroir.core.merge.ranking import Incomparable
from miroir.errors import NodeAnswerUnreadable

_VECTOR: Final = b'"vectorSort":{'


class NodeAnswer(msgspec.Struct, rename="camel"):
    """One shard's answer; hits stay raw."""

    hits: list[Raw]
    query: Raw
    processing_time_ms: int
    query_vector: Raw | UnsetType = UNSET
    estimated_total_hits: int | UnsetType = UNSET
    total_hits: int | UnsetType = UNSET
    facet_distribution: dict[str, dict[str, int]] | UnsetType = UNSET
    facet_stats: dict[str, FacetStats] | UnsetType = UNSET
    metadata: Raw | UnsetType = UNSET
    performance_details: Raw | UnsetType = UNSET
    semantic_hit_count: int | UnsetType = UNSET

    @property
    def total(self) -> int:
        """The count of whichever mode was asked for."""
        total = self.estimated_total_hits if self.total_hits is UNSET else self.total_hits
        return 0 if isinstance(total, UnsetType) else total


_decode: Final = msgspec.json.Decoder(NodeAnswer).decode


def merge_search(
    answers: Sequence[bytes],
    asked: Asked,
    request_uid: str | None = None,
    *,
    mixed: bool = False,
) -> bytes | CannotMerge:
    """
    Merge one answer per shard into one.

    Args:
        answers: The nodes' bodies, in shard order.
        asked: What `rewrite_search` remembered.
        request_uid: A fresh id for the answer; None leaves it out.
        mixed: The shards may serve different settings, and the answer says so: hits that were
            ranked by different rules are put in order by score instead of being refused.

    Raises:
        NodeAnswerUnreadable: An answer is not one of a search.
    """
    parts = [read_answer(answer, position) for position, answer in enumerate(answers)]
    lists = [part.hits for part in parts]
    try:
        hits, dropped = _window(merge_hits(lists, asked.settings.primary_key), asked)
    except Incomparable as reason:
        if not mixed:
            return CannotMerge(str(reason))
        hits, dropped = _window(merge_by_score(lists), asked)
    semantic = None
    if any(part.semantic_hit_count is not UNSET for part in parts):
        semantic = sum(_VECTOR in hit.details for hit in hits)
    return written(parts, asked, hits, request_uid, semantic_hits=semantic, dropped=dropped)


def written(
    parts: Sequence[NodeAnswer],
    asked: Asked,
    hits: Sequence[Hit],
    request_uid: str | None,
    *,
    semantic_hits: int | None,
    dropped: int = 0,
) -> bytes:
    """
    Return the answer with these hits, and the other members as the parts have them.

    Args:
        parts: The nodes' answers, in shard order.
        asked: What the client asked for.
        hits: Of the window.
        request_uid: A fresh id for the answer; None leaves it out.
        semantic_hits: How many of the hits were found by meaning; None: that is not told.
        dropped: Hits that nodes have counted, of values that are shown already.
    """
    if asked.hidden is not None:
        hits = [redacted(hit) for hit in hits]
    body = b",".join(_bodies(hits, asked))
    members = list(_members(parts, asked, request_uid, dropped))
    if semantic_hits is not None:
        members.append(b'"semanticHitCount":%d' % semantic_hits)
    return b'{"hits":[%b],%b}' % (body, b",".join(members))


def read_answer(answer: bytes, position: int) -> NodeAnswer:
    """
    Read the answer of the shard at this position.

    Raises:
        NodeAnswerUnreadable: It is not one of a search.
    """
    try:
        return _decode(answer)
    except msgspec.DecodeError as error:
        raise NodeAnswerUnreadable(f"not a search answer: {error}", position) from None


def _window(hits: Iterator[Hit], asked: Asked) -> tuple[list[Hit], int]:
    """
    Return the hits of the window, and how many were dropped since their value had come before.

    Those behind the window count as well: where every shard has sent all its hits, nothing is
    counted twice.
    """
    if not asked.window_end:
        return [], 0
    if asked.distinct is None:
        return list(islice(hits, asked.offset, asked.window_end)), 0
    found = list(hits)
    kept = list(once_per_value(found, asked.distinct))
    return kept[asked.offset : asked.window_end], len(found) - len(kept)


def once_per_value(hits: Iterable[Hit], attribute: str) -> Iterator[Hit]:
    """Yield the hits whose values of the distinct attribute have not come before."""
    seen: set[Value] = set()
    for hit in hits:
        values = distinct_values(hit.document, attribute)
        if seen.isdisjoint(values):
            seen |= values
            yield hit


def as_asked(hit: Hit, asked: Asked) -> Hit:
    """Return the hit without what was asked for on top."""
    if not asked.added:
        return hit
    return hit.with_document(without(hit.document, asked.added, asked.kept_formatted))


def _bodies(hits: Sequence[Hit], asked: Asked) -> list[bytes]:
    score, details = asked.show_score, asked.show_details
    if not (score or details or asked.added):
        return [hit.bare for hit in hits]
    return [as_asked(hit, asked).body(show_score=score, show_details=details) for hit in hits]


def _members(
    parts: Sequence[NodeAnswer], asked: Asked, request_uid: str | None, dropped: int
) -> Iterator[bytes]:
    yield b'"query":%b' % bytes(parts[0].query)
    vectors = [part.query_vector for part in parts if part.query_vector is not UNSET]
    if vectors:
        yield _member("queryVector", vectors[0])
    slowest = max(parts, key=lambda part: part.processing_time_ms)
    yield b'"processingTimeMs":%d' % slowest.processing_time_ms
    total = sum(part.total for part in parts)
    yield _pagination(asked, max(total - dropped, 0))
    yield from _facets(parts, asked, total)
    if request_uid is not None:
        yield _member("requestUid", request_uid)
    if parts[0].metadata is not UNSET:
        yield _member("metadata", parts[0].metadata)
    if slowest.performance_details is not UNSET:
        yield _member("performanceDetails", slowest.performance_details)


def _facets(parts: Sequence[NodeAnswer], asked: Asked, total: int) -> Iterator[bytes]:
    counts = [p.facet_distribution for p in parts if p.facet_distribution is not UNSET]
    if counts:
        yield _member("facetDistribution", merge_distributions(counts, asked.settings, total))
    stats = [part.facet_stats for part in parts if part.facet_stats is not UNSET]
    if stats:
        yield _member("facetStats", merge_facet_stats(stats))


def _pagination(asked: Asked, total: int) -> bytes:
    if asked.page is None:
        numbers = (asked.limit, asked.offset, total)
        return b'"limit":%d,"offset":%d,"estimatedTotalHits":%d' % numbers
    size = asked.hits_per_page
    pages = -(-total // size) if size else 0
    return b'"hitsPerPage":%d,"page":%d,"totalPages":%d,"totalHits":%d' % (
        size,
        asked.page,
        pages,
        total,
    )


def _member(name: str, value: Any) -> bytes:
    return b'"%b":%b' % (name.encode(), msgspec.json.encode(value))
