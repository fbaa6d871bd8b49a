"""
The ranking rules that rank by words, each a splitter of buckets.

A bucket is a list of parts: documents, and the readings (paths) of the query that all of them
satisfy. A rule yields (rank, bucket) from best to worst. What a document costs is the cheapest of
its own readings, and only the cheapest stay with it, so a document's ranks never depend on which
other documents there are. (Meilisearch narrows readings per bucket; `quirks.py` imitates that.)

Maxima are those of the plain reading, one word per term; a reading that costs more than the plain
maximum gets rank 1 of its own cost plus one, which keeps scores in the order of costs.

Sorting rules are in `sorting.py`, the loop over rules in `ranking.py`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pyroaring import BitMap

from miroir.node.engine.graph import Path, QueryGraph
from miroir.node.engine.scores import Detail, Rank
from miroir.node.engine.terms import EXACT, ONE, TWO, ZERO, Slot, Slots, Term
from miroir.node.engine.types import MatchingStrategy


@dataclass(frozen=True, slots=True)
class Part:
    """Documents that share the same readings; a placeholder search has no readings."""

    documents: BitMap
    paths: tuple[Path, ...] = ()


Bucket = list[Part]


class Rule(Protocol):
    """Splits a bucket into smaller ones, best first; together they have the same documents."""

    def split(self, bucket: Bucket) -> Iterator[tuple[Detail, Bucket]]:
        """Yield the detail and the documents of each rank."""
        ...


def all_documents(bucket: Bucket) -> BitMap:
    """Return the documents of all parts."""
    if len(bucket) == 1:
        return bucket[0].documents
    return BitMap.union(*(part.documents for part in bucket)) if bucket else BitMap()


def partition(documents: BitMap, found: Sequence[tuple[Path, BitMap]]) -> Bucket:
    """Group documents by the set of paths that each satisfies; those with none are left out."""
    parts = [Part(documents)]
    for path, satisfied in found:
        split: Bucket = []
        for part in parts:
            inside = part.documents & satisfied
            outside = part.documents - satisfied
            if inside:
                split.append(Part(inside, (*part.paths, path)))
            if outside:
                split.append(Part(outside, part.paths))
        parts = split
    return [part for part in parts if part.paths]


def rank_of(rule: str, cost: int, cost_max: int) -> Rank:
    """Return the rank of a cost, where the plain reading costs at most `cost_max`."""
    maximum = max(cost_max, cost) + 1
    return Rank(rule, maximum - cost, maximum)


class Words:
    """`words`: documents that match all terms, then all but the last, and so on."""

    def __init__(self, graph: QueryGraph, strategy: MatchingStrategy) -> None:
        self._graph = graph
        self._stages = graph.stages(strategy)

    @property
    def ngrams(self) -> Sequence[Term]:
        """The n-grams of the query, existing or not."""
        return self._graph.query.ngrams

    def universe(self, documents: BitMap) -> BitMap:
        """Return the documents that match at any stage."""
        found = [path_documents(p) for stage in self._stages for p in self._graph.paths(stage)]
        return documents & BitMap.union(*found) if found else BitMap()

    def readings(self, documents: BitMap) -> Bucket:
        """Return the documents that match all terms, with their readings."""
        paths = self._graph.paths(self._stages[0])
        return partition(documents, [(path, path_documents(path)) for path in paths])

    def split(self, bucket: Bucket) -> Iterator[tuple[Detail, Bucket]]:
        """Yield what matches at each stage."""
        left = BitMap(all_documents(bucket))
        maximum = self._graph.cost_max + self._stages[-1].cost + 1
        for stage in self._stages:
            found = [(path, path_documents(path)) for path in self._graph.paths(stage)]
            parts = partition(left, found)
            if parts:
                yield Rank("words", maximum - stage.cost, maximum), parts
                left -= all_documents(parts)


def path_documents(path: Path) -> BitMap:
    """Return the documents that satisfy a reading."""
    if not path.slots:
        return BitMap()
    return BitMap.intersection(*(slot.documents for slot in path.slots))


class Typo:
    """`typo`: fewest typos first; an n-gram costs its number of words."""

    def __init__(self, slots: Slots, glued: Sequence[Term] = ()) -> None:
        """
        `glued` are n-grams whose cost counts for the maximum, whether or not they exist.

        As in Meilisearch: where no words rule came before, all readings are still possible.
        """
        self._slots = slots
        self._glued = glued

    def split(self, bucket: Bucket) -> Iterator[tuple[Detail, Bucket]]:
        """Yield what matches with 0, 1, 2... typos."""
        left = [BitMap(part.documents) for part in bucket]
        plain = self._max_of(bucket)
        dearest = max((_typos_max(p) for part in bucket for p in part.paths), default=0)
        for cost in range(dearest + 1):
            found: Bucket = []
            for at, part in enumerate(bucket):
                if left[at]:
                    parts = self._at_cost(part.paths, left[at], cost)
                    left[at] -= all_documents(parts)
                    found.extend(parts)
            if found:
                yield rank_of("typo", cost, plain), found

    def _max_of(self, bucket: Bucket) -> int:
        """Return the greatest cost that scores are measured by."""
        first = bucket[0].paths[0]
        if not first.slots[0].source.quirks:
            return _plain_max(first, self._dearest)
        return max(_typos_max(path) for part in bucket for path in part.paths)

    def _dearest(self, terms: Sequence[Term]) -> int:
        """Return the cost of the dearest reading: the dearest way to reach each term's end."""
        numbers = {term.first for term in terms}
        costs = {-1: 0}
        for term in terms:
            ends = [term, *(g for g in self._glued if g.last == term.last)]
            before = max((n for n in costs if n < term.first), default=-1)
            costs[term.last] = max(
                costs[before if end is term else end.first - 1] + _typo_cost_max(end)
                for end in ends
                if end is term or numbers.issuperset(range(end.first, end.last + 1))
            )
        return max(costs.values())

    def _at_cost(self, paths: Sequence[Path], documents: BitMap, cost: int) -> Bucket:
        found: list[tuple[Path, BitMap]] = []
        for path in paths:
            base = sum(slot.term.size for slot in path.slots if slot.term.is_ngram)
            if cost >= base:
                found.extend(self._assign(path, (), documents, cost - base))
        return partition(documents, found)

    def _assign(
        self, left: Path, done: tuple[Slot, ...], documents: BitMap, typos: int
    ) -> Iterator[tuple[Path, BitMap]]:
        """Yield every way to spend exactly `typos` on the slots that some document satisfies."""
        slots, stage = left.slots, left.stage
        if not slots:
            if typos == 0:
                yield Path(done, stage), documents
            return
        if typos > sum(slot.term.typo_cost_max for slot in slots):
            return
        slot = slots[0]
        for spent, level in enumerate((ZERO, ONE, TWO)[: min(typos, slot.term.typo_cost_max) + 1]):
            # Once exactness has pinned a word, it has no typo left to find.
            levels = slot.levels & (level | EXACT) if spent == 0 else slot.levels & level
            if not levels:
                continue
            narrowed = self._slots.get(slot.term, levels)
            inside = documents & narrowed.documents
            if inside:
                rest = Path(slots[1:], stage)
                yield from self._assign(rest, (*done, narrowed), inside, typos - spent)


def _plain_max(path: Path, dearest: Callable[[Sequence[Term]], int]) -> int:
    """
    Return the maximum of the plain readings of a stage.

    Where exactness came before and pinned some words, pinned words have no typos left; which ones
    they are differs from document to document, so the dearest choice of as many counts.
    """
    pinned = sum(slot.term.size for slot in path.slots if slot.levels & EXACT)
    if not pinned:
        return path.stage.plain_max(dearest)
    loose = sum(slot.term.size for slot in path.slots) - pinned

    def measure(terms: Sequence[Term]) -> int:
        split = [int(term.phrase is None and term.typos_max == 0) for term in terms]
        gains = sorted((t.typo_cost_max - s for t, s in zip(terms, split, strict=True)))
        return sum(split) + sum(gains[len(gains) - loose :])

    return path.stage.plain_max(measure)


def _typo_cost_max(term: Term) -> int:
    return term.typo_cost_max + (term.size if term.is_ngram else 0)


def _typos_max(path: Path) -> int:
    return sum(_typo_cost_max(slot.term) for slot in path.slots)


class PerDocument:
    """
    A rule that looks at each document: cheapest reading first.

    Subclasses say what a reading costs for a document. A rule that cannot tell the documents of a
    bucket apart says so by `is_blind`, and then looks at none of them.
    """

    name = ""

    def cost(self, path: Path, document: int) -> int:
        """Return what the reading costs for the document, 0 for the best."""
        raise NotImplementedError

    def plain_max(self, terms: Sequence[Term]) -> int:
        """Return the greatest cost of the plain reading of these terms."""
        raise NotImplementedError

    def glue_max(self, _path: Path) -> int:
        """Return what the n-grams of a reading may cost on top of its terms."""
        return 0

    def is_blind(self, _path: Path) -> bool:
        """Tell whether the reading costs 0 for every document."""
        return False

    def split(self, bucket: Bucket) -> Iterator[tuple[Detail, Bucket]]:
        """Yield documents by ascending cost."""
        plain = self._max_of(bucket)
        if all(self.is_blind(path) for part in bucket for path in part.paths):
            yield rank_of(self.name, 0, plain), bucket
            return
        by_cost: dict[int, Bucket] = {}
        for part in bucket:
            for cost, found in self.graded(part):
                by_cost.setdefault(cost, []).append(found)
        for cost in sorted(by_cost):
            yield rank_of(self.name, cost, plain), by_cost[cost]

    def _max_of(self, bucket: Bucket) -> int:
        """Return the greatest cost that scores are measured by."""
        first = bucket[0].paths[0]
        if not first.slots[0].source.quirks:
            return first.stage.plain_max(self.plain_max)
        return max(
            self.plain_max([slot.term for slot in path.slots]) + self.glue_max(path)
            for part in bucket
            for path in part.paths
        )

    def graded(self, part: Part) -> Iterator[tuple[int, Part]]:
        """Yield the documents of a part by cost, with the readings that they keep."""
        grouped: dict[tuple[int, tuple[Path, ...]], list[int]] = {}
        if len(part.paths) == 1:
            path, cost = part.paths[0], self.cost
            by_cost: dict[int, list[int]] = {}
            for document in part.documents:
                by_cost.setdefault(cost(path, document), []).append(document)
            grouped = {(found, part.paths): documents for found, documents in by_cost.items()}
        else:
            for document in part.documents:
                grouped.setdefault(self._cheapest(part.paths, document), []).append(document)
        for (found, paths), documents in grouped.items():
            yield found, Part(BitMap(documents), paths)

    def _cheapest(self, paths: tuple[Path, ...], document: int) -> tuple[int, tuple[Path, ...]]:
        costs = [self.cost(path, document) for path in paths]
        least = min(costs)
        return least, tuple(p for p, cost in zip(paths, costs, strict=True) if cost == least)
