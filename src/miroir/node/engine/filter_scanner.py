"""
The text of a filter with a cursor: white space, words, values, numbers, and errors that point.

`Soft` means "this is not what I am", and another reading may be tried; `FilterSyntaxError` is
final. Error texts are Meilisearch's (crates/filter-parser/src/error.rs).

Which words mean what is decided in `filter_parser.py`.
"""

import re
from typing import Final, NoReturn

from miroir.node.engine.filter_tree import Piece

KEYWORDS: Final = frozenset(
    [
        "AND",
        "OR",
        "IN",
        "NOT",
        "TO",
        "EXISTS",
        "IS",
        "NULL",
        "EMPTY",
        "CONTAINS",
        "STARTS",
        "WITH",
        "_geoRadius",
        "_geoBoundingBox",
    ]
)
_SYNTAX: Final = frozenset("()=<>!")
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_ESCAPE: Final = re.compile(r"\\(u\{[0-9a-fA-F]+\}|x[0-9a-fA-F]{2}|[0-7]{3}|.|$)", re.DOTALL)
_SIMPLE: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "'": "'", '"': '"', "\\": "\\", "/": "/",
}  # fmt: skip
_SHOWN: Final = {"\t": "\\t", "\r": "\\r", "\n": "\\n", "'": "\\'", '"': '\\"', "\\": "\\\\"}


class FilterSyntaxError(Exception):
    """A filter that cannot be read; the message is complete."""

    def __init__(self, message: str, piece: Piece) -> None:
        super().__init__(piece.error(message))


class Soft(Exception):
    """What stands here is something else; `reserved` if it is a keyword in place of a value."""

    def __init__(self, piece: Piece, *, reserved: bool = False) -> None:
        super().__init__()
        self.piece = piece
        self.reserved = reserved


def shown(text: str) -> str:
    """Return text as error messages show it, quotes and control characters escaped."""
    return "".join(_SHOWN.get(c, c if c.isprintable() else f"\\u{{{ord(c):x}}}") for c in text)


class Scanner:
    """A cursor over one filter expression."""

    def __init__(self, whole: str) -> None:
        self.whole = whole
        self.at = 0
        self.context = whole
        """What errors show as the filter: Meilisearch's shows no more than its last `_foreign`."""

    def piece(self, start: int, end: int, text: str | None = None) -> Piece:
        """Return a part of the expression; columns count from the last line break."""
        raw = self.whole[start:end]
        column = start - (self.whole.rfind("\n", 0, start) + 1) + 1
        return Piece(raw if text is None else text, raw, column, self.context)

    def rest(self, start: int | None = None) -> Piece:
        """Return everything from the cursor, or from `start`, to the end."""
        return self.piece(self.at if start is None else start, len(self.whole))

    def fail(self, message: str, piece: Piece | None = None) -> NoReturn:
        """Refuse the filter, pointing at `piece` or at all that is left."""
        raise FilterSyntaxError(message, self.rest() if piece is None else piece)

    def skip_space(self) -> None:
        """Move over white space."""
        while self.at < len(self.whole) and self.whole[self.at].isspace():
            self.at += 1

    def literal(self, text: str) -> bool:
        """Move over exactly this text, if it stands here."""
        found = self.whole.startswith(text, self.at)
        if found:
            self.at += len(text)
        return found

    def phrase(self, *words: str) -> Piece | None:
        """Move over these words with white space between; they may end inside a longer word."""
        start = self.at
        for number, word in enumerate(words):
            before = self.at
            self.skip_space()
            if (number and self.at == before) or not self.literal(word):
                self.at = start
                return None
        return self.piece(start, self.at)

    def whole_word(self, word: str) -> bool:
        """Move over a complete word with any white space around, if it is this one."""
        start = self.at
        self.skip_space()
        if self._word() == word:
            self.skip_space()
            return True
        self.at = start
        return False

    def peek_word(self) -> str:
        """Return the complete word after any white space, without moving."""
        start = self.at
        self.skip_space()
        word = self._word()
        self.at = start
        return word

    def number(self) -> Piece | None:
        """Move over a number with white space around."""
        start = self.at
        self.skip_space()
        found = _NUMBER.match(self.whole, self.at)
        if found is None:
            self.at = start
            return None
        self.at = found.end()
        piece = self.piece(found.start(), found.end())
        self.skip_space()
        return piece

    def value(self) -> Piece:
        """Read a quoted or plain value and the white space around it; `Soft` if there is none."""
        self.skip_space()
        start = self.at
        quote = self.whole[start : start + 1]
        if quote in ("'", '"') and quote:
            piece = self._quoted(quote)
        else:
            word = self._word()
            if not word or word in KEYWORDS:
                self.at = start
                raise Soft(self._until_syntax(start), reserved=word in KEYWORDS and bool(word))
            piece = self.piece(start, self.at)
        self.skip_space()
        return self._unescaped(piece)

    def expected_value(self, soft: Soft) -> NoReturn:
        """Refuse the filter because a value had to stand where `soft` happened."""
        text = shown(soft.piece.raw)
        if not soft.piece.raw.strip():
            message = "Was expecting a value but instead got nothing."
        elif soft.reserved:
            message = (
                f"Was expecting a value but instead got `{text}`, which is a reserved keyword."
            )
            message += f" To use `{text}` as a field name or a value, surround it by quotes."
        else:
            message = f"Was expecting a value but instead got `{text}`."
        raise FilterSyntaxError(message, soft.piece)

    def must_value(self) -> Piece:
        """Read a value that has to be there."""
        try:
            return self.value()
        except Soft as soft:
            self.expected_value(soft)

    def _word(self) -> str:
        start = self.at
        while self.at < len(self.whole):
            char = self.whole[self.at]
            if not (char.isalnum() or char in "_-."):
                break
            self.at += 1
        return self.whole[start : self.at]

    def _until_syntax(self, start: int) -> Piece:
        end = start
        while end < len(self.whole):
            if self.whole[end].isspace() or self.whole[end] in _SYNTAX:
                break
            end += 1
        return self.piece(start, end)

    def _quoted(self, quote: str) -> Piece:
        opening = self.at
        at = opening + 1
        while at < len(self.whole) and self.whole[at] != quote:
            at += 2 if self.whole[at] == "\\" else 1
        if at >= len(self.whole):
            piece = self.rest(opening)
            message = f"Expression `{shown(piece.raw)}` is missing the following closing delimiter"
            raise FilterSyntaxError(f"{message}: `{quote}`.", piece)
        self.at = at + 1
        raw = self.whole[opening + 1 : at]
        return self.piece(opening + 1, at, raw.replace("\\" + quote, quote))

    def _unescaped(self, piece: Piece) -> Piece:
        if "\\" not in piece.text:
            return piece
        try:
            text = _ESCAPE.sub(lambda found: _resolved(found[1]), piece.text)
        except ValueError:
            raise FilterSyntaxError(f"Malformed value: `{shown(piece.raw)}`.", piece) from None
        return Piece(text, piece.raw, piece.column, piece.whole)


def _resolved(escape: str) -> str:
    """Return the character of an escape; ValueError if there is no such escape."""
    if escape.startswith("u{"):
        return chr(int(escape[2:-1], 16))
    if escape[:1] == "x" and len(escape) == 3:
        return chr(int(escape[1:], 16))
    if len(escape) == 3:
        return chr(int(escape, 8))
    if escape not in _SIMPLE:
        raise ValueError(escape)
    return _SIMPLE[escape]
