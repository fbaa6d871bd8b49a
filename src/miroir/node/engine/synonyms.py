"""
Synonyms as the search uses them: normalised words -> phrases.

The setting keeps the user's spelling; here keys and values are cut into words by the tokenizer of
the index. A key of several words is found through n-grams (at most three words). Caps as in
Meilisearch: 50 phrases and 100 words for one key.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from miroir.node.engine.terms import Phrase
from miroir.node.engine.tokenize import Kind, Tokenizer

PHRASES_MAX: Final = 50
WORDS_MAX: Final = 100


class Synonyms:
    """The synonyms of one index; made anew when the setting or the tokenizer changes."""

    def __init__(self, tokenizer: Tokenizer, setting: Mapping[str, Sequence[str]]) -> None:
        gathered: dict[tuple[str, ...], set[str]] = {}
        for key, values in setting.items():
            words = _words(tokenizer, key)
            if words:
                gathered.setdefault(words, set()).update(values)
        self._phrases = {
            words: _capped([_words(tokenizer, value) for value in sorted(values)])
            for words, values in gathered.items()
        }

    def of(self, words: tuple[str, ...]) -> tuple[Phrase, ...]:
        """Return the phrases that mean the same as these consecutive words."""
        return self._phrases.get(words, ())


def _words(tokenizer: Tokenizer, text: str) -> tuple[str, ...]:
    return tuple(t.lemma for t in tokenizer.tokens(text) if t.kind is Kind.WORD and t.lemma)


def _capped(phrases: list[tuple[str, ...]]) -> tuple[Phrase, ...]:
    kept: list[Phrase] = []
    words = 0
    for phrase in [p for p in phrases if p][:PHRASES_MAX]:
        if words + len(phrase) <= WORDS_MAX:
            kept.append(phrase)
            words += len(phrase)
    return tuple(kept)
