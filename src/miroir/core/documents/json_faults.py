"""
What is wrong with a JSON text, in the words and with the line and column that a node gives.

Asked only after a decoder has refused the text, so it may be slow, not wrong: a plain scanner that
follows serde_json's two readers. The *skipping* one reads the documents of an array or a stream,
the *building* one a single object and bodies that are no documents; they differ in what they say
about a comma before a closing bracket and an unfinished number, and in one column.

Source: serde_json's de.rs and read.rs, and a node's answers (tests/integration).
"""

import re
from typing import Final, Literal

Shape = Literal["array", "object", "stream"]

_BLANK: Final = re.compile(rb"[ \t\n\r]*+")
_PLAIN: Final = re.compile(rb'[^"\\\x00-\x1f]*+')
_DIGITS: Final = re.compile(rb"[0-9]*+")
_IDENTS: Final = {ord("n"): b"null", ord("t"): b"true", ord("f"): b"false"}
_CLOSING: Final = {ord("["): ord("]"), ord("{"): ord("}")}
_OPENING: Final = b"[{"
_NOTHING: Final = -1


class _Found(Exception):
    def __init__(self, what: str, position: int) -> None:
        super().__init__(what)
        self.what = what
        self.position = position


def json_fault(text: bytes, shape: Shape) -> str | None:
    """
    Return the first fault as `what at line L column C`, or None if there is none.

    Args:
        text: The whole body.
        shape: An array of documents, a stream of documents, or (`object`) any one value.
    """
    try:
        _Scanner(text, building=shape == "object").run(shape)
    except _Found as found:
        before = text[: min(found.position, len(text))]
        line = before.count(b"\n") + 1
        column = len(before) - (before.rfind(b"\n") + 1)
        return f"{found.what} at line {line} column {column}"
    return None


class _Scanner:
    def __init__(self, text: bytes, *, building: bool) -> None:
        self._text = text
        self._at = 0
        self._building = building
        self._number_end = "EOF while parsing a value" if building else "invalid number"

    def run(self, shape: Shape) -> None:
        if shape == "stream":
            while self._peek() != _NOTHING:
                self._element()
            return
        if shape == "array" and self._peek() == ord("["):
            self._array()
        else:
            self._value()
        if self._peek() != _NOTHING:
            raise self._here("trailing characters")

    def _array(self) -> None:
        self._at += 1
        first = True
        while (mark := self._peek()) != ord("]"):
            if mark == _NOTHING:
                raise self._here("EOF while parsing a list")
            if not first:
                if mark != ord(","):
                    raise self._here("expected `,` or `]`")
                self._at += 1
                if self._peek() == ord("]"):
                    raise self._here("trailing comma")
            self._element()
            first = False
        self._at += 1

    def _element(self) -> None:
        """Scan one document, whose text is checked for UTF-8 when its end has been found."""
        start = self._at
        self._value()
        try:
            self._text[start : self._at].decode()
        except UnicodeDecodeError:
            raise self._before("invalid unicode code point") from None

    def _value(self) -> None:
        open_brackets: list[int] = []
        while True:
            opened = self._scalar_or_opening()
            if opened is not None:
                open_brackets.append(opened)
            if not self._to_next_value(open_brackets, may_continue=opened is None):
                return

    def _scalar_or_opening(self) -> int | None:
        mark = self._peek()
        if mark == _NOTHING:
            raise self._here("EOF while parsing a value")
        if mark in _OPENING:
            self._at += 1
            return mark
        if mark == ord('"'):
            self._string()
        elif mark in _IDENTS:
            self._ident(_IDENTS[mark])
        elif mark in b"-0123456789":
            self._number()
        else:
            raise self._here("expected value")
        return None

    def _to_next_value(self, open_brackets: list[int], *, may_continue: bool) -> bool:
        """Go behind commas and closing brackets; False when the outermost value has ended."""
        comma = may_continue
        while open_brackets:
            bracket, mark = open_brackets[-1], self._peek()
            if mark == _CLOSING[bracket]:
                self._at += 1
                open_brackets.pop()
                comma = True
                continue
            if mark == _NOTHING:
                raise self._here(f"EOF while parsing {'a list' if bracket == 91 else 'an object'}")
            if comma:
                self._comma(bracket, mark)
            if bracket == ord("{"):
                self._key(after_comma=comma)
            return True
        return False

    def _comma(self, bracket: int, mark: int) -> None:
        if mark != ord(","):
            raise self._here(f"expected `,` or `{chr(_CLOSING[bracket])}`")
        self._at += 1
        if self._building and self._peek() == _CLOSING[bracket]:
            raise self._here("trailing comma")

    def _key(self, *, after_comma: bool) -> None:
        mark = self._peek()
        if mark == _NOTHING:
            of_value = self._building and after_comma
            raise self._here(f"EOF while parsing {'a value' if of_value else 'an object'}")
        if mark != ord('"'):
            raise self._here("key must be a string")
        self._string()
        mark = self._peek()
        if mark == _NOTHING:
            raise self._here("EOF while parsing an object")
        if mark != ord(":"):
            raise self._here("expected `:`")
        self._at += 1

    def _string(self) -> None:
        self._at += 1
        while True:
            self._at = _end(_PLAIN, self._text, self._at)
            mark = self._next("EOF while parsing a string")
            if mark == ord('"'):
                return
            if mark != ord("\\"):
                self._at -= 0 if self._building else 1
                raise self._before(
                    "control character (\\u0000-\\u001F) found while parsing a string"
                )
            self._escape()

    def _escape(self) -> None:
        mark = self._next("EOF while parsing a string")
        if mark != ord("u"):
            if mark not in b'"\\/bfnrt':
                raise self._before("invalid escape")
            return
        digits = self._text[self._at : self._at + 4]
        self._at += len(digits)
        if len(digits) < 4:
            raise self._before("EOF while parsing a string")
        if not re.fullmatch(rb"[0-9a-fA-F]{4}", digits):
            raise self._before("invalid escape")

    def _ident(self, word: bytes) -> None:
        for expected in word:
            if self._next("EOF while parsing a value") != expected:
                raise self._before("expected ident")

    def _number(self) -> None:
        text = self._text
        if text[self._at] == ord("-"):
            self._at += 1
        first = self._next(self._number_end)
        if first not in b"0123456789":
            raise self._before("invalid number")
        if first != ord("0"):
            self._at = _end(_DIGITS, text, self._at)
        elif text[self._at : self._at + 1].isdigit():
            raise self._here("invalid number")
        if text[self._at : self._at + 1] == b".":
            self._at += 1
            self._some_digits()
        if text[self._at : self._at + 1] in (b"e", b"E"):
            self._at += 1
            if text[self._at : self._at + 1] in (b"+", b"-"):
                self._at += 1
            self._some_digits()

    def _some_digits(self) -> None:
        end = _end(_DIGITS, self._text, self._at)
        if end == self._at:
            at_the_end = end == len(self._text)
            raise self._here(self._number_end if at_the_end else "invalid number")
        self._at = end

    def _peek(self) -> int:
        self._at = _end(_BLANK, self._text, self._at)
        return self._text[self._at] if self._at < len(self._text) else _NOTHING

    def _next(self, at_the_end: str) -> int:
        if self._at >= len(self._text):
            raise self._before(at_the_end)
        self._at += 1
        return self._text[self._at - 1]

    def _here(self, what: str) -> _Found:
        """Blame the byte that comes next."""
        return _Found(what, self._at + 1)

    def _before(self, what: str) -> _Found:
        """Blame the byte that was read last."""
        return _Found(what, self._at)


def _end(pattern: re.Pattern[bytes], text: bytes, position: int) -> int:
    match = pattern.match(text, position)
    assert match, "every pattern here matches nothing at all as well"
    return match.end()
