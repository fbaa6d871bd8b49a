"""Reading payloads: what a node takes is taken, what a node refuses at once is refused at once."""

import pytest

from miroir import errors
from miroir.core.documents import CsvPayload, JsonPayload, parse_payload

JSON, NDJSON, CSV = "application/json", "application/x-ndjson", "text/csv"


def documents(body: bytes, content_type: str) -> list[bytes]:
    payload = parse_payload(body, content_type)
    assert isinstance(payload, JsonPayload)
    return [bytes(document) for document in payload.documents]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"[]", []),
        (b' [ {"id":1} ,\n{"id": 2}\n] ', [b'{"id":1}', b'{"id": 2}']),
        (b'{"id":1}', [b'{"id":1}']),
        (b' {"id" :1}\n', [b'{"id" :1}']),
        (b'[{"n":123456789012345678901234567890}]', [b'{"n":123456789012345678901234567890}']),
        (b'[{"b":1,"a":1.50,"b":2}]', [b'{"b":1,"a":1.50,"b":2}']),
        ('[{"é":"\\u00e9"}]'.encode(), ['{"é":"\\u00e9"}'.encode()]),
    ],
)
def test_a_json_payload_is_cut_without_being_rewritten(body: bytes, found: list[bytes]):
    """A client gets back the numbers, spellings and key order it sent."""
    assert documents(body, JSON) == found


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":1}\n{"id":2}',
        b'{"id":1} {"id":2}',
        b'{"id":1}{"id":2}\n',
        b'\n{"id":1}\r\n\r\n{"id":2}\r\n',
    ],
)
def test_ndjson_objects_may_be_parted_by_anything_blank(body: bytes):
    """A node reads a stream of values, not lines."""
    assert documents(body, NDJSON) == [b'{"id":1}', b'{"id":2}']


def test_ndjson_objects_may_span_lines():
    """Pretty-printed objects one after the other are a valid payload of a node."""
    assert documents(b'{\n"id":1\n}\n', NDJSON) == [b'{\n"id":1\n}']
    assert documents(b"\n \n", NDJSON) == []


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'[{"id":1},]', "trailing comma at line 1 column 11"),
        (b"null", "data are neither an object nor a list of objects"),
        (b'[{"id":1},2]', "data are neither an object nor a list of objects"),
        (b'[[{"id":1}]]', "data are neither an object nor a list of objects"),
        (b'[{"id":"\xff"}]', "invalid unicode code point at line 1 column 11"),
        (b'[{"id":1}] x', "trailing characters at line 1 column 12"),
        (b'{"id":1},{"id":2}', "trailing characters at line 1 column 9"),
        (b'[{"a":"\\ud800"}]', "unexpected end of hex escape"),
    ],
)
def test_bad_json_is_refused_at_once_with_its_place(body: bytes, detail: str):
    """The whole payload is refused before anything is written anywhere."""
    with pytest.raises(errors.MalformedPayload) as error:
        parse_payload(body, JSON)
    assert error.value.message == (
        f"The `json` payload provided is malformed. `Couldn't serialize document value: {detail}`."
    )


@pytest.mark.parametrize("body", [b"1", b'{"id":1}\n3\n', b'{"id":1}\n{"id":', b'{"a":"\xff"}'])
def test_bad_ndjson_is_refused_at_once(body: bytes):
    """The same for a stream, wherever the bad line is."""
    with pytest.raises(errors.MalformedPayload, match="The `ndjson` payload"):
        parse_payload(body, NDJSON)


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("application/json", "json"),
        ("APPLICATION/JSON; charset=utf-8", "json"),
        ("application/x-ndjson;charset=latin1", "ndjson"),
        ("text/csv", "csv"),
    ],
)
def test_parameters_and_case_of_the_content_type_do_not_matter(content_type: str, kind: str):
    """HTTP clients add a charset on their own."""
    assert parse_payload(b'{"id":1}', content_type).kind == kind


@pytest.mark.parametrize("content_type", ["text/plain", "garbage", "text/csv; x", ""])
def test_another_content_type_is_refused(content_type: str):
    """Meilisearch's words, which SDKs show to their users."""
    with pytest.raises(errors.InvalidContentType) as error:
        parse_payload(b"", content_type)
    assert error.value.message == (
        f"The Content-Type `{content_type}` is invalid. Accepted values for the Content-Type "
        "header are: `application/json`, `application/x-ndjson`, `text/csv`"
    )


def test_no_content_type_is_refused_before_the_body_is_looked_at():
    """The first fault a node reports is the first fault we report."""
    with pytest.raises(errors.MissingContentType):
        parse_payload(b"", None)


@pytest.mark.parametrize("kind", ["json", "x-ndjson"])
def test_a_delimiter_belongs_to_csv_alone(kind: str):
    """A delimiter with JSON is a mistake in the content type."""
    with pytest.raises(errors.InvalidContentType, match="does not support the use of a csv"):
        parse_payload(b"{}", f"application/{kind}", ";")


@pytest.mark.parametrize(
    ("delimiter", "message"),
    [
        ("", "one character, but found an empty string"),
        (";;", "but found the following string of 2 characters: `;;`"),
        ("é", "csv delimiter must be an ascii character. Found: `é`"),
        ('"', "csv delimiter must be neither a quote nor a line end"),
    ],
)
def test_a_delimiter_is_one_ascii_character(delimiter: str, message: str):
    """Anything else would cut cells apart."""
    with pytest.raises(errors.InvalidCsvDelimiter) as error:
        parse_payload(b"id\n1\n", CSV, delimiter)
    assert error.value.message.endswith(message)


@pytest.mark.parametrize(("mime", "name"), [(JSON, "json"), (NDJSON, "ndjson"), (CSV, "csv")])
def test_an_empty_body_is_missing(mime: str, name: str):
    """An empty body is a client's bug, not an empty list."""
    with pytest.raises(errors.MissingPayload, match=f"A {name} payload is missing."):
        parse_payload(b"", mime)


def test_a_csv_payload_counts_its_records():
    """`receivedDocuments` of the task."""
    payload = parse_payload(b"id;a\n1;2\n", CSV, ";")
    assert isinstance(payload, CsvPayload)
    assert (payload.document_count, payload.content_type) == (1, CSV)
    assert parse_payload(b'[{"id":1},{"id":2}]', JSON).document_count == 2
