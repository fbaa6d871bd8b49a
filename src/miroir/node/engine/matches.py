"""
Where the words of a query stand in a shown text.

Phrases are tried first, then single words; a prefix marks only what was typed (`wond` marks
`<em>Wond</em>er`). Stop words are ordinary words here, as in Meilisearch's highlighter. Characters
are counted in the original text although words are compared normalised: `typed_length` maps back.

Formatting with the matches is `formatting.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from miroir.node.engine.terms import Phrase, Term
from miroir.node.engine.tokenize import Token, normalize


@dataclass(frozen=True, slots=True)
class Match:
    """
    One match in a text.

    Attributes:
        ids: Places in the query of the words that matched.
        first_token, last_token: Tokens of the text that it covers.
        first_word, last_word: The same, counted in words.
        length: Characters that match, from the start of the first token.
    """

    ids: range
    first_token: int
    last_token: int
    first_word: int
    last_word: int
    length: int


@dataclass(frozen=True, slots=True)
class _Words:
    """The single words of one term: those without typos, those with."""

    levels: tuple[frozenset[str], frozenset[str]]
    ids: range
    prefix: bool
    typed: int


class MatchingWords:
    """Everything that a query matches, ready to be looked for in texts."""

    def __init__(self, terms: Iterable[Term]) -> None:
        self._phrases: list[tuple[Phrase, range]] = []
        words: list[_Words] = []
        for term in terms:
            ids = range(term.start, term.end + 1)
            if term.phrase is not None:
                self._phrases.append((term.phrase, ids))
            self._phrases.extend((phrase, ids) for phrase in term.phrases)
            zero, one, two = term.meanings
            levels = (zero.words, one.words | two.words)
            words.append(_Words(levels, ids, term.prefix, len(term.word)))
        self._words = sorted(words, key=lambda found: (found.prefix, -len(found.ids)))

    def __bool__(self) -> bool:
        return bool(self._words)

    def find(self, text: str, tokens: Sequence[Token]) -> list[Match]:
        """Return all matches in a text that was cut into these tokens, from left to right."""
        places = [at for at, token in enumerate(tokens) if not token.kind.is_separator]
        found: list[Match] = []
        word = 0
        while word < len(places):
            match = self._at(text, tokens, places, word)
            if match is not None:
                found.append(match)
                word = match.last_word
            word += 1
        return found

    def _at(
        self, text: str, tokens: Sequence[Token], places: Sequence[int], word: int
    ) -> Match | None:
        for phrase, ids in self._phrases:
            last = word + len(phrase) - 1
            if last < len(places) and all(
                tokens[places[word + at]].lemma == wanted for at, wanted in enumerate(phrase)
            ):
                first_token, last_token = places[word], places[last]
                covered = tokens[last_token].end - tokens[first_token].start
                return Match(ids, first_token, last_token, word, last, covered)
        token = tokens[places[word]]
        for words in self._words:
            length = self._length(text, token, words)
            if length is not None:
                return Match(words.ids, places[word], places[word], word, word, length)
        return None

    def _length(self, text: str, token: Token, words: _Words) -> int | None:
        """Return how many characters of the token match, None if it does not."""
        lemma = token.lemma
        if not words.prefix:
            return token.end - token.start if any(lemma in lv for lv in words.levels) else None
        for level in words.levels:
            for size in range(1, len(lemma) + 1):
                if lemma[:size] in level:
                    return typed_length(text[token.start : token.end], min(size, words.typed))
        return None


def typed_length(original: str, normalized: int) -> int:
    """Return how many characters of a word cover the first ones of its normal form."""
    if original.isascii():
        return min(normalized, len(original))
    covered = 0
    for count, char in enumerate(original):
        if covered >= normalized:
            return count
        covered += len(normalize(char))
    return len(original)
