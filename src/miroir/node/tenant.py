"""
Tenant tokens: short-lived signed search rights that a client makes from an API key.

A token is a JSON Web Token signed with the value of the key that it names (HS256, HS384, HS512).
"""

import base64
import binascii
import hashlib
import hmac
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from miroir.node.errors import ApiError
from miroir.node.index_uids import covers
from miroir.node.json_text import decode
from miroir.node.times import now_ns

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
        ApiError: `invalid_api_key`: the signature is wrong or the time is over.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        head, claims = decode(_bytes(parts[0])), decode(_bytes(parts[1]))
        key_uid, rules = str(uuid.UUID(claims["apiKeyUid"])), claims["searchRules"]
        hash_ = _HASHES[head["alg"]]
        signature = _bytes(parts[2])
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        return None
    signed = f"{parts[0]}.{parts[1]}".encode()
    expected = hmac.new(value_of_key(key_uid).encode(), signed, hash_).digest()
    if not hmac.compare_digest(expected, signature):
        raise ApiError("invalid_api_key", "Could not decode tenant token, InvalidSignature.")
    _require_time_left(claims.get("exp"))
    if isinstance(rules, list):
        rules = dict.fromkeys(rules)
    return TenantToken(key_uid, rules) if isinstance(rules, dict) else None


def _require_time_left(expiry: Any) -> None:
    now = now_ns() // 1_000_000_000
    if isinstance(expiry, int) and now > expiry:
        message = f"Tenant token expired. Was valid up to `{expiry}` and we're now `{now}`."
        raise ApiError("invalid_api_key", message)


def _bytes(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
