"""
Templates of documents: the part of Liquid that they use.

    {{ doc.title | truncatewords: 3 }}   {% for field in fields %}...{% endfor %}
    {% if a and b != nil %} {% elsif %} {% else %} {% endif %}   {% unless %}   {% assign x = y %}

A template that cannot be read is a `LiquidSyntaxError`, a field that is not there a
`LiquidMissingError`, except in a condition, where it is nil. Knows no index and no request.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Any, Final

_TAG: Final = re.compile(r"(\{%-?.*?-?%\}|\{\{-?.*?-?\}\})", re.DOTALL)
_WORD: Final = re.compile(
    r"""\s*("[^"]*"|'[^']*'|-?\d+(?:\.\d+)?|[A-Za-z_][\w-]*|==|!=|<>|<=|>=|\.\.|[<>|:,.()\[\]=])"""
)
_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "contains": lambda a, b: b in a,
}
_LITERALS: Final = {"nil": None, "null": None, "true": True, "false": False}
_STEPS_MAX: Final = 100_000  # of all loops of one template together
_DEPTH_MAX: Final = 50


class LiquidSyntaxError(ValueError):
    """The text is no template."""


class LiquidMissingError(ValueError):
    """The template names something that is not there."""


@dataclass(slots=True)
class _Block:
    """A piece of a template: text, an output, or a tag with what is inside it."""

    kind: str
    words: list[str] = field(default_factory=list)
    text: str = ""
    inside: list["_Block"] = field(default_factory=list)
    otherwise: list["_Block"] = field(default_factory=list)


def text_of(value: Any) -> str:
    """Return a value as a template shows it: lists and objects run together."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "".join(map(text_of, value))
    if isinstance(value, dict):
        return "".join(f"{key}{text_of(member)}" for key, member in value.items())
    return str(value)


def _truncated_words(value: Any, count: Any = 15, ending: Any = "...") -> str:
    words = text_of(value).split()
    kept = " ".join(words[: int(count)])
    return kept + text_of(ending) if len(words) > int(count) else kept


def _truncated(value: Any, count: Any = 50, ending: Any = "...") -> str:
    text, end = text_of(value), text_of(ending)
    return text if len(text) <= int(count) else text[: max(int(count) - len(end), 0)] + end


_FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "upcase": lambda v: text_of(v).upper(),
    "downcase": lambda v: text_of(v).lower(),
    "capitalize": lambda v: text_of(v)[:1].upper() + text_of(v)[1:],
    "strip": lambda v: text_of(v).strip(),
    "lstrip": lambda v: text_of(v).lstrip(),
    "rstrip": lambda v: text_of(v).rstrip(),
    "size": lambda v: len(v) if isinstance(v, list | str | dict) else 0,
    "first": lambda v: v[0] if isinstance(v, list) and v else None,
    "last": lambda v: v[-1] if isinstance(v, list) and v else None,
    "join": lambda v, by=" ": text_of(by).join(map(text_of, v if isinstance(v, list) else [v])),
    "split": lambda v, by=" ": text_of(v).split(text_of(by) or None),
    "append": lambda v, end: text_of(v) + text_of(end),
    "prepend": lambda v, start: text_of(start) + text_of(v),
    "replace": lambda v, old, new="": text_of(v).replace(text_of(old), text_of(new)),
    "default": lambda v, other="": v if v not in (None, False, "", []) else other,
    "truncate": _truncated,
    "truncatewords": _truncated_words,
}


class Template:
    """A template that was read; raises LiquidSyntaxError when it cannot be."""

    def __init__(self, source: str) -> None:
        pieces = [piece for piece in _TAG.split(source) if piece]
        if any("{%" in piece or "{{" in piece for piece in pieces if not _TAG.fullmatch(piece)):
            raise LiquidSyntaxError("a tag is not closed")
        self._pieces = iter(_trimmed(pieces))
        self._depth = 0
        self._blocks, ended_by = self._read(())
        assert not ended_by, "nothing ends the whole"

    def render(self, values: Mapping[str, Any]) -> str:
        """Return the text for values; LiquidMissingError for a field that is not there."""
        return "".join(_rendered(self._blocks, dict(values), count(1)))

    def _read(self, ends: tuple[str, ...]) -> tuple[list[_Block], list[str]]:
        """Read blocks up to one of some tags; return them and the tag's words."""
        blocks: list[_Block] = []
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise LiquidSyntaxError("tags are nested too deeply")
        for piece in self._pieces:
            if not _TAG.fullmatch(piece):
                blocks.append(_Block("text", text=piece))
                continue
            words = _words(piece[2:-2].strip("-"))
            if piece.startswith("{{"):
                _check_filters(words)
                blocks.append(_Block("output", words))
            elif words and words[0] in ends:
                self._depth -= 1
                return blocks, words
            else:
                blocks.append(self._tag(words))
        if ends:
            raise LiquidSyntaxError(f"expected one of {', '.join(ends)}")
        return blocks, []

    def _tag(self, words: list[str]) -> _Block:
        match words:
            case ["if" | "unless" as kind, *rest] if rest:
                return self._condition(kind, rest)
            case ["for", _, "in", *rest] if rest:
                inside, _ = self._read(("endfor",))
                return _Block("for", words[1:], inside=inside)
            case ["assign", _, "=", *rest] if rest:
                _check_filters(rest)
                return _Block("assign", words[1:])
            case ["comment"]:
                self._read(("endcomment",))
                return _Block("text")
            case _:
                raise LiquidSyntaxError(f"Unknown tag `{' '.join(words)}`")

    def _condition(self, kind: str, words: list[str]) -> _Block:
        inside, end = self._read(("elsif", "else", f"end{kind}"))
        block = _Block(kind, words, inside=inside)
        if end[0] == "elsif":
            block.otherwise = [self._condition("if", end[1:])]
        elif end[0] == "else":
            block.otherwise, _ = self._read((f"end{kind}",))
        return block


def _trimmed(pieces: list[str]) -> Iterator[str]:
    """Yield the pieces, text without the space that `{%-` and `-%}` take away."""
    for at, piece in enumerate(pieces):
        if _TAG.fullmatch(piece):
            yield piece
            continue
        text = piece
        if at and pieces[at - 1][-3:-2] == "-":
            text = text.lstrip()
        if at + 1 < len(pieces) and pieces[at + 1][2:3] == "-":
            text = text.rstrip()
        yield text


def _words(text: str) -> list[str]:
    words, at = [], 0
    while text[at:].strip():
        found = _WORD.match(text, at)
        if found is None:
            raise LiquidSyntaxError(f"unexpected `{text[at:].strip()}`")
        words.append(found[1])
        at = found.end()
    return words


def _check_filters(words: list[str]) -> None:
    for before, word in pairwise(words):
        if before == "|" and word not in _FILTERS:
            raise LiquidSyntaxError(f"Unknown filter\n  with:\n    requested filter={word}\n")


def _rendered(blocks: list[_Block], values: dict[str, Any], steps: Iterator[int]) -> Iterator[str]:
    for block in blocks:
        match block.kind:
            case "text":
                yield block.text
            case "output":
                yield text_of(_filtered(block.words, values))
            case "assign":
                values[block.words[0]] = _filtered(block.words[2:], values)
            case "for":
                for item in _items(block.words[2:], values):
                    if next(steps) > _STEPS_MAX:
                        raise LiquidMissingError("the loops of the template take too long\n")
                    inner = {**values, block.words[0]: item}
                    yield from _rendered(block.inside, inner, steps)
            case kind:
                holds = _holds(block.words, values) == (kind == "if")
                yield from _rendered(block.inside if holds else block.otherwise, values, steps)


def _filtered(words: list[str], values: Mapping[str, Any]) -> Any:
    first, *filters = _split(words, "|")
    value = _value(first, values)
    for name, *rest in filters:
        arguments = [_value(part, values) for part in _split(rest[1:], ",")] if rest else []
        try:
            value = _FILTERS[name](value, *arguments)
        except (TypeError, ValueError) as error:
            raise LiquidMissingError(f"Invalid input for `{name}`\n") from error
    return value


def _split(words: list[str], by: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for word in words:
        if word == by:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def _items(words: list[str], values: Mapping[str, Any]) -> list[Any]:
    if words[0] == "(" and ".." in words:
        middle = words.index("..")
        first, last = _value(words[1:middle], values), _value(words[middle + 1 : -1], values)
        if not isinstance(first, int) or not isinstance(last, int) or last - first > _STEPS_MAX:
            raise LiquidMissingError("Expected a range of whole numbers\n")
        return list(range(first, last + 1))
    found = _value(words, values)
    if isinstance(found, dict):
        return [[key, member] for key, member in found.items()]
    return found if isinstance(found, list) else []


def _holds(words: list[str], values: Mapping[str, Any]) -> bool:
    for either in _split(words, "or"):
        if all(_is_true(part, values) for part in _split(either, "and")):
            return True
    return False


def _is_true(words: list[str], values: Mapping[str, Any]) -> bool:
    for at, word in enumerate(words):
        if word in _COMPARISONS:
            left = _value(words[:at], values, nil=True)
            right = _value(words[at + 1 :], values, nil=True)
            try:
                return bool(_COMPARISONS[word](left, right))
            except TypeError:
                return False  # values of two kinds are in no order
    return _value(words, values, nil=True) not in (None, False)


def _value(words: list[str], values: Mapping[str, Any], *, nil: bool = False) -> Any:
    """Return what a literal or a path means; with `nil`, None for what is not there."""
    if not words:
        raise LiquidSyntaxError("expected Value")
    head = words[0]
    if head[0] in "\"'":
        return head[1:-1]
    if head in _LITERALS:
        return _LITERALS[head]
    if head[0].isdigit() or head[0] == "-":
        return float(head) if "." in head else int(head)
    if head not in values:
        if nil:
            return None
        raise LiquidMissingError(f"Unknown variable\n  with:\n    requested variable={head}\n")
    found, path = values[head], head
    for word in (word for word in words[1:] if word not in {".", "[", "]"}):
        key = word[1:-1] if word[0] in "\"'" else word
        if isinstance(found, dict) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        elif key in {"size", "first", "last"} and isinstance(found, list | str):
            found = _FILTERS[key](found)
        elif nil:
            return None
        else:
            known = ", ".join(found) if isinstance(found, dict) else ""
            raise LiquidMissingError(
                f"Unknown index\n  with:\n    variable={path}\n    requested index={key}\n"
                f"    available indexes={known}\n"
            )
        path = f"{path}.{key}"
    return found
