"""
API keys as the cluster wants them: their values, and what brings a node to have the same ones.

    wanted   uid -> definition, or None for a key that was deleted and must be nowhere
    shown    uid -> the key as a node lists it

A value is the lower-case hex of HMAC-SHA256(master key, uid), so one uid is one value on every
node that has the master key (meilisearch-auth, store.rs). Values are computed, never stored, and
stand in no definition. Keys that a node has and the cluster does not know are not ours: never
compared, never touched. What a key opens is the business of `rights.py`.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

Definition = Mapping[str, Any]
"""`name`, `description`, `actions`, `indexes`, `expiresAt`, `createdAt`, `updatedAt`."""

Keys = Mapping[str, Definition | None]

_UID: Final = re.compile(
    r"(?:urn:uuid:|\{)?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32})\}?"
)
_FIXED: Final = ("actions", "indexes", "expiresAt")
_FREE: Final = ("name", "description")

DEFAULTS: Final[tuple[Definition, ...]] = (
    {
        "name": "Default Chat API Key",
        "description": "Use it to chat and search from the frontend",
        "actions": ["chatCompletions", "search"],
        "indexes": ["*"],
        "expiresAt": None,
    },
    {
        "name": "Default Read-Only Admin API Key",
        "description": "Use it to read information across the whole database. "
        "Caution! Do not expose this key on a public frontend",
        "actions": ["*.get", "keys.get"],
        "indexes": ["*"],
        "expiresAt": None,
    },
    {
        "name": "Default Admin API Key",
        "description": "Use it for anything that is not a search operation. "
        "Caution! Do not expose it on a public frontend",
        "actions": ["*"],
        "indexes": ["*"],
        "expiresAt": None,
    },
    {
        "name": "Default Search API Key",
        "description": "Use it to search from the frontend",
        "actions": ["search"],
        "indexes": ["*"],
        "expiresAt": None,
    },
)
"""The keys that Meilisearch makes at its first start, oldest first."""


@dataclass(frozen=True)
class Step:
    """One request that brings a node nearer; `body` None for no body."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None


def value_of(master_key: str, uid: str) -> str:
    """Return the text that a client sends to use a key. A secret."""
    return hmac.new(master_key.encode(), uid.encode(), sha256).hexdigest()


def normal_uid(text: str) -> str | None:
    """Return a uid as nodes write it, from any of the forms that they take; else None."""
    found = _UID.fullmatch(text)
    if found is None:
        return None
    hexa = found[1].replace("-", "").lower()
    return "-".join((hexa[:8], hexa[8:12], hexa[12:16], hexa[16:20], hexa[20:]))


def moment(text: str | None) -> datetime | None:
    """Return the instant of an `expiresAt`, UTC where it says nothing else; None is never."""
    if text is None:
        return None
    when = datetime.fromisoformat(text.upper())
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def normal_moment(text: str | None) -> str | None:
    """Return an `expiresAt` as nodes show it: RFC 3339, in the offset that it was given in."""
    when = moment(text)
    if when is None:
        return None
    second, point, rest = when.isoformat().replace("+00:00", "Z").partition(".")
    digits = rest[:6].rstrip("0")
    return second + point + digits + rest[6:]


def expired(definition: Definition, now: datetime) -> bool:
    """Whether the time of a key is over."""
    end = moment(definition.get("expiresAt"))
    return end is not None and end <= now


def same(one: Definition, other: Definition) -> bool:
    """Whether two keys allow the same, by the same name."""
    return not _differing(one, other, _FIXED + _FREE)


def faults(wanted: Keys, shown: Mapping[str, Definition], now: datetime) -> tuple[str, ...]:
    """
    Return in words what is not as wanted; no values in them.

    A key that has expired opens nothing: it may be missing, and nodes would not take it any more.
    """
    found: list[str] = []
    for uid, definition in wanted.items():
        seen = shown.get(uid)
        if definition is None:
            found += [f"key {uid}: deleted, and still there"] if seen is not None else []
        elif seen is None:
            found += [] if expired(definition, now) else [f"key {uid}: missing"]
        else:
            differing = _differing(definition, seen, _FIXED + _FREE)
            found += [f"key {uid}: another {name}" for name in differing]
    return tuple(found)


def steps(wanted: Keys, shown: Mapping[str, Definition], now: datetime) -> tuple[Step, ...]:
    """Return the requests that remove every fault, deletions first."""
    gone: list[Step] = []
    made: list[Step] = []
    for uid, definition in wanted.items():
        seen, path = shown.get(uid), f"/keys/{uid}"
        if definition is None:
            gone += [Step("DELETE", path)] if seen is not None else []
            continue
        if seen is not None and _differing(definition, seen, _FIXED):
            gone.append(Step("DELETE", path))  # What a key allows cannot be changed on a node.
            seen = None
        if seen is None:
            made += (
                [] if expired(definition, now) else [Step("POST", "/keys", _body(uid, definition))]
            )
        elif free := _differing(definition, seen, _FREE):
            made.append(Step("PATCH", path, {name: definition.get(name) for name in free}))
    return (*gone, *made)


def evidence(wanted: Keys, shown: Mapping[str, Definition]) -> dict[str, Any]:
    """Return what is shown of the wanted keys, in a form that is equal for equal keys."""
    seen = {uid: shown.get(uid) for uid in wanted}
    return {uid: None if key is None else _normal(key) for uid, key in seen.items()}


def shared(shown: Sequence[Mapping[str, Definition]]) -> dict[str, Definition]:
    """Return the keys that every one of these nodes has alike."""
    first, *others = shown
    return {
        uid: key
        for uid, key in first.items()
        if all(uid in other and same(key, other[uid]) for other in others)
    }


def _body(uid: str, definition: Definition) -> dict[str, Any]:
    return {"uid": uid, **{name: definition.get(name) for name in _FREE + _FIXED}}


def _differing(one: Definition, other: Definition, names: tuple[str, ...]) -> tuple[str, ...]:
    left, right = _normal(one), _normal(other)
    return tuple(name for name in names if left[name] != right[name])


def _normal(key: Definition) -> dict[str, Any]:
    end = moment(key.get("expiresAt"))
    return {
        "name": key.get("name"),
        "description": key.get("description"),
        "actions": sorted(set(key["actions"])),
        "indexes": sorted(set(key["indexes"])),
        "expiresAt": None if end is None else end.astimezone(UTC).isoformat(),
    }
