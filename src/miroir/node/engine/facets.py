"""
Facets of a search: how many of the found documents have each value, and minima and maxima.

Numbers come before strings. Order `alpha` is by normalised value; up to 3000 documents numbers are
ordered as text, above as numbers (as in Meilisearch). Order `count` is by number of documents,
numbers and strings apart, the greater value first among equals.

Facet search, which looks for values by what they begin with, is `facet_search.py`.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar

from pyroaring import BitMap

from miroir.node.engine.facet_index import FieldValues, spelling
from miroir.node.engine.fields import covers, matches_pattern
from miroir.node.engine.index_settings import IndexSettings
from miroir.node.engine.store import IndexStore
from miroir.node.errors import ApiError

_FEW_DOCUMENTS: Final = 3000

_Key = TypeVar("_Key", float, str)
Distribution = dict[str, dict[str, int]]
Stats = dict[str, dict[str, float]]


def facets_of(
    store: IndexStore, wanted: Sequence[str], candidates: BitMap
) -> tuple[Distribution, Stats]:
    """Return distribution and stats of the wanted facets; ApiError for a bad one."""
    for pattern in wanted:
        _check(store.settings, pattern)
    distribution: Distribution = {}
    stats: Stats = {}
    every = [path for path in store.known_fields() if store.settings.is_filterable(path)]
    meant = {path for path in every if any(matches_pattern(one, path) for one in wanted)}
    for path in every:
        if not any(covers(name, path) for name in meant):
            continue
        order = facet_order(store.settings, path if path in meant else "*")
        distribution[path] = _counts(store, path, candidates, order)
        bounds = _bounds(store.facets.field(path), candidates)
        if bounds is not None:
            stats[path] = bounds
    return distribution, stats


def facet_order(settings: IndexSettings, path: str) -> str:
    """Return `alpha` or `count` for a field."""
    order = settings.facet_order
    return order.get(path) or order.get("*", "alpha")


def number_key(number: float) -> str:
    """Return a number as the key of a distribution: `10`, `1.5`, never with an exponent."""
    text = format(Decimal(repr(number)), "f")
    return text.removesuffix(".0")


def _counts(store: IndexStore, path: str, candidates: BitMap, order: str) -> dict[str, int]:
    values = store.facets.field(path)
    numbers = _present(values.numbers, candidates)
    strings = _present(values.strings, candidates)
    maximum = store.settings.values_per_facet_max
    by_count = order == "count"
    is_read_by_document = not by_count and len(candidates) <= _FEW_DOCUMENTS
    keys = [(number_key(n), count) for n, count in _by(numbers, by_count=by_count)]
    if is_read_by_document:
        keys.sort()
    counts = dict(keys[:maximum])
    left: int | None = maximum - len(counts)
    if left == 0 and not is_read_by_document:
        left = None  # as in Meilisearch, which stops at the maximum, not beyond it
    for normalized, count in _by(strings, by_count=by_count)[:left]:
        document = (values.strings[normalized] & candidates).min()
        counts[spelling(store.contents[document], path, normalized)] = count
    return counts


def _by(counts: Mapping[_Key, int], *, by_count: bool) -> list[tuple[_Key, int]]:
    if by_count:
        return sorted(counts.items(), key=lambda item: (item[1], item[0]), reverse=True)
    return sorted(counts.items())


def _present(values: Mapping[Any, BitMap], candidates: BitMap) -> dict[Any, int]:
    """Return how many candidates have each value, those with none left out."""
    counts = {value: found.intersection_cardinality(candidates) for value, found in values.items()}
    return {value: count for value, count in counts.items() if count}


def _bounds(values: FieldValues, candidates: BitMap) -> dict[str, float] | None:
    numbers = [n for n, found in values.numbers.items() if found.intersect(candidates)]
    return {"min": min(numbers), "max": max(numbers)} if numbers else None


def _check(settings: IndexSettings, pattern: str) -> None:
    """Refuse a facet that no rule of `filterableAttributes` allows."""
    for number, rule in enumerate(settings.filterable):
        if rule.is_filterable:
            if rule.meets(pattern):
                return
        elif rule.matches(pattern):
            raise ApiError("invalid_search_facets", _rule_forbids(pattern, number))
    patterns = settings.filterable_patterns(lambda rule: rule.is_filterable)
    if patterns:
        rest = f"Available filterable attributes patterns are: `{', '.join(patterns)}`."
    else:
        rest = "This index does not have configured filterable attributes."
    message = f"Invalid facet distribution: Pattern `{pattern}` is not filterable. {rest}"
    raise ApiError("invalid_search_facets", message)


def _rule_forbids(pattern: str, number: int) -> str:
    return (
        f"Invalid facet distribution: Attribute `{pattern}` matched rule #{number} in "
        "filterableAttributes, but this rule does not enable filtering.\n"
        f"Hint: enable filtering in rule #{number} by modifying the features.filter object\n"
        f"Hint: prepend another rule matching `{pattern}` with appropriate filter features "
        f"before rule #{number}"
    )
