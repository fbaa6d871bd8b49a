"""
Facets that several shards cannot count as one node does (docs/reference/exactness.md).

Each test pins a difference. When merging closes one, the test says so and the page is mended.
"""

from miroir.core.merge import SearchSettings
from miroir.core.merge.facets import merge_distributions


def merged(parts: list[dict], order: str, matching: int) -> dict:
    """Merge what nodes sent that show one value of each facet at most."""
    settings = SearchSettings(sort_facet_values_by={"*": order}, max_values_per_facet=1)
    return merge_distributions([{"f": part} for part in parts], settings, matching)["f"]


def test_a_frequent_value_that_no_shard_shows_is_missed():
    """`c` is on 8 documents, 4 of each shard, where another value is on 5."""
    assert merged([{"a": 5}, {"b": 5}], "count", 18) == {"b": 5}
    assert merged([{"a": 5, "b": 5, "c": 8}], "count", 18) == {"c": 8}


def test_shards_below_the_switch_of_order_show_other_numbers_than_one_node_above_it():
    """Up to 3000 matches a node keeps the first numbers by text, above by value."""
    assert merged([{"10": 2000}, {"10": 1000}], "alpha", 4000) == {"10": 3000}
    assert merged([{"9": 1000, "10": 3000}], "alpha", 4000) == {"9": 1000}
