"""What was asked for on top is taken out again."""

import json

import pytest

from miroir.core.merge.additions import without


def inner(value: dict) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()[1:-1]


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
    assert json.loads(b"{%b}" % without(inner(document), [path])) == left


def test_what_stays_is_not_rewritten():
    """Raw values stay raw."""
    assert without(b'"a":1,"n":1.50,"big":12345678901234567890123', ["a"]) == (
        b'"n":1.50,"big":12345678901234567890123'
    )


@pytest.mark.parametrize(
    ("formatted", "left"),
    [((), {"t": "<em>x</em>"}), (("id",), {"id": "1", "t": "<em>x</em>"})],
)
def test_what_is_formatted_by_name_stays_formatted(formatted, left):
    """A node formats what is retrieved, and beside that what the client has named."""
    document = {"id": 1, "t": "x", "_formatted": {"id": "1", "t": "<em>x</em>"}}
    found = json.loads(b"{%b}" % without(inner(document), ["id"], formatted))
    assert found == {"t": "x", "_formatted": left}


def test_a_document_may_have_a_field_of_that_name():
    """Of whatever kind."""
    assert without(b'"id":1,"_formatted":"x"', ["id"]) == b'"_formatted":"x"'
