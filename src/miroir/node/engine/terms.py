"""
A term: one word of the query (or two or three glued together, or a phrase) and all it may mean.

    zero   the word itself, words that begin with it, synonyms (phrases)
    one    words one typo away, the word split in two (phrases)
    two    words two typos away

Each level is a bit, so that ranking can say which levels still count; EXACT keeps only the very
word. A `Slot` is a term with the levels left to it, and answers which documents and where.

Terms are made by `query.py` and `derive.py`; what ranks by them is in `rules.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pyroaring import BitMap

from miroir.node.engine.inverted import Places, as_tuple
from miroir.node.engine.words import WordSource

ZERO: Final = 1
ONE: Final = 2
TWO: Final = 4
ALL: Final = ZERO | ONE | TWO
EXACT: Final = 8

Phrase = tuple[str | None, ...]
_MERGE_MIN: Final = 4


@dataclass(frozen=True, slots=True)
class Meanings:
    """The words and phrases of one level of a term; a synonym is a phrase even of one word."""

    words: frozenset[str] = frozenset()
    phrases: tuple[Phrase, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Term:
    """
    One reading of one to three consecutive words of the query.

    Attributes:
        first, last: Numbers of the query terms it covers.
        start, end: Places in the query, counted as in documents.
        word: What was typed; glued together for an n-gram; empty for a phrase.
        phrase: Words of a quoted phrase, None where a stop word stood.
        typos_max: Typos allowed.
        prefix: Whether longer words count as the word itself.
    """

    first: int
    last: int
    start: int
    end: int
    word: str
    phrase: Phrase | None
    typos_max: int
    prefix: bool
    meanings: tuple[Meanings, Meanings, Meanings]
    is_ngram: bool = False

    @property
    def size(self) -> int:
        """How many query terms it covers."""
        return self.last - self.first + 1

    @property
    def typo_cost_max(self) -> int:
        """The dearest level, whether or not any word is there: a split word costs one typo."""
        if self.phrase is not None:
            return 0
        return max(self.typos_max, 1)

    @property
    def phrases(self) -> Iterable[Phrase]:
        """All phrases of all levels."""
        return (phrase for level in self.meanings for phrase in level.phrases)


@dataclass(eq=False, slots=True)
class Slot:
    """A term with the levels that still count. Equal slots are one object (see `Slots`)."""

    term: Term
    levels: int
    source: WordSource
    _documents: BitMap | None = None
    _places: dict[int, tuple[int, ...]] | None = None
    _words: tuple[tuple[str, bool], ...] | None = field(default=None)

    @property
    def words(self) -> tuple[tuple[str, bool], ...]:
        """The single words, each with whether it is what was typed (typo-free fields only)."""
        if self._words is None:
            self._words = tuple(self._single_words())
        return self._words

    @property
    def phrases(self) -> list[Phrase]:
        """The phrases, the quoted one included."""
        term = self.term
        if term.phrase is not None:
            return [term.phrase]
        if self.levels & EXACT:
            return []
        # Synonyms stay whatever the level, as in Meilisearch.
        found = list(term.meanings[0].phrases)
        if self.levels & ONE:
            found.extend(term.meanings[1].phrases)
        return found

    @property
    def documents(self) -> BitMap:
        """The documents that contain any meaning."""
        if self._documents is None:
            found = [self.source.documents(word, typed=typed) for word, typed in self.words]
            found.extend(self.source.phrase_documents(phrase) for phrase in self.phrases)
            self._documents = BitMap.union(*found) if found else BitMap()
        return self._documents

    @property
    def exact_word(self) -> str | None:
        """The typed word, if the index has it and it still counts; never for n-grams."""
        if self.term.is_ngram or self.term.phrase is not None or not self.levels & (ZERO | EXACT):
            return None
        return self.term.word if self.source.has(self.term.word) else None

    def places(self, document: int) -> tuple[int, ...]:
        """Return where single words of this slot stand in the document, in all fields."""
        words = self.words
        if len(words) > _MERGE_MIN:
            return self._merged().get(document, ())
        found: tuple[int, ...] = ()
        for word, _ in words:
            posting = self.source.index.postings.get(word)
            if posting is not None and (at := posting.get(document)) is not None:
                found += as_tuple(at)
        return found

    def whole_places(self, document: int) -> tuple[int, ...]:
        """Return where words stand that are no mere continuation of a prefix."""
        begun = self.term.meanings[0].words - {self.term.word}
        found: tuple[int, ...] = ()
        for word, _ in self.words:
            posting = None if word in begun else self.source.index.postings.get(word)
            if posting is not None and (at := posting.get(document)) is not None:
                found += as_tuple(at)
        return found

    def phrase_places(self, document: int, *, last: bool) -> tuple[int, ...]:
        """Return where the first (or last) word of a phrase stands, for phrases found there."""
        found: tuple[int, ...] = ()
        for phrase in self.phrases:
            word = phrase[-1] if last else next((w for w in phrase if w is not None), None)
            if word is None or document not in self.source.phrase_documents(phrase):
                continue
            posting = self.source.index.postings.get(word)
            if posting is not None and (at := posting.get(document)) is not None:
                found += as_tuple(at)
        return found

    def first_places(self, document: int) -> tuple[int, ...]:
        """Return where words stand, and first words of phrases."""
        found = self.places(document)
        return found + self.phrase_places(document, last=False) if self.phrases else found

    def _single_words(self) -> Iterable[tuple[str, bool]]:
        term, levels = self.term, self.levels
        typed = not term.is_ngram
        if levels & EXACT:
            if term.phrase is None:
                yield term.word, typed
            return
        if levels & ZERO:
            yield from ((word, typed) for word in sorted(term.meanings[0].words))
        if levels & ONE:
            yield from ((word, False) for word in sorted(term.meanings[1].words))
        if levels & TWO:
            yield from ((word, False) for word in sorted(term.meanings[2].words))

    def _merged(self) -> dict[int, tuple[int, ...]]:
        """Merge the postings of many words once; a prefix of one letter may have thousands."""
        if self._places is None:
            merged: dict[int, Places] = {}
            for word, _ in self.words:
                posting = self.source.index.postings.get(word)
                if posting is None:
                    continue
                for document, at in posting.items():
                    known = merged.get(document)
                    merged[document] = at if known is None else as_tuple(known) + as_tuple(at)
            self._places = {document: as_tuple(at) for document, at in merged.items()}
        return self._places


class Slots:
    """Makes each slot once, so that its bitmaps and merged postings are computed once."""

    def __init__(self, source: WordSource) -> None:
        self._source = source
        self._made: dict[tuple[int, int], Slot] = {}

    def get(self, term: Term, levels: int = ALL) -> Slot:
        """Return the slot of a term with these levels."""
        key = (id(term), levels)
        slot = self._made.get(key)
        if slot is None:
            slot = self._made[key] = Slot(term, levels, self._source)
        return slot
