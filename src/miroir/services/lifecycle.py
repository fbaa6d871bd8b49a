"""
Takes in the beginning and end of indexes, and their primary keys: intents like settings changes.

Accepts or refuses, as one node would; carrying out is the broadcaster's.
"""

import asyncio
from typing import Final

from miroir.core.broadcast_types import Phase
from miroir.core.topology import IndexUid
from miroir.errors import Unavailable
from miroir.ports.records import IntentKind, TaskRecord
from miroir.services.carriers.lifecycle import already_exists
from miroir.services.intake import Intake, Wish, check_uid, not_found

READY_MAX_S: Final = 60.0
"""How long a document write waits for its index; a client's own patience is hardly longer."""


class Lifecycle:
    """Accepts creations, deletions and primary keys; those of one index one after the other."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def create_index(self, index_uid: IndexUid, primary_key: str | None) -> TaskRecord:
        """Accept the creation of an index; one that exists fails its task, as on one node."""
        check_uid(index_uid)
        task = self._intake.task(index_uid, "indexCreation", {"primaryKey": primary_key})
        async with self._intake.lock(index_uid):
            if self._intake.will_exist(index_uid):
                return await self._intake.fail(task, already_exists(index_uid))
            wish = Wish(IntentKind.CREATE, "client", primary_key=primary_key)
            return await self._intake.accept(index_uid, wish, task)

    async def update_index(self, index_uid: IndexUid, primary_key: str | None) -> TaskRecord:
        """Accept a change of primary key; the nodes refuse it when there are documents."""
        task = self._intake.task(index_uid, "indexUpdate", {"primaryKey": primary_key})
        async with self._intake.lock(index_uid):
            if not self._intake.will_exist(index_uid):
                return await self._intake.fail(task, not_found(index_uid))
            if primary_key is None:  # Nothing to change; a key cannot be taken away.
                return await self._intake.store.open_task(task, status="succeeded")
            wish = Wish(IntentKind.UPDATE, "client", primary_key=primary_key)
            return await self._intake.accept(index_uid, wish, task)

    async def delete_index(self, index_uid: IndexUid) -> TaskRecord:
        """Accept the end of an index; an unknown one fails its task, as on one node."""
        task = self._intake.task(index_uid, "indexDeletion", {})
        async with self._intake.lock(index_uid):
            if not self._intake.will_exist(index_uid):
                nothing = self._intake.task(index_uid, task.type, {"deletedDocuments": 0})
                return await self._intake.fail(nothing, not_found(index_uid))
            return await self._intake.accept(index_uid, Wish(IntentKind.DELETE, "client"), task)

    async def ensure_index(self, index_uid: IndexUid, primary_key: str | None) -> None:
        """
        Bring an index into being, or give it a primary key, for a document write; wait for it.

        The lock is free again before the waiting begins: other requests are judged against what
        is accepted, not against what is done.

        Raises:
            Unavailable: The nodes could not be brought to it, or not within `READY_MAX_S`; then it
                goes on, and a repeated write finds how far it has come.
        """
        check_uid(index_uid)
        until_s = asyncio.get_running_loop().time() + READY_MAX_S
        while True:
            async with self._intake.lock(index_uid):
                waited_for = self._on_its_way(index_uid, primary_key)
                opened = None
                if waited_for is None and (kind := self._lacks(index_uid, primary_key)):
                    opened = waited_for = await self._open(index_uid, kind, primary_key)
            if waited_for is None:
                return
            phase = await self._ended(index_uid, waited_for, until_s)
            if opened is not None and phase is not Phase.CONVERGED:
                raise Unavailable(f"index `{index_uid}` could not be made ready on every node")

    async def _ended(self, index_uid: IndexUid, intent_id: int, until_s: float) -> Phase:
        try:
            async with asyncio.timeout_at(until_s):
                return await self._intake.broadcaster.ended(intent_id)
        except TimeoutError:
            raise Unavailable(f"index `{index_uid}` is still being made ready") from None

    def _on_its_way(self, index_uid: IndexUid, primary_key: str | None) -> int | None:
        """Return an accepted intent that may bring what is still lacking."""
        index = self._intake.cluster.view.indexes.get(index_uid)
        if index is None or not self._intake.will_exist(index_uid):
            return None
        lacks_all = index.record.deleted
        lacks_key = primary_key is not None and index.record.primary_key is None
        for intent in reversed(index.accepted):
            made = intent.kind in {IntentKind.CREATE, IntentKind.ADOPT}
            brings = made or intent.kind.moves_indexes
            if brings and lacks_all:
                return intent.intent_id
            if intent.kind is IntentKind.UPDATE and lacks_key:
                return intent.intent_id
        return None

    def _lacks(self, index_uid: IndexUid, primary_key: str | None) -> IntentKind | None:
        """Return what must be done before a write that identifies documents by this key."""
        index = self._intake.cluster.view.indexes.get(index_uid)
        if index is None or not self._intake.will_exist(index_uid):
            return IntentKind.CREATE
        if primary_key is not None and index.record.primary_key is None:
            return IntentKind.UPDATE
        return None

    async def _open(self, index_uid: IndexUid, kind: IntentKind, primary_key: str | None) -> int:
        wish = Wish(kind, "implied by a document write", primary_key=primary_key)
        return (await self._intake.open(index_uid, wish)).intent_id
