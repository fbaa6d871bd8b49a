"""
Which attribute is the primary key, and what each document's id is: Meilisearch's rules.

- Key: the index's own > the `primaryKey` parameter > inference from the first document: the one
  top-level key whose lower-case name ends in `id`.
- Id: an integer of 64 bits or 1..511 of `A-Z a-z 0-9 - _`; 42 and "42" are one id.
- `a.b` means the nested value or the key `a.b` itself; exactly one must be there.
- Of a repeated key the last one counts, except in NDJSON and inside objects, where the repeated
  id is an error: nodes drop repeated top-level keys of a JSON array before they look for ids.

Everything wrong here is a *task* failure on a node, so it is returned, not raised. The fast path
decodes only the ids, typed; on any surprise every document is decoded in full, which also finds
the first bad one and words its fault. Source: milli's indexer/{guess_primary_key,de}.rs.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import msgspec
import orjson
from msgspec import UNSET, Raw, UnsetType

from miroir.core.documents.payload import CsvPayload, JsonPayload, Payload
from miroir.errors import MalformedPayload

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,511}")
_ID_CHARACTERS: Final = re.compile(r"[A-Za-z0-9_-]*+")
_USUAL_MAX: Final = 2**62
_ID_BYTES_MAX: Final = 511
_ESCAPED_ASCII: Final = re.compile(rb"\\u00[0-7]")
_SPECIFY: Final = "Please specify the primary key manually using the `primaryKey` query parameter."


@dataclass(frozen=True)
class PayloadFault:
    """
    Why a node would fail the task of this payload.

    Attributes:
        code: Meilisearch's error code.
        message: Meilisearch's message.
    """

    code: str
    message: str


# --------------------------------------------------------------------- which attribute


def find_primary_key(
    payload: Payload, known: str | None, param: str | None
) -> str | PayloadFault | None:
    """
    Return the primary key to use; None when there is none and nothing to infer it from.

    Args:
        payload: The payload; an empty one is never at fault.
        known: The index's own primary key.
        param: The `primaryKey` parameter of the request.
    """
    if known is not None:
        if param is None or param == known or not payload.document_count:
            return known
        return PayloadFault(
            "index_primary_key_already_exists", f"Index already has a primary key: `{known}`."
        )
    if param is not None or not payload.document_count:
        return param
    return _inferred(_first_keys(payload))


def _first_keys(payload: Payload) -> set[str]:
    if isinstance(payload, CsvPayload):
        return {column.name for column in payload.table.columns}
    return set(msgspec.json.decode(payload.documents[0], type=dict[str, Raw]))


def _inferred(keys: set[str]) -> str | PayloadFault:
    candidates = sorted(key for key in keys if key.lower().endswith("id"))
    if not candidates:
        return PayloadFault(
            "index_primary_key_no_candidate_found",
            "The primary key inference failed as the engine did not find any field ending "
            f"with `id` in its name. {_SPECIFY}",
        )
    if len(candidates) > 1:
        return PayloadFault(
            "index_primary_key_multiple_candidates_found",
            f"The primary key inference failed as the engine found {len(candidates)} fields "
            f"ending with `id` in their names: '{candidates[0]}' and '{candidates[1]}'. "
            + _SPECIFY,
        )
    return candidates[0]


# --------------------------------------------------------------------- the ids, quickly


def check_ids(payload: Payload, primary_key: str) -> Sequence[str] | PayloadFault:
    """Return the canonical id of every document in order, or the fault of the first bad one."""
    if isinstance(payload, CsvPayload):
        return _csv_ids(payload, primary_key)
    ids = _ids_quickly(payload, primary_key)
    return _ids_carefully(payload, primary_key) if ids is None else ids


def _ids_quickly(payload: JsonPayload, primary_key: str) -> list[str] | None:
    if _may_repeat(payload, primary_key):
        return None
    flat = len(_levels(primary_key)) == 1
    decoder = _decoder(primary_key, one_by_one=payload.kind == "ndjson")
    try:
        if payload.kind == "ndjson":
            found = decoder.decode_lines(payload.text)
        else:
            found = decoder.decode(payload.text)
    except msgspec.DecodeError:
        return None
    values = [level.f0 for level in found] if flat else [_only(level) for level in found]
    ids = [
        value
        if type(value) is str
        else str(value)
        if type(value) is int and 0 < value < _USUAL_MAX  # A call each would cost more than all.
        else _integer_text(value)
        for value in values
    ]
    for doubtful in [row for row, key in enumerate(ids) if not key]:
        key = _id_of(_pairs(bytes(payload.documents[doubtful]), payload.kind), primary_key)
        if isinstance(key, PayloadFault):
            return None
        ids[doubtful] = key
    return ids if _all_valid(ids) else None


@lru_cache(maxsize=256)
def _decoder(primary_key: str, *, one_by_one: bool) -> Any:
    level = _level(primary_key)
    return msgspec.json.Decoder(level if one_by_one else list[level])  # type: ignore[valid-type]


def _level(path: str) -> type[msgspec.Struct]:
    """Return a struct with one field for each way in which the path may go on."""
    fields: list[tuple[str, Any, Any]] = []
    for i, (left, right) in enumerate(_levels(path)):
        kind: Any = (_level(right) if right else (int | str)) | UnsetType
        fields.append((f"f{i}", kind, msgspec.field(name=left, default=UNSET)))
    return msgspec.defstruct("Level", fields)


@lru_cache(maxsize=256)
def _levels(path: str) -> tuple[tuple[str, str], ...]:
    """`a.b.c` -> (a, b.c), (a.b, c), (a.b.c, nothing more). A key without a name is none."""
    dots = [i for i, character in enumerate(path) if character == "."]
    levels = (*((path[:i], path[i + 1 :]) for i in dots), (path, ""))
    return tuple((left, right) for left, right in levels if left)


def _only(level: Any) -> object:
    """Return the one id in a decoded level, or None when it is not exactly one."""
    found = list(_leaves(level))
    return found[0] if len(found) == 1 else None


def _leaves(level: Any) -> Iterator[object]:
    for name in level.__struct_fields__:
        value = getattr(level, name)
        if isinstance(value, msgspec.Struct):
            yield from _leaves(value)
        elif value is not UNSET:
            yield value


def _integer_text(value: object) -> str:
    """Return "" where there is doubt: nothing there, more than 64 bits, or 0, which may be -0."""
    if type(value) is int and value and -(2**63) <= value < 2**64:
        return str(value)
    return ""


def _all_valid(ids: list[str]) -> bool:
    return (
        all(ids)
        and _ID_CHARACTERS.fullmatch("".join(ids)) is not None
        and max(map(len, ids), default=0) <= _ID_BYTES_MAX
    )


def _may_repeat(payload: JsonPayload, primary_key: str) -> bool:
    """Whether a key of the path may come twice in one object where a node would mind."""
    if payload.kind == "json" and "." not in primary_key:
        return False
    names = {part for left, right in _levels(primary_key) for part in (left, *right.split("."))}
    names |= {right for _, right in _levels(primary_key)}
    keys = [orjson.dumps(name) for name in names if name]
    return (
        any(payload.text.count(key) > payload.document_count for key in keys)
        or not all(name.isascii() for name in names)
        or (b"\\" in payload.text and _ESCAPED_ASCII.search(payload.text) is not None)
    )


# ------------------------------------------------------------------- the ids, carefully


class _Pairs(list[tuple[str, Any]]):
    """An object with its repeated keys."""


def _ids_carefully(payload: JsonPayload, primary_key: str) -> list[str] | PayloadFault:
    ids: list[str] = []
    for document in payload.documents:
        found = _id_of(_pairs(bytes(document), payload.kind), primary_key)
        if isinstance(found, PayloadFault):
            return found
        ids.append(found)
    return ids


def _pairs(document: bytes, kind: str) -> _Pairs:
    try:
        pairs: _Pairs = json.loads(document, object_pairs_hook=_Pairs, parse_int=_number)
    except RecursionError:
        raise MalformedPayload(
            f"The `{kind}` payload provided is malformed. "
            "`Couldn't serialize document value: recursion limit exceeded`."
        ) from None
    return _Pairs(dict(pairs).items()) if kind == "json" else pairs


def _number(text: str) -> int | float:
    """Read an integer as nodes do: 64 bits, else a float; -0 is a float."""
    if text == "-0" or len(text) > 20 or not -(2**63) <= int(text) < 2**64:
        return float(text)
    return int(text)


def _id_of(document: _Pairs, primary_key: str) -> str | PayloadFault:
    found = list(_values_at(document, primary_key))
    for position, value in enumerate(found):
        key = _id_text(value)
        if key is None:
            return _invalid_id(value)
        if position:
            return _too_many(primary_key, document)
    return str(found[0]) if found else _missing(primary_key, document)


def _values_at(pairs: _Pairs, path: str) -> Iterator[Any]:
    for key, value in pairs:
        for left, right in _levels(path):
            if key != left:
                continue
            if not right:
                yield value
            elif isinstance(value, _Pairs):
                yield from _values_at(value, right)


def _id_text(value: object) -> str | None:
    if isinstance(value, str):
        return value if _ID.fullmatch(value) else None
    return str(value) if type(value) is int else None


def _csv_ids(payload: CsvPayload, primary_key: str) -> list[str] | PayloadFault:
    table = payload.table
    names = [column.name for column in table.columns]
    if primary_key not in names:
        return _missing(primary_key, table.document(0)) if table.records else []
    ids: list[str] = []
    for value in table.cells(len(names) - 1 - names[::-1].index(primary_key)):
        key = _id_text(value)
        if key is None:
            return _invalid_id(value)
        ids.append(key)
    return ids


# -------------------------------------------------------------------------------- words


def _invalid_id(value: object) -> PayloadFault:
    return PayloadFault(
        "invalid_document_id",
        f"Document identifier `{_json(value)}` is invalid. A document identifier can be of type "
        "integer or string, only composed of alphanumeric characters (a-z A-Z 0-9), hyphens (-) "
        "and underscores (_), and can not be more than 511 bytes.",
    )


def _missing(primary_key: str, document: object) -> PayloadFault:
    return PayloadFault(
        "missing_document_id",
        f"Document doesn't have a `{primary_key}` attribute: `{_json(document)}`.",
    )


def _too_many(primary_key: str, document: object) -> PayloadFault:
    return PayloadFault(
        "invalid_document_id",
        f"Document have too many matching `{primary_key}` attribute: `{_json(document)}`.",
    )


def _json(value: object) -> str:
    return orjson.dumps(_plain(value)).decode()


def _plain(value: object) -> object:
    """Make an object of pairs again, and write floats as nodes do (`1e+30`)."""
    if isinstance(value, _Pairs):
        return {key: _plain(inner) for key, inner in value}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return orjson.Fragment(re.sub(rb"e(?=\d)", b"e+", orjson.dumps(value)))
    return value
