"""A difference that is shown wrongly is approved wrongly."""

from hypothesis import given, strategies as st

from miroir.core.value_diff import Leaf, leaves, list_diff


def test_a_list_says_what_came_went_and_moved():
    """Two lists printed one after the other are compared by nobody."""
    diff = list_diff(["title", "overview", "cast"], ["overview", "title", "year"])
    assert diff.added == (("year", 3),)
    assert diff.removed == (("cast", 3),)
    assert [value for value, _, _ in diff.moved] in (["title"], ["overview"])


def test_what_follows_an_insertion_has_not_moved():
    """Its position is another, its place among the others is not."""
    assert list_diff(["b", "c"], ["a", "b", "c"]).moved == ()


def test_sets_do_not_move():
    """Nodes sort them."""
    assert list_diff(["a", "b"], ["b", "a"], ordered=False) == list_diff([], [])


def test_objects_in_lists_are_compared_by_value():
    """`filterableAttributes` holds strings and objects."""
    rule = {"attributePatterns": ["a"]}
    assert list_diff(["x", rule], [dict(rule), "x", 1]).added == ((1, 3),)


@given(st.lists(st.integers(0, 9), unique=True), st.lists(st.integers(0, 9), unique=True))
def test_carrying_the_difference_out_gives_the_new_list(before, after):
    """Nothing is missing from what is shown."""
    diff = list_diff(before, after)
    gone = {value for value, _ in diff.removed} | {value for value, _, _ in diff.moved}
    built = [value for value in before if value not in gone]
    placed = [*diff.added, *((value, to) for value, _, to in diff.moved)]
    for value, position in sorted(placed, key=lambda each: each[1]):
        built.insert(position - 1, value)
    assert built == after


def test_objects_are_looked_into_and_lists_are_not():
    """One leaf of typo tolerance changes, not all of it."""
    before = {"a": {"b": 1, "c": [1]}, "d": 1}
    after = {"a": {"b": 2, "c": [2]}, "e": {"f": 3}}
    assert list(leaves(before, after)) == [
        Leaf(("a", "b"), 1, 2),
        Leaf(("a", "c"), [1], [2]),
        Leaf(("d",), 1, None),
        Leaf(("e", "f"), None, 3),
    ]
    assert list(leaves(5, None)) == [Leaf((), 5, None)]
