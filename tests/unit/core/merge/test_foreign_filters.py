"""Filters on documents of another index."""

from typing import Any

import pytest

from miroir.core.merge.foreign_filters import Condition, conditions, resolved


@pytest.mark.parametrize(
    ("filter_", "found", "becomes"),
    [
        ("_foreign(by, name = x)", [("by", "name = x")], 'by IN ["1", "2"]'),
        (
            "a = 1 AND NOT _foreign ( 'b y' , (n = 'x, )' OR m = 2) ) OR c > 3",
            [("'b y'", "(n = 'x, )' OR m = 2)")],
            'a = 1 AND NOT \'b y\' IN ["1", "2"] OR c > 3',
        ),
        (
            ["_foreign(by, a = 1)", ["b = 2", "_foreign(of.who, c IN [1, 2])"]],
            [("by", "a = 1"), ("of.who", "c IN [1, 2]")],
            ['by IN ["1", "2"]', ["b = 2", 'of.who IN ["1", "2"]']],
        ),
        ("a = '_foreign(x, y)' AND my_foreign(1)", [], "a = '_foreign(x, y)' AND my_foreign(1)"),
        ('a = "\\"_foreign(x, y)"', [], 'a = "\\"_foreign(x, y)"'),
        (
            "_foreign(a, b = 1) AND _foreign(c, d = 2)",
            [("a", "b = 1"), ("c", "d = 2")],
            'a IN ["1", "2"] AND c IN ["1", "2"]',
        ),
        (None, [], None),
    ],
)
def test_conditions_are_found_and_replaced(
    filter_: Any, found: list[tuple[str, str]], becomes: Any
) -> None:
    """Whatever stands in quotes is text."""
    assert [(c.field, c.inner) for c in conditions(filter_)] == found
    assert resolved(filter_, lambda _: ["1", "2"]) == becomes


def test_a_condition_that_nothing_meets_is_met_by_nothing() -> None:
    """As on one node."""
    assert resolved("_foreign(by, a = 1)", lambda _: []) == "by IN []"


def test_a_field_is_known_by_its_name_without_quotes() -> None:
    """Settings have it so."""
    assert Condition("'b y'", "a = 1").path == "b y"
