"""
A settings change as its task tells it: what was asked for, in the order in which nodes tell it.

Nodes read a change into their own table before they tell it, so that keys stand in the table's
order, sets and maps are sorted, and keys are masked; here every secret is, since tasks are kept in
clear. Nothing is judged here, and what is not of the expected form is told as it came.
"""

from collections.abc import Mapping
from typing import Any, Final

from miroir.core.secret_places import discreet
from miroir.core.settings import BY_KEY, EMBEDDERS, resets_all
from miroir.core.settings_normal import Settings, granular

_SETS: Final = frozenset(
    {"sortableAttributes", "stopWords", "nonSeparatorTokens", "separatorTokens", "dictionary"}
)
_ALL: Final = frozenset({"displayedAttributes", "searchableAttributes"})
_RULES: Final = "filterableAttributes"
_MAPS: Final = frozenset({"synonyms", EMBEDDERS})
_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "typoTolerance": (
        "enabled", "minWordSizeForTypos", "disableOnWords", "disableOnAttributes",
        "disableOnNumbers",
    ),
    "faceting": ("maxValuesPerFacet", "sortFacetValuesBy"),
}  # fmt: skip
_RULE: Final = ("attributePatterns", "features")
_SETS_INSIDE: Final = frozenset({"disableOnWords", "disableOnAttributes"})
_MAPS_INSIDE: Final = frozenset({"sortFacetValuesBy"})


def told(patch: Settings) -> dict[str, Any]:
    """Return the details of the task of a change."""
    everything = dict.fromkeys((*BY_KEY, *patch)) if resets_all(patch) else patch
    masked = discreet(everything)
    return {key: _value(key, masked[key]) for key in _in_order(masked, tuple(BY_KEY))}


def _in_order(members: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    return [n for n in names if n in members] + [n for n in members if n not in names]


def _value(key: str, value: Any) -> Any:
    if key in _ALL and value is None:
        return ["*"]
    if key == _RULES and isinstance(value, list):
        return [_rule(rule) for rule in value]
    if key in _SETS:
        return _set(value)
    if key in _MAPS:
        return _map(value)
    if key not in _MEMBERS or not isinstance(value, Mapping):
        return value
    return {name: _inner(name, value[name]) for name in _in_order(value, _MEMBERS[key])}


def _rule(rule: Any) -> Any:
    """Return a rule of filters with what it leaves to the defaults."""
    filled = granular(rule)
    if not isinstance(filled, Mapping):
        return filled
    return {name: filled[name] for name in _in_order(filled, _RULE)}


def _inner(name: str, value: Any) -> Any:
    if name in _SETS_INSIDE:
        return _set(value)
    return _map(value) if name in _MAPS_INSIDE else value


def _set(value: Any) -> Any:
    is_texts = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return sorted(set(value)) if is_texts else value


def _map(value: Any) -> Any:
    return dict(sorted(value.items())) if isinstance(value, Mapping) else value
