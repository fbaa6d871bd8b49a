"""
A document payload as it came: its kind, and one raw slice per document.

JSON is an array of objects or one object; NDJSON is objects one after the other, white space
between them or not; CSV has a typed header (csv_text.py). The syntax of the whole is checked here,
since a node refuses bad syntax at once (400) and a bad document only later, as a failed task.

Stricter than a node in three places, where a node accepts and then fails, or loses, a part: text
after a JSON array, lone surrogates, an element that is no object (a node answers 500 there).

May not be put here: primary keys, shards.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, Literal

import msgspec
from msgspec import Raw

from miroir.core.documents.csv_text import Table, read_table
from miroir.core.documents.json_faults import Shape, json_fault
from miroir.errors import (
    InvalidContentType,
    InvalidCsvDelimiter,
    MalformedPayload,
    MissingContentType,
    MissingPayload,
)

_ACCEPTED: Final = "`application/json`, `application/x-ndjson`, `text/csv`"
_KINDS: Final = {"application/json": "json", "application/x-ndjson": "ndjson", "text/csv": "csv"}
_MIME: Final = re.compile(r"\s*([\w.+-]+/[\w.+-]+)\s*(?:;\s*[\w.+-]+\s*=.*)?", re.DOTALL)
_OPEN_BRACE: Final = ord("{")

_array_decoder: Final = msgspec.json.Decoder(list[Raw])
_value_decoder: Final = msgspec.json.Decoder(Raw)


@dataclass(frozen=True)
class JsonPayload:
    """
    JSON or NDJSON.

    Attributes:
        kind: Which of the two; also what is sent on.
        text: A JSON array of the documents, or the NDJSON text.
        documents: One raw slice per document.
    """

    kind: Literal["json", "ndjson"]
    text: bytes
    documents: Sequence[Raw]

    @property
    def content_type(self) -> str:
        """What a batch of this payload is sent as."""
        return "application/json" if self.kind == "json" else "application/x-ndjson"

    @property
    def document_count(self) -> int:
        """Documents received."""
        return len(self.documents)


@dataclass(frozen=True)
class CsvPayload:
    """
    CSV.

    Attributes:
        table: Header, columns and raw records.
    """

    table: Table
    kind: Literal["csv"] = "csv"
    content_type: str = "text/csv"

    @property
    def document_count(self) -> int:
        """Documents received."""
        return len(self.table.records)


Payload = JsonPayload | CsvPayload


def parse_payload(
    body: bytes, content_type: str | None, csv_delimiter: str | None = None
) -> Payload:
    """
    Read a payload and check its syntax; documents stay raw bytes.

    Args:
        body: The decompressed body.
        content_type: The header as it came; None = absent.
        csv_delimiter: The query parameter as it came; None = absent.

    Raises:
        InvalidCsvDelimiter: Not one ASCII character.
        MissingContentType: No content type.
        InvalidContentType: Another one, or a delimiter with one that is not CSV.
        MissingPayload: The body is empty.
        MalformedPayload: The body is not what the content type says.
    """
    delimiter = _delimiter(csv_delimiter)
    mime = _mime(content_type)
    kind = _KINDS[mime]
    if delimiter and kind != "csv":
        raise InvalidContentType(
            f"The Content-Type `{mime}` does not support the use of a csv delimiter. "
            "The csv delimiter can only be used with the Content-Type `text/csv`."
        )
    if not body:
        raise MissingPayload(f"A {kind} payload is missing.")
    if kind == "csv":
        return CsvPayload(read_table(body, delimiter or b","))
    return _parse_ndjson(body) if kind == "ndjson" else _parse_json(body)


def _delimiter(parameter: str | None) -> bytes | None:
    if parameter is None:
        return None
    wrong = "Invalid value in parameter `csvDelimiter`: expected a string of one character, but "
    if not parameter:
        raise InvalidCsvDelimiter(wrong + "found an empty string")
    if len(parameter) > 1:
        raise InvalidCsvDelimiter(
            f"{wrong}found the following string of {len(parameter)} characters: `{parameter}`"
        )
    if not parameter.isascii():
        raise InvalidCsvDelimiter(
            f"csv delimiter must be an ascii character. Found: `{parameter}`"
        )
    if parameter in '"\r\n':
        raise InvalidCsvDelimiter("csv delimiter must be neither a quote nor a line end")
    return parameter.encode()


def _mime(content_type: str | None) -> str:
    if content_type is None:
        raise MissingContentType(
            "A Content-Type header is missing. "
            f"Accepted values for the Content-Type header are: {_ACCEPTED}"
        )
    match = _MIME.fullmatch(content_type)
    mime = match[1].lower() if match else content_type
    if mime not in _KINDS:
        raise InvalidContentType(
            f"The Content-Type `{mime}` is invalid. "
            f"Accepted values for the Content-Type header are: {_ACCEPTED}"
        )
    return mime


def _parse_json(body: bytes) -> JsonPayload:
    first = body.lstrip(b" \t\r\n")[:1]
    text = b"[%b]" % body if first == b"{" else body
    try:
        _check_utf8(body)
        documents = _array_decoder.decode(text)
    except msgspec.ValidationError:
        raise _no_object("json") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed("json", body, "array" if first == b"[" else "object", error) from None
    if first == b"{" and len(documents) > 1:  # A list without brackets.
        raise _malformed("json", body, "object", ValueError())
    return _of_objects(JsonPayload("json", text, documents))


def _parse_ndjson(body: bytes) -> JsonPayload:
    try:
        _check_utf8(body)
        documents = _value_decoder.decode_lines(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed("ndjson", body, "stream", error) from None
    return _of_objects(JsonPayload("ndjson", body, documents))


def _check_utf8(body: bytes) -> None:
    """Raw slices are not checked by the decoder."""
    body.isascii() or body.decode()


def _of_objects(payload: JsonPayload) -> JsonPayload:
    views: Iterable[Any] = map(memoryview, payload.documents)
    first_bytes = set(map(itemgetter(0), views))
    if first_bytes - {_OPEN_BRACE}:
        raise _no_object(payload.kind)
    return payload


def _no_object(kind: str) -> MalformedPayload:
    return _malformed_text(kind, "data are neither an object nor a list of objects")


def _malformed(kind: str, body: bytes, shape: Shape, error: Exception) -> MalformedPayload:
    """Word the fault as a node does. A node sees two only later: lone surrogates and depth."""
    deep = isinstance(error, RecursionError)
    later = "recursion limit exceeded" if deep else "unexpected end of hex escape"
    return _malformed_text(kind, json_fault(body, shape) or later)


def _malformed_text(kind: str, detail: str) -> MalformedPayload:
    return MalformedPayload(
        f"The `{kind}` payload provided is malformed. "
        f"`Couldn't serialize document value: {detail}`."
    )
