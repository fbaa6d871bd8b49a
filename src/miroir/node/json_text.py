"""
JSON in and out of the node.

Reading keeps integers of any size and the order of keys; writing is compact. `Raw` slices carry
documents through unchanged, byte for byte. Every malformed payload becomes Meilisearch's
`malformed_payload`. Only this file knows which library parses.
"""

from typing import Any, Final, TypeAlias

import msgspec

from miroir.node.errors import ApiError
from miroir.node.json_faults import json_fault

Raw: TypeAlias = msgspec.Raw
RawDocument: TypeAlias = dict[str, msgspec.Raw]

_any: Final = msgspec.json.Decoder()
_raw_list: Final = msgspec.json.Decoder(list[msgspec.Raw])
_raw_dict: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encoder: Final = msgspec.json.Encoder()

encode: Final = _encoder.encode


class NotAnObjectError(ValueError):
    """A document is a JSON value other than an object."""


def encode_text(value: Any) -> str:
    """Return a value as compact JSON text."""
    return _encoder.encode(value).decode()


def decode(text: bytes | str | msgspec.Raw) -> Any:
    """Return the value of a JSON text that is known to be well formed."""
    return _any.decode(text)


def decode_body(text: bytes) -> Any:
    """
    Return the value of a request's JSON body.

    Raises:
        ApiError: `missing_payload` when it is empty, `malformed_payload` when it is not JSON.
    """
    if not text:
        raise ApiError("missing_payload", "A json payload is missing.")
    try:
        return _any.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = json_fault(text) or str(error)
        message = f"The json payload provided is malformed. `{reason}`."
        raise ApiError("malformed_payload", message) from error


def raw_items(text: bytes) -> list[msgspec.Raw]:
    """
    Return the elements of a JSON array as raw slices.

    Raises:
        msgspec.ValidationError: the text is JSON, but no array.
        msgspec.DecodeError: the text is not JSON.
    """
    return _raw_list.decode(text)


def raw_fields(text: bytes | msgspec.Raw) -> RawDocument:
    """
    Return the top-level fields of a JSON object, each still raw, in their order.

    Raises:
        NotAnObjectError: the value is JSON, but no object.
    """
    try:
        return _raw_dict.decode(text)
    except msgspec.ValidationError as error:
        raise NotAnObjectError(str(error)) from error


def decode_loosely(text: str) -> Any:
    """Return the value of a JSON text, or the text itself when it is not JSON."""
    try:
        return _any.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text  # a filter such as `color = red` is given without quotes
