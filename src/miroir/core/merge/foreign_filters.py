"""
Filters on documents of another index: `_foreign(author, name = Alice)`.

A node looks among its own part of the other index. Over shards the condition is answered first, by
all shards of that index, and put into the filter as what one node makes of it:

    _foreign(author, name = Alice)  ─▶  author IN ["a1", "a7"]

A filter is scanned, not parsed: only quotes and brackets count. That it is right, nodes have said
before.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

_WORD: Final = "_foreign"
_QUOTES: Final = "\"'"


@dataclass(frozen=True)
class Condition:
    """
    One condition on another index.

    Attributes:
        field: Names the documents of the other index, as the filter has it.
        inner: The filter on the other index.
    """

    field: str
    inner: str

    @property
    def path(self) -> str:
        """The field without quotes."""
        return self.field.strip(_QUOTES)


def conditions(filter_: Any) -> Iterator[Condition]:
    """Yield the conditions of a filter, a text or lists of texts."""
    if isinstance(filter_, list):
        for part in filter_:
            yield from conditions(part)
    elif isinstance(filter_, str):
        yield from (condition for _, _, condition in _found(filter_))


def resolved(filter_: Any, ids_of: Callable[[Condition], Sequence[str]]) -> Any:
    """Return the filter with the ids of documents in the place of each condition."""
    if isinstance(filter_, list):
        return [resolved(part, ids_of) for part in filter_]
    if not isinstance(filter_, str):
        return filter_
    text, end = "", 0
    for start, behind, condition in _found(filter_):
        ids = ", ".join(f'"{name}"' for name in ids_of(condition))
        text += f"{filter_[end:start]}{condition.field} IN [{ids}]"
        end = behind
    return text + filter_[end:]


def _found(text: str) -> Iterator[tuple[int, int, Condition]]:
    """Yield where each condition begins and ends, and what it is."""
    at = 0
    while at < len(text):
        if text[at] in _QUOTES:
            at = _behind_quote(text, at)
        elif _begins_here(text, at):
            start, opened = at, text.index("(", at)
            comma, at = _parts(text, opened + 1)
            field, inner = text[opened + 1 : comma], text[comma + 1 : at]
            at += 1
            yield start, at, Condition(field.strip(), inner.strip())
        else:
            at += 1


def _begins_here(text: str, at: int) -> bool:
    if not text.startswith(_WORD, at) or (
        at and (text[at - 1].isalnum() or text[at - 1] in "_-.")
    ):
        return False
    return text[at + len(_WORD) :].lstrip()[:1] == "("


def _parts(text: str, at: int) -> tuple[int, int]:
    """Return where the first comma and the closing bracket are."""
    comma, depth = len(text), 1
    while at < len(text):
        if text[at] in _QUOTES:
            at = _behind_quote(text, at)
            continue
        depth += (text[at] == "(") - (text[at] == ")")
        if depth == 0:
            return comma, at
        if text[at] == "," and comma == len(text):
            comma = at
        at += 1
    return comma, at


def _behind_quote(text: str, at: int) -> int:
    quote, at = text[at], at + 1
    while at < len(text) and text[at] != quote:
        at += 2 if text[at] == "\\" else 1
    return at + 1
