"""
Takes in the beginning and end of indexes, and their primary keys: intents like settings changes.

Accepts or refuses, as one node would; carrying out is the broadcaster's.
"""

from typing import Any

from miroir.core.broadcast_types import Phase
from miroir.core.topology import IndexUid
from miroir.errors import Unavailable
from miroir.ports.records import IntentKind, TaskRecord
from miroir.services.intake import Intake, Wish, check_uid, not_found


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
                return await self._intake.fail(task, _exists(index_uid))
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

        Raises:
            Unavailable: The nodes could not be brought to it.
        """
        check_uid(index_uid)
        async with self._intake.lock(index_uid):
            index = self._intake.cluster.view.indexes.get(index_uid)
            if index is None or not index.will_exist:
                kind = IntentKind.CREATE
            elif primary_key is not None and index.record.primary_key is None:
                kind = IntentKind.UPDATE
            else:
                return
            wish = Wish(kind, "implied by a document write", primary_key=primary_key)
            intent = await self._intake.open(index_uid, wish)
            phase = await self._intake.broadcaster.ended(intent.intent_id)
        if phase is not Phase.CONVERGED:
            raise Unavailable(f"index `{index_uid}` could not be made ready on every node")


def _exists(index_uid: str) -> dict[str, Any]:
    return {
        "message": f"Index `{index_uid}` already exists.",
        "code": "index_already_exists",
        "type": "invalid_request",
        "link": "https://docs.meilisearch.com/errors#index_already_exists",
    }
