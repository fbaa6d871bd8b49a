"""
What can be wrong with the value of one setting, told without a node.

Shapes that every engine refuses are faults; what is legal and hardly meant (an attribute twice,
`*` beside others) is a warning. Engines have the last word: what is not known here passes. The
`rule` of each finding is for machines and does not change. Pure.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from miroir.core.secret_places import is_reference, places
from miroir.core.settings import BY_KEY, EMBEDDERS
from miroir.core.settings_normal import EMBEDDER_FIELDS

_RULES: Final = frozenset(
    {
        "words", "typo", "proximity", "attribute", "attributeRank", "sort", "wordPosition",
        "exactness",
    }
)  # fmt: skip
_SIZE_MAX: Final = 255
_BY_FIELD: Final = re.compile(r"^.+:(?:asc|desc)$")
_TEXTS: Final = (
    "displayedAttributes", "searchableAttributes", "sortableAttributes", "rankingRules",
    "stopWords", "nonSeparatorTokens", "separatorTokens", "dictionary",
)  # fmt: skip
_CHOICES: Final[Mapping[str, tuple[Any, ...]]] = {
    "proximityPrecision": ("byWord", "byAttribute"),
    "prefixSearch": ("indexingTime", "disabled"),
    "facetSearch": (True, False),
}


@dataclass(frozen=True)
class Found:
    """
    One finding.

    Attributes:
        place: Within the value: `[2]`, `.small.apiKey`.
    """

    place: str
    says: str
    rule: str
    warning: bool = False


def check_value(key: str, value: Any) -> Iterator[Found]:
    """Yield what is wrong with the value of a setting; null is always right."""
    if value is None:
        return
    if key in _TEXTS:
        yield from _texts(key, value)
    elif key in _CHOICES:
        if value not in _CHOICES[key] or isinstance(value, bool) != (key == "facetSearch"):
            said = " or ".join(f"`{_yaml(choice)}`" for choice in _CHOICES[key])
            yield Found("", f"expected {said}", "choice")
    elif key in _SHAPES:
        yield from _SHAPES[key](value)
    elif key in BY_KEY and BY_KEY[key].merges and not isinstance(value, Mapping):
        yield Found("", "expected a mapping", "type")


def _texts(key: str, value: Any) -> Iterator[Found]:
    if not isinstance(value, list):
        yield Found("", "expected a list of strings", "type")
        return
    seen: set[str] = set()
    for place, item in enumerate(value):
        if not isinstance(item, str):
            quoted = f'; write `"{_yaml(item)}"` if the word is meant' if _is_plain(item) else ""
            yield Found(f"[{place}]", f"expected a string{quoted}", "type")
        elif item in seen:
            yield Found(f"[{place}]", f"`{item}` is here already", "duplicate", warning=True)
        elif key == "rankingRules" and item not in _RULES and not _BY_FIELD.match(item):
            said = f"`{item}` is no ranking rule; expected one of {', '.join(sorted(_RULES))}"
            yield Found(f"[{place}]", f"{said}, or `FIELD:asc`, `FIELD:desc`", "ranking-rule")
        if isinstance(item, str):
            seen.add(item)
    if key in {"searchableAttributes", "displayedAttributes"} and "*" in value and len(value) > 1:
        yield Found("", "`*` swallows the others", "star", warning=True)
    if (
        key == "rankingRules"
        and "attribute" in seen & _RULES
        and seen
        & {
            "attributeRank",
            "wordPosition",
        }
    ):
        said = "`attribute` cannot be mixed with `attributeRank` and `wordPosition`"
        yield Found("", said, "ranking-rule")


def _filterable(value: Any) -> Iterator[Found]:
    if not isinstance(value, list):
        yield Found("", "expected a list", "type")
        return
    for place, item in enumerate(value):
        if isinstance(item, Mapping):
            if not isinstance(item.get("attributePatterns"), list):
                yield Found(f"[{place}]", "`attributePatterns` is missing", "shape")
        elif not isinstance(item, str):
            yield Found(f"[{place}]", "expected a string or an object", "type")
        if item in value[:place]:
            yield Found(f"[{place}]", "this is here already", "duplicate", warning=True)


def _synonyms(value: Any) -> Iterator[Found]:
    if not isinstance(value, Mapping):
        yield Found("", "expected a mapping of words to lists", "type")
        return
    for word, others in value.items():
        if not isinstance(word, str):
            said = f'expected a string; write `"{_yaml(word)}"` if the word is meant'
            yield Found(f".{_yaml(word)}", said, "type")
        if not isinstance(others, list) or not all(isinstance(o, str) for o in others):
            yield Found(f".{word}", "expected a list of strings", "type")


def _pagination(value: Any) -> Iterator[Found]:
    most = value.get("maxTotalHits") if isinstance(value, Mapping) else value
    if not isinstance(value, Mapping) or (most is not None and not _is_count(most, least=1)):
        yield Found(".maxTotalHits", "expected a whole number above 0", "type")


def _cutoff(value: Any) -> Iterator[Found]:
    if not _is_count(value, least=0):
        yield Found("", "expected a number of milliseconds", "type")


def _distinct(value: Any) -> Iterator[Found]:
    if not isinstance(value, str):
        yield Found("", "expected the name of an attribute", "type")


def _typo(value: Any) -> Iterator[Found]:
    if not isinstance(value, Mapping):
        yield Found("", "expected a mapping", "type")
        return
    for name in ("enabled", "disableOnNumbers"):
        if not isinstance(value.get(name), bool | None):
            yield Found(f".{name}", "expected `true` or `false`", "type")
    for name in ("disableOnWords", "disableOnAttributes"):
        if value.get(name) is not None:
            for found in _texts(name, value[name]):
                yield replace(found, place=f".{name}{found.place}")
    sizes = value.get("minWordSizeForTypos")
    for name, size in (sizes if isinstance(sizes, Mapping) else {}).items():
        if size is not None and not (_is_count(size, least=0) and size <= _SIZE_MAX):
            said = f"expected a whole number from 0 to {_SIZE_MAX}"
            yield Found(f".minWordSizeForTypos.{name}", said, "type")


def _embedders(value: Any) -> Iterator[Found]:
    if not isinstance(value, Mapping):
        yield Found("", "expected a mapping of names to embedders", "type")
        return
    for name, embedder in value.items():
        if embedder is None:
            continue
        if not isinstance(embedder, Mapping):
            yield Found(f".{name}", "expected an object", "type")
        elif "source" in embedder and embedder["source"] not in EMBEDDER_FIELDS:
            said = f"expected one of {', '.join(EMBEDDER_FIELDS)}"
            yield Found(f".{name}.source", said, "choice")
    for path, secret in places({EMBEDDERS: value}):
        if not is_reference(secret):
            said = "a secret does not belong into a file; write `env:NAME` or `file:PATH`"
            yield Found(f".{'.'.join(path)}", said, "secret")


_SHAPES: Final[Mapping[str, Callable[[Any], Iterator[Found]]]] = {
    "filterableAttributes": _filterable,
    "synonyms": _synonyms,
    "pagination": _pagination,
    "typoTolerance": _typo,
    "searchCutoffMs": _cutoff,
    "distinctAttribute": _distinct,
    EMBEDDERS: _embedders,
}


def _is_count(value: Any, *, least: int) -> bool:
    return type(value) is int and value >= least


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float)


def _yaml(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
