"""
One text, highlighted and cropped around its best matches.

A crop keeps `crop_length` words: the stretch of matches with the most different query words, then
the nearest to each other, then the best ordered; grown to both sides until it is long enough.
Rules as in Meilisearch 1.50 (milli, search/new/matches).

Which fields are formatted is decided in `hits.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from miroir.node.engine.matches import Match, MatchingWords
from miroir.node.engine.tokenize import Kind, Token, Tokenizer


@dataclass(frozen=True, slots=True)
class Format:
    """What to do with a text; `crop` is a number of words, None for the whole text."""

    highlight: bool = False
    crop: int | None = None

    def merged(self, other: "Format") -> "Format":
        """Return what both ask for; the first crop wins."""
        crop = self.crop if self.crop is not None else other.crop
        return Format(self.highlight or other.highlight, crop)


@dataclass(frozen=True, slots=True)
class Style:
    """The marks of one query."""

    pre_tag: str
    post_tag: str
    crop_marker: str


class TextFormatter:
    """Formats texts for one query."""

    def __init__(self, words: MatchingWords, tokenizer: Tokenizer, style: Style) -> None:
        self._words = words
        self._tokenizer = tokenizer
        self._style = style
        self._swedish = tokenizer.in_swedish()
        self._last: tuple[tuple[str, bool], list[Token], list[Match]] | None = None

    def formatted(self, text: str, how: Format, *, swedish: bool = False) -> str:
        """Return the text with matches marked, cropped if asked."""
        if not how.highlight and how.crop is None:
            return text
        tokens, matches = self._analysed(text, swedish=swedish)
        start, end = 0, len(text)
        if how.crop:
            start, end = _crop_bounds(text, tokens, matches, how.crop)
        marker = self._style.crop_marker
        middle = self._marked(text, tokens, matches if how.highlight else [], (start, end))
        before = marker if start > 0 else ""
        after = marker if end < len(text) else ""
        return before + middle + after

    def positions(
        self, text: str, indices: Sequence[int], *, swedish: bool = False
    ) -> list[dict[str, Any]]:
        """Return where matches are, in bytes; `indices` are those of the arrays around."""
        tokens, matches = self._analysed(text, swedish=swedish)
        found: list[dict[str, Any]] = []
        for match in matches:
            start = tokens[match.first_token].start
            bounds: dict[str, Any] = {
                "start": len(text[:start].encode()),
                "length": len(text[start : start + match.length].encode()),
            }
            if indices:
                bounds["indices"] = list(indices)
            found.append(bounds)
        return found

    def _analysed(self, text: str, *, swedish: bool) -> tuple[list[Token], list[Match]]:
        """Return tokens and matches of a text; positions and format ask for the same in a row."""
        if self._last is None or self._last[0] != (text, swedish):
            tokens = list((self._swedish if swedish else self._tokenizer).tokens(text))
            self._last = ((text, swedish), tokens, self._words.find(text, tokens))
        return self._last[1], self._last[2]

    def _marked(
        self, text: str, tokens: Sequence[Token], matches: Sequence[Match], crop: tuple[int, int]
    ) -> str:
        start, end = crop
        pieces: list[str] = []
        done = start
        for match in matches:
            first, last = tokens[match.first_token].start, tokens[match.last_token].end
            if last < start or first > end:
                continue
            first, last = max(first, start), min(last, end)
            typed = min(first + match.length, last)
            pieces += [text[done:first], self._style.pre_tag, text[first:typed]]
            pieces += [self._style.post_tag, text[typed:last]]
            done = last
        pieces.append(text[done:end])
        return "".join(pieces)


def _crop_bounds(
    text: str, tokens: Sequence[Token], matches: Sequence[Match], size: int
) -> tuple[int, int]:
    """Return the characters between which the text is kept."""
    if not matches:
        before, after, wanted, forward = 0, 0, size, True
    else:
        first, last = _best_stretch(matches, size)
        length = last.last_word - first.first_word + 1
        forward = size >= length
        wanted = abs(size - length)
        before = first.first_token if forward else 0
        after = min(last.last_token + 1, len(tokens))
    if not forward:
        return 0, _shrunk(text, tokens, after, wanted)
    before, after = _grown(tokens, before, after, wanted)
    start = tokens[before - 1].end if before > 0 else 0
    end = tokens[after].start if after < len(tokens) else len(text)
    return start, end


def _shrunk(text: str, tokens: Sequence[Token], after: int, words: int) -> int:
    """Return the end of a text that is too long, without its last words."""
    at = min(after, len(tokens) - 1)
    while words > 0 and at >= 0:
        words -= not tokens[at].kind.is_separator
        at -= 1
    return tokens[at].start if at >= 0 else len(text)


def _grown(tokens: Sequence[Token], before: int, after: int, words: int) -> tuple[int, int]:
    """Grow a window of tokens [before, after) by so many words, to both sides alike."""
    while words > 0:
        left = tokens[before - 1].kind if before > 0 else None
        right = tokens[after].kind if after < len(tokens) else None
        step_left, step_right = _steps(left, right, words)
        if not step_left and not step_right:
            break
        if step_left and left is not None:
            before -= 1
            words -= not left.is_separator
        if step_right and right is not None:
            after += 1
            words -= not right.is_separator
    return before, after


def _steps(left: Kind | None, right: Kind | None, words: int) -> tuple[bool, bool]:
    """Return to which sides the window grows next."""
    if left is None or right is None:
        return left is not None, right is not None
    match left.is_separator, right.is_separator:
        case True, True if left is right:
            return True, words > 1  # no separator before the crop marker
        case True, True:
            return left is not Kind.HARD, left is Kind.HARD
        case False, False:
            return True, words > 1
        case left_separates, right_separates:
            return not left_separates, not right_separates


def _best_stretch(matches: Sequence[Match], size: int) -> tuple[Match, Match]:
    """Return the first and last match of the best stretch of at most `size` words."""
    best: tuple[int, int] | None = None
    best_score: tuple[int, int, int] | None = None

    def offer(first: int, last: int) -> None:
        nonlocal best, best_score
        score = _score(matches[first : last + 1])
        if best_score is None or score > best_score:
            best, best_score = (first, last), score

    first = 0
    for at, match in enumerate(matches):
        if match.last_word - matches[first].first_word < size:
            continue
        if at:
            offer(first, at - 1)
        while first + 1 < len(matches):
            first += 1
            start = matches[first].first_word
            if start > match.last_word or match.last_word - start < size:
                break
    last = len(matches) - 1
    words = matches[first].last_word - matches[first].first_word + 1
    if first != last or words < size:
        offer(first, last)
    if best is None:
        return matches[0], matches[0]
    return matches[best[0]], matches[best[1]]


def _score(matches: Sequence[Match]) -> tuple[int, int, int]:
    """Return different words, nearness, order: greater is better."""
    distance = order = 0
    ids: set[int] = set()
    for at, match in enumerate(matches):
        inside = match.last_word - match.first_word
        order += inside
        distance -= inside
        ids.update(match.ids)
        if at + 1 < len(matches):
            following = matches[at + 1]
            order += following.ids.start > match.ids.start
            distance -= min(following.first_word - match.last_word, 7)
    return len(ids), distance, order
