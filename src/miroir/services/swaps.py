"""
Takes in swaps and renames of indexes: one intent over all their uids, in all their queues.

Accepts or refuses, as one node would; carrying out is the broadcaster's. Documents and settings of
these indexes wait their turn on both sides: what was accepted before is at rest before anything
moves (`Standstill`), what comes later waits behind the intent.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from miroir.core import swaps as rules
from miroir.core.swaps import Swap, Swaps
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import RouteNotSupported
from miroir.ports.clock import Clock
from miroir.ports.records import IntentKind, NewTask, TaskRecord
from miroir.services.carriers.swap import renamed
from miroir.services.cluster import Cluster, View
from miroir.services.intake import Intake, Wish, check_uid
from miroir.services.lanes import Lanes
from miroir.services.planner import impossible_move
from miroir.services.replicas import Replicas
from miroir.services.tasks import Tasks
from miroir.services.turns import Turns

_DRAIN_AGAIN_S: Final = 60.0
_LOOK_AGAIN_S: Final = 0.5


class Swapper:
    """Accepts swaps and renames."""

    def __init__(self, *, intake: Intake, order: Turns[IndexUid]) -> None:
        """
        Take what to accept with.

        Args:
            intake: The locks and queues of the indexes.
            order: Of document writes: no write is made durable while a swap is judged.
        """
        self._intake = intake
        self._order = order

    async def swap(self, swaps: Swaps) -> TaskRecord:
        """Accept a swap; unknown indexes and taken names fail its task, as on one node."""
        task = self._intake.task(None, "indexSwap", rules.shown(swaps))
        if not swaps:
            return await self._intake.store.open_task(task, status="succeeded")
        async with self._alone(rules.uids_of(swaps)):
            error = impossible_move(IntentKind.SWAP, swaps, self._intake.will_exist)
            if error is not None:
                return await self._intake.fail(task, error)
            return await self._accept(Wish(IntentKind.SWAP, "client", swaps=swaps), task)

    async def rename(
        self, index_uid: IndexUid, new_uid: IndexUid, primary_key: str | None
    ) -> TaskRecord:
        """
        Accept another uid for an index.

        Raises:
            RouteNotSupported: Another primary key in the same request: a node that refuses the key
                renames all the same, so that nothing could be taken back.
        """
        check_uid(index_uid)
        check_uid(new_uid)
        swap = Swap(index_uid, new_uid, rename=True)
        task = self._intake.task(index_uid, "indexUpdate", renamed(swap, primary_key))
        async with self._alone(tuple(sorted({index_uid, new_uid}))):
            exists = self._intake.will_exist
            if new_uid == index_uid and exists(index_uid):
                self._check_key(index_uid, primary_key)
                return await self._intake.store.open_task(task, status="succeeded")
            error = impossible_move(IntentKind.RENAME, (swap,), exists)
            if error is not None:
                return await self._intake.fail(task, error)
            self._check_key(index_uid, primary_key)
            wish = Wish(IntentKind.RENAME, "client", primary_key=primary_key, swaps=(swap,))
            return await self._accept(wish, task)

    async def _accept(self, wish: Wish, task: NewTask) -> TaskRecord:
        return await self._intake.accept(rules.uids_of(wish.swaps)[0], wish, task)

    def _check_key(self, index_uid: IndexUid, primary_key: str | None) -> None:
        index = self._intake.cluster.view.live(index_uid)
        known = index.record.primary_key if index is not None else None
        if primary_key is not None and primary_key != known:
            raise RouteNotSupported(
                "Another `uid` and another `primaryKey` in one `PATCH /indexes/{uid}` of an index "
                "that has one are not supported by Miroir: send two requests, the key first."
            )

    @asynccontextmanager
    async def _alone(self, index_uids: tuple[IndexUid, ...]) -> AsyncIterator[None]:
        """Hold off writes and changes of these indexes, in the order of their uids."""
        turns = [self._order.take(uid) for uid in index_uids]  # All at once: never a circle.
        async with AsyncExitStack() as held:
            try:
                while turns:
                    await held.enter_async_context(turns.pop(0))
            finally:
                for turn in turns:
                    turn.give_up()
            for uid in index_uids:
                await held.enter_async_context(self._intake.lock(uid))
            yield


class Standstill:
    """
    Waits until nothing is under way that belongs to the content of an index under its old uid.

    Every accepted write has ended on every replica, and whoever strayed in it has left; no replica
    is being brought up. Nothing new begins meanwhile: writes, resync, sweep see the open intent.
    And every shard has a node in sync that answers: until then nothing is asked of any node, and
    the change can be taken back.
    """

    def __init__(
        self, *, cluster: Cluster, lanes: Lanes, tasks: Tasks, replicas: Replicas, clock: Clock
    ) -> None:
        self._clock = clock
        self._cluster = cluster
        self._lanes = lanes
        self._tasks = tasks
        self._replicas = replicas

    async def wait(self, index_uids: tuple[IndexUid, ...]) -> None:
        """Return when the documents of these indexes are at rest; however long that takes."""
        for index_uid in index_uids:
            await self._drained(index_uid)
            await self._tasks.reported(index_uid)
            await self._replicas.stop_catching_up(index_uid)
        while needed_and_down(self._cluster.view, index_uids):
            # Begun, it could not be taken back any more, and would wait for them all the same.
            await self._clock.sleep(_LOOK_AGAIN_S)

    async def _drained(self, index_uid: IndexUid) -> None:
        """Let every lane run dry once; a step of a resync holds a lane, too."""
        while True:
            try:
                async with self._lanes.drained(index_uid, within_s=_DRAIN_AGAIN_S):
                    return
            except TimeoutError:
                continue  # A shard that nobody takes writes for: they were accepted before.


def needed_and_down(view: View, index_uids: tuple[IndexUid, ...]) -> tuple[NodeId, ...]:
    """Return the nodes of which one has to answer before these indexes can change places."""
    needed: list[NodeId] = []
    for index_uid in index_uids:
        index = view.live(index_uid)
        missing = index.out_of_sync if index is not None else {}
        for column in view.topology.columns:
            holders = [n for n in column if n not in missing] or list(column)
            if not view.healthy.intersection(holders):
                needed += holders
    return tuple(dict.fromkeys(needed))
