"""Facets: sums, and the order in which a node shows them (read off a node)."""

import json

from miroir.core.merge.facets import (
    FacetStats,
    merge_distributions,
    merge_facet_stats,
)
from miroir.core.merge.query import SearchSettings

# What a 1.50 node answers for these values, first by `alpha` (few matches), then by `count`.
ALPHA = ["-5", "0.0000001", "1.5", "10", "100", "1000000000000000000000", "20", "3"]
ALPHA += ["1e3", "a", "b", "C", "É", "true", "x", "y", "z"]
COUNTS = {"20": 6, "3": 6, "100": 3, "1.5": 2, "-5": 2, "b": 6, "a": 5, "y": 3, "x": 3, "É": 2}
COUNTS |= {"C": 2, "1e3": 2}


def merged(parts: list[dict], order: str = "alpha", matching: int = 9, values_max: int = 100):
    settings = SearchSettings(sort_facet_values_by={"*": order}, max_values_per_facet=values_max)
    found = merge_distributions([{"f": part} for part in parts], settings, matching)
    return list(found["f"].items())


def test_counts_of_disjoint_shards_add_up():
    """Each document is on one shard, so nothing is counted twice."""
    assert merged([{"a": 1, "b": 2}, {"b": 3}, {"c": 1}]) == [("a", 1), ("b", 5), ("c", 1)]


def test_alpha_is_the_order_of_a_node():
    """Numbers by text, then strings in normal form."""
    parts = [dict.fromkeys(ALPHA[::2], 1), dict.fromkeys(ALPHA[1::2], 1)]
    assert [value for value, _ in merged(parts)] == ALPHA


def test_alpha_sorts_numbers_by_value_when_many_documents_match():
    """Above 3000 matches a node walks its tree of numbers instead of the documents."""
    assert [v for v, _ in merged([{"10": 1, "9": 1, "x": 1}], matching=3000)] == ["10", "9", "x"]
    assert [v for v, _ in merged([{"10": 1, "9": 1, "x": 1}], matching=3001)] == ["9", "10", "x"]


def test_count_is_the_order_of_a_node():
    """Most frequent first, the greater value first among equals, numbers before strings."""
    half = {value: count // 2 for value, count in COUNTS.items()}
    rest = {value: count - half[value] for value, count in reversed(COUNTS.items())}
    assert merged([rest, half], "count") == list(COUNTS.items())


def test_two_spellings_of_one_value_are_one_value():
    """Each node shows the spelling of one of its own documents."""
    assert merged([{"Action": 1}, {"action ": 2}, {"ACTION": 4}]) == [("Action", 7)]


def test_values_beyond_the_maximum_are_left_out_after_summing():
    """A value that is second on every shard may be the first of all."""
    assert merged([{"a": 5, "c": 4}, {"b": 5, "c": 4}], "count", values_max=1) == [("c", 8)]


def test_a_facet_may_have_its_own_order_and_may_be_missing_on_a_shard():
    """`sortFacetValuesBy` names facets; a shard without the field does not list it."""
    settings = SearchSettings(sort_facet_values_by={"*": "alpha", "g": "count"})
    found = merge_distributions([{"g": {"a": 1, "b": 2}}, {"f": {"y": 1, "x": 2}}], settings, 1)
    assert json.dumps(found) == '{"f": {"x": 2, "y": 1}, "g": {"b": 2, "a": 1}}'
    assert SearchSettings(sort_facet_values_by={}).facet_order("f") == "alpha"


def test_least_and_greatest_numbers_are_those_of_all_shards():
    """Exact, whatever the shards."""
    stats = [{"b": FacetStats(1, 5)}, {"a": FacetStats(2, 2), "b": FacetStats(-1, 3)}]
    assert list(merge_facet_stats(stats).items()) == [
        ("a", FacetStats(2, 2)),
        ("b", FacetStats(-1, 5)),
    ]
