"""
The inverted index: word -> document -> positions.

A position is one integer, `field << 16 | place`. Places count words: +1 per word, +8 across a hard
separator and between the values of one field. A word that occurs once in a document, as most do,
costs one integer; several are a tuple, many a list. Bitmaps of documents per word are made on
first use.

    postings["sea"] == {12: 0x20003, 14: (0x20001, 0x20009)}

Only words and places; terms, typos and ranks are made from them elsewhere.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pyroaring import BitMap

from miroir.node.engine.fields import Searchable, scalar_text, walk
from miroir.node.engine.languages import Languages
from miroir.node.engine.tokenize import WORD_BYTES_MAX, Tokenizer, normalize, normalize_swedish

Places = int | tuple[int, ...] | list[int]
Posting = dict[int, Places]
FIELD_SHIFT: Final = 16
PLACE_MASK: Final = (1 << FIELD_SHIFT) - 1
GAP: Final = 8
COUNTED_WORDS_MAX: Final = 30
_TUPLE_MAX: Final = 16
"""Beyond that a word of a document has a list, which grows without being copied."""


@dataclass(frozen=True, slots=True)
class Field:
    """A searched field: number, path, rank, whether typos are off, and how words are kept."""

    number: int
    path: str
    weight: int
    exact: bool
    normalize: Callable[[str], str]


class InvertedIndex:
    """Words of all documents of one index; documents are known by small integers."""

    def __init__(self, searchable: Searchable, tokenizer: Tokenizer, languages: Languages) -> None:
        self.searchable = searchable
        self.languages = languages
        self.tokenizer = tokenizer
        self.fields: list[Field] = []
        self.postings: dict[str, Posting] = {}
        self._by_path: dict[str, Field | None] = {}
        self._bitmaps: dict[str, BitMap] = {}
        self._counts: dict[int, dict[int, int]] = {}  # field -> document -> number of words
        self._dictionary: Dictionary | None = None

    def add(self, document: int, content: Mapping[str, Any]) -> None:
        """Index one document that is not in the index."""
        places: dict[int, int] = {}
        for path, value, _ in walk(content):
            field = self._field(path)
            if field is None:
                continue
            before = places.get(field.number)
            start = 0 if before is None else before + GAP
            text = scalar_text(value)
            places[field.number] = (
                start if text is None else self._add_text(document, field, start, text)
            )

    def remove(self, document: int, content: Mapping[str, Any]) -> None:
        """Take out a document; `content` is what was indexed."""
        gone: set[str] = set()
        for path, value, _ in walk(content):
            field, text = self._field(path), scalar_text(value)
            if field is None or text is None:
                continue
            gone.update(field.normalize(word) for word, _ in self.tokenizer.words(text))
        for word in gone:
            posting = self.postings.get(word)
            if posting is not None and posting.pop(document, None) is not None:
                self._bitmaps.pop(word, None)
                if not posting:
                    del self.postings[word]
                    self._dictionary = None
        for counts in self._counts.values():
            counts.pop(document, None)

    def documents(self, word: str) -> BitMap:
        """Return the documents that contain the word; the bitmap must not be changed."""
        found = self._bitmaps.get(word)
        if found is None:
            found = BitMap(self.postings.get(word, ()))
            if word in self.postings:
                self._bitmaps[word] = found
        return found

    def word_count(self, document: int, field: int) -> int:
        """Return how many words a field of a document has."""
        return self._counts.get(field, {}).get(document, 0)

    def field_of(self, path: str) -> Field | None:
        """Return the searched field with this path, if any document ever had it."""
        return self._by_path.get(path)

    @property
    def dictionary(self) -> "Dictionary":
        """All words, ordered."""
        if self._dictionary is None:
            self._dictionary = Dictionary(self.postings)
        return self._dictionary

    def _field(self, path: str) -> Field | None:
        if path in self._by_path:
            return self._by_path[path]
        weight = self.searchable.weight(path)
        field = None
        if weight is not None:
            exact = self.searchable.is_exact(path)
            words = normalize_swedish if self.languages.is_swedish(path) else normalize
            field = Field(len(self.fields), path, weight, exact, words)
            self.fields.append(field)
        self._by_path[path] = field
        return field

    def _add_text(self, document: int, field: Field, start: int, text: str) -> int:
        """Index one value; return the place of its last word that is no stop word."""
        if not self.tokenizer.has_stop_words:
            parts = self.tokenizer.plain_parts(text)
            if parts is not None:
                return self._add_plain(document, field, start, parts)
        base = field.number << FIELD_SHIFT
        place, kept, count, first = start, start, 0, True
        stops = self.tokenizer.is_stop_word if self.tokenizer.has_stop_words else None
        post = self._post
        for raw, hard in self.tokenizer.words(text):
            lemma = field.normalize(raw)
            if not lemma:
                continue
            if not first:
                place += GAP if hard else 1
            first = False
            if place > PLACE_MASK:
                break
            if stops is not None and stops(raw):
                continue
            if len(lemma) > 63 and len(lemma.encode()) > WORD_BYTES_MAX:
                continue
            count += 1
            kept = place
            post(lemma, document, base | place)
        if count:
            counts = self._counts.setdefault(field.number, {})
            counts[document] = counts.get(document, 0) + count
        return kept

    def _add_plain(self, document: int, field: Field, start: int, parts: list[list[str]]) -> int:
        """Index the words of a simple text; most texts are, and this is where time goes."""
        base, place, kept, count = field.number << FIELD_SHIFT, start - GAP, start, 0
        post = self._post
        for part in parts:
            if not part:
                continue
            place += GAP
            for word in part:
                if place > PLACE_MASK:
                    break
                if len(word) <= WORD_BYTES_MAX:
                    post(word, document, base | place)
                    kept, count = place, count + 1
                place += 1
            place -= 1
        if count:
            counts = self._counts.setdefault(field.number, {})
            counts[document] = counts.get(document, 0) + count
        return kept

    def _post(self, word: str, document: int, place: int) -> None:
        posting = self.postings.get(word)
        if posting is None:
            self.postings[word] = {document: place}
            self._dictionary = None
            return
        if self._bitmaps and word in self._bitmaps:
            del self._bitmaps[word]
        known = posting.setdefault(document, place)
        if known is place:
            return
        if isinstance(known, int):
            posting[document] = (known, place)
        elif isinstance(known, list):
            known.append(place)
        else:
            many = len(known) >= _TUPLE_MAX
            posting[document] = [*known, place] if many else (*known, place)


class Dictionary:
    """The words of an index in order, for prefixes and typos."""

    def __init__(self, words: Iterable[str]) -> None:
        self.words = sorted(words)
        self.first_letters = sorted({word[0] for word in self.words})

    def with_prefix(self, prefix: str) -> list[str]:
        """Return all words that begin with `prefix`, in order."""
        first = bisect_left(self.words, prefix)
        return self.words[first : self._end_of(prefix, first)]

    def _end_of(self, prefix: str, first: int) -> int:
        """Return where the words with this prefix end, by doubling steps then bisection."""
        step = 1
        while first + step < len(self.words) and self.words[first + step].startswith(prefix):
            step *= 2
        low, high = first, min(first + step, len(self.words))
        while low < high:
            middle = (low + high) // 2
            if self.words[middle].startswith(prefix):
                low = middle + 1
            else:
                high = middle
        return low


def as_tuple(places: Places) -> tuple[int, ...]:
    """Return the positions as a tuple, however many there are."""
    return (places,) if isinstance(places, int) else tuple(places)
