"""
Facets of a search: how many of the found documents have each value, and minima and maxima.

Numbers come before strings. Order `alpha` is by normalised value; up to 3000 documents numbers are
ordered as text, above as numbers (as in Meilisearch). Order `count` is by number of documents,
numbers and strings apart, ties by value.

Facet search, which looks for values by what they begin with, is `facet_search.py`.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from pyroaring import BitMap

from miroir.node.engine.facet_index import FieldValues, spelling
from miroir.node.engine.fields import matches_pattern
from miroir.node.engine.index_settings import IndexSettings
from miroir.node.engine.store import IndexStore
from miroir.node.errors import ApiError

_FEW_DOCUMENTS: Final = 3000

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
    for path in store.known_fields():
        if not store.settings.is_filterable(path):
            continue
        if not any(matches_pattern(pattern, path) for pattern in wanted):
            continue
        distribution[path] = _counts(store, path, candidates)
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


def _counts(store: IndexStore, path: str, candidates: BitMap) -> dict[str, int]:
    values = store.facets.field(path)
    numbers = _present(values.numbers, candidates)
    strings = _present(values.strings, candidates)
    maximum = store.settings.values_per_facet_max
    by_count = facet_order(store.settings, path) == "count"
    keys = [(number_key(number), count) for number, count in sorted(numbers.items())]
    if by_count:
        keys.sort(key=lambda item: -item[1])
    elif len(candidates) <= _FEW_DOCUMENTS:
        keys.sort()
    texts = sorted(strings.items())
    if by_count:
        texts.sort(key=lambda item: -item[1])
    counts = dict(keys[:maximum])
    for normalized, count in texts[: max(maximum - len(counts), 0)]:
        document = (values.strings[normalized] & candidates).min()
        counts[spelling(store.contents[document], path, normalized)] = count
    return counts


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
