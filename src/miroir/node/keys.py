"""
API keys: stored by uid, their values derived from the master key.

value = hex(HMAC-SHA256(master key, uid)), so equal master keys and uids give equal keys on every
node and no value is ever stored. The first start with a master key creates the four default keys,
with random uids. Deciding what a key may do is `auth.py`'s business.
"""

import hmac
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

from miroir.node.actions import ACTIONS, is_global
from miroir.node.errors import ApiError
from miroir.node.index_uids import is_pattern
from miroir.node.json_text import decode, encode_text
from miroir.node.store import Store, put_meta
from miroir.node.times import now_ns, optional_rfc3339, parse_moment, rfc3339
from miroir.node.validate import (
    Member,
    Place,
    Struct,
    array,
    listed,
    nullable,
    one_of,
    string,
)


@dataclass(frozen=True)
class Key:
    """One key. Times in nanoseconds; `expires_at` None means never."""

    uid: str
    name: str | None
    description: str | None
    actions: tuple[str, ...]
    indexes: tuple[str, ...]
    expires_at: int | None
    created_at: int
    updated_at: int

    def is_expired(self) -> bool:
        """Return whether its time is over."""
        return self.expires_at is not None and now_ns() >= self.expires_at


def _pattern(value: Any, place: Place) -> str:
    text = string(value, place)
    if is_pattern(text):
        return text
    raise place.invalid(
        f"`{text}` is not a valid index uid pattern. Index uid patterns can be an integer or a "
        "string containing only alphanumeric characters, hyphens (-), underscores (_), and "
        "optionally end with a star (*)."
    )


def _expiry(value: Any, place: Place) -> int:
    text = string(value, place)
    moment = parse_moment(text)
    if moment is not None and moment > now_ns():
        return moment
    raise place.invalid(
        f"`{text}` is not a valid date. It should follow the RFC 3339 format to represents a date "
        "or datetime in the future or specified as a null value. e.g. 'YYYY-MM-DD' or "
        "'YYYY-MM-DD HH:MM:SS'.\n"
    )


def _uuid(value: Any, place: Place) -> str:
    try:
        return parse_uuid(string(value, place))
    except ValueError as error:
        raise place.invalid(str(error)) from error


def parse_uuid(text: str) -> str:
    """Return a UUID in its usual form; ValueError in the words of the `uuid` crate."""
    wrong = next(
        ((at, char) for at, char in enumerate(text) if char not in "0123456789abcdefABCDEF-"), None
    )
    if not text or len(text) > 45:
        raise ValueError(f"invalid length: found {len(text)}")
    if wrong is not None:
        raise ValueError(f"invalid character: found `{wrong[1]}` at {wrong[0]}")
    groups = text.split("-")
    if len(groups) == 1 and len(text) != 32:
        raise ValueError(f"invalid length: found {len(text)}")
    if len(groups) not in {1, 5}:
        raise ValueError(f"invalid group count: expected 5, found {len(groups)}")
    lengths = (8, 4, 4, 4, 12) if len(groups) == 5 else (32,)
    for number, (group, length) in enumerate(zip(groups, lengths, strict=True)):
        if len(group) != length:
            raise ValueError(
                f"invalid group length in group {number}: expected {length}, found {len(group)}"
            )
    return str(uuid.UUID(text))


_creation: Final = Struct(
    {
        "description": Member(nullable(string), "invalid_api_key_description"),
        "name": Member(nullable(string), "invalid_api_key_name"),
        "uid": Member(_uuid, "invalid_api_key_uid"),
        "actions": Member(
            array(one_of(*ACTIONS)),
            "invalid_api_key_actions",
            required=True,
            missing_code="missing_api_key_actions",
        ),
        "indexes": Member(
            array(_pattern),
            "invalid_api_key_indexes",
            required=True,
            missing_code="missing_api_key_indexes",
        ),
        "expiresAt": Member(
            nullable(_expiry),
            "invalid_api_key_expires_at",
            required=True,
            missing_code="missing_api_key_expires_at",
        ),
    }
)
_IMMUTABLE: Final = {
    "uid": "immutable_api_key_uid",
    "actions": "immutable_api_key_actions",
    "indexes": "immutable_api_key_indexes",
    "expiresAt": "immutable_api_key_expires_at",
    "createdAt": "immutable_api_key_created_at",
    "updatedAt": "immutable_api_key_updated_at",
}


def immutable_or_unknown(
    immutable: dict[str, str],
) -> Callable[[str, list[str], Place], ApiError]:
    """Return how to refuse a member that exists but cannot be changed."""

    def refuse(key: str, accepted: list[str], place: Place) -> ApiError:
        if key not in immutable:
            return place.unknown_key(key, accepted)
        message = f"Immutable field `{key}`: expected one of {listed(accepted)}"
        return ApiError(immutable[key], message)

    return refuse


_change: Final = Struct(
    {
        "description": Member(nullable(string), "invalid_api_key_description"),
        "name": Member(nullable(string), "invalid_api_key_name"),
    },
    unknown=immutable_or_unknown(_IMMUTABLE),
)


class Keys:
    """
    The keys of this node.

    Args:
        store: Where they are kept.
        master_key: The secret that all values derive from; None leaves the node open.
    """

    def __init__(self, store: Store, master_key: str | None) -> None:
        self._store = store
        self.master_key = master_key
        if master_key is not None and store.meta("default_keys") is None:
            self._create_defaults()

    def value(self, uid: str) -> str:
        """Return the text that a client sends to use a key."""
        assert self.master_key is not None
        return hmac.new(self.master_key.encode(), uid.encode(), sha256).hexdigest()

    def all(self) -> list[Key]:
        """Return every key, newest first."""
        rows = self._store.rows("SELECT body FROM api_keys ORDER BY created_at DESC, rowid DESC")
        return [_from_json(row["body"]) for row in rows]

    def find(self, uid: str) -> Key | None:
        """Return a key by its uid."""
        row = self._store.row("SELECT body FROM api_keys WHERE uid = ?", (uid,))
        return None if row is None else _from_json(row["body"])

    def by_value(self, value: str) -> Key | None:
        """Return the key that a client uses."""
        if self.master_key is None:
            return None
        given = value.lower()
        return next(
            (key for key in self.all() if hmac.compare_digest(self.value(key.uid), given)), None
        )

    def require(self, uid_or_value: str) -> Key:
        """
        Return a key by uid or value.

        Raises:
            ApiError: `api_key_not_found`.
        """
        key = self.find(uid_or_value.lower())
        if key is None and uid_or_value.isascii():
            key = self.by_value(uid_or_value)
        if key is None:
            raise ApiError("api_key_not_found", f"API key `{uid_or_value}` not found.")
        return key

    def create(self, body: Any) -> Key:
        """
        Create a key from a request body.

        Raises:
            ApiError: The body is refused, or a key has this uid (`api_key_already_exists`).
        """
        asked = _creation(body, Place())
        actions, indexes = asked["actions"], asked["indexes"]
        if indexes and "*" not in indexes:
            _require_no_global(actions)
        now = now_ns()
        key = Key(
            uid=asked.get("uid") or str(uuid.uuid4()),
            name=asked.get("name"),
            description=asked.get("description"),
            actions=tuple(actions),
            indexes=tuple(indexes),
            expires_at=asked["expiresAt"],
            created_at=now,
            updated_at=now,
        )
        if self.find(key.uid) is not None:
            message = f"`uid` field value `{key.uid}` is already an existing API key."
            raise ApiError("api_key_already_exists", message)
        self._save(key)
        return key

    def change(self, uid_or_value: str, body: Any) -> Key:
        """Change name or description; raises as `require` and for a refused body."""
        asked = _change(body, Place())
        key = self.require(uid_or_value)
        changed = replace(
            key,
            name=asked.get("name", key.name),
            description=asked.get("description", key.description),
            updated_at=now_ns(),
        )
        self._save(changed)
        return changed

    def delete(self, uid_or_value: str) -> None:
        """Delete a key; raises as `require`."""
        key = self.require(uid_or_value)
        with self._store.transaction() as db:
            db.execute("DELETE FROM api_keys WHERE uid = ?", (key.uid,))

    def view(self, key: Key) -> dict[str, Any]:
        """Return a key as the API shows it."""
        return {
            "name": key.name,
            "description": key.description,
            "key": self.value(key.uid),
            "uid": key.uid,
            "actions": list(key.actions),
            "indexes": list(key.indexes),
            "expiresAt": optional_rfc3339(key.expires_at),
            "createdAt": rfc3339(key.created_at),
            "updatedAt": rfc3339(key.updated_at),
        }

    def _save(self, key: Key) -> None:
        body = encode_text({**key.__dict__})
        with self._store.transaction() as db:
            db.execute(
                "INSERT INTO api_keys VALUES (?, ?, ?) "
                "ON CONFLICT (uid) DO UPDATE SET body = excluded.body",
                (key.uid, body, key.created_at),
            )

    def _create_defaults(self) -> None:
        for name, description, actions in _DEFAULTS:
            now = now_ns()
            self._save(Key(str(uuid.uuid4()), name, description, actions, ("*",), None, now, now))
        with self._store.transaction() as db:
            put_meta(db, "default_keys", "created")


# Oldest first: lists show the newest first.
_DEFAULTS: Final = (
    (
        "Default Chat API Key",
        "Use it to chat and search from the frontend",
        ("chatCompletions", "search"),
    ),
    (
        "Default Read-Only Admin API Key",
        "Use it to read information across the whole database. "
        "Caution! Do not expose this key on a public frontend",
        ("*.get", "keys.get"),
    ),
    (
        "Default Admin API Key",
        "Use it for anything that is not a search operation. "
        "Caution! Do not expose it on a public frontend",
        ("*",),
    ),
    ("Default Search API Key", "Use it to search from the frontend", ("search",)),
)


def _require_no_global(actions: list[str]) -> None:
    for action in actions:
        if is_global(action):
            raise ApiError(
                "index_scoped_api_key_with_global_action",
                f'cannot create index-scoped API key with global action `"{action}"`\n'
                f'  - Hint: remove action `"{action}"` from the action list, '
                "or remove `indexes` to make the key global",
            )


def _from_json(text: str) -> Key:
    values = decode(text)
    values["actions"], values["indexes"] = tuple(values["actions"]), tuple(values["indexes"])
    return Key(**values)
