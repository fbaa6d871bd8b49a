"""Payloads, primary keys and ids, without a server."""

from typing import Any

import pytest

from miroir.node.documents.formats import format_of, read_documents
from miroir.node.documents.identity import document_id, id_text, primary_key_of
from miroir.node.documents.selection import shown_document
from miroir.node.errors import ApiError
from miroir.node.json_text import decode, encode, raw_fields


def read(text: str, kind: str, delimiter: str | None = None) -> list[Any]:
    """Return the documents of a payload as values."""
    return [decode(raw) for raw in read_documents(text.encode(), kind, delimiter)]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('[{"id":1},{"id":2}]', "json"),
        ('{"id":1}\n\n{"id":2}\n', "ndjson"),
        ('{"id":1} {"id":2}', "ndjson"),
        ('{"id":\n1}{"id":2}', "ndjson"),
        ("id:number\n1\n2\n", "csv"),
    ],
)
def test_one_meaning_in_three_formats(text: str, kind: str):
    """A client may choose; the documents are the same."""
    assert read(text, kind) == [{"id": 1}, {"id": 2}]


def test_typed_headers_of_csv():
    """No suffix is a string, an empty cell null; an unknown suffix belongs to the name."""
    text = "id:number,ok:boolean,s:string,a:b,n\n1,true,x,y,\n-2.5,,,,z\n"
    assert read(text, "csv") == [
        {"id": 1, "ok": True, "s": "x", "a:b": "y", "n": None},
        {"id": -2.5, "ok": None, "s": None, "a:b": None, "n": "z"},
    ]
    assert read('a;b\n"x;y";2\n', "csv", ";") == [{"a": "x;y", "b": "2"}]


@pytest.mark.parametrize(
    ("text", "kind", "code"),
    [
        ("", "json", "missing_payload"),
        ("[1]", "json", "malformed_payload"),
        ("3", "json", "malformed_payload"),
        ('[{"id":1}', "json", "malformed_payload"),
        ('{"id":1}\n{', "ndjson", "malformed_payload"),
        ("a,b\n1\n", "csv", "malformed_payload"),
        ("a:number\nx\n", "csv", "malformed_payload"),
        ("a:boolean\n1\n", "csv", "malformed_payload"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, kind: str, code: str):
    """Before anything is written down."""
    with pytest.raises(ApiError) as caught:
        read(text, kind)
    assert caught.value.code == code


def test_content_types():
    """Parameters after the semicolon do not count; a delimiter is for CSV only."""
    assert format_of("application/json; charset=utf-8", None) == "json"
    assert format_of("text/csv", ";") == "csv"
    for content_type, delimiter, code in (
        (None, None, "missing_content_type"),
        ("doggo", None, "invalid_content_type"),
        ("application/json", ";", "invalid_content_type"),
    ):
        with pytest.raises(ApiError) as caught:
            format_of(content_type, delimiter)
        assert (caught.value.code, caught.value.status) == (code, 415)


def test_the_primary_key_is_the_indexs_the_requests_or_the_only_candidate():
    """Inference looks at names that end with `id`, whatever their case."""
    assert primary_key_of("own", None, ["id"]) == "own"
    assert primary_key_of(None, "asked", ["id"]) == "asked"
    assert primary_key_of(None, None, ["title", "userID"]) == "userID"
    for own, asked, first, code in (
        ("own", "other", ["id"], "index_primary_key_already_exists"),
        (None, None, ["title"], "index_primary_key_no_candidate_found"),
        (None, None, ["id", "uid"], "index_primary_key_multiple_candidates_found"),
    ):
        with pytest.raises(ApiError) as caught:
            primary_key_of(own, asked, first)
        assert caught.value.code == code


@pytest.mark.parametrize("value", [42, "42", "a_B-9", -1, "x" * 511, 2**64 - 1])
def test_valid_ids(value: Any):
    """42 and "42" are one document."""
    assert id_text(value) == str(value)


@pytest.mark.parametrize(
    "value", [1.0, True, None, "", "a b", "é", "x" * 512, [], {}, 2**64, "a\n"]
)
def test_invalid_ids(value: Any):
    """Each fails the whole payload."""
    with pytest.raises(ApiError) as caught:
        id_text(value)
    assert caught.value.code == "invalid_document_id"


def test_a_key_with_dots_reaches_into_objects_but_not_lists():
    """As recorded from Meilisearch 1.50."""
    assert document_id(raw_fields(b'{"a":{"b":5}}'), "a.b") == "5"
    assert document_id(raw_fields(b'{"a.b":6}'), "a.b") == "6"
    for text, code in ((b'{"a":[{"b":8}]}', "missing"), (b'{"a":{"b":5},"a.b":6}', "invalid")):
        with pytest.raises(ApiError) as caught:
            document_id(raw_fields(text), "a.b")
        assert caught.value.code == f"{code}_document_id"


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        (None, {"id": 0, "content.truc": "x", "a": {"b": {"c": 1, "d": 2}, "e": [{"f": 3}]}}),
        (["id"], {"id": 0}),
        (["content"], {}),
        (["content.truc"], {"content.truc": "x"}),
        (["a.b.c", "nope"], {"a": {"b": {"c": 1}}}),
        (["a.e.f"], {"a": {"e": [{"f": 3}]}}),
        ([], {}),
    ],
)
def test_fields_select_paths(fields: list[str] | None, shown: dict[str, Any]):
    """A dotted name may be a path or a key."""
    document = {
        "id": 0, "content.truc": "x", "a": {"b": {"c": 1, "d": 2}, "e": [{"f": 3}]},
        "_vectors": {"m": [1]},
    }  # fmt: skip
    assert decode(shown_document(encode(document), fields, vectors=False)) == shown
