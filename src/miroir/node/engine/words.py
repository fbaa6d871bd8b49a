"""
Where words stand, as one query may see them.

A query may be restricted to some fields (`attributesToSearchOn`), and a word found by typo does
not count where typos are off (fields of `disableOnAttributes`, numbers with `disableOnNumbers`).
Both decide which *documents* a word is found in; where it stands there is asked of all fields, as
in Meilisearch. What is asked twice is computed once.

Pairs of words: `byWord` measures the distance, `byAttribute` only asks for the same field.
"""

from typing import Final

from pyroaring import BitMap

from miroir.node.engine.inverted import FIELD_SHIFT, InvertedIndex, Places, as_tuple

DISTANCE_MAX: Final = 4
_ASCII_PUNCTUATION: Final = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


class WordSource:
    """The words of an index for one query. Lives as long as the query."""

    def __init__(
        self,
        index: InvertedIndex,
        *,
        restricted: frozenset[int] | None,
        numbers_exact: bool,
        by_attribute: bool,
        quirks: bool = False,
    ) -> None:
        self.index = index
        self.quirks = quirks
        self.restricted = restricted
        self.by_attribute = by_attribute
        self._numbers_exact = numbers_exact
        self._exact_fields = frozenset(f.number for f in index.fields if f.exact)
        self._bitmaps: dict[tuple[str, bool], BitMap] = {}
        self._phrases: dict[tuple[str | None, ...], BitMap] = {}
        self._pairs: dict[tuple[str, str, int], BitMap] = {}

    def has(self, word: str) -> bool:
        """Tell whether any document of the index has this word, in whatever field."""
        return word in self.index.postings

    def documents(self, word: str, *, typed: bool) -> BitMap:
        """Return the documents where the word is visible; must not be changed."""
        if not typed and self._numbers_exact and is_number_like(word):
            return BitMap()
        if self.restricted is None and (typed or not self._exact_fields):
            return self.index.documents(word)
        key = (word, typed)
        if key not in self._bitmaps:
            exact = frozenset() if typed else self._exact_fields
            self._bitmaps[key] = self._visible(word, exact)
        return self._bitmaps[key]

    def phrase_documents(self, phrase: tuple[str | None, ...]) -> BitMap:
        """
        Return the documents that contain a phrase, None standing for any one stop word.

        As in Meilisearch, what is asked of a document is that neighbours stand as near as in the
        phrase, window by window of three, not that one place has them all.
        """
        found = self._phrases.get(phrase)
        if found is None:
            found = self._phrases[phrase] = self._find_phrase(phrase)
        return found

    def adjacent(self, left: str, right: str, distance: int) -> BitMap:
        """Return the documents where `right` follows `left` within `distance` words."""
        key = (left, right, distance)
        found = self._pairs.get(key)
        if found is None:
            both = self.index.documents(left) & self.index.documents(right)
            lefts, rights = self.index.postings.get(left, {}), self.index.postings.get(right, {})
            found = self._pairs[key] = BitMap(
                d for d in both if self._follows(lefts[d], rights[d], distance)
            )
        return found

    def _find_phrase(self, phrase: tuple[str | None, ...]) -> BitMap:
        words = [word for word in phrase if word is not None]
        if not words:
            return BitMap()
        found = BitMap.intersection(*(self.documents(word, typed=True) for word in words))
        size = min(len(phrase), 3)
        for at in range(len(phrase) - size + 1):
            window = phrase[at : at + size]
            for i, left in enumerate(window):
                for j in range(i + 1, size):
                    right = window[j]
                    if not found:
                        return found
                    if left is not None and right is not None:
                        found = found & self.adjacent(left, right, j - i)
        return found

    def _follows(self, left: Places, right: Places, distance: int) -> bool:
        if self.by_attribute:
            fields = {at >> FIELD_SHIFT for at in as_tuple(left)}
            return any(at >> FIELD_SHIFT in fields for at in as_tuple(right))
        return any(
            0 < after - before <= distance
            for before in as_tuple(left)
            for after in as_tuple(right)
        )

    def _visible(self, word: str, exact: frozenset[int]) -> BitMap:
        return BitMap(
            document
            for document, places in self.index.postings.get(word, {}).items()
            if any(self._shows(at >> FIELD_SHIFT, exact) for at in as_tuple(places))
        )

    def _shows(self, field: int, exact: frozenset[int]) -> bool:
        return field not in exact and (self.restricted is None or field in self.restricted)


def is_number_like(word: str) -> bool:
    """Tell whether a word is digits and ASCII punctuation only (`disableOnNumbers`)."""
    return all(c.isnumeric() or c in _ASCII_PUNCTUATION for c in word)
