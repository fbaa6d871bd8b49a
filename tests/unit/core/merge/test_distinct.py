"""Values of the distinct attribute, and taking it out again."""

import json

import pytest

from miroir.core.merge.distinct import distinct_values, normal_text, without


def inner(value: dict) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()[1:-1]


@pytest.mark.parametrize(
    ("document", "path", "values"),
    [
        ({"a": "Red "}, "a", {("string", "red")}),
        ({"a": "É"}, "a", {("string", "e\u0301")}),
        ({"a": 1}, "a", {("number", 1.0)}),
        ({"a": "1"}, "a", {("string", "1")}),
        ({"a": True}, "a", {("string", "true")}),
        ({"a": None}, "a", set()),
        ({"a": {"b": 1}}, "a", set()),
        ({}, "a", set()),
        ({"a": [1, "x", None, [2]]}, "a", {("number", 1.0), ("string", "x"), ("number", 2.0)}),
        ({"a": {"b": 1}}, "a.b", {("number", 1.0)}),
        ({"a": [{"b": 1}, {"b": 2}, {"c": 3}]}, "a.b", {("number", 1.0), ("number", 2.0)}),
        ({"a.b": 1}, "a.b", {("number", 1.0)}),
        ({"ab": 1}, "a", set()),
    ],
)
def test_values_are_those_that_a_node_compares(document, path, values):
    """Two variants on two shards are one product exactly if one node would say so."""
    assert distinct_values(inner(document), path) == values


def test_text_is_compared_as_facets_are():
    """Trimmed, decomposed, lower case."""
    assert normal_text(" ÉTÉ ") == normal_text("e\u0301te\u0301")
    assert normal_text("ﬁne") == "fine"


@pytest.mark.parametrize(
    ("document", "path", "left"),
    [
        ({"id": 1, "a": 2}, "a", {"id": 1}),
        ({"a": 2}, "a", {}),
        ({"a": {"b": 1, "c": 2}, "d": 3}, "a.b", {"a": {"c": 2}, "d": 3}),
        ({"a": {"b": 1}, "d": 3}, "a.b", {"d": 3}),
        ({"a": [{"b": 1, "c": 2}, {"b": 3}]}, "a.b", {"a": [{"c": 2}]}),
        ({"a": [{"b": 1}]}, "a.b", {}),
        ({"a.b": 1, "a": 5}, "a.b", {"a": 5}),
        ({"ab": 1}, "a", {"ab": 1}),
    ],
)
def test_the_attribute_is_taken_out_and_nothing_else(document, path, left):
    """The client sees the attributes it asked for."""
    assert json.loads(b"{%b}" % without(inner(document), path)) == left


def test_what_stays_is_not_rewritten():
    """Raw values stay raw."""
    assert without(b'"a":1,"n":1.50,"big":12345678901234567890123', "a") == (
        b'"n":1.50,"big":12345678901234567890123'
    )
