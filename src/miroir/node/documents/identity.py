"""
Which field is the primary key, and which id a document has.

Rules (milli, documents/primary_key.rs): the index's own key, else the request's, else the one
top-level field of the first document whose name ends with `id`. A key with dots may reach into
objects. An id is an integer or 1 to 511 bytes of `A-Za-z0-9_-`; 42 and "42" are one document.
Pure.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from miroir.node.errors import ApiError
from miroir.node.json_text import Raw, RawDocument, decode, encode_text

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,511}\Z")
_INFERENCE: Final = "The primary key inference failed as the engine "
_SPECIFY: Final = "Please specify the primary key manually using the `primaryKey` query parameter."


def primary_key_of(own: str | None, asked: str | None, first: Iterable[str] | None) -> str:
    """
    Return the primary key for an addition.

    Args:
        own: The index's key, if it has one.
        asked: The key that the request names.
        first: The field names of the first document, None without documents.

    Raises:
        ApiError: The request names another key than the index has, or none can be inferred.
    """
    if own is not None:
        if asked is not None and asked != own:
            raise primary_key_exists(own)
        return own
    if asked is not None:
        return asked
    candidates = sorted(name for name in first or () if name.lower().endswith("id"))
    if not candidates:
        raise ApiError(
            "index_primary_key_no_candidate_found",
            f"{_INFERENCE}did not find any field ending with `id` in its name. {_SPECIFY}",
        )
    if len(candidates) > 1:
        raise ApiError(
            "index_primary_key_multiple_candidates_found",
            f"{_INFERENCE}found {len(candidates)} fields ending with `id` in their names: "
            f"'{candidates[0]}' and '{candidates[1]}'. {_SPECIFY}",
        )
    return candidates[0]


def primary_key_exists(own: str) -> ApiError:
    """Return the error of a change of a primary key that is in use."""
    message = f"Index already has a primary key: `{own}`."
    return ApiError("index_primary_key_already_exists", message)


def document_id(document: RawDocument, primary_key: str) -> str:
    """
    Return the external id of a document.

    Raises:
        ApiError: `missing_document_id`, or `invalid_document_id`.
    """
    values = list(_values(document, primary_key))
    if not values:
        raise ApiError(
            "missing_document_id",
            f"Document doesn't have a `{primary_key}` attribute: `{_compact(document)}`.",
        )
    if len(values) > 1:
        raise ApiError(
            "invalid_document_id",
            f"Document have too many matching `{primary_key}` attribute: `{_compact(document)}`.",
        )
    return id_text(values[0])


def _compact(document: RawDocument) -> str:
    return encode_text({name: decode(raw) for name, raw in document.items()})


def id_text(value: Any) -> str:
    """
    Return the text form of an id.

    Raises:
        ApiError: `invalid_document_id`.
    """
    if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**64:
        return str(value)
    if isinstance(value, str) and _ID.match(value):
        return value
    raise ApiError(
        "invalid_document_id",
        f"Document identifier `{encode_text(value)}` is invalid. "
        "A document identifier can be of type integer or string, only composed of alphanumeric "
        "characters (a-z A-Z 0-9), hyphens (-) and underscores (_), and can not be more than 511 "
        "bytes.",
    )


def _values(document: RawDocument, key: str) -> Iterator[Any]:
    if key in document:
        yield decode(document[key])
    for position, char in enumerate(key):
        head = document.get(key[:position]) if char == "." else None
        if head is not None:
            yield from _inside(decode(head), key[position + 1 :])


def _inside(value: Any, path: str) -> Iterator[Any]:
    """Yield what a dotted path reaches in a value; a key may itself contain dots."""
    if isinstance(value, dict):
        for name, member in value.items():
            if name == path:
                yield member
            elif path.startswith(f"{name}."):
                yield from _inside(member, path[len(name) + 1 :])


def field_names(raw: Raw) -> list[str]:
    """Return the top-level keys of a raw document."""
    return list(decode(raw))
