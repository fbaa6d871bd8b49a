"""
CSV as nodes read it: raw records, typed headers, and cells decoded only where they are needed.

Rules (those of the node's CSV reader):
- A record ends at CR, LF or CRLF outside quotes; empty lines are skipped; a byte order mark too.
- A cell that begins with a quote runs to the closing quote, `""` inside means `"`; what follows
  the closing quote up to the delimiter belongs to the cell. A quote elsewhere is a character.
  An unclosed quote runs to the end of the payload.
- Every record has as many cells as the header. `name:number` and `name:boolean` type a column.

Raw slices are kept, so that what is sent on is what came. May not be put here: primary keys.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import orjson

from miroir.errors import MalformedPayload

Cell = str | int | float | bool | None

_BOM: Final = b"\xef\xbb\xbf"
_LINE_ENDS: Final = re.compile(rb"[\r\n]*+")
_QUOTED: Final = re.compile(rb'"([^"]*+(?:""[^"]*+)*+)(?:"(.*)|\Z)', re.DOTALL)
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_FLOAT: Final = re.compile(
    r"[+-]?(?:inf|infinity|nan|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?)",
    re.IGNORECASE | re.ASCII,
)
_TYPES: Final = ("string", "number", "boolean")


@dataclass(frozen=True)
class Column:
    """One column of the header."""

    name: str
    kind: str


@dataclass(frozen=True)
class Table:
    """
    A CSV payload in raw slices.

    Attributes:
        header: The raw header record.
        columns: Its cells, in order; a name may come twice (the last one counts).
        records: One raw slice per document, without line end.
        delimiter: One ASCII character.
    """

    header: bytes
    columns: tuple[Column, ...]
    records: tuple[bytes, ...]
    delimiter: bytes

    def cells(self, position: int) -> Iterator[Cell]:
        """Yield the value of one column, record by record."""
        pattern = _record_pattern(len(self.columns), (position,), self.delimiter)
        kind = self.columns[position].kind
        for record in self.records:
            match = pattern.match(record)
            assert match, "records were checked when they were read"
            yield _typed(_cell_text(match[2]), kind)

    def document(self, row: int) -> dict[str, Cell]:
        """Return one record as the object that a node makes of it."""
        everything = tuple(range(len(self.columns)))
        match = _record_pattern(len(everything), everything, self.delimiter).match(
            self.records[row]
        )
        assert match, "records were checked when they were read"
        cells = [_cell_text(raw) for raw in match.groups()[1:]]
        return {c.name: _typed(t, c.kind) for c, t in zip(self.columns, cells, strict=True)}


def read_table(body: bytes, delimiter: bytes) -> Table:
    """
    Cut a payload into records and check their shape and types.

    Raises:
        MalformedPayload: A record has too many or too few cells, a typed cell does not parse, or
            the bytes are not UTF-8. Worded as the node words it.
    """
    _check_utf8(body)
    start = _line_end(body, len(_BOM) if body.startswith(_BOM) else 0)
    header = _header_pattern(delimiter).match(body, start)
    assert header, "the header pattern matches any text"
    columns = tuple(_column(text) for text in _cells_of(header[0], delimiter))
    records = tuple(_records(body, header.end(), columns, delimiter))
    return Table(header[0], columns, records, delimiter)


def _check_utf8(body: bytes) -> None:
    try:
        body.isascii() or body.decode()
    except UnicodeDecodeError as error:
        raise _malformed(f"CSV parse error: invalid UTF-8 near byte {error.start}") from None


def _records(
    body: bytes, start: int, columns: tuple[Column, ...], delimiter: bytes
) -> Iterator[bytes]:
    typed = tuple(i for i, column in enumerate(columns) if column.kind != "string")
    pattern = _record_pattern(len(columns), typed, delimiter)
    position, row = _line_end(body, start), 0
    while position < len(body):
        row += 1
        match = pattern.match(body, position)
        if match is None:
            raise _ragged(body, position, row, columns, delimiter)
        for index, raw in zip(typed, match.groups()[1:], strict=True):
            _check_type(_cell_text(raw), columns[index].kind, row)
        yield match[1]
        position = _line_end(body, match.end())


def _line_end(body: bytes, position: int) -> int:
    match = _LINE_ENDS.match(body, position)
    assert match, "the pattern matches nothing at all as well"
    return match.end()


# ------------------------------------------------------------------------- patterns


def _cell_pattern(delimiter: bytes) -> bytes:
    mark = re.escape(delimiter)
    quoted = rb'"[^"]*+(?:""[^"]*+)*+(?:"[^%b\r\n]*+|\Z)' % mark
    return rb'(?>%b|[^"%b\r\n][^%b\r\n]*+|)' % (quoted, mark, mark)


@lru_cache(maxsize=256)
def _record_pattern(count: int, wanted: tuple[int, ...], delimiter: bytes) -> re.Pattern[bytes]:
    """Match a whole record as group 1 and the wanted cells as the groups after it."""
    cell, mark = _cell_pattern(delimiter), re.escape(delimiter)
    cells = [b"(%b)" % cell if i in wanted else cell for i in range(count)]
    return re.compile(rb"(%b)(?=[\r\n]|\Z)" % mark.join(cells))


@lru_cache(maxsize=16)
def _header_pattern(delimiter: bytes) -> re.Pattern[bytes]:
    cell = _cell_pattern(delimiter)
    return re.compile(rb"%b(?:%b%b)*+" % (cell, re.escape(delimiter), cell))


def _cells_of(record: bytes, delimiter: bytes) -> list[str]:
    pattern = re.compile(rb"(%b)(?:%b|\Z)" % (_cell_pattern(delimiter), re.escape(delimiter)))
    cells, position = [], 0
    while match := pattern.match(record, position):
        cells.append(_cell_text(match[1]))
        position = match.end()
        if position == match.end(1):
            break
    return cells


# ---------------------------------------------------------------------------- cells


def _column(text: str) -> Column:
    name, colon, kind = text.rpartition(":")
    return Column(name, kind) if colon and kind in _TYPES else Column(text, "string")


def _cell_text(raw: bytes) -> str:
    if not raw.startswith(b'"'):
        return raw.decode()
    match = _QUOTED.fullmatch(raw)
    assert match, "the record pattern lets nothing else through"
    return (match[1].replace(b'""', b'"') + (match[2] or b"")).decode()


def _typed(text: str, kind: str) -> Cell:
    trimmed = text.strip()
    if kind == "string":
        return text or None
    if not trimmed:
        return None
    if kind == "boolean":
        return trimmed == "true"
    if _INTEGER.fullmatch(trimmed) and -(2**63) <= int(trimmed) < 2**63:
        return int(trimmed)
    return float(trimmed)


def _check_type(text: str, kind: str, row: int) -> None:
    trimmed = text.strip()
    if kind == "number" and trimmed and not _FLOAT.fullmatch(trimmed):
        raise _malformed(
            f"Error parsing number {_quoted(text)} at line {row}: invalid float literal"
        )
    if kind == "boolean" and trimmed not in {"", "true", "false"}:
        raise _malformed(
            f"Error parsing boolean {_quoted(text)} at line {row}: "
            "provided string was not `true` or `false`"
        )


# --------------------------------------------------------------------------- errors


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


def _ragged(
    body: bytes, position: int, row: int, columns: tuple[Column, ...], delimiter: bytes
) -> MalformedPayload:
    record = _header_pattern(delimiter).match(body, position)
    assert record, "the header pattern matches any text"
    found = len(_cells_of(record[0], delimiter))
    line = body.count(b"\n", 0, position) + 1
    return _malformed(
        f"CSV error: record {row} (line: {line}, byte: {position}): found record with "
        f"{found} fields, but the previous record has {len(columns)} fields"
    )


def _malformed(detail: str) -> MalformedPayload:
    return MalformedPayload(f"The `csv` payload provided is malformed: `{detail}`.")
