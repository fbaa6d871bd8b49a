"""
CREATE, UPDATE and DELETE: the index itself and its primary key.

An index that a node has already is never taken over by a creation, unless it is as empty and fresh
as what is wanted. What stands there with documents is somebody else's and refused; but where the
store knows that the index was deleted through Miroir (`leftover`), it is what a silent node has
kept of it: it is deleted first.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from miroir.core import settings as rules
from miroir.core.broadcast_types import Broadcast
from miroir.core.features import class_shown
from miroir.core.fingerprint import digest, fingerprint
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeRefused, NodeUnreachable
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl, Settings
from miroir.ports.records import CommitRecord, Intent, IntentKind
from miroir.services.carriers.base import (
    ReadBack,
    by_engine,
    first_shown,
    left_behind,
    proofs,
    unfinished,
)


@dataclass(frozen=True)
class Before:
    """
    How an index stands when its intent begins.

    Attributes:
        primary_key: In force.
        leftover: It was deleted through Miroir; what a node has of that name is left over.
        form: Engine class -> what its nodes show.
        fresh: Engine class -> what a fresh index shows there.
    """

    primary_key: str | None
    leftover: bool
    form: Callable[[str], Awaitable[Settings]]
    fresh: Callable[[str], Awaitable[Settings]]


class LifecycleCarrier:
    """CREATE, UPDATE and DELETE: the index itself and its primary key."""

    def __init__(
        self,
        intent: Intent,
        *,
        control: NodeControl,
        clock: Clock,
        before: Before,
        before_creation: Callable[[NodeId], Awaitable[None]],
    ) -> None:
        self._before_creation = before_creation
        self._intent = intent
        self._control = control
        self._clock = clock
        self._previous_key = before.primary_key
        self._leftover = before.leftover
        self._form = before.form
        self._fresh = before.fresh
        self._shown: dict[NodeId, Settings] = {}
        self._deletions: dict[NodeId, int] = {}
        self._documents_of: dict[NodeId, int] = {}

    async def send(self, node_id: NodeId, engine: str, state: Broadcast) -> int | None:
        """Create, update or delete; undoing a creation deletes only an index that is empty."""
        try:
            uid = await self._asked(node_id, engine, undo=state.undoing)
        except NodeRefused as refused:
            if refused.error.get("code") != "index_not_found":
                raise
            # A task that was queued before has ended it while it was looked at: to be asked again.
            raise NodeUnreachable(f"node {node_id}: the index has just gone") from None
        if uid is None:
            return await unfinished(self._control, node_id, self._intent.index_uid)
        return uid

    async def _asked(self, node_id: NodeId, engine: str, *, undo: bool) -> int | None:
        uid, key = self._intent.index_uid, self._intent.primary_key
        if self._intent.kind is IntentKind.CREATE and not undo:
            await self._before_creation(node_id)
        found = await self._find(node_id)
        match self._intent.kind:
            case IntentKind.CREATE if undo:
                return await self._delete_if_empty(node_id) if found else None
            case IntentKind.CREATE if found:
                if found.get("primaryKey") == key and await self._is_blank(node_id, engine):
                    return None  # Ours, from before a crash; or alike: the read-back decides.
                return await self._created_anew(node_id)
            case IntentKind.CREATE:
                return await self._control.create_index(node_id, uid, key)
            case IntentKind.UPDATE:
                wanted = self._previous_key if undo else key
                if not found or found.get("primaryKey") == wanted:
                    return None
                return await self._control.update_index(node_id, uid, wanted)
            case IntentKind.DELETE:
                return await self._delete(node_id) if found else None
            case _:
                raise AssertionError(self._intent.kind)

    async def _delete(self, node_id: NodeId) -> int:
        self._deletions[node_id] = await self._control.delete_index(
            node_id, self._intent.index_uid
        )
        return self._deletions[node_id]

    async def read(self, node_id: NodeId, engine: str, state: Broadcast) -> ReadBack:
        """Look whether the index is there, with the right key, and how its settings are."""
        undo = state.undoing
        found = await self._find(node_id)
        gone = self._intent.kind is IntentKind.DELETE or (
            self._intent.kind is IntentKind.CREATE and undo
        )
        if gone:
            await self._count(node_id)
            return ReadBack(digest({"exists": bool(found)}), ("still there",) if found else ())
        if not found:
            return ReadBack(digest({"exists": False}), ("index: missing",))
        key = self._previous_key if undo else self._intent.primary_key
        seen = await self._control.read_settings(node_id, self._intent.index_uid)
        engine = class_shown(engine, seen)
        self._shown[node_id] = seen
        faults = [] if found.get("primaryKey") == key else ["primaryKey: not as wanted"]
        if self._intent.kind is IntentKind.CREATE and await self._documents(node_id):
            faults.append("documents: not empty")  # Another index of this name, never asked.
        if self._intent.kind is IntentKind.UPDATE:
            wanted = await self._form(engine)
            faults += [f"{k}: not as wanted" for k in rules.differences(wanted, seen)]
        elif engine not in state.expected:  # No probe has shown what a fresh index looks like.
            fresh = await self._fresh(engine)
            faults += [f"{k}: not fresh" for k in rules.differences(fresh, seen)]
        return ReadBack(fingerprint(seen), tuple(faults), engine)

    def commit(self, state: Broadcast) -> CommitRecord:
        """A new index starts at version 1 with the settings that its nodes show."""
        kind = self._intent.kind
        shown = dict(first_shown(state, self._shown)) if kind is IntentKind.CREATE else None
        deleted = kind is IntentKind.DELETE
        return CommitRecord(
            settings=shown,
            fingerprints={} if deleted else by_engine(state),
            proved={} if deleted else proofs(state),
            unproved=left_behind(state),
            raise_version=kind is IntentKind.CREATE,
            diff={},
            primary_key=self._intent.primary_key,
            deleted=deleted,
            task_details=self._deleted(state)
            if deleted
            else {"primaryKey": self._intent.primary_key},
            at_ms=self._clock.wall_ms(),
        )

    async def _count(self, node_id: NodeId) -> None:
        """Note how many documents the node says that it has deleted with the index."""
        uid = self._deletions.get(node_id)
        for task in await self._control.tasks(node_id, (uid,)) if uid is not None else ():
            count = (task.details or {}).get("deletedDocuments")
            if type(count) is int:
                self._documents_of[node_id] = count

    def _deleted(self, state: Broadcast) -> dict[str, Any]:
        """Sum over the shards; nothing where one of them cannot be asked any more."""
        counts = [
            next((self._documents_of[n] for n in column if n in self._documents_of), None)
            for column in state.columns
        ]
        known = [count for count in counts if count is not None]
        return {"deletedDocuments": sum(known)} if len(known) == len(counts) else {}

    async def _find(self, node_id: NodeId) -> Mapping[str, Any] | None:
        return await self._control.index(node_id, self._intent.index_uid)

    async def _is_blank(self, node_id: NodeId, engine: str) -> bool:
        """Whether it may pass for what is wanted; a leftover has settings of its own, too."""
        if await self._documents(node_id):
            return False
        if not self._leftover:
            return True
        seen = await self._control.read_settings(node_id, self._intent.index_uid)
        fresh = await self._fresh(class_shown(engine, seen))
        return not rules.differences(fresh, seen)

    async def _created_anew(self, node_id: NodeId) -> int:
        """Delete a leftover and create; a node carries out tasks of one index in their order."""
        uid = self._intent.index_uid
        if not self._leftover:
            raise NodeRefused(409, _exists_elsewhere(uid, node_id))
        queued = await unfinished(self._control, node_id, uid)
        if queued is not None:
            return queued  # It may be its end, or our creation: what follows is seen after that.
        await self._control.delete_index(node_id, uid)
        return await self._control.create_index(node_id, uid, self._intent.primary_key)

    async def _delete_if_empty(self, node_id: NodeId) -> int | None:
        uid = self._intent.index_uid
        if not self._leftover and await self._documents(node_id):
            raise NodeRefused(409, _exists_elsewhere(uid, node_id))
        return await self._control.delete_index(node_id, uid)

    async def _documents(self, node_id: NodeId) -> int:
        return await self._control.document_count(node_id, self._intent.index_uid)


def already_exists(index_uid: IndexUid) -> dict[str, Any]:
    """Return the error of a creation of an index that is there, in Meilisearch's words."""
    return {
        "message": f"Index `{index_uid}` already exists.",
        "code": "index_already_exists",
        "type": "invalid_request",
        "link": "https://docs.meilisearch.com/errors#index_already_exists",
    }


def _exists_elsewhere(index_uid: IndexUid, node_id: NodeId) -> dict[str, Any]:
    message = f"Index `{index_uid}` exists on node `{node_id}` and was not made by Miroir."
    return {**already_exists(index_uid), "message": message}
