"""
Undoes changes that nobody has confirmed in time.

What waits is part of the index's record, durable with the commit itself: it outlives any process.
The undoing is a rollback like any other, and ends the waiting by being committed; one that cannot
be carried out now is tried again.
"""

from typing import Final

import structlog

from miroir.core.topology import IndexUid
from miroir.errors import MiroirError, NothingToConfirm
from miroir.ports.clock import Clock
from miroir.ports.records import IndexRecord, IntentKind
from miroir.ports.store import Store
from miroir.services.cluster import Cluster
from miroir.services.patience import until_stored
from miroir.services.registrar import Registrar, Rollback

_LOOK_EVERY_S: Final = 0.5
_AGAIN_S: Final = 15.0
BY: Final = "miroir"
_log = structlog.get_logger(__name__)


class Confirmations:
    """Keeps changes, or has them undone."""

    def __init__(
        self, *, store: Store, cluster: Cluster, clock: Clock, registrar: Registrar
    ) -> None:
        self._store = store
        self._cluster = cluster
        self._clock = clock
        self._registrar = registrar
        self._next_try_s: dict[IndexUid, float] = {}

    async def confirm(self, index_uid: IndexUid, version: int) -> IndexRecord:
        """
        Keep a version for good.

        Raises:
            NothingToConfirm: It is not the committed one, does not wait, or is being undone.
        """
        index = self._cluster.view.live(index_uid)
        # Its own second half may still follow; what must not be open is a way back.
        back = any(i.kind is IntentKind.ROLLBACK for i in index.accepted) if index else True
        if back or not await self._store.confirm(index_uid, version):
            raise NothingToConfirm(
                f"Version {version} of index `{index_uid}` does not wait to be confirmed."
            )
        record = await self._store.index(index_uid)
        assert record is not None
        self._cluster.apply_record(record)
        return record

    async def run(self) -> None:
        """Undo what is overdue, for ever."""
        while True:
            await self._clock.sleep(_LOOK_EVERY_S)
            for index in list(self._cluster.view.indexes.values()):
                if not index.accepted and self._is_overdue(index.record):
                    await self._undo(index.record)

    def _is_overdue(self, record: IndexRecord) -> bool:
        if record.unconfirmed is None or record.deleted:
            return False
        if self._clock.monotonic_s() < self._next_try_s.get(record.uid, 0.0):
            return False
        return self._clock.wall_ms() >= record.unconfirmed.until_ms

    async def _undo(self, record: IndexRecord) -> None:
        assert record.unconfirmed is not None
        self._next_try_s[record.uid] = self._clock.monotonic_s() + _AGAIN_S
        wanted = Rollback(
            record.uid,
            record.unconfirmed.base_version,
            by=BY,
            reason=f"version {record.version} was not confirmed in time",
        )
        _log.warning("not_confirmed", index=record.uid, version=record.version)
        try:
            task = await self._registrar.roll_back(wanted)
            if task.status == "succeeded":  # The settings are those of before already.
                await until_stored(
                    self._clock, lambda: self._store.confirm(record.uid, record.version)
                )
        except MiroirError as error:
            _log.error("cannot_be_undone_yet", index=record.uid, why=error.message)
