"""
What a key opens: its actions, its indexes, its time; and the tenant tokens made from it.

Judged as Meilisearch 1.50 does (extractors/authentication/mod.rs; meilisearch-auth, lib.rs and
store.rs) and refused in its words, for everything that Miroir answers or accepts itself. Pure: the
keys, the time and the token go in.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from miroir.core.keys import Definition, expired, normal_uid
from miroir.errors import InvalidApiKey

_INVALID: Final = "The provided API key is invalid."
_HASHES: Final = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
_GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "documents": ("add", "get", "delete"),
    "indexes": ("create", "get", "update", "delete", "swap", "compact"),
    "tasks": ("get", "cancel", "delete", "compact"),
    "settings": ("get", "update"),
    "stats": ("get",),
    "metrics": ("get",),
    "dumps": ("create",),
    "snapshots": ("create",),
    "chats": ("get", "delete"),
    "chatsSettings": ("get", "update"),
    "webhooks": ("get", "create", "update", "delete"),
    "dynamicSearchRules": ("get", "create", "update", "delete"),
}
_READS: Final = frozenset({"search", "export", "version", "fields.post"})
_CHECKED_BY_ROUTE: Final = frozenset(
    {
        "documents.get", "search", "indexes.create", "indexes.get", "indexes.swap", "tasks.cancel",
        "tasks.delete", "tasks.get", "settings.get", "stats.get", "chatCompletions",
    }
)  # fmt: skip
"""Actions whose routes without an index in the path look at the indexes of the key themselves."""


@dataclass(frozen=True)
class TenantToken:
    """
    What a tenant token says, before anybody has looked at its signature.

    Attributes:
        key_uid: The key that it was made from.
        rules: Index pattern -> rule, or None for no further filter.
        expires_s: Unix seconds, or None for never.
    """

    key_uid: str
    rules: Mapping[str, Any]
    expires_s: int | None
    signed: bytes
    signature: bytes
    algorithm: str


def allows(definition: Definition, action: str) -> bool:
    """Whether a key has an action, by its name or by one that stands for several."""
    return any(_stands_for(name, action) for name in definition["actions"])


def _stands_for(name: str, action: str) -> bool:
    if name in {"*", action}:
        return True
    kind, _, verb = action.partition(".")
    if name == "*.get":
        return (verb == "get" and kind != "keys") or action in _READS
    group, _, rest = name.partition(".")
    return rest == "*" and kind == group and verb in _GROUPS.get(group, ())


def covers(patterns: Iterable[str], index_uid: str) -> bool:
    """Whether an index is within patterns: exact, `prefix*`, or `*`."""
    return any(
        index_uid.startswith(p[:-1]) if p.endswith("*") else index_uid == p for p in patterns
    )


def check(
    definition: Definition,
    action: str,
    index_uid: str | None,
    *,
    now: datetime,
    token: TenantToken | None = None,
) -> None:
    """
    Let a key do an action on an index, or not.

    Args:
        definition: The key.
        action: E.g. `documents.add`.
        index_uid: The index in the path; None for a route without one.
        now: The time.
        token: A tenant token made from this key, its signature checked.

    Raises:
        InvalidApiKey: In Meilisearch's words.
    """
    if index_uid is not None:
        _check_index(definition, index_uid, token)
    elif "*" not in definition["indexes"] and action not in _CHECKED_BY_ROUTE:
        raise InvalidApiKey(_INVALID)
    if expired(definition, now) or not allows(definition, action):
        raise InvalidApiKey(_INVALID)


def _check_index(definition: Definition, index_uid: str, token: TenantToken | None) -> None:
    if token is not None and not covers(token.rules, index_uid):
        raise InvalidApiKey(
            f"The provided tenant token cannot acces the index `{index_uid}`, "
            f"allowed indexes are {_list(token.rules)}."
        )
    if covers(definition["indexes"], index_uid):
        return
    if token is not None:
        raise InvalidApiKey(
            f"The API key used to generate this tenant token cannot acces the index `{index_uid}`."
        )
    raise InvalidApiKey(
        f"The API key cannot acces the index `{index_uid}`, "
        f"authorized indexes are {_list(definition['indexes'])}."
    )


def _list(patterns: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in sorted(set(patterns))) + "]"


# ---- tenant tokens


def read_token(text: str) -> TenantToken | None:
    """Return what a tenant token says, unchecked; None if the text is none."""
    parts = text.split(".")
    if len(parts) != 3:
        return None
    try:
        head, claims = orjson.loads(_bytes(parts[0])), orjson.loads(_bytes(parts[1]))
        uid, rules = normal_uid(claims["apiKeyUid"]), claims["searchRules"]
        expires_s, signature = claims.get("exp"), _bytes(parts[2])
        algorithm = head["alg"]
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        return None
    if isinstance(rules, list) and all(isinstance(pattern, str) for pattern in rules):
        rules = dict.fromkeys(rules)
    fits = isinstance(rules, dict) and (expires_s is None or isinstance(expires_s, int))
    if uid is None or not fits or not isinstance(algorithm, str) or algorithm not in _HASHES:
        return None
    signed = f"{parts[0]}.{parts[1]}".encode()
    return TenantToken(uid, rules, expires_s, signed, signature, algorithm)


def check_token(token: TenantToken, key_value: str, *, now: datetime) -> None:
    """
    Let a token through that was signed by its key and whose time is not over.

    Raises:
        InvalidApiKey: In Meilisearch's words.
    """
    expected = hmac.new(key_value.encode(), token.signed, _HASHES[token.algorithm]).digest()
    if not hmac.compare_digest(expected, token.signature):
        raise InvalidApiKey("Could not decode tenant token, InvalidSignature.")
    now_s = int(now.timestamp())
    if token.expires_s is not None and now_s > token.expires_s:
        raise InvalidApiKey(
            f"Tenant token expired. Was valid up to `{token.expires_s}` and we're now `{now_s}`."
        )


def _bytes(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
