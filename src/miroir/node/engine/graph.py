"""
The readings of a query: every way to cover its terms by words and n-grams, and which to drop.

A `Path` is one reading: slots from left to right that cover the kept terms. `new york hotel` has
the paths  new|york|hotel, newyork|hotel, new|yorkhotel, newyorkhotel  (those whose n-gram some
document has). Terms are dropped by the matching strategy, from the last (`last`) or from the most
frequent (`frequency`); phrases are never dropped, and one term always stays.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from miroir.node.engine.query import ParsedQuery
from miroir.node.engine.terms import Slot, Slots, Term
from miroir.node.engine.types import MatchingStrategy


@dataclass(frozen=True, eq=False, slots=True)
class Stage:
    """
    What must match after `cost` terms were dropped: one of these sets of terms.

    The plain readings of a stage, one word per term, set the maxima of all ranks: they follow
    from the query alone.
    """

    cost: int
    kept: tuple[tuple[Term, ...], ...]

    def plain_max(self, measure: Callable[[Sequence[Term]], int]) -> int:
        """Return the greatest measure of a plain reading."""
        return max(measure(terms) for terms in self.kept)


@dataclass(frozen=True, slots=True)
class Path:
    """One reading of the query; equal readings have the same slot objects."""

    slots: tuple[Slot, ...]
    stage: Stage


class QueryGraph:
    """All readings of one parsed query."""

    def __init__(self, query: ParsedQuery, slots: Slots) -> None:
        self.query = query
        self.slots = slots

    @property
    def cost_max(self) -> int:
        """The cost of dropping everything that may be dropped, plus one word per phrase word."""
        in_phrases = sum(
            sum(word is not None for word in term.phrase)
            for term in self.query.terms
            if term.phrase is not None
        )
        return max(in_phrases - 1, 0)

    def paths(self, stage: Stage) -> list[Path]:
        """Return every reading of a stage that can match at all."""
        return [Path(slots, stage) for kept in stage.kept for slots in self._readings(kept)]

    def _readings(self, terms: Sequence[Term]) -> Iterator[tuple[Slot, ...]]:
        numbers = sorted(term.first for term in terms)
        by_first: dict[int, list[Term]] = {term.first: [term] for term in terms}
        for ngram in self.query.ngrams:
            if all(n in by_first for n in range(ngram.first, ngram.last + 1)):
                by_first[ngram.first].append(ngram)
        return self._extend((), numbers, by_first)

    def stages(self, strategy: MatchingStrategy) -> list[Stage]:
        """Return what must match, by ascending cost."""
        terms = self.query.terms
        stages = [Stage(0, (terms,))]
        groups = [] if strategy == "all" else self._groups(strategy)
        order = {number: rank for rank, group in enumerate(groups) for number in group}
        for cost in range(1, len(order) + 1):
            kept = tuple(
                tuple(term for term in terms if term.first not in dropped)
                for dropped in map(frozenset, combinations(sorted(order), cost))
                if _may_drop(dropped, order)
            )
            if kept:
                stages.append(Stage(cost, kept))
        return stages

    def _groups(self, strategy: MatchingStrategy) -> list[list[int]]:
        """Return the numbers of terms to drop, those of the first group first."""
        if len(self.query.terms) < 2:
            return []
        droppable = [term for term in self.query.terms if term.phrase is None]
        if strategy == "last":
            groups = [[term.first] for term in reversed(droppable)]
        else:
            groups = self._by_frequency(droppable)
        if len(droppable) == len(self.query.terms):
            groups.pop()  # something must match
        return groups

    def _by_frequency(self, droppable: Sequence[Term]) -> list[list[int]]:
        """Group terms by how many documents have them: unknown words, then the most frequent."""
        by_count: dict[float, list[int]] = {}
        for term in droppable:
            found = self.slots.get(term).documents
            for ngram in self.query.ngrams:
                if ngram.first <= term.first <= ngram.last:
                    found = found | self.slots.get(ngram).documents
            by_count.setdefault(len(found) or -1, []).append(term.first)
        known = sorted((count for count in by_count if count > 0), reverse=True)
        order = ([-1] if -1 in by_count else []) + known
        return [by_count[count] for count in order]

    def _extend(
        self, done: tuple[Slot, ...], left: Sequence[int], by_first: dict[int, list[Term]]
    ) -> Iterator[tuple[Slot, ...]]:
        if not left:
            yield done
            return
        for term in by_first[left[0]]:
            slot = self.slots.get(term)
            if slot.documents:
                yield from self._extend((*done, slot), left[term.size :], by_first)


def _may_drop(dropped: frozenset[int], order: Mapping[int, int]) -> bool:
    """
    Tell whether exactly these terms can be dropped together.

    Dropping a term also drops all that come after it in the query and go before it in the order of
    dropping; what comes before it in the query may stay (as in Meilisearch).
    """
    return not any(
        later > number and rank < order[number]
        for number in dropped
        for later, rank in order.items()
        if later not in dropped
    )
