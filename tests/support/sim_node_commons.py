"""
What belongs to no index of a simulated node: its API keys and its experimental features.

Both are changed at once and leave no task. Errors are as real nodes word them, as far as their
codes. The value of a key is HMAC-SHA256(master key, uid), worked out here once more: the judge's
own idea, not Miroir's.
"""

import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import orjson

from miroir.core.commons import FEATURES, KEYS
from miroir.errors import NodeRefused
from miroir.node.errors import ApiError

if TYPE_CHECKING:
    from tests.support.sim_node import SimNode

MASTER_KEY: Final = "the master key PLANTED"
_OWN_KEYS: Final = ("Default Search API Key", "Default Admin API Key")
_FIELDS: Final = ("name", "description", "actions", "indexes", "expiresAt")
_FREE: Final = ("name", "description")

Listener = Callable[["SimNode", str, str], None]
"""Told (node, common object, origin) when it shows something new."""


def value_of(uid: str) -> str:
    """Return what opens the door: the same on every node."""
    return hmac.new(MASTER_KEY.encode(), uid.encode(), sha256).hexdigest()


class NodeCommons:
    """
    Keys and features of one node.

    Attributes:
        now_ms: The wall clock, by which keys expire.
        new_uid: Makes uids of keys that the node makes for itself.
    """

    def __init__(self, node: "SimNode") -> None:
        self.changed: Listener = lambda _node, _uid, _origin: None
        self.now_ms: Callable[[], int] = lambda: 0
        self.new_uid: Callable[[], str] = lambda: "00000000-0000-4000-8000-000000000000"
        self._node = node

    def first_start(self) -> None:
        """Make the keys that a node makes for itself: with uids, and so values, of its own."""
        for name in _OWN_KEYS:
            key = {"name": name, "description": None, "actions": ["*"], "indexes": ["*"]}
            self._node.disk.keys[self.new_uid()] = {**key, "expiresAt": None}

    def shown(self, uid: str) -> dict[str, Any]:
        """Return what the node shows of a common object, values of keys included."""
        if uid == FEATURES:
            return self.features()
        keys = self._node.disk.keys.items()
        return {key_uid: {**key, "value": value_of(key_uid)} for key_uid, key in keys}

    def features(self) -> dict[str, bool]:
        """Return every flag that its engine knows."""
        stored = self._node.disk.features
        return {name: stored.get(name, False) for name in self._node.engine.flags}

    def serve(self, method: str, path: str, body: bytes, origin: str) -> tuple[int, Any] | None:
        """Answer a request; None if it is about something else."""
        name = path.partition("?")[0].strip("/")
        if name == "experimental-features":
            return self._serve_features(method, body, origin)
        if name == "keys" or name.startswith("keys/"):
            return self._serve_keys(method, name.removeprefix("keys").strip("/"), body, origin)
        return None

    # ---- features

    def _serve_features(self, method: str, body: bytes, origin: str) -> tuple[int, Any]:
        if method == "GET":
            return 200, self.features()
        wanted: dict[str, bool | None] = orjson.loads(body)
        for name in wanted:
            if name not in self._node.engine.flags:
                raise _refused(400, "bad_request", f"Unknown field `{name}`")
        self.switch({name: on for name, on in wanted.items() if on is not None}, origin)
        return 200, self.features()

    def switch(self, wanted: Mapping[str, bool], origin: str) -> None:
        """Switch features."""
        if any(self.features()[name] is not on for name, on in wanted.items()):
            self._node.disk.features.update(wanted)
            self.changed(self._node, FEATURES, origin)

    # ---- keys

    def _serve_keys(self, method: str, uid: str, body: bytes, origin: str) -> tuple[int, Any]:
        keys = self._node.disk.keys
        match method:
            case "GET":
                shown = [{"uid": key, **keys[key], "key": value_of(key)} for key in reversed(keys)]
                return 200, {"results": shown, "total": len(shown)}
            case "POST":
                return 201, self.make(orjson.loads(body), origin)
            case "PATCH":
                wanted = orjson.loads(body)
                fixed = sorted(set(wanted) - set(_FREE))
                if fixed:
                    raise _refused(400, f"immutable_api_key_{fixed[0]}", "cannot be modified")
                self._require(uid)
                self.set(uid, {**keys[uid], **wanted}, origin)
                return 200, {"uid": uid, **keys[uid], "key": value_of(uid)}
            case "DELETE":
                self._require(uid)
                self.set(uid, None, origin)
                return 204, None
            case _:
                raise AssertionError(method)

    def make(self, body: Mapping[str, Any], origin: str) -> dict[str, Any]:
        """Make a key; what is wrong with it is said before it is said that it exists."""
        for name in ("actions", "indexes", "expiresAt"):
            if name not in body:
                raise _refused(400, f"missing_api_key_{_snake(name)}", f"Missing `{name}`")
        if not isinstance(body["actions"], list):
            raise _refused(400, "invalid_api_key_actions", "expected an array")
        if body["expiresAt"] is not None and _ms(body["expiresAt"]) <= self.now_ms():
            raise _refused(400, "invalid_api_key_expires_at", "it is over")
        uid = body.get("uid") or self.new_uid()
        if uid in self._node.disk.keys:
            raise _refused(409, "api_key_already_exists", f"`{uid}` is there already")
        self.set(uid, {name: body.get(name) for name in _FIELDS}, origin)
        return {"uid": uid, **self._node.disk.keys[uid], "key": value_of(uid)}

    def set(self, uid: str, key: Mapping[str, Any] | None, origin: str) -> None:
        """Have a key, or no more."""
        if key is None:
            del self._node.disk.keys[uid]
        else:
            self._node.disk.keys[uid] = key
        self.changed(self._node, KEYS, origin)

    def _require(self, uid: str) -> None:
        if uid not in self._node.disk.keys:
            raise _refused(404, "api_key_not_found", f"API key `{uid}` not found.")


def _refused(status: int, code: str, message: str) -> NodeRefused:
    return NodeRefused(status, {**ApiError("internal", message).body(), "code": code})


def _snake(name: str) -> str:
    return {"expiresAt": "expires_at"}.get(name, name)


def _ms(moment: str) -> float:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp() * 1000
