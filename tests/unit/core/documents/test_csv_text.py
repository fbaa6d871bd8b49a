"""CSV: the cases were run against a node first; what it made of them is what is expected here."""

import pytest

from miroir.core.documents.csv_text import read_table
from miroir.errors import MalformedPayload


def rows(body: bytes, delimiter: bytes = b",") -> list[dict]:
    table = read_table(body, delimiter)
    return [table.document(row) for row in range(len(table.records))]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"\n", []),
        (b"id\n1\n", [{"id": "1"}]),
        (b"id\r\n1\r\n\r\n2\r\n", [{"id": "1"}, {"id": "2"}]),
        (b"id,a\r1,2\r3,4", [{"id": "1", "a": "2"}, {"id": "3", "a": "4"}]),
        (b"\xef\xbb\xbfid,a\n\n1,2\n", [{"id": "1", "a": "2"}]),
        (b'id,a\n1,"x\ny"\n', [{"id": "1", "a": "x\ny"}]),
        (b'id,a\n1,"x""y"\n', [{"id": "1", "a": 'x"y'}]),
        (b'id,a\n1,"x"y\n', [{"id": "1", "a": "xy"}]),
        (b'id,a\n1,x"y\n', [{"id": "1", "a": 'x"y'}]),
        (b'id,a\n1,"xy', [{"id": "1", "a": "xy"}]),
        (b'id,a\n1,""\n2,\n', [{"id": "1", "a": None}, {"id": "2", "a": None}]),
        (b'"id","a,b"\n1,2', [{"id": "1", "a,b": "2"}]),
        (b'id\n""\n', [{"id": None}]),
        (b" id \n 1 \n", [{" id ": " 1 "}]),
        (b"id,id:number\n1,2\n", [{"id": 2}]),
        (b"id:foo,a:b:number\n1,2\n", [{"id:foo": "1", "a:b": 2}]),
        (
            b"n:number,b:boolean,s:string\n 7 , true,x\n,,\n1e3,false,\n-0,false,\n",
            [
                {"n": 7, "b": True, "s": "x"},
                {"n": None, "b": None, "s": None},
                {"n": 1000.0, "b": False, "s": None},
                {"n": 0, "b": False, "s": None},
            ],
        ),
        (b"n:number\n+1\n007\n9223372036854775808\n", [{"n": 1}, {"n": 7}, {"n": 2.0**63}]),
    ],
)
def test_records_are_read_as_a_node_reads_them(body: bytes, found: list[dict]):
    """A document split differently here than there would land on the wrong shard."""
    assert rows(body) == found


def test_records_stay_as_they_came():
    """What is sent on is the client's own text, quotes and all."""
    table = read_table(b'id, a\r\n"1","x\r\ny"\r\n2,""""\n', b",")
    assert table.header == b"id, a"
    assert table.records == (b'"1","x\r\ny"', b'2,""""')


def test_another_delimiter_leaves_commas_alone():
    """European spreadsheets use a semicolon; `|` and `.` mean something to patterns."""
    for mark in (b";", b"|", b".", b"\t", b"^", b"]", b"-"):
        assert rows(mark.join([b"id", b"a"]) + b"\n" + mark.join([b"1", b"x,y"]), mark) == [
            {"id": "1", "a": "x,y"}
        ]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (
            b"id,a\n1,x\n2\n",
            "CSV error: record 2 (line: 3, byte: 9): found record with 1 fields, "
            "but the previous record has 2 fields",
        ),
        (
            b"id,a\n1,2,3\n",
            "CSV error: record 1 (line: 2, byte: 5): found record with 3 fields, "
            "but the previous record has 2 fields",
        ),
        (b"id:number\nx\n", 'Error parsing number "x" at line 1: invalid float literal'),
        (
            b"id,a:number\n1,\n1,1_000\n",
            'Error parsing number "1_000" at line 2: invalid float literal',
        ),
        (
            b"a:boolean\nTrue\n",
            'Error parsing boolean "True" at line 1: provided string was not `true` or `false`',
        ),
        (b"id,a\n1,\xff\n", "CSV parse error: invalid UTF-8 near byte 7"),
    ],
)
def test_a_record_that_does_not_fit_refuses_the_whole_payload(body: bytes, detail: str):
    """Half a file indexed is worse than none."""
    with pytest.raises(MalformedPayload) as error:
        read_table(body, b",")
    assert error.value.message == f"The `csv` payload provided is malformed: `{detail}`."


def test_infinity_is_a_number_and_hexadecimal_is_not():
    """The float grammar is the engine's, not Python's."""
    assert rows(b"n:number\ninf\n") == [{"n": float("inf")}]
    with pytest.raises(MalformedPayload):
        rows(b"n:number\n0x1\n")
