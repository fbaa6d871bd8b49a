"""
Opens intents: what every entrance to the protocol shares, whatever it wants changed.

One lock per index, so that what is accepted is judged against everything accepted before it. What
is accepted is durable before the caller hears of it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from miroir.core.swaps import Swaps, uids_of
from miroir.core.topology import RESERVED, IndexUid, NodeId
from miroir.errors import ConfirmationPending, IndexNotFound, InvalidIndexUid, TooManyIntents
from miroir.ports.clock import Clock
from miroir.ports.node import Settings
from miroir.ports.records import Care, Intent, IntentKind, NewIntent, NewTask, TaskRecord
from miroir.ports.store import Store
from miroir.services.broadcaster import Broadcaster
from miroir.services.cluster import Cluster, View
from miroir.services.planning import Plans
from miroir.services.view import IndexView

_UID_CHARACTERS: Final = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
)
_UID_BYTES_MAX: Final = 400
_QUEUE_MAX: Final = 100


@dataclass(frozen=True)
class Wish:
    """What an intent is opened with; no nodes = all."""

    kind: IntentKind
    by: str
    patch: Settings = field(default_factory=dict)
    target: Settings = field(default_factory=dict)
    primary_key: str | None = None
    reason: str = ""
    nodes: tuple[NodeId, ...] = ()
    swaps: Swaps = ()
    care: Care = field(default_factory=Care)


class Intake:
    """The lock of every index, and the way into its queue."""

    def __init__(
        self,
        *,
        store: Store,
        cluster: Cluster,
        clock: Clock,
        planner: Plans,
        broadcaster: Broadcaster,
    ) -> None:
        self.store = store
        self.cluster = cluster
        self.broadcaster = broadcaster
        self._clock = clock
        self._planner = planner
        self._locks: dict[IndexUid, asyncio.Lock] = {}

    def lock(self, index_uid: IndexUid) -> asyncio.Lock:
        """Return the lock under which changes of this index are judged and accepted."""
        return self._locks.setdefault(index_uid, asyncio.Lock())

    def will_exist(self, index_uid: IndexUid) -> bool:
        """Whether the index will be there when everything accepted has been carried out."""
        return self.cluster.view.will_exist(index_uid)

    async def accept(self, index_uid: IndexUid, wish: Wish, task: NewTask) -> TaskRecord:
        """
        Open an intent and promise it to the client, in one transaction.

        Raises:
            TooManyIntents: Too many changes of the index wait already.
        """
        intent, record = await self.store.accept_intent(self._new(index_uid, wish), task)
        self.cluster.apply_queued(intent)
        self.broadcaster.wake(index_uid)
        return record

    async def open(self, index_uid: IndexUid, wish: Wish) -> Intent:
        """
        Open an intent that no client has been promised.

        Raises:
            TooManyIntents: Too many changes of the index wait already.
        """
        intent = await self.store.open_intent(self._new(index_uid, wish))
        self.cluster.apply_queued(intent)
        self.broadcaster.wake(index_uid)
        return intent

    def _new(self, index_uid: IndexUid, wish: Wish) -> NewIntent:
        view = self.cluster.view
        for uid in uids_of(wish.swaps) or (index_uid,):
            self._check_queue(view, uid)
            _check_confirmed(view.indexes.get(uid), wish.kind)
        nodes = wish.nodes or view.topology.node_ids
        return NewIntent(
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
            swaps=wish.swaps,
            care=wish.care,
        )

    @staticmethod
    def _check_queue(view: View, index_uid: IndexUid) -> None:
        index = view.indexes.get(index_uid)
        if index is not None and len(index.queued) >= _QUEUE_MAX:
            raise TooManyIntents(f"{_QUEUE_MAX} changes of index `{index_uid}` are waiting")

    def task(self, index_uid: IndexUid | None, kind: str, details: Mapping[str, Any]) -> NewTask:
        """Return a task of this type, made now; `details` with secrets masked."""
        return NewTask(
            index_uid=index_uid,
            type=kind,
            details=details,
            at_ms=self._clock.wall_ms(),
            custom_metadata=None,
        )

    async def fail(self, task: NewTask, error: Mapping[str, Any]) -> TaskRecord:
        """Answer a request that is accepted and can only fail: its task has failed."""
        return await self.store.open_task(task, status="failed", error=error)


def _check_confirmed(index: IndexView | None, kind: IntentKind) -> None:
    """Nothing is built on a change that may undo itself."""
    if index is None or not (kind is IntentKind.CHANGE or kind.moves_indexes):
        return
    waits = any(intent.care.confirm_within_ms is not None for intent in index.accepted)
    if waits or index.record.unconfirmed is not None:
        raise ConfirmationPending(
            f"A change of index `{index.record.uid}` waits to be confirmed: confirm it, roll it "
            "back, or wait until it undoes itself."
        )


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


def not_found(index_uid: str) -> dict[str, Any]:
    """Return the error of a task whose index is not there."""
    return IndexNotFound(f"Index `{index_uid}` not found.").body()
