"""Filters beyond the golden answers: trees, their text, geography, experimental features."""

import pytest
from tests.unit.node.engine.world import index_of

from miroir.node.engine import EvaluationError, Features
from miroir.node.engine.filter_parser import parse_expression, parse_filter
from miroir.node.engine.filter_scanner import FilterSyntaxError
from miroir.node.engine.filter_text import rendered
from miroir.node.errors import ApiError

PLACES = [
    {"id": 0, "name": "pole", "_geo": {"lat": 89.9, "lng": 0}},
    {"id": 1, "name": "paris", "_geo": {"lat": "48.86", "lng": "2.35"}},
    {"id": 2, "name": "fiji", "_geo": {"lat": -17.7, "lng": 178.0}},
    {"id": 3, "name": "samoa", "_geo": {"lat": -13.8, "lng": -171.8}},
    {"id": 4, "name": "nowhere"},
]


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("a = 1 OR b = 2 AND c = 3", '("a" = "1") OR (("b" = "2") AND ("c" = "3"))'),
        ("NOT NOT a EXISTS", '"a" EXISTS'),
        ("a IS NOT NULL", 'NOT ("a" IS NULL)'),
        ("a NOT IN [x, 'y z',]", 'NOT ("a" IN ["x", "y z"])'),
        ("(a 1 TO 2)", '"a" "1" TO "2"'),
        ("a NOT STARTS WITH 'b\\'c'", 'NOT ("a" STARTS WITH "b\'c")'),
        ("_geoRadius(1, 2.5 ,3)", "_geoRadius(1, 2.5, 3)"),
        ("_geoBoundingBox([1,2],[-3,4])", "_geoBoundingBox([1, 2], [-3, 4])"),
    ],
)
def test_a_filter_is_read_and_told_back_in_one_form(text: str, same_as: str):
    """Errors of evaluation point into this form, so it must mean the same and be stable."""
    tree = parse_expression(text)
    assert tree is not None
    assert rendered(tree) == same_as
    again = parse_expression(same_as)
    assert again is not None
    assert rendered(again) == same_as


def test_nesting_has_a_limit():
    """A filter of a million brackets must not exhaust the stack of the process."""
    assert parse_expression("(" * 30 + "a = 1" + ")" * 30) is not None
    with pytest.raises(FilterSyntaxError, match="maximum depth limit"):
        parse_expression("(" * 1000 + "a = 1" + ")" * 1000)


def test_lists_are_and_of_or():
    """The array form is what most clients send."""
    tree = parse_filter(["a = 1", ["b = 2", "c = 3"], "", []], code="invalid_search_filter")
    assert tree is not None
    assert rendered(tree) == '("a" = "1") AND (("b" = "2") OR ("c" = "3"))'
    assert parse_filter([], code="x") is None


def test_geography_is_filtered_on_a_round_earth():
    """Boxes may cross the date line; radii are metres; documents without a place never match."""
    index = index_of(PLACES, filterableAttributes=["_geo"])
    near = index.match("_geoRadius(48, 2, 100000)", code="invalid_document_filter")
    assert near == ["1"]
    box = index.match("_geoBoundingBox([-10, -170], [-20, 170])", code="invalid_document_filter")
    assert box == ["2", "3"]
    assert index.match("NOT _geoRadius(0, 0, 99999999)", code="x") == ["4"]


def test_an_error_has_the_code_of_its_route():
    """Deleting by filter and searching by it answer different codes for the same fault."""
    index = index_of(PLACES)
    with pytest.raises(EvaluationError) as refused:
        index.match("name = x", code="invalid_document_filter")
    assert refused.value.code == "invalid_document_filter"
    assert refused.value.message.endswith("1:5 name = x")
    with pytest.raises(ApiError) as broken:
        index.match("name =", code="invalid_document_filter")
    assert not isinstance(broken.value, EvaluationError)


def test_contains_needs_its_feature():
    """An operator that is off is refused even where the field is fine."""
    index = index_of(PLACES, filterableAttributes=["name"])
    with pytest.raises(ApiError, match="contains filter") as refused:
        index.match("name CONTAINS ar", code="x")
    assert refused.value.code == "feature_not_enabled"
    features = Features(contains_filter=True)
    assert index.match("name CONTAINS AR", code="x", features=features) == ["1"]


def test_filters_on_other_indexes_are_refused_by_name():
    """A feature that is not there must say so, not claim that the syntax is wrong."""
    index = index_of(PLACES, filterableAttributes=["name"])
    with pytest.raises(ApiError) as refused:
        index.match("_foreign(author, id = a1)", code="x")
    assert refused.value.code == "feature_not_enabled"
    assert refused.value.message.endswith("\n10:16 _foreign(author, id = a1)")
    with pytest.raises(ApiError, match="inside `_foreign"):
        parse_filter("_foreign(author)", code="x")


def test_operators_follow_the_rule_of_the_attribute():
    """Granular filterable attributes allow equality without comparison, and the reverse."""
    rule = {
        "attributePatterns": ["na*"],
        "features": {"facetSearch": False, "filter": {"equality": False, "comparison": True}},
    }
    index = index_of(PLACES, filterableAttributes=[rule])
    assert index.match("name >= p", code="x") == ["0", "1", "3"]
    with pytest.raises(EvaluationError, match="`=` is not allowed") as refused:
        index.match("name = p", code="x")
    assert "allowed operators: OR, AND, NOT, <, >, <=, >=, TO" in refused.value.message
