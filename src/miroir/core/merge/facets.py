"""
Facet counts of many shards -> those of all documents.

Shards are disjoint, so counts add up. Nodes show one original spelling of each value; two shards
may show two spellings of one value, so values are summed in normal form (distinct.py) and shown in
the spelling of the lowest shard.

Order of a node, which is kept: numbers before strings; `alpha`: numbers by text up to 3000
matching documents (a node then walks documents) and by value above, strings in normal form;
`count`: most frequent first, the greater value first among equals.

Exact for `alpha`; for `count` a value that is beyond `maxValuesPerFacet` on one shard is missed
there. Numbers and strings of one spelling are one value, as in the answers of nodes.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from miroir.core.merge.distinct import normal_text
from miroir.core.merge.query import FacetOrder, SearchSettings

Distribution = Mapping[str, Mapping[str, int]]

_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_BY_TEXT_MAX: Final = 3000


class FacetStats(msgspec.Struct, frozen=True):
    """Least and greatest number of a facet."""

    min: float
    max: float


def merge_distributions(
    parts: Sequence[Distribution], settings: SearchSettings, matching: int
) -> dict[str, dict[str, int]]:
    """
    Sum the distributions of the shards.

    Args:
        parts: One per shard, in shard order.
        settings: Order and number of values.
        matching: Documents that match on all shards.
    """
    names = sorted({name for part in parts for name in part})
    return {
        name: _merged_facet(
            [part[name] for part in parts if name in part],
            settings.facet_order(name),
            settings.max_values_per_facet,
            by_text=matching <= _BY_TEXT_MAX,
        )
        for name in names
    }


def merge_facet_stats(parts: Sequence[Mapping[str, FacetStats]]) -> dict[str, FacetStats]:
    """Return the least minimum and greatest maximum of every facet that has numbers anywhere."""
    merged: dict[str, FacetStats] = {}
    for part in parts:
        for name, stats in part.items():
            known = merged.get(name, stats)
            merged[name] = FacetStats(min(known.min, stats.min), max(known.max, stats.max))
    return dict(sorted(merged.items()))


def _merged_facet(
    parts: Sequence[Mapping[str, int]], order: FacetOrder, values_max: int, *, by_text: bool
) -> dict[str, int]:
    numbers: dict[str, int] = {}
    strings: dict[str, tuple[str, int]] = {}
    for part in parts:
        for value, count in part.items():
            if _NUMBER.fullmatch(value):
                numbers[value] = numbers.get(value, 0) + count
            else:
                normal = normal_text(value)
                spelling, sum_so_far = strings.get(normal, (value, 0))
                strings[normal] = (spelling, sum_so_far + count)
    merged = [*_numbers(numbers, order, by_text=by_text), *_strings(strings, order)]
    return dict(merged[:values_max])


def _numbers(
    values: Mapping[str, int], order: FacetOrder, *, by_text: bool
) -> list[tuple[str, int]]:
    if order == "count":
        return sorted(values.items(), key=lambda item: (-item[1], -float(item[0])))
    if by_text:
        return sorted(values.items())
    return sorted(values.items(), key=lambda item: float(item[0]))


def _strings(values: Mapping[str, tuple[str, int]], order: FacetOrder) -> list[tuple[str, int]]:
    by_value = sorted(values, reverse=order == "count")
    if order == "count":
        by_value.sort(key=lambda normal: -values[normal][1])
    return [values[normal] for normal in by_value]
