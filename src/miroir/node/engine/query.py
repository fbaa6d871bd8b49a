"""
The text of a query, parsed: terms to find, words and phrases that must not be there.

    the "big lebowski" -jeff dud  ->  the | "big lebowski" | dud*     without: jeff

The last word is a prefix unless a separator follows it. A stop word is no term, but takes a place;
the last word is a term even if it is one. Two or three neighbours glued together are further terms
(n-grams), so that `sun flower` finds `sunflower`. At most ten terms count. Rules as in Meilisearch
1.50 (milli, search/new/query_term).
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from miroir.node.engine.derive import typo_words
from miroir.node.engine.synonyms import Synonyms
from miroir.node.engine.terms import Meanings, Phrase, Term
from miroir.node.engine.tokenize import WORD_BYTES_MAX, Kind, Token, Tokenizer, normalize
from miroir.node.engine.words import WordSource

TERMS_MAX: Final = 10
TOKENS_MAX: Final = 1000
NGRAM_MAX: Final = 3
_NOTHING: Final = (Meanings(), Meanings(), Meanings())


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """What a query asks: one term per word or phrase, n-grams over them, and exclusions."""

    terms: tuple[Term, ...]
    ngrams: tuple[Term, ...]
    without_words: tuple[str, ...]
    without_phrases: tuple[Phrase, ...]


@dataclass(frozen=True, slots=True)
class TypoRules:
    """How many typos a word may have (the setting `typoTolerance`)."""

    enabled: bool
    one_min: int
    two_min: int
    exact_words: frozenset[str]

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "TypoRules":
        """Read the rules from the settings of an index."""
        typos = settings.get("typoTolerance") or {}
        sizes = typos.get("minWordSizeForTypos") or {}
        return cls(
            enabled=typos.get("enabled", True),
            one_min=sizes.get("oneTypo", 5),
            two_min=sizes.get("twoTypos", 9),
            exact_words=frozenset(normalize(w) for w in typos.get("disableOnWords") or ()),
        )

    def allowed(self, word: str) -> int:
        """Return how many typos count for a word: 0, 1 or 2."""
        if not self.enabled or len(word) < self.one_min or word in self.exact_words:
            return 0
        return 1 if len(word) < self.two_min else 2


@dataclass(slots=True)
class _Located:
    """A word or phrase of the query with its places; `word` is empty for a phrase."""

    word: str
    phrase: Phrase | None
    start: int
    end: int
    prefix: bool = False


@dataclass(slots=True)
class _Phrase:
    """A phrase that is being read."""

    words: list[str | None] = field(default_factory=list)
    start: int = 0
    end: int = 0

    def push(self, token: Token, place: int) -> None:
        if not any(self.words):
            self.start = place
        self.end = place
        self.words.append(None if token.kind is Kind.STOP_WORD else token.lemma)

    def located(self) -> _Located | None:
        if not any(self.words):
            return None
        return _Located("", tuple(self.words), self.start, self.end)


class QueryParser:
    """Parses queries for one index as it is now."""

    def __init__(
        self,
        source: WordSource,
        tokenizer: Tokenizer,
        *,
        typos: TypoRules,
        synonyms: Synonyms,
        prefixes: bool,
    ) -> None:
        self._source = source
        self._tokenizer = tokenizer
        self._typos = typos
        self._synonyms = synonyms
        self._prefixes = prefixes

    def parse(self, text: str) -> ParsedQuery:
        """Parse the text of a query."""
        reader = _Reader(self._tokenizer.tokens(text), prefixes=self._prefixes)
        reader.read()
        terms = tuple(self._term(number, found) for number, found in enumerate(reader.terms))
        return ParsedQuery(
            terms=terms,
            ngrams=tuple(self._ngrams(terms)),
            without_words=tuple(reader.without_words),
            without_phrases=tuple(reader.without_phrases),
        )

    def _term(self, number: int, found: _Located) -> Term:
        if found.phrase is not None:
            return Term(
                number, number, found.start, found.end,
                word="", phrase=found.phrase, typos_max=0, prefix=False, meanings=_NOTHING,
            )  # fmt: skip
        word, typos = found.word, self._typos.allowed(found.word)
        return Term(
            number, number, found.start, found.end,
            word=word, phrase=None, typos_max=typos, prefix=found.prefix,
            meanings=self._meanings(
                word, typos=typos, prefix=found.prefix, synonyms=self._synonyms.of((word,))
            ),
        )  # fmt: skip

    def _ngrams(self, terms: Sequence[Term]) -> Iterator[Term]:
        for last in range(1, len(terms)):
            for size in range(2, min(NGRAM_MAX, last + 1) + 1):
                ngram = self._ngram(terms[last - size + 1 : last + 1])
                if ngram is not None:
                    yield ngram

    def _ngram(self, parts: Sequence[Term]) -> Term | None:
        """Glue neighbours together; None if they are not, or one is a phrase."""
        if any(part.phrase is not None for part in parts):
            return None
        pairs = itertools.pairwise(parts)
        if any(left.end + 1 != right.start for left, right in pairs):
            return None
        words = tuple(part.word for part in parts)
        word = "".join(words)
        if len(word.encode()) > WORD_BYTES_MAX:
            return None
        first, last = parts[0], parts[-1]
        typos = max(self._typos.allowed(word) - (len(parts) - 1), 0)
        synonyms = (*self._synonyms.of((word,)), *self._synonyms.of(words))
        return Term(
            first.first, last.last, first.start, last.end,
            word=word, phrase=None, typos_max=typos, prefix=last.prefix,
            meanings=self._meanings(
                word, typos=typos, prefix=last.prefix, synonyms=synonyms, ngram=words
            ),
            is_ngram=True,
        )  # fmt: skip

    def _meanings(
        self,
        word: str,
        *,
        typos: int,
        prefix: bool,
        synonyms: tuple[Phrase, ...],
        ngram: tuple[str, ...] = (),
    ) -> tuple[Meanings, Meanings, Meanings]:
        if len(word.encode()) > WORD_BYTES_MAX:
            return _NOTHING
        dictionary = self._source.index.dictionary
        zero = {word} if self._source.has(word) else set()
        if prefix:
            zero.update(dictionary.with_prefix(word))
        one, two = typo_words(dictionary, word, typos_max=typos, prefix=prefix)
        splits = tuple(pair for pair in self._splits(word) if pair != ngram)
        return Meanings(frozenset(zero), synonyms), Meanings(one, splits), Meanings(two)

    def _splits(self, word: str) -> Iterator[tuple[str, str]]:
        """
        Yield every way to split a word in two that stand next to each other somewhere.

        Meilisearch keeps only the pair most frequent on the node; which one that is depends on
        the other documents, so we keep all.
        """
        for at in range(1, len(word)):
            left, right = word[:at], word[at:]
            known = self._source.has(left) and self._source.has(right)
            if known and self._source.adjacent(left, right, 1):
                yield left, right


class _Reader:
    """Walks over the tokens of a query once."""

    def __init__(self, tokens: Iterator[Token], *, prefixes: bool) -> None:
        self._tokens = [t for t, _ in zip(tokens, range(TOKENS_MAX), strict=False) if t.lemma]
        self._prefixes = prefixes
        self._place = -1
        self._phrase: _Phrase | None = None
        self._phrase_negated = False
        self._negate_next = False
        self.terms: list[_Located] = []
        self.without_words: list[str] = []
        self.without_phrases: list[Phrase] = []

    def read(self) -> None:
        after_space = True
        for at, token in enumerate(self._tokens):
            if len(self.terms) >= TERMS_MAX:
                return
            if token.kind.is_separator:
                self._separator(token, after_space=after_space)
            else:
                self._place += 1
                self._word(token, is_last=at == len(self._tokens) - 1)
            after_space = token.lemma[-1].isspace()
        self._close_phrase()

    def _word(self, token: Token, *, is_last: bool) -> None:
        if self._phrase is not None:
            self._phrase.push(token, self._place)
        elif self._negate_next:
            self.without_words.append(token.lemma)
            self._negate_next = False
        elif is_last or token.kind is Kind.WORD:
            prefix = is_last and self._prefixes
            self.terms.append(_Located(token.lemma, None, self._place, self._place, prefix))

    def _separator(self, token: Token, *, after_space: bool) -> None:
        hard = token.kind is Kind.HARD
        if hard:
            self._place += 7
        if hard and self._phrase is not None:  # a sentence ends: the phrase goes on as a new one
            negated = self._phrase_negated
            self._close_phrase()
            self._phrase, self._phrase_negated = _Phrase(), negated
        quotes = token.lemma.count('"')
        if quotes and self._phrase is not None:
            self._close_phrase()
            quotes -= 1
        if quotes % 2 == 1:
            self._phrase, self._phrase_negated = _Phrase(), self._negate_next
        self._negate_next = self._phrase is None and token.lemma == "-" and after_space

    def _close_phrase(self) -> None:
        phrase, negated = self._phrase, self._phrase_negated
        self._phrase, self._phrase_negated = None, False
        found = phrase.located() if phrase is not None else None
        if found is None or found.phrase is None:
            return
        if negated:
            self.without_phrases.append(found.phrase)
        else:
            self.terms.append(found)
