"""
The API keys of the cluster: one uid each, and therefore one value on every node.

Made, changed and deleted on every node through the machine, and answered when every node that can
be reached has been read back. A key that is being deleted opens nothing from the moment on in
which its deletion was accepted. Values are computed when they are shown, and stored nowhere.
"""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

from miroir.core import keys as rules
from miroir.core.commons import KEYS
from miroir.core.keys import Definition
from miroir.core.topology import NodeId
from miroir.errors import NodeError, NotEverywhere, RequestRefused
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl
from miroir.ports.records import IntentKind
from miroir.services.carriers.asking import by_uid, read_keys
from miroir.services.carriers.keys import ValueOf, now_of
from miroir.services.cluster import IndexView
from miroir.services.commons import Commons
from miroir.services.key_judge import KeyJudge
from miroir.services.known_keys import KeyTable, KnownKeys

_JSON = "application/json"
_VALUE: Final = re.compile("[0-9a-fA-F]{64}")
_SHOWN = ("actions", "indexes", "expiresAt", "createdAt", "updatedAt")


class ApiKeyNotFound(RequestRefused):
    """No API key of this uid or value."""

    code = "api_key_not_found"
    http_status = 404


class ApiKeyExists(RequestRefused):
    """A key of the uid that the client chose is there already."""

    code = "api_key_already_exists"
    http_status = 409


class KeyRing(KnownKeys):
    """
    Answers and changes API keys.

    Args:
        value_of: Key uid -> value; None without a master key, when there are no keys.

    Attributes:
        new_uid: Makes the uid of a key whose client chose none.
    """

    def __init__(
        self,
        *,
        commons: Commons,
        control: NodeControl,
        clock: Clock,
        value_of: ValueOf | None,
    ) -> None:
        super().__init__(clock=clock, value_of=value_of)
        self._commons = commons
        self._control = control
        self.new_uid: Callable[[], str] = lambda: str(uuid4())
        self._table = KeyTable()
        self._made_from: IndexView | None = None
        self._judge = KeyJudge(commons, control)

    # ---- reading

    def now_known(self) -> KeyTable:
        """Return the table of the present view; made anew only when that has changed."""
        if self._value_of is None:
            return self._table
        index = self._commons.view(KEYS)
        if index is not self._made_from:
            wanted = self._commons.wanted(KEYS)
            committed = self._commons.committed(KEYS) or {}
            live = {
                uid: key
                for uid, key in committed.items()
                if key is not None and wanted.get(uid) is not None
            }
            self._table = self._table.after({*wanted, *committed}, live, self._value_of)
            self._made_from = index
        return self._table

    def page(self, offset: int, limit: int) -> dict[str, Any]:
        """Return `GET /keys`: newest first."""
        self.require_master_key()
        newest = sorted(self.live().items(), key=lambda pair: pair[1]["createdAt"], reverse=True)
        return {
            "results": [self.shown(*pair) for pair in newest[offset : offset + limit]],
            "offset": offset,
            "limit": limit,
            "total": len(newest),
        }

    def find(self, uid_or_value: str) -> str:
        """
        Return the uid of a live key.

        Raises:
            ApiKeyNotFound: There is none of this uid or value.
        """
        self.require_master_key()
        uid = rules.normal_uid(uid_or_value) or self.uid_of(uid_or_value)
        if uid is None or uid not in self.live():
            # What was asked for is said again as a node does, but never what may be a value.
            named = uid or ("…" if _VALUE.fullmatch(uid_or_value) else uid_or_value)
            raise ApiKeyNotFound(f"API key `{named}` not found.")
        return uid

    def shown(self, uid: str, definition: Definition) -> dict[str, Any]:
        """Return a key as a node shows it, its value among the rest."""
        return {
            "name": definition.get("name"),
            "description": definition.get("description"),
            "key": self.value(uid),
            "uid": uid,
            **{name: definition.get(name) for name in _SHOWN},
        }

    # ---- changing

    async def create(self, body: Any) -> dict[str, Any]:
        """
        Make a key on every node; return it.

        Raises:
            RefusedByNode: The body is not valid; nothing was touched.
            ApiKeyExists: The client chose the uid of a key that is there.
            NotEverywhere: See `Commons.carried`.
        """
        self.require_master_key()
        await self._judge.creation(body)
        uid = rules.normal_uid(body["uid"]) if "uid" in body else None
        uid = uid or self.new_uid()
        async with self._commons.lock(KEYS):
            if self._commons.wanted(KEYS).get(uid) is not None:
                raise ApiKeyExists(f"`uid` field value `{uid}` is already an existing API key.")
            definition = self.dated(body)
            intent = await self._commons.open(
                KEYS, IntentKind.CHANGE, {uid: definition}, by="client", reason="key created"
            )
        await self._commons.carried(intent, f"API key {uid}")
        return self.shown(uid, definition)

    async def change(self, uid_or_value: str, body: Any) -> dict[str, Any]:
        """
        Change the name or description of a key on every node; return it.

        Raises:
            RefusedByNode: The body is not valid; nothing was touched.
            ApiKeyNotFound: There is no such key.
            NotEverywhere: See `Commons.carried`.
        """
        self.require_master_key()
        await self._judge.change(self.new_uid(), body)
        uid = self.find(uid_or_value)
        async with self._commons.lock(KEYS):
            before = self._commons.wanted(KEYS)[self.find(uid)]
            free = {name: body[name] for name in ("name", "description") if name in body}
            definition = {**before, **free, "updatedAt": self._moment()}
            intent = await self._commons.open(
                KEYS, IntentKind.CHANGE, {uid: definition}, by="client", reason="key changed"
            )
        await self._commons.carried(intent, f"API key {uid}")
        return self.shown(uid, definition)

    async def delete(self, uid_or_value: str) -> None:
        """
        Delete a key on every node; it opens nothing here from now on.

        Raises:
            ApiKeyNotFound: There is no such key.
            NotEverywhere: See `Commons.carried`.
        """
        self.require_master_key()
        async with self._commons.lock(KEYS):
            uid = self.find(uid_or_value)
            intent = await self._commons.open(
                KEYS, IntentKind.DELETE, {uid: None}, by="client", reason="key deleted"
            )
        await self._commons.carried(intent, f"API key {uid}")

    async def adopt(self) -> bool:
        """
        Take over the keys that all nodes share, or make the default ones; False if too early.

        Done once, at the first start. Keys that only some nodes have, such as the default keys
        that each makes for itself with a uid of its own, stay as they are and are not ours.
        """
        if self._value_of is None or self._commons.view(KEYS) is not None:
            return True
        view = self._commons.cluster.view
        if not view.topology.covers(view.healthy):
            return False
        shown = [await self._of_node(n) for n in view.topology.node_ids if n in view.healthy]
        known = [keys for keys in shown if keys is not None]
        if not known or len(known) < len(view.healthy):
            return False
        found = rules.shared(known)
        if found:
            kind, patch = IntentKind.ADOPT, found
            reason = "every node had them when Miroir first started"
        else:
            kind = IntentKind.CHANGE
            # In the order in which a node makes them: lists begin with the newest.
            made = (self.dated(key, n) for n, key in enumerate(rules.DEFAULTS))
            patch = {self.new_uid(): key for key in made}
            reason = "the default keys of a new cluster"
        async with self._commons.lock(KEYS):
            if self._commons.view(KEYS) is None:
                await self._commons.open(KEYS, kind, patch, by="miroir", reason=reason)
        return True

    async def begun(self) -> None:
        """
        Return when the first keys are there: at once, but in the first moments of a new cluster.

        Raises:
            NotEverywhere: Nobody can tell yet which keys there are.
        """
        if self._value_of is None or self._commons.committed(KEYS) is not None:
            return
        if not await self.adopt():
            raise NotEverywhere("The first keys are not made yet: not every node has answered.")
        index = self._commons.view(KEYS)
        for intent in index.accepted if index is not None else ():
            await self._commons.carried(intent, "the first keys")

    def dated(self, body: Mapping[str, Any], after_us: int = 0) -> Definition:
        """Return the definition that a body asks for, made now, or microseconds later."""
        now = self._moment(after_us)
        return {
            "name": body.get("name"),
            "description": body.get("description"),
            "actions": list(body["actions"]),
            "indexes": list(body["indexes"]),
            "expiresAt": rules.normal_moment(body["expiresAt"]),
            "createdAt": now,
            "updatedAt": now,
        }

    def _moment(self, after_us: int = 0) -> str:
        at = now_of(self._clock) + timedelta(microseconds=after_us)
        return at.isoformat(timespec="microseconds").replace("+00:00", "Z")

    async def unmanaged(self, node_id: NodeId) -> dict[str, Definition] | None:
        """Return the keys of a node that are not ours, without values; None if it cannot say."""
        keys = await self._of_node(node_id)
        return None if keys is None else {u: k for u, k in keys.items() if not self.is_ours(u)}

    async def _of_node(self, node_id: NodeId) -> dict[str, Definition] | None:
        try:
            return by_uid(await read_keys(self._control, node_id))
        except NodeError:
            return None
