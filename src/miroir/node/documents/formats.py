"""
Document payloads: JSON, NDJSON and CSV become one list of raw JSON objects.

Syntax is judged here, before anything is written, in Meilisearch's words (document_formats.rs);
ids and primary keys are judged in the task. Numbers, key order and nested text of JSON stay as
sent.
"""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from miroir.node.errors import ApiError
from miroir.node.json_faults import json_fault
from miroir.node.json_text import NotAnObjectError, Raw, encode, raw_fields, raw_items
from miroir.node.validate import listed

ACCEPTED: Final = ("application/json", "application/x-ndjson", "text/csv")
_PREFIX, _SUFFIX = 50, 85
_NEITHER: Final = "data are neither an object nor a list of objects"


def format_of(content_type: str | None, delimiter: str | None) -> str:
    """
    Return `json`, `ndjson` or `csv`.

    Raises:
        ApiError: `missing_content_type` or `invalid_content_type` (415).
    """
    accepted = f"Accepted values for the Content-Type header are: {listed(list(ACCEPTED))}"
    if content_type is None:
        raise ApiError("missing_content_type", f"A Content-Type header is missing. {accepted}")
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in ACCEPTED:
        message = f"The Content-Type `{kind or content_type}` is invalid. {accepted}"
        raise ApiError("invalid_content_type", message)
    if delimiter is not None and kind != "text/csv":
        raise ApiError(
            "invalid_content_type",
            f"The Content-Type `{kind}` does not support the use of a csv delimiter. The csv "
            "delimiter can only be used with the Content-Type `text/csv`.",
        )
    return {"application/json": "json", "application/x-ndjson": "ndjson", "text/csv": "csv"}[kind]


def read_documents(body: bytes, kind: str, delimiter: str | None = None) -> list[Raw]:
    """
    Return the documents of a payload as raw JSON objects.

    Raises:
        ApiError: `missing_payload`, or `malformed_payload` with the parser's reason.
    """
    if not body:
        raise ApiError("missing_payload", f"A {kind} payload is missing.")
    try:
        if kind == "csv":
            return [Raw(encode(row)) for row in _csv_rows(body, delimiter or ",")]
        documents = _json_items(body) if kind == "json" else _ndjson_items(body)
    except (msgspec.DecodeError, ValueError) as error:
        if isinstance(error, NotAnObjectError):
            raise _malformed(kind, _NEITHER) from error
        several = kind == "ndjson"
        raise _malformed(kind, json_fault(body, several=several) or str(error)) from error
    return documents


def _malformed(kind: str, reason: str) -> ApiError:
    if len(reason) > _PREFIX + _SUFFIX + 3:
        reason = f"{reason[:_PREFIX]}...{reason[-_SUFFIX:]}"
    message = f"The `{kind}` payload provided is malformed. "
    return ApiError(
        "malformed_payload", f"{message}`Couldn't serialize document value: {reason}`."
    )


def _json_items(body: bytes) -> list[Raw]:
    try:
        items = raw_items(body)
    except msgspec.ValidationError:
        items = [Raw(body)]  # one object instead of a list
    return [Raw(encode(raw_fields(item))) for item in items]


def _ndjson_items(body: bytes) -> list[Raw]:
    lines = [line for line in body.split(b"\n") if line.strip()]
    try:
        return [Raw(encode(raw_fields(line))) for line in lines]
    except msgspec.DecodeError:
        # A document may also span lines, or share one with others.
        return [Raw(encode(raw_fields(value))) for value in _values_in_a_row(body.decode())]


def _values_in_a_row(text: str) -> Iterator[bytes]:
    decoder, at = json.JSONDecoder(), 0
    while (start := at + len(text[at:]) - len(text[at:].lstrip())) < len(text):
        _, at = decoder.raw_decode(text, start)
        yield text[start:at].encode()


def _csv_rows(body: bytes, delimiter: str) -> Iterator[dict[str, Any]]:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise _malformed_csv(str(error)) from error
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    fields = [_csv_field(name) for name in next(reader, [])]
    line, begin = 0, reader.line_num
    for row in reader:
        if not row:
            begin = reader.line_num
            continue
        line += 1
        if len(row) != len(fields):
            byte = sum(map(len, body.splitlines(keepends=True)[:begin]))
            raise _malformed_csv(
                f"CSV error: record {line} (line: {begin + 1}, byte: {byte}): found record with "
                f"{len(row)} fields, but the previous record has {len(fields)} fields"
            )
        begin = reader.line_num
        yield {
            name: _csv_value(cell, kind, line)
            for (name, kind), cell in zip(fields, row, strict=True)
        }


def _csv_field(header: str) -> tuple[str, str]:
    name, colon, kind = header.rpartition(":")
    return (
        (name, kind) if colon and kind in {"string", "boolean", "number"} else (header, "string")
    )


def _csv_value(cell: str, kind: str, line: int) -> Any:
    word = cell.strip()
    if not (cell if kind == "string" else word):
        return None
    if kind == "boolean":
        if word not in {"true", "false"}:
            reason = "provided string was not `true` or `false`"
            raise _malformed_csv(f'Error parsing boolean "{cell}" at line {line}: {reason}')
        return word == "true"
    return cell if kind == "string" else _csv_number(cell, word, line)


def _csv_number(cell: str, word: str, line: int) -> int | float:
    try:
        integer = int(word)
        return integer if -(2**63) <= integer < 2**63 else float(word)
    except ValueError:
        pass  # not an integer, perhaps a float
    try:
        return float(word)
    except ValueError as error:
        reason = f'Error parsing number "{cell}" at line {line}: invalid float literal'
        raise _malformed_csv(reason) from error


def _malformed_csv(reason: str) -> ApiError:
    message = f"The `csv` payload provided is malformed: `{reason}`."
    return ApiError("malformed_payload", message)
