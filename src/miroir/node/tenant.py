"""
Tenant tokens: short-lived signed search rights that a client makes from an API key.

A token is a JSON Web Token signed with the value of the key that it names (HS256, HS384, HS512).
"""

import base64
import hashlib
import hmac
import string
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from miroir.node.errors import ApiError
from miroir.node.index_uids import covers
from miroir.node.json_faults import json_fault
from miroir.node.json_text import (
    NotAnObjectError,
    RawDocument,
    decode,
    encode,
    encode_text,
    raw_fields,
)
from miroir.node.times import now_ns
from miroir.node.validate import listed

_BASE64: Final = frozenset(string.ascii_letters + string.digits + "-_")
_HASHES: Final = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


@dataclass(frozen=True)
class TenantToken:
    """A verified token: the key that signed it and its rules, pattern -> `{"filter": ...}`."""

    key_uid: str
    rules: dict[str, dict[str, Any] | None]

    def rule_of(self, index_uid: str) -> Any:
        """Return the filter that a search of an index must also meet, None for none."""
        found = [pattern for pattern in self.rules if covers(pattern, index_uid)]
        if not found:
            return None
        nearest = max(found, key=lambda pattern: (not pattern.endswith("*"), len(pattern)))
        return (self.rules[nearest] or {}).get("filter")


def read_token(token: str, value_of_key: Callable[[str], str]) -> TenantToken | None:
    """
    Return the verified content of a token, None when the text is no tenant token.

    Raises:
        ApiError: `invalid_api_key`: it cannot be read, its signature is wrong or its time is over.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return None
    head, body, signature = (_bytes(part) for part in parts)
    hash_ = _hash_of(_object(head), head)
    key_uid, rules, expiry = _claims(_object(body), body)
    if hash_ is None:
        raise _undecodable("InvalidAlgorithm")
    signed = f"{parts[0]}.{parts[1]}".encode()
    expected = hmac.new(value_of_key(key_uid).encode(), signed, hash_).digest()
    if not hmac.compare_digest(expected, signature):
        raise _undecodable("InvalidSignature")
    _require_time_left(expiry)
    return TenantToken(key_uid, rules)


def _undecodable(why: str) -> ApiError:
    return ApiError("invalid_api_key", f"Could not decode tenant token, {why}.")


def _wrong(message: str, text: bytes, at: int | None = None) -> ApiError:
    column = len(text) if at is None else at
    return _undecodable(f"JSON error: {message} at line 1 column {column}")


def _hash_of(head: RawDocument, text: bytes) -> Callable[..., Any] | None:
    """Return the hash that a token is signed with; None for ways to sign that are not taken."""
    if "alg" not in head:
        raise _wrong("missing field `alg`", text)
    name = decode(head["alg"])
    if name not in _ALGORITHMS:
        known = listed(_ALGORITHMS)
        message = f"unknown variant `{name}`, expected one of {known}"
        raise _wrong(message, text, _end_of("alg", head, text))
    return _HASHES.get(name)


def _claims(
    fields: RawDocument, text: bytes
) -> tuple[str, dict[str, dict[str, Any] | None], int | None]:
    """Return the key, the rules and the end of a token; ApiError for the first that is wrong."""
    read: dict[str, Any] = {"exp": None}
    for name, raw in fields.items():
        if name not in _READERS:
            continue
        try:
            read[name] = _READERS[name](decode(raw))
        except ValueError as error:
            at = _end_of(name, fields, text)
            # Where rules are wrong, Meilisearch has looked for the end of the object before.
            at += name == "searchRules" and text[at : at + 1] == b"}"
            raise _wrong(str(error), text, at) from error
    for name in ("searchRules", "apiKeyUid"):
        if name not in read:
            raise _wrong(f"missing field `{name}`", text)
    return read["apiKeyUid"], read["searchRules"], read["exp"]


def _end_of(wanted: str, fields: RawDocument, text: bytes) -> int:
    """Return how many bytes there are up to the end of a member's value."""
    at = 0
    for name, raw in fields.items():
        at = text.index(bytes(raw), text.index(encode(name), at) + len(encode(name))) + len(raw)
        if name == wanted:
            return at
    raise AssertionError("the member was read from this text")


def _rules(value: Any) -> dict[str, dict[str, Any] | None]:
    names = value if isinstance(value, list | dict) else [None]
    found = value.values() if isinstance(value, dict) else ()
    are_names = all(isinstance(name, str) for name in names)
    if not are_names or not all(rule is None or isinstance(rule, dict) for rule in found):
        raise ValueError("data did not match any variant of untagged enum SearchRules")
    return dict(value) if isinstance(value, dict) else dict.fromkeys(value)


def _moment(value: Any) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise ValueError(f"invalid type: {_as_serde(value)}, expected i64")


def _key_uid(value: Any) -> str:
    if not isinstance(value, str):
        message = f"invalid type: {_as_serde(value)}, expected a formatted UUID string"
        raise ValueError(message)  # noqa: TRY004  one kind of error for all that JSON may hold
    for at, char in enumerate(value):
        if char not in _UUID_CHARS:
            message = f"UUID parsing failed: invalid character: found `{char}` at {at}"
            raise ValueError(message)
    try:
        return str(uuid.UUID(value))
    except ValueError as error:
        message = "UUID parsing failed: invalid length: expected length 32 for simple format, "
        raise ValueError(f"{message}found {len(value)}") from error


def _as_serde(value: Any) -> str:
    kinds = {bool: "boolean ", int: "integer ", float: "floating point "}
    if isinstance(value, str):
        return f"string {encode_text(value)}"
    if type(value) in kinds:
        return f"{kinds[type(value)]}`{encode_text(value)}`"
    return "null" if value is None else ("map" if isinstance(value, dict) else "sequence")


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "searchRules": _rules, "exp": _moment, "apiKeyUid": _key_uid,
}  # fmt: skip
_UUID_CHARS: Final = frozenset("0123456789abcdefABCDEF-{}")
_ALGORITHMS: Final = (
    "HS256", "HS384", "HS512", "ES256", "ES384", "RS256", "RS384", "RS512", "PS256", "PS384",
    "PS512", "EdDSA",
)  # fmt: skip


def _require_time_left(expiry: int | None) -> None:
    now = now_ns() // 1_000_000_000
    if expiry is not None and now > expiry:
        message = f"Tenant token expired. Was valid up to `{expiry}` and we're now `{now}`."
        raise ApiError("invalid_api_key", message)


def _bytes(part: str) -> bytes:
    for at, char in enumerate(part):
        if char == "=":
            raise _undecodable("Base64 error: Invalid padding")
        if char not in _BASE64:
            raise _undecodable(f"Base64 error: Invalid symbol {ord(char)}, offset {at}.")
    if len(part) % 4 == 1:
        raise _undecodable(f"Base64 error: Invalid input length: {len(part)}")
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _object(text: bytes) -> RawDocument:
    """Return the members of a part; ApiError for what is no JSON or no object."""
    if (fault := json_fault(text)) is not None:
        raise _undecodable(f"JSON error: {fault}")
    try:
        return raw_fields(text)
    except NotAnObjectError as error:
        message = f"invalid type: {_as_serde(decode(text))}, expected struct Claims"
        raise _wrong(message, text) from error
