"""
What is wrong with a JSON text, in the words of Meilisearch's parser (serde_json).

The fast parser (msgspec) says only that a text is malformed; clients and tests know the other
wording. This scanner reads a text that has *already been refused* and names the first fault with
its line and column. It never produces a value and is never on a fast path.
"""

import re
from collections.abc import Callable
from typing import Final

_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_SPACE: Final = " \t\n\r"
_DEPTH_MAX: Final = 127
_ESCAPES: Final = '"\\/bfnrt'
_WORDS: Final = {"t": "true", "f": "false", "n": "null"}


class _FaultFoundError(Exception):
    """Carries the message out of the recursion."""


def json_fault(text: bytes, *, several: bool = False) -> str | None:
    """
    Return serde_json's sentence for the first fault, None when there is none.

    Args:
        text: The payload.
        several: Whether values may follow each other, as in NDJSON.
    """
    scanner = _Scanner(text.decode("utf-8", "replace"))
    try:
        scanner.document(several=several)
    except _FaultFoundError as fault:
        return str(fault)
    return None


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def document(self, *, several: bool) -> None:
        self._skip()
        while True:
            if several and self._at >= len(self._text):
                return
            self._value()
            self._skip()
            if not several:
                break
        if self._at < len(self._text):
            self._fail("trailing characters")

    def _fail(self, what: str, *, behind: int = 1) -> None:
        seen = self._text[: self._at + behind]
        line = seen.count("\n") + 1
        column = len(seen.rpartition("\n")[2].encode())
        raise _FaultFoundError(f"{what} at line {line} column {column}")

    def _eof(self, what: str) -> None:
        self._at = len(self._text)
        self._fail(f"EOF while parsing {what}", behind=0)

    def _skip(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in _SPACE:
            self._at += 1

    def _peek(self, inside: str) -> str:
        self._skip()
        if self._at >= len(self._text):
            self._eof(inside)
        return self._text[self._at]

    def _value(self) -> None:
        head = self._peek("a value")
        if head == "{":
            self._nested(self._object)
        elif head == "[":
            self._nested(self._list)
        elif head == '"':
            self._string()
        elif head in _WORDS:
            self._word(_WORDS[head])
        elif head == "-" or head.isdigit():
            self._number()
        else:
            self._fail("expected value")

    def _nested(self, read: Callable[[], None]) -> None:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            self._fail("recursion limit exceeded")
        self._at += 1
        read()
        self._depth -= 1

    def _object(self) -> None:
        head = self._peek("an object")
        if head == "}":
            self._at += 1
            return
        while True:
            if self._peek("an object") != '"':
                self._fail("trailing comma" if self._text[self._at] == "}" else _KEY)
            self._string()
            if self._peek("an object") != ":":
                self._fail("expected `:`")
            self._at += 1
            self._value()
            head = self._peek("an object")
            self._at += 1
            if head == "}":
                return
            if head != ",":
                self._at -= 1
                self._fail("expected `,` or `}`")

    def _list(self) -> None:
        if self._peek("a list") == "]":
            self._at += 1
            return
        while True:
            self._value()
            head = self._peek("a list")
            if head == "]":
                self._at += 1
                return
            if head != ",":
                self._fail("expected `,` or `]`")
            self._at += 1
            if self._peek("a value") == "]":
                self._fail("trailing comma")

    def _string(self) -> None:
        self._at += 1
        while True:
            if self._at >= len(self._text):
                self._eof("a string")
            char = self._text[self._at]
            if char == '"':
                self._at += 1
                return
            if char < " ":
                self._fail("control character (\\u0000-\\u001F) found while parsing a string")
            self._at += 2 if char == "\\" and self._escape() else 1

    def _escape(self) -> bool:
        follower = self._text[self._at + 1 : self._at + 2]
        if not follower:
            self._eof("a string")
        if follower not in _ESCAPES and follower != "u":
            self._at += 1
            self._fail("invalid escape")
        return True

    def _word(self, word: str) -> None:
        for offset, char in enumerate(word):
            if self._at + offset >= len(self._text):
                self._eof("a value")
            if self._text[self._at + offset] != char:
                self._at += offset
                self._fail("expected ident")
        self._at += len(word)

    def _number(self) -> None:
        match = _NUMBER.match(self._text, self._at)
        if not match:
            self._at += 1
            self._fail("invalid number")
            return
        self._at = match.end()
        if match[0] in {"0", "-0"} and self._text[self._at : self._at + 1].isdigit():
            self._fail("invalid number")


_KEY: Final = "key must be a string"
