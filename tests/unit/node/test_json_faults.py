"""The sentences of serde_json for malformed texts, as Meilisearch 1.50 was seen to answer."""

import json

import pytest
from hypothesis import given, strategies

from miroir.node.json_faults import json_fault


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "EOF while parsing an object at line 1 column 1"),
        ("[1,2", "EOF while parsing a list at line 1 column 4"),
        ("nul", "EOF while parsing a value at line 1 column 3"),
        ('{"uid":"a",}', "trailing comma at line 1 column 12"),
        ('{"uid" "a"}', "expected `:` at line 1 column 8"),
        ('{"uid":"a"} x', "trailing characters at line 1 column 13"),
        ('{"uid":01}', "invalid number at line 1 column 9"),
        ("{uid:1}", "key must be a string at line 1 column 2"),
        ('{"uid":"\\x"}', "invalid escape at line 1 column 10"),
        ('{"uid":tru}', "expected ident at line 1 column 11"),
        ('{"uid": "x",\n "a": }', "expected value at line 2 column 7"),
        ('[{"id":1} {"id":2}]', "expected `,` or `]` at line 1 column 11"),
    ],
)
def test_the_first_fault_is_named_as_meilisearch_names_it(text: str, sentence: str):
    """Clients of the proxy compare these texts with what a node said."""
    assert json_fault(text.encode()) == sentence


_values = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers()
    | strategies.floats(allow_nan=False, allow_infinity=False) | strategies.text(),
    lambda inner: strategies.lists(inner) | strategies.dictionaries(strategies.text(), inner),
    max_leaves=20,
)  # fmt: skip


@given(_values)
def test_a_well_formed_text_has_no_fault(value: object):
    """Otherwise a good payload could be blamed for another's error."""
    assert json_fault(json.dumps(value).encode()) is None


@given(strategies.text())
def test_no_text_confuses_the_scanner(text: str):
    """It runs on hostile input: it must end, and agree with a real parser on what is JSON."""
    try:
        json.loads(text, parse_constant=lambda _: 1 / 0)
        good = True
    except (ValueError, ZeroDivisionError):
        good = False
    assert (json_fault(text.encode("utf-8", "replace")) is None) == good
