"""
Text to words, as charabia does it for the scripts that separate words.

    "The Café, 2nd." -> The| |Café|, |2nd|.  -> the, (soft), cafe, (hard), 2nd, (soft)

Every separator is a token of its own; a word is normalised by `normalize`: compatibility
decomposition, lower case, no accents (in Swedish å, ä and ö are letters of their own). A word is a
stop word by its spelling *before* lower case (`the` does not stop `The`, as in Meilisearch). Han
characters are one word each: cutting Chinese, Japanese, Thai or Khmer into words needs
dictionaries, which this engine does not have.

Positions and terms are made elsewhere (`inverted.py`, `query.py`); nothing here knows documents.
"""

import copy
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final

from miroir.node.engine.separators import HARD_SEPARATORS, SEPARATORS

WORD_BYTES_MAX: Final = 255
_HAN: Final = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f]")
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SPELLINGS: Final = {"æ": "ae", "œ": "oe", "ı": "i", "đ": "d", "ð": "d", "ς": "σ"}
_SPELLINGS_RE: Final = re.compile("[" + "".join(_SPELLINGS) + "]")


class Kind(Enum):
    """What a token is."""

    WORD = "word"
    STOP_WORD = "stop word"
    SOFT = "soft separator"
    HARD = "hard separator"

    @property
    def is_separator(self) -> bool:
        """True for both kinds of separators."""
        return self in (Kind.SOFT, Kind.HARD)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text: its normalised form, its kind, and the characters it covers."""

    lemma: str
    kind: Kind
    start: int
    end: int


def decompose(text: str) -> str:
    """Return the text in compatibility decomposition, without control characters."""
    if text.isascii() and text.isprintable():
        return text
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain if unicodedata.category(c) != "Cc")


@lru_cache(maxsize=200_000)
def normalize(word: str) -> str:
    """Return the form under which a word is indexed and searched."""
    if word.isascii():
        return word.lower() if word.isprintable() else decompose(word).lower()
    lowered = decompose(word).lower()
    plain = "".join(c for c in lowered if unicodedata.category(c) != "Mn")
    return _SPELLINGS_RE.sub(lambda found: _SPELLINGS[found[0]], plain)


@lru_cache(maxsize=50_000)
def normalize_swedish(word: str) -> str:
    """Return the form of a word in Swedish: å, ä and ö stay, all other accents go."""
    if word.isascii():
        return normalize(word)
    letters = _SWEDISH_RE.sub(
        lambda found: unicodedata.normalize("NFC", found[0]), decompose(word)
    )
    plain = "".join(c for c in letters.lower() if unicodedata.category(c) != "Mn")
    return _SPELLINGS_RE.sub(lambda found: _SPELLINGS[found[0]], plain)


_SWEDISH_RE: Final = re.compile("[Aa][\u030a\u0308]|[Oo]\u0308")


class Tokenizer:
    """Cuts text by the settings of one index; holds no state of its own."""

    def __init__(
        self,
        *,
        stop_words: Iterable[str] = (),
        separators: Iterable[str] = (),
        non_separators: Iterable[str] = (),
        dictionary: Iterable[str] = (),
    ) -> None:
        self._separators = (SEPARATORS | set(separators)) - set(non_separators)
        self._stop_words = frozenset(map(decompose, stop_words))
        words = {word for word in dictionary if word}
        self._cut = re.compile(_alternatives(self._separators | words))
        self._words_only = self._fast_pattern() if not words else None
        self._normalize = normalize
        hard = self._separators & HARD_SEPARATORS
        self._hard = re.compile(_alternatives(hard))
        self._hard_plain = re.compile(_alternatives(s for s in hard if s.isascii()))

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Tokenizer":
        """Return the tokenizer that an index with these settings uses."""
        return cls(
            stop_words=settings.get("stopWords") or (),
            separators=settings.get("separatorTokens") or (),
            non_separators=settings.get("nonSeparatorTokens") or (),
            dictionary=settings.get("dictionary") or (),
        )

    def in_swedish(self) -> "Tokenizer":
        """Return the same tokenizer for texts in Swedish."""
        swedish = copy.copy(self)
        vars(swedish)["_normalize"] = normalize_swedish
        return swedish

    def tokens(self, text: str) -> Iterator[Token]:
        """Cut a text into tokens that cover it completely."""
        done = 0
        for found in self._cut.finditer(text):
            if found.start() > done:
                yield from self._word(text, done, found.start())
            yield self._exact(text, found.start(), found.end())
            done = found.end()
        if done < len(text):
            yield from self._word(text, done, len(text))

    def words(self, text: str) -> Iterator[tuple[str, bool]]:
        """Yield the words to index, each with whether a hard separator stands before it."""
        if self._words_only is None or not text.isascii():
            yield from self._words_of_tokens(text)
            return
        done = 0
        for found in self._words_only.finditer(text):
            start = found.start()
            gap = text[done:start]
            yield found[0], gap not in ("", " ") and self._hard.search(gap) is not None
            done = found.end()

    def plain_parts(self, text: str) -> list[list[str]] | None:
        """
        Return the words of a simple text as they are indexed, in lists between hard separators.

        None for a text that needs a closer look: letters other than ASCII, control characters, or
        settings that a pattern cannot express.
        """
        if self._words_only is None or not text.isascii():
            return None
        if not text.isprintable() and _CONTROL.search(text) is not None:
            return None
        lowered = text.lower()
        if self._hard_plain.search(lowered) is None:
            return [self._words_only.findall(lowered)]
        return [self._words_only.findall(part) for part in self._hard_plain.split(lowered)]

    @property
    def has_stop_words(self) -> bool:
        """Tell whether any word is a stop word."""
        return bool(self._stop_words)

    def is_stop_word(self, word: str) -> bool:
        """Tell whether a word, as it was written, is a stop word."""
        return bool(self._stop_words) and decompose(word) in self._stop_words

    def _words_of_tokens(self, text: str) -> Iterator[tuple[str, bool]]:
        hard = False
        for token in self.tokens(text):
            if token.kind.is_separator:
                hard = hard or token.kind is Kind.HARD
            else:
                yield text[token.start : token.end], hard
                hard = False

    def _word(self, text: str, start: int, end: int) -> Iterator[Token]:
        """Yield what stands between separators: one word, Han characters one by one."""
        for first, last in _script_runs(text, start, end):
            raw = text[first:last]
            kind = Kind.STOP_WORD if self.is_stop_word(raw) else Kind.WORD
            yield Token(self._normalize(raw), kind, first, last)

    def _exact(self, text: str, start: int, end: int) -> Token:
        raw = text[start:end]
        if self.is_stop_word(raw):
            return Token(self._normalize(raw), Kind.STOP_WORD, start, end)
        if raw not in self._separators:  # a word of the dictionary
            return Token(self._normalize(raw), Kind.WORD, start, end)
        return Token(raw, Kind.HARD if raw in HARD_SEPARATORS else Kind.SOFT, start, end)

    def _fast_pattern(self) -> re.Pattern[str] | None:
        """Return a pattern of whole words for ASCII text, if single characters separate them."""
        ascii_only = {s for s in self._separators if s.isascii()}
        singles = {s for s in ascii_only if len(s) == 1}
        if any(not set(s) <= singles for s in ascii_only):
            return None
        return re.compile(f"[^{''.join(map(re.escape, sorted(singles)))}]+")


def _alternatives(strings: Iterable[str]) -> str:
    """Return a pattern that finds the leftmost, then longest, of the strings."""
    every = set(strings)
    singles = sorted(s for s in every if len(s) == 1)
    longer = sorted((s for s in every if len(s) > 1), key=lambda s: (-len(s), s))
    parts = [re.escape(s) for s in longer]
    if singles:
        parts.append("[" + "".join(map(re.escape, singles)) + "]")
    return "|".join(parts) or r"(?!)"


def _script_runs(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut where the script changes: `abcдеф` is two words, and each Han character is one."""
    raw = text[start:end]
    if raw.isascii():
        yield start, end
        return
    first, script = start, ""
    for at in range(start, end):
        found = _script(text[at])
        if found and script and (found != script or found == "Han") and at > first:
            yield first, at
            first = at
        script = found or script
    yield first, end


@lru_cache(maxsize=10_000)
def _script(char: str) -> str:
    """Return the script of a letter by its Unicode name, empty for what belongs to none."""
    if _HAN.match(char):
        return "Han"
    if not char.isalpha():
        return ""
    name = unicodedata.name(char, "").split(" ", 1)[0].partition("-")[0]
    return "KANA" if name in ("HIRAGANA", "KATAKANA") else name
