"""What a search is sorted by, in the order in which nodes apply it."""

import pytest

from miroir.core.merge.sort_rules import SortRule, sort_rules, split_sort, splits_relevancy

UP, DOWN = True, False


def test_sort_stands_where_the_ranking_rules_have_it() -> None:
    """A rule that is taken for another would order hits by the wrong value."""
    found = sort_rules(["b:desc"], ("words", "a:asc", "sort", "typo", "c:desc"))
    assert found == (SortRule("a", UP), SortRule("b", DOWN), SortRule("c", DOWN))


def test_a_field_is_sorted_by_once() -> None:
    """Nodes leave out a field that has come before, whatever its direction."""
    found = sort_rules(["a:asc", "b:asc", "a:desc"], ("sort", "b:desc", "sort"))
    assert found == (SortRule("a", UP), SortRule("b", UP))


def test_without_the_rule_nothing_is_sorted() -> None:
    """`sort` may be missing from the ranking rules."""
    assert sort_rules(["a:asc"], ("words",)) == ()


def test_places_and_what_nodes_refuse_are_no_attributes() -> None:
    """A distance is shown, and a refusal is the node's to word."""
    given = ["_geoPoint(1, 2):asc", "a", "b:up", 7, "c.d:x:desc"]
    assert sort_rules(given, ("sort",)) == (SortRule("c.d:x", DOWN),)
    assert sort_rules({"a": "asc"}, ("sort",)) == ()


def test_a_query_string_is_split_between_expressions() -> None:
    """The comma within a place is none between rules."""
    assert split_sort("a:asc,_geoPoint(1,2):asc,b:desc") == [
        "a:asc",
        "_geoPoint(1,2):asc",
        "b:desc",
    ]
    assert sort_rules("a:asc,b:desc", ("sort",)) == (SortRule("a", UP), SortRule("b", DOWN))


@pytest.mark.parametrize(
    ("sort", "rules", "split"),
    [
        (["a:asc"], ("words", "sort", "exactness"), True),
        ("a:asc", ("words", "sort", "exactness"), True),
        (None, ("words", "sort", "exactness"), False),
        ([], ("words", "sort", "exactness"), False),
        (["a:asc"], ("sort", "words", "typo"), False),
        (["a:asc"], ("words", "typo", "sort"), False),
        (None, ("words", "a:asc", "sort", "typo"), True),
        (None, ("a:asc", "words", "typo", "b:asc"), False),
        (["_geoPoint(1,2):asc"], ("words", "sort", "b:asc", "typo"), True),
    ],
)
def test_sorting_in_the_midst_of_relevancy_is_known_before_anybody_is_asked(sort, rules, split):
    """Then, and only then, the details of a hit do not tell what it is compared by."""
    assert splits_relevancy(sort, rules) is split
