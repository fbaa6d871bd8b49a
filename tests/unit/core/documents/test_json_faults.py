"""
The words and places of JSON faults.

Every expected answer was given by a Meilisearch 1.50 node to this very body.
"""

import pytest

from miroir.core.documents.json_faults import json_fault


@pytest.mark.parametrize(
    ("body", "shape", "fault"),
    [
        (b"  ", "object", "EOF while parsing a value at line 1 column 2"),
        (b'[{"id":1}', "array", "EOF while parsing a list at line 1 column 9"),
        (b'[{"id":1},]', "array", "trailing comma at line 1 column 11"),
        (b'[{"id":1},', "array", "EOF while parsing a value at line 1 column 10"),
        (b'[{"id":1},  ', "array", "EOF while parsing a value at line 1 column 12"),
        (b'{"id":1} x', "object", "trailing characters at line 1 column 10"),
        (b'[{"id":1}{"id":2}]', "array", "expected `,` or `]` at line 1 column 10"),
        (b'{"id":1}{"id":2}', "object", "trailing characters at line 1 column 9"),
        (b"nonsense", "object", "expected ident at line 1 column 2"),
        (b'[{"id":1,"a":tru}]', "array", "expected ident at line 1 column 17"),
        (b'{"a":1, "id": 01}', "object", "invalid number at line 1 column 16"),
        (b'[{"a":01}]', "array", "invalid number at line 1 column 8"),
        (b'[{"id":1,"a":-}]', "array", "invalid number at line 1 column 15"),
        (
            b'[{"id":1,"a":"x\ty"}]',
            "array",
            "control character (\\u0000-\\u001F) found while parsing a string at line 1 column 15",
        ),
        (
            b'{"id":1,"a":"x\ty"}',
            "object",
            "control character (\\u0000-\\u001F) found while parsing a string at line 1 column 15",
        ),
        (b'[{"id":1,}]', "array", "key must be a string at line 1 column 10"),
        (b'{"id":1,}', "object", "trailing comma at line 1 column 9"),
        (b'[{"a":[1,]}]', "array", "expected value at line 1 column 10"),
        (b'{"a":[1,]}', "object", "trailing comma at line 1 column 9"),
        (b'[{"a":[1 2]}]', "array", "expected `,` or `]` at line 1 column 10"),
        (b'{"a":[1 2]}', "object", "expected `,` or `]` at line 1 column 9"),
        (b'[{"a" 1}]', "array", "expected `:` at line 1 column 7"),
        (b'{"a" 1}', "object", "expected `:` at line 1 column 6"),
        (b'[{"a":}]', "array", "expected value at line 1 column 7"),
        (b'{"a":}', "object", "expected value at line 1 column 6"),
        (b"[{1:2}]", "array", "key must be a string at line 1 column 3"),
        (b"{1:2}", "object", "key must be a string at line 1 column 2"),
        (b'[{"a":"b', "array", "EOF while parsing a string at line 1 column 8"),
        (b'{"a":"b', "object", "EOF while parsing a string at line 1 column 7"),
        (b'[{"a":"\\x"}]', "array", "invalid escape at line 1 column 9"),
        (b'{"a":"\\x"}', "object", "invalid escape at line 1 column 8"),
        (b'[{"a":"\\u12"}]', "array", "invalid escape at line 1 column 13"),
        (b'{"a":"\\u12"}', "object", "invalid escape at line 1 column 12"),
        (b'[{"a":"\\u12', "array", "EOF while parsing a string at line 1 column 11"),
        (b'{"a":"\\u12', "object", "EOF while parsing a string at line 1 column 10"),
        (b'{"a":"\\u12zz"}', "object", "invalid escape at line 1 column 12"),
        (b'[{"a":1.}]', "array", "invalid number at line 1 column 9"),
        (b'{"a":1.}', "object", "invalid number at line 1 column 8"),
        (b'[{"a":1e}]', "array", "invalid number at line 1 column 9"),
        (b'[{"a":1e+', "array", "invalid number at line 1 column 9"),
        (b'{"a":1e+', "object", "EOF while parsing a value at line 1 column 8"),
        (b'[{"a":1.', "array", "invalid number at line 1 column 8"),
        (b'[{"a"', "array", "EOF while parsing an object at line 1 column 5"),
        (b'[{"a":', "array", "EOF while parsing a value at line 1 column 6"),
        (b'{"a":', "object", "EOF while parsing a value at line 1 column 5"),
        (b'[{"a":1', "array", "EOF while parsing an object at line 1 column 7"),
        (b'{"a":1', "object", "EOF while parsing an object at line 1 column 6"),
        (b'{"a":1,', "object", "EOF while parsing a value at line 1 column 7"),
        (b'[{"a":1,', "array", "EOF while parsing an object at line 1 column 8"),
        (b"[{", "array", "EOF while parsing an object at line 1 column 2"),
        (b"{", "object", "EOF while parsing an object at line 1 column 1"),
        (b"[", "array", "EOF while parsing a list at line 1 column 1"),
        (b'[{"a":nul', "array", "EOF while parsing a value at line 1 column 9"),
        (b'{"a":nul', "object", "EOF while parsing a value at line 1 column 8"),
        (b'\n[\n{"a":\n"\xc3\xa9" x}]', "array", "expected `,` or `}` at line 4 column 6"),
        (b'[{"a":[', "array", "EOF while parsing a list at line 1 column 7"),
        (b'{"a":[', "object", "EOF while parsing a list at line 1 column 6"),
        (b'{"a":[1,', "object", "EOF while parsing a value at line 1 column 8"),
        (b'[{"a":[1,', "array", "EOF while parsing a value at line 1 column 9"),
        (b'[{"a":-', "array", "invalid number at line 1 column 7"),
        (b'{"a":-', "object", "EOF while parsing a value at line 1 column 6"),
        (b"-", "object", "EOF while parsing a value at line 1 column 1"),
        (b'"abc', "object", "EOF while parsing a string at line 1 column 4"),
        (b"tru", "object", "EOF while parsing a value at line 1 column 3"),
        (b"[,]", "array", "expected value at line 1 column 2"),
        (b'[{"a":1}}', "array", "expected `,` or `]` at line 1 column 9"),
        (b'{"a":1}}', "object", "trailing characters at line 1 column 8"),
        (b'[{"a":[1}]', "array", "expected `,` or `]` at line 1 column 9"),
        (b'{"a":[1}', "object", "expected `,` or `]` at line 1 column 8"),
        (b'[{"a":+1}]', "array", "expected value at line 1 column 7"),
        (b"[{\"a\":'b'}]", "array", "expected value at line 1 column 7"),
        (b'{"a":.5}', "object", "expected value at line 1 column 6"),
        (b'[{"a":1}\n\n,\n]', "array", "trailing comma at line 4 column 1"),
        (b'{"a":{"b":1,}}', "object", "trailing comma at line 1 column 13"),
        (b"{a:1}", "object", "key must be a string at line 1 column 2"),
        (b'[{"a":"\\', "array", "EOF while parsing a string at line 1 column 8"),
        (b'{"id":1} x', "stream", "expected value at line 1 column 10"),
        (b"nonsense", "stream", "expected ident at line 1 column 2"),
        (b'{"a":1, "id": 01}', "stream", "invalid number at line 1 column 16"),
        (
            b'{"id":1,"a":"x\ty"}',
            "stream",
            "control character (\\u0000-\\u001F) found while parsing a string at line 1 column 14",
        ),
        (b'{"id":1,}', "stream", "key must be a string at line 1 column 9"),
        (b'{"a":[1,]}', "stream", "expected value at line 1 column 9"),
        (b'{"a":[1 2]}', "stream", "expected `,` or `]` at line 1 column 9"),
        (b'{"a" 1}', "stream", "expected `:` at line 1 column 6"),
        (b'{"a":}', "stream", "expected value at line 1 column 6"),
        (b"{1:2}", "stream", "key must be a string at line 1 column 2"),
        (b'{"a":"b', "stream", "EOF while parsing a string at line 1 column 7"),
        (b'{"a":"\\x"}', "stream", "invalid escape at line 1 column 8"),
        (b'{"a":"\\u12"}', "stream", "invalid escape at line 1 column 12"),
        (b'{"a":"\\u12', "stream", "EOF while parsing a string at line 1 column 10"),
        (b'{"a":"\\u12zz"}', "stream", "invalid escape at line 1 column 12"),
        (b'{"a":1.}', "stream", "invalid number at line 1 column 8"),
        (b'{"a":1e+', "stream", "invalid number at line 1 column 8"),
        (b'{"a":', "stream", "EOF while parsing a value at line 1 column 5"),
        (b'{"a":1', "stream", "EOF while parsing an object at line 1 column 6"),
        (b'{"a":1,', "stream", "EOF while parsing an object at line 1 column 7"),
        (b"{", "stream", "EOF while parsing an object at line 1 column 1"),
        (b'{"a":nul', "stream", "EOF while parsing a value at line 1 column 8"),
        (b'\n[\n{"a":\n"\xc3\xa9" x}]', "stream", "expected `,` or `}` at line 4 column 6"),
        (b'{"a":[', "stream", "EOF while parsing a list at line 1 column 6"),
        (b'{"a":[1,', "stream", "EOF while parsing a value at line 1 column 8"),
        (b'{"a":-', "stream", "invalid number at line 1 column 6"),
        (b"-", "stream", "invalid number at line 1 column 1"),
        (b'"abc', "stream", "EOF while parsing a string at line 1 column 4"),
        (b"tru", "stream", "EOF while parsing a value at line 1 column 3"),
        (b'{"a":1}}', "stream", "expected value at line 1 column 8"),
        (b'{"a":[1}', "stream", "expected `,` or `]` at line 1 column 8"),
        (b'{"a":.5}', "stream", "expected value at line 1 column 6"),
        (b'{"a":{"b":1,}}', "stream", "key must be a string at line 1 column 13"),
        (b"{a:1}", "stream", "key must be a string at line 1 column 2"),
    ],
)
def test_a_fault_is_worded_and_placed_as_a_node_does(body: bytes, shape, fault: str):
    """People paste these lines into search engines; a made-up one finds nothing."""
    assert json_fault(body, shape) == fault


@pytest.mark.parametrize("shape", ["array", "stream", "object"])
def test_a_sound_text_has_no_fault(shape):
    """A decoder that is stricter than a node then speaks in its own words."""
    text = b' [ {"a":[1,-2.5e+3,true,null,"\\u00e9\\n"],"b":{}} , {} ] '
    assert json_fault(text, shape) is None


def test_a_deep_text_is_scanned_without_recursion():
    """The scanner is asked precisely when a decoder has given up on depth."""
    assert json_fault(b"[" * 100_000 + b"]" * 100_000, "array") is None
    assert json_fault(b"[" * 100_000, "array") == (
        "EOF while parsing a list at line 1 column 100000"
    )
