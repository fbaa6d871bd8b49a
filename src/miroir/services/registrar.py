"""
Takes in wanted changes: the one entrance to the protocol for every route, the CLI and the sweep.

Accepts or refuses; carrying out is the broadcaster's. What is accepted is durable before the
caller hears of it. Validity is asked of a probe before an intent is opened, so that a refused
change leaves no trace; equal settings open no intent and touch no node.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from miroir.core import settings as rules
from miroir.core.broadcast_types import Phase
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import IndexNotFound, InvalidIndexUid, MiroirError, TooManyIntents, Unavailable
from miroir.ports.clock import Clock
from miroir.ports.node import NodeReply, NodeRequest, Settings
from miroir.ports.records import Intent, IntentKind, NewIntent, NewTask, TaskRecord
from miroir.ports.store import Store
from miroir.services.broadcaster import Broadcaster
from miroir.services.cluster import Cluster, IndexView, View
from miroir.services.planner import Planner
from miroir.services.prober import Prober

_UID_CHARACTERS: Final = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
)
_UID_BYTES_MAX: Final = 400
_QUEUE_MAX: Final = 100
RESERVED: Final = "_miroir_"
"""Uids that begin with this are Miroir's own, e.g. the probe's."""


class RefusedByNode(MiroirError):
    """
    A node's own no, to be passed on word for word.

    Attributes:
        reply: The node's answer.
    """

    code = "bad_request"
    http_status = 400
    error_type = "invalid_request"

    def __init__(self, reply: NodeReply) -> None:
        super().__init__(f"a node refused with status {reply.status}")
        self.reply = reply


@dataclass(frozen=True)
class SettingsWrite:
    """
    One settings request of a client.

    Attributes:
        index_uid: Its index.
        patch: What it means for the whole settings object, by key; None if the body is not JSON.
        request: As it came, with the path after `/indexes/{uid}`; asked of the probe for the
            engine's own words.
        resets: Whether it is a DELETE, which never creates an index.
        by: Who asks.
        reason: Why.
    """

    index_uid: IndexUid
    patch: Settings | None
    request: NodeRequest
    resets: bool
    by: str = "client"
    reason: str = ""


@dataclass(frozen=True)
class _Wish:
    """What an intent is opened with; no nodes = all."""

    kind: IntentKind
    by: str
    patch: Settings = field(default_factory=dict)
    target: Settings = field(default_factory=dict)
    primary_key: str | None = None
    reason: str = ""
    nodes: tuple[NodeId, ...] = ()


class Registrar:
    """Accepts or refuses changes; those of one index one after the other."""

    def __init__(
        self,
        *,
        store: Store,
        cluster: Cluster,
        clock: Clock,
        planner: Planner,
        prober: Prober,
        broadcaster: Broadcaster,
    ) -> None:
        self._store = store
        self._cluster = cluster
        self._clock = clock
        self._planner = planner
        self._prober = prober
        self._broadcaster = broadcaster
        self._locks: dict[IndexUid, asyncio.Lock] = {}

    async def change_settings(self, write: SettingsWrite) -> TaskRecord:
        """
        Accept a settings change and return its task.

        Raises:
            RefusedByNode: The engine says that the settings are not valid; nothing was touched.
            InvalidIndexUid: The uid can never name an index.
        """
        check_uid(write.index_uid)
        async with self._lock(write.index_uid):
            return await self._change_settings(write)

    async def _change_settings(self, write: SettingsWrite) -> TaskRecord:
        index = self._cluster.view.indexes.get(write.index_uid)
        missing = index is None or not index.will_exist
        if missing and write.resets:
            return await self._fail(self._task(write, {}), _not_found(write.index_uid))
        base = (index.last_target if index else None) or rules.defaults()
        if write.patch is None:
            refusal = await self._prober.refusal_of_body(write.request)
            raise RefusedByNode(refusal) if refusal else Unavailable("no node can judge the body")
        patch = rules.reset_patch(base) if write.resets and not write.patch else write.patch
        target = rules.resolve(base, patch)
        if self._is_in_force(write.index_uid, target):
            return await self._store.open_task(self._task(write, patch), status="succeeded")
        alone = index is None or not index.accepted
        refusal = await self._prober.refusal(target, tuple(patch), write.request, alone=alone)
        if refusal is not None:
            raise RefusedByNode(refusal)
        if await self._looks_in_force(write.index_uid, target):
            return await self._store.open_task(self._task(write, patch), status="succeeded")
        if missing:
            implied = _Wish(IntentKind.CREATE, by="implied by a settings write")
            await self._open(write.index_uid, implied)
        wish = _Wish(IntentKind.CHANGE, write.by, patch, target, reason=write.reason)
        return await self._accept(write.index_uid, wish, self._task(write, patch))

    async def create_index(self, index_uid: IndexUid, primary_key: str | None) -> TaskRecord:
        """Accept the creation of an index; one that exists fails its task, as on one node."""
        check_uid(index_uid)
        task = self._lifecycle_task(index_uid, "indexCreation", {"primaryKey": primary_key})
        async with self._lock(index_uid):
            if self._will_exist(index_uid):
                return await self._fail(task, _exists(index_uid))
            wish = _Wish(IntentKind.CREATE, "client", primary_key=primary_key)
            return await self._accept(index_uid, wish, task)

    async def update_index(self, index_uid: IndexUid, primary_key: str | None) -> TaskRecord:
        """Accept a change of primary key; the nodes refuse it when there are documents."""
        task = self._lifecycle_task(index_uid, "indexUpdate", {"primaryKey": primary_key})
        async with self._lock(index_uid):
            if not self._will_exist(index_uid):
                return await self._fail(task, _not_found(index_uid))
            if primary_key is None:  # Nothing to change; a key cannot be taken away.
                return await self._store.open_task(task, status="succeeded")
            wish = _Wish(IntentKind.UPDATE, "client", primary_key=primary_key)
            return await self._accept(index_uid, wish, task)

    async def delete_index(self, index_uid: IndexUid) -> TaskRecord:
        """Accept the end of an index; an unknown one fails its task, as on one node."""
        task = self._lifecycle_task(index_uid, "indexDeletion", {})
        async with self._lock(index_uid):
            if not self._will_exist(index_uid):
                nothing = self._lifecycle_task(index_uid, task.type, {"deletedDocuments": 0})
                return await self._fail(nothing, _not_found(index_uid))
            return await self._accept(index_uid, _Wish(IntentKind.DELETE, "client"), task)

    async def ensure_index(self, index_uid: IndexUid, primary_key: str | None) -> None:
        """
        Bring an index into being, or give it a primary key, for a document write; wait for it.

        Raises:
            Unavailable: The nodes could not be brought to it.
        """
        check_uid(index_uid)
        async with self._lock(index_uid):
            index = self._cluster.view.indexes.get(index_uid)
            if index is None or not index.will_exist:
                kind = IntentKind.CREATE
            elif primary_key is not None and index.record.primary_key is None:
                kind = IntentKind.UPDATE
            else:
                return
            wish = _Wish(kind, "implied by a document write", primary_key=primary_key)
            intent = await self._open(index_uid, wish)
            self._broadcaster.wake(index_uid)
            phase = await self._broadcaster.ended(intent.intent_id)
        if phase is not Phase.CONVERGED:
            raise Unavailable(f"index `{index_uid}` could not be made ready on every node")

    async def repair(self, index_uid: IndexUid, nodes: tuple[NodeId, ...], reason: str) -> Intent:
        """Open an intent that brings nodes back to the committed settings."""
        settings = self._cluster.view.indexes[index_uid].record.settings
        assert settings is not None, "only a committed version can be repaired to"
        intent = await self._open(
            index_uid,
            _Wish(IntentKind.REPAIR, "reconciler", target=settings, reason=reason, nodes=nodes),
        )
        self._broadcaster.wake(index_uid)
        return intent

    def _lock(self, index_uid: IndexUid) -> asyncio.Lock:
        return self._locks.setdefault(index_uid, asyncio.Lock())

    def _will_exist(self, index_uid: IndexUid) -> bool:
        index = self._cluster.view.indexes.get(index_uid)
        return index is not None and index.will_exist

    def _is_in_force(self, index_uid: IndexUid, target: Settings) -> bool:
        """Whether nothing is to be done: equal, nothing queued, and no node known to differ."""
        index = self._at_rest(index_uid)
        return index is not None and rules.same(index.record.settings or {}, target)

    async def _looks_in_force(self, index_uid: IndexUid, target: Settings) -> bool:
        """Whether engines are known to make of `target` what is in force, secrets included."""
        forms = await self._prober.known_forms(target)
        index = self._at_rest(index_uid)
        if index is None or set(forms) != set(index.record.fingerprints):
            return False
        secrets = {rules.EMBEDDERS: (index.record.settings or {}).get(rules.EMBEDDERS)}
        equal = rules.same(secrets, {rules.EMBEDDERS: target.get(rules.EMBEDDERS)})
        return equal and forms == dict(index.record.fingerprints)

    def _at_rest(self, index_uid: IndexUid) -> IndexView | None:
        """Return the index if nothing is queued for it and no node is known to differ."""
        view = self._cluster.view
        index = view.live(index_uid)
        if index is None or index.accepted or index.record.settings is None:
            return None
        proved = {n for n, v in index.proved.items() if v == index.record.version}
        rests = index.record.frozen_reason is None and view.healthy <= proved
        return index if rests else None

    async def _accept(self, index_uid: IndexUid, wish: _Wish, task: NewTask) -> TaskRecord:
        intent = await self._open(index_uid, wish)
        record = await self._store.accept_intent(intent.intent_id, task)
        self._broadcaster.wake(index_uid)
        return record

    async def _open(self, index_uid: IndexUid, wish: _Wish) -> Intent:
        view = self._cluster.view
        self._check_queue(view, index_uid)
        nodes = wish.nodes or view.topology.node_ids
        new = NewIntent(
            index_uid=index_uid,
            kind=wish.kind,
            patch=wish.patch,
            target=wish.target,
            undo={},
            primary_key=wish.primary_key,
            by=wish.by,
            reason=wish.reason,
            state=self._planner.machine(index_uid, wish.kind, view.topology, nodes),
            at_ms=self._clock.wall_ms(),
        )
        intent = await self._store.open_intent(new)
        self._cluster.apply_queued(intent)
        return intent

    @staticmethod
    def _check_queue(view: View, index_uid: IndexUid) -> None:
        index = view.indexes.get(index_uid)
        if index is not None and len(index.queued) >= _QUEUE_MAX:
            raise TooManyIntents(f"{_QUEUE_MAX} changes of index `{index_uid}` are waiting")

    def _task(self, write: SettingsWrite, patch: Settings) -> NewTask:
        details = {} if write.resets and not write.patch else rules.shown(patch)
        return self._lifecycle_task(write.index_uid, "settingsUpdate", details)

    def _lifecycle_task(self, index_uid: IndexUid, kind: str, details: dict[str, Any]) -> NewTask:
        return NewTask(
            index_uid=index_uid,
            type=kind,
            details=details,
            at_ms=self._clock.wall_ms(),
            custom_metadata=None,
        )

    async def _fail(self, task: NewTask, error: dict[str, Any]) -> TaskRecord:
        return await self._store.open_task(task, status="failed", error=error)


def check_uid(index_uid: str) -> None:
    """Raise `InvalidIndexUid`, in Meilisearch's words, if no index can have this uid."""
    fits = 0 < len(index_uid.encode()) <= _UID_BYTES_MAX and set(index_uid) <= _UID_CHARACTERS
    if not fits:
        raise InvalidIndexUid(
            f"`{index_uid}` is not a valid index uid. Index uid can be an integer or a string "
            "containing only alphanumeric characters, hyphens (-) and underscores (_), "
            "and can not be more than 512 bytes."
        )
    if index_uid.startswith(RESERVED):
        raise InvalidIndexUid(f"`{index_uid}` is reserved by Miroir.")


def _not_found(index_uid: str) -> dict[str, Any]:
    return IndexNotFound(f"Index `{index_uid}` not found.").body()


def _exists(index_uid: str) -> dict[str, Any]:
    return {
        "message": f"Index `{index_uid}` already exists.",
        "code": "index_already_exists",
        "type": "invalid_request",
        "link": "https://docs.meilisearch.com/errors#index_already_exists",
    }
