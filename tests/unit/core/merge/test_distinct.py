"""Values of the distinct attribute, and taking it out again."""

import json

import pytest

from miroir.core.merge.distinct import distinct_values, normal_text


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
        ({"a": ""}, "a", set()),
        ({"a": "x" * 467 + "é"}, "a", {("string", "x" * 467 + "e")}),
        ({"a": "é" * 300}, "a", {("string", "e\u0301" * 156)}),
        ({"a": "中" * 157}, "a", {("string", "中" * 156)}),
    ],
)
def test_values_are_those_that_a_node_compares(document, path, values):
    """Two variants on two shards are one product exactly if one node would say so."""
    assert distinct_values(inner(document), path) == values


def test_text_is_compared_as_facets_are():
    """Trimmed, decomposed, lower case."""
    assert normal_text(" ÉTÉ ") == normal_text("e\u0301te\u0301")
    assert normal_text("ﬁne") == "fine"
