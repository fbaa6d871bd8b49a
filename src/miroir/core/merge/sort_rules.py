"""
What a search is sorted by, rule by rule, as nodes apply it.

`sort` stands where `rankingRules` has it, `field:asc` and `field:desc` stand among them by
themselves; a field that has come before is not sorted by again.

Source: `resolve_sort_criteria` of milli; `AscDesc::from_str`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

_BETWEEN: Final = re.compile(r",(?![^(]*\))")
"""A comma between two sort expressions, not one in `_geoPoint(1,2)`."""


_RELEVANCY: Final = frozenset(
    {"words", "typo", "proximity", "attribute", "attributeRank", "wordPosition", "exactness"}
)


class SortRule(msgspec.Struct, frozen=True):
    """One attribute and the direction in which hits are put by it."""

    field: str
    ascending: bool


def split_sort(text: str) -> list[str]:
    """Return the sort expressions of a query string."""
    return _BETWEEN.split(text)


def sort_rules(sort: Any, ranking_rules: Sequence[str]) -> tuple[SortRule, ...]:
    """
    Return what hits are sorted by, in order; what nodes refuse, and places, are left out.

    Args:
        sort: The parameter: a list, the text of a query string, or None.
        ranking_rules: Those of the index.
    """
    asked = split_sort(sort) if isinstance(sort, str) else sort
    given = [e for e in asked if isinstance(e, str)] if isinstance(asked, list) else []
    found: dict[str, SortRule] = {}
    for expression in _expanded(given, ranking_rules):
        field, _, direction = expression.rpartition(":")
        if direction in {"asc", "desc"} and not field.startswith("_geoPoint("):
            found.setdefault(field, SortRule(field, direction == "asc"))
    return tuple(found.values())


def splits_relevancy(sort: Any, ranking_rules: Sequence[str]) -> bool:
    """Whether hits are sorted in the midst of the rules of relevancy, by whatever it is."""
    split = seen = False
    for rule in ranking_rules:
        if rule not in _RELEVANCY:
            split = seen and (split or rule != "sort" or bool(sort))
        elif split:
            return True
        else:
            seen = True
    return False


def _expanded(sort: Sequence[str], ranking_rules: Sequence[str]) -> Iterator[str]:
    for rule in ranking_rules:
        if rule == "sort":
            yield from sort
        else:
            yield rule
