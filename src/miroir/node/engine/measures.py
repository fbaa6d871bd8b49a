"""
The ranking rules that look at where words stand in each document.

    proximity      how far apart neighbours of the query are: 0 adjacent ... 3 far or elsewhere
    attributeRank  how important the fields are where words stand
    wordPosition   how far from its place in the query each word stands, in growing steps
    exactness      is a whole field the query, does one begin with it; how many words are as typed

Costs as of Meilisearch 1.50 (milli, search/new/ranking_rule_graph). `attribute` is attributeRank
followed by wordPosition under other names.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from pyroaring import BitMap

from miroir.node.engine.graph import Path
from miroir.node.engine.inverted import (
    COUNTED_WORDS_MAX,
    FIELD_SHIFT,
    PLACE_MASK,
    InvertedIndex,
    as_tuple,
)
from miroir.node.engine.quirks import is_common_prefix
from miroir.node.engine.rules import Bucket, Part, PerDocument
from miroir.node.engine.scores import Detail, Rank
from miroir.node.engine.terms import EXACT, ZERO, Phrase, Slot, Slots, Term
from miroir.node.engine.words import DISTANCE_MAX, WordSource

_FAR: Final = DISTANCE_MAX - 1
_POSITION_STEPS: Final = (0, 1, 4, 7, 11, 16, 24, 64, 256, 1024)
_POSITION_COST_MAX: Final = len(_POSITION_STEPS)


class Proximity(PerDocument):
    """`proximity`: neighbours of the query near each other, in the order of the query."""

    name = "proximity"

    def __init__(self, *, by_attribute: bool) -> None:
        self._by_attribute = by_attribute

    def is_blind(self, path: Path) -> bool:
        """One word alone is next to nothing."""
        return len(path.slots) == 1 and path.slots[0].term.size == 1

    def plain_max(self, terms: Sequence[Term]) -> int:
        """Three for each pair of neighbours."""
        pairs = pairwise(terms)
        return sum(_FAR for left, right in pairs if left.end + 1 == right.start)

    def glue_max(self, path: Path) -> int:
        """One for each word that was glued to another."""
        return sum(slot.term.size - 1 for slot in path.slots)

    def cost(self, path: Path, document: int) -> int:
        """Sum over pairs; an n-gram adds what it glued."""
        slots = path.slots
        cost = slots[0].term.size - 1
        for left, right in pairwise(slots):
            cost += right.term.size - 1
            if left.term.end + 1 == right.term.start:
                cost += self._pair(left, right, document)
        return cost

    def _pair(self, left: Slot, right: Slot, document: int) -> int:
        lefts, rights = left.places(document), right.places(document)
        if is_common_prefix(right):
            best = self._nearest(lefts, rights, backward=False)
            best = min(best, self._nearest(lefts, right.whole_places(document), backward=True))
        else:
            best = self._nearest(lefts, rights, backward=True)
        if best and left.phrases:
            ends = left.phrase_places(document, last=True)
            best = min(best, self._nearest(ends, rights, backward=False))
        if best and right.phrases:
            starts = right.phrase_places(document, last=False)
            ends = lefts + left.phrase_places(document, last=True) if left.phrases else lefts
            best = min(best, self._nearest(ends, starts, backward=False))
        return best

    def _nearest(self, lefts: tuple[int, ...], rights: tuple[int, ...], *, backward: bool) -> int:
        if self._by_attribute:
            fields = {at >> FIELD_SHIFT for at in lefts}
            return 0 if any(at >> FIELD_SHIFT in fields for at in rights) else _FAR
        best = _FAR
        for left in lefts:
            for right in rights:
                distance = right - left
                if 0 < distance <= best:
                    best = distance - 1
                    if not best:
                        return 0
                elif backward and -best < distance < 0:
                    best = -distance
        return best


class AttributeRank(PerDocument):
    """`attributeRank`: words in fields that stand early in `searchableAttributes`."""

    def __init__(self, index: InvertedIndex, source: WordSource, *, name: str) -> None:
        self.name = name
        self._weights = [field.weight for field in index.fields]
        self._max = index.searchable.weight_max
        self._restricted = source.restricted

    def is_blind(self, _path: Path) -> bool:
        """All fields are equal."""
        return self._max == 0

    def plain_max(self, terms: Sequence[Term]) -> int:
        """Every word in the last field."""
        return self._max * len(terms)

    def glue_max(self, path: Path) -> int:
        """The last field for each word that was glued to another."""
        return self._max * sum(slot.term.size - 1 for slot in path.slots)

    def cost(self, path: Path, document: int) -> int:
        """Sum of the ranks of the best field of each word."""
        weights, restricted = self._weights, self._restricted
        cost = 0
        for slot in path.slots:
            fields = {at >> FIELD_SHIFT for at in slot.first_places(document)}
            if restricted is not None:
                fields &= restricted
            best = min((weights[field] for field in fields), default=self._max)
            cost += best * slot.term.size
        return cost


class WordPosition(PerDocument):
    """`wordPosition`: words near the place in the field that they have in the query."""

    def __init__(self, *, name: str) -> None:
        self.name = name

    def plain_max(self, terms: Sequence[Term]) -> int:
        """Ten for each word."""
        return _POSITION_COST_MAX * len(terms)

    def glue_max(self, path: Path) -> int:
        """Ten for each word that was glued to another."""
        return _POSITION_COST_MAX * sum(slot.term.size - 1 for slot in path.slots)

    def cost(self, path: Path, document: int) -> int:
        """Sum over words of the steps to the nearest occurrence."""
        cost = 0
        for slot in path.slots:
            term = slot.term
            places = slot.first_places(document)
            if not places:
                cost += _POSITION_COST_MAX * term.size
            elif term.size == 1:
                nearest = min([abs(_BUCKETS[at & PLACE_MASK] - term.start) for at in places])
                cost += _step(nearest)
            else:
                cost += min(_glued_steps(at & PLACE_MASK, term) for at in places)
        return cost


def _bucketed(place: int) -> int:
    """Return the place as the index keeps it: far places are rounded up, to powers of two."""
    if place < 16:
        return place
    return 24 if place < 24 else 1 << (place - 1).bit_length()


def _step(distance: int) -> int:
    return bisect_left(_POSITION_STEPS, distance)


def _glued_steps(place: int, term: Term) -> int:
    distance = abs(_BUCKETS[place] - term.start)
    return sum(_step(distance + more) for more in range(term.size))


_BUCKETS: Final = [_bucketed(place) for place in range(PLACE_MASK + 1)]


class _AsTyped:
    """Which documents have a slot as it was typed: the very word, or the phrase."""

    def __init__(self, source: WordSource) -> None:
        self._source = source

    def documents(self, slot: Slot) -> BitMap:
        """Return the documents that have the slot as it was typed; must not be changed."""
        if slot.term.phrase is not None:
            return self._source.phrase_documents(slot.term.phrase)
        word = slot.exact_word
        return _NONE if word is None else self._source.documents(word, typed=True)


_NONE: Final = BitMap()


def _split(
    documents: BitMap, path: Path, having: Callable[[Slot], BitMap]
) -> list[tuple[BitMap, frozenset[Slot]]]:
    """Group documents by which slots of a reading they have, in the sense of `having`."""
    groups: list[tuple[BitMap, frozenset[Slot]]] = [(documents, frozenset())]
    for slot in path.slots:
        wanted = having(slot)
        following: list[tuple[BitMap, frozenset[Slot]]] = []
        for found, slots in groups:
            if inside := found & wanted:
                following.append((inside, slots | {slot}))
            if outside := found - wanted:
                following.append((outside, slots))
        groups = following
    return groups


class ExactAttribute:
    """
    The first half of `exactness`: a field that is the query, or begins with it.

    Slots that a document has only by typo, and n-grams, are passed over, if they leave no hole
    before or between the others: `new yrok` is still the beginning of `New York`. (Meilisearch
    passes over slots whose word is nowhere in the index, which depends on other documents.)
    """

    def __init__(self, slots: Slots, source: WordSource) -> None:
        self._slots = slots
        self._source = source
        self._index = source.index
        self._as_typed = _AsTyped(source)

    def split(self, bucket: Bucket) -> Iterator[tuple[Detail, Bucket]]:
        """Yield exact fields, fields that begin with the query, the rest."""
        grouped: dict[int, Bucket] = {}
        for part in bucket:
            for rank, documents in self._ranked(part).items():
                grouped.setdefault(rank, []).append(Part(documents, part.paths))
        for rank in sorted(grouped, reverse=True):
            yield Rank("exactAttribute", rank, 3), grouped[rank]

    def _ranked(self, part: Part) -> dict[int, BitMap]:
        best: dict[int, int] = {}
        for path in part.paths:
            for documents, counting in _split(part.documents, path, self._without_typo):
                slots = [slot for slot in path.slots if slot in counting]
                if not slots or _has_hole(slots):
                    continue
                words = _exact_words(slots)
                length = sum(slot.term.end - slot.term.start + 1 for slot in slots)
                typed = (self._as_typed.documents(slot) for slot in slots)
                for document in BitMap.intersection(documents, *typed):
                    rank = self._rank(document, words, length)
                    best[document] = max(rank, best.get(document, 1))
        ranked = {rank: BitMap(d for d, r in best.items() if r == rank) for rank in (2, 3)}
        ranked[1] = part.documents - ranked[2] - ranked[3]
        return {rank: documents for rank, documents in ranked.items() if documents}

    def _without_typo(self, slot: Slot) -> BitMap:
        """Return the documents for which the slot counts: those that have it without a typo."""
        if slot.term.is_ngram:
            return _NONE
        if slot.term.phrase is not None or slot.levels & EXACT:
            return slot.documents
        return self._slots.get(slot.term, ZERO).documents if slot.levels & ZERO else _NONE

    def _rank(self, document: int, words: Sequence[tuple[str, int]], length: int) -> int:
        fields: set[int] | None = None
        for word, place in words:
            places = as_tuple(self._index.postings[word][document])
            if not any(_BUCKETS[at & PLACE_MASK] == _BUCKETS[place] for at in places):
                return 1
            here = {at >> FIELD_SHIFT for at in places}
            fields = here if fields is None else fields & here
        if self._source.restricted is not None and fields:
            fields &= self._source.restricted
        if not fields:
            return 1
        counts = (self._index.word_count(document, field) for field in fields)
        return 3 if length <= COUNTED_WORDS_MAX and length in counts else 2


def _has_hole(slots: Sequence[Slot]) -> bool:
    """Tell whether a term is missing before the first of the slots, or between two."""
    firsts = [slot.term.first for slot in slots]
    return firsts[0] > 0 or any(b - a > 1 for a, b in pairwise(firsts))


def _exact_words(slots: Sequence[Slot]) -> list[tuple[str, int]]:
    """Return the typed words with their places in the query."""
    words: list[tuple[str, int]] = []
    for slot in slots:
        phrase: Phrase = slot.term.phrase or (slot.term.word,)
        words.extend((w, slot.term.start + at) for at, w in enumerate(phrase) if w is not None)
    return words


class ExactWords(PerDocument):
    """The second half of `exactness`: how many words are as they were typed."""

    name = "exactWords"

    def __init__(self, slots: Slots, source: WordSource) -> None:
        self._slots = slots
        self._as_typed = _AsTyped(source)

    def plain_max(self, terms: Sequence[Term]) -> int:
        """None of the words."""
        return len(terms)

    def cost(self, path: Path, document: int) -> int:
        """Count the terms that are not there as typed."""
        exact = self._as_typed.documents
        return sum(s.term.size for s in path.slots if document not in exact(s))

    def graded(self, part: Part) -> Iterator[tuple[int, Part]]:
        """Yield documents by cost; words that are there as typed keep only that form."""
        if len(part.paths) == 1:
            yield from self._pinned(part.documents, part.paths[0])
            return
        for _, found in super().graded(part):
            yield from self._pinned_paths(found)

    def _pinned(self, documents: BitMap, path: Path) -> Iterator[tuple[int, Part]]:
        """Split the documents of one reading by which slots they have as typed."""
        for found, having in _split(documents, path, self._as_typed.documents):
            cost = sum(slot.term.size for slot in path.slots if slot not in having)
            yield cost, Part(found, (self._pin(path, having),))

    def _pinned_paths(self, part: Part) -> Iterator[tuple[int, Part]]:
        """Pin several equally dear readings, document by document."""
        exact = self._as_typed.documents
        for document in part.documents:
            paths = tuple(
                self._pin(path, frozenset(s for s in path.slots if document in exact(s)))
                for path in part.paths
            )
            yield self.cost(part.paths[0], document), Part(BitMap([document]), paths)

    def _pin(self, path: Path, having: frozenset[Slot]) -> Path:
        slots = tuple(self._slots.get(s.term, EXACT) if s in having else s for s in path.slots)
        return Path(slots, path.stage)
