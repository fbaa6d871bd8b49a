"""
Leads each index's queue of intents: one at a time, oldest first; indexes go in parallel.

An intent over several indexes waits until it is the oldest of all of them; then the drive of its
first one carries it, and the others stand still. Ids are given out in one order for all queues, so
that two such intents never wait for each other.

A restart finds every open intent in the store and goes on from the stored state. What happens to
one intent is in `intent_run.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from miroir.core import broadcast_types as t
from miroir.core.topology import IndexUid
from miroir.errors import LeaseLost, Unavailable
from miroir.ports.records import Intent, IntentKind, Lease
from miroir.services.intent_run import IntentRun, Tools

_AGAIN_S = 1.0
_log = structlog.get_logger(__name__)


class Broadcaster:
    """Leads each index's queue of intents."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._drives: dict[IndexUid, asyncio.Task[None]] = {}
        self._ends: dict[int, asyncio.Future[t.Phase]] = {}
        self._listeners: list[Callable[[IndexUid], None]] = []
        self._group: asyncio.TaskGroup | None = None
        self._still: Callable[[tuple[IndexUid, ...]], Awaitable[None]] = _still_already
        self._moved: Callable[[], None] = _nothing_left

    def around_moves(
        self, still: Callable[[tuple[IndexUid, ...]], Awaitable[None]], moved: Callable[[], None]
    ) -> None:
        """
        Await `still(index_uids)` before indexes change places; call `moved()` before and after.

        Their documents have to be at rest before; what was used for it is cleared away after.
        """
        self._still, self._moved = still, moved

    def on_closed(self, listener: Callable[[IndexUid], None]) -> None:
        """Call `listener(index_uid)` when a change of it has ended that is no repair."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Take up what is open, then give the drives a home until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for index in list(self._tools.cluster.view.indexes.values()):
                if index.queued:
                    self.wake(index.record.uid)
            await asyncio.get_running_loop().create_future()  # For ever.

    def wake(self, index_uid: IndexUid) -> None:
        """Something is queued for this index."""
        assert self._group is not None, "run() comes first"
        if index_uid not in self._drives:
            self._drives[index_uid] = self._group.create_task(self._drive(index_uid))

    async def ended(self, intent_id: int) -> t.Phase:
        """Wait until an intent is closed, which it may be already; return its last phase."""
        future = self._ends.setdefault(intent_id, asyncio.get_running_loop().create_future())
        intent = await self._tools.store.intent(intent_id)
        if intent.state.closed and not future.done():
            self._ends.pop(intent_id, None)
            future.set_result(intent.state.phase)
        return await asyncio.shield(future)

    async def settled(self, index_uid: IndexUid) -> None:
        """Wait until the changes of an index that are accepted now have ended, up to a swap."""
        index = self._tools.cluster.view.indexes.get(index_uid)
        for intent in index.accepted if index else ():
            if intent.kind.moves_indexes:
                return  # It waits for the documents itself, and whatever is behind it, for it.
            await self.ended(intent.intent_id)

    async def withdraw(self, intent_id: int, *, at_ms: int) -> bool:
        """Close a change that has not started, its task canceled; False if it has."""
        intent = await self._tools.store.cancel_intent(intent_id, at_ms=at_ms)
        if intent is None:
            return False
        _log.info("intent_withdrawn", intent=intent_id, index=intent.index_uid)
        self._tools.cluster.apply_withdrawn(intent)
        self._tell(intent_id, intent.state.phase)
        self._go_on(intent)
        return True

    async def _drive(self, index_uid: IndexUid) -> None:
        """Carry this index's intents, oldest first, until none is left."""
        try:
            # Looked at again after the lease is given back: what was queued meanwhile found this
            # drive at work and started no other.
            while self._next(index_uid) is not None:
                if not await self._lead(index_uid):
                    for uid in self._led_with(index_uid):
                        await self._reload(uid)
        finally:
            del self._drives[index_uid]

    async def _reload(self, index_uid: IndexUid) -> None:
        """Look at an index anew, as soon as the store is there."""
        while True:
            await self._tools.clock.sleep(_AGAIN_S)
            try:
                async with self._tools.fence.switching((index_uid,)):
                    await self._tools.cluster.reload(index_uid, self._tools.store)
                await self._tell_ended(index_uid)
            except Unavailable as error:
                _log.warning("store_unavailable", index=index_uid, why=str(error))
            else:
                return

    def _led_with(self, index_uid: IndexUid) -> tuple[IndexUid, ...]:
        """Return the indexes that the started intent of this one holds, or just this one."""
        index = self._tools.cluster.view.indexes.get(index_uid)
        started = index.intent if index is not None else None
        return started.index_uids if started is not None else (index_uid,)

    async def _lead(self, index_uid: IndexUid) -> bool:
        """Carry intents under one lease; False if it was lost, or the store was not there."""
        try:
            async with self._tools.leader.lead(f"index:{index_uid}") as lease:
                while (intent := self._next(index_uid)) is not None:
                    await self._carry(intent, lease)
        except* (LeaseLost, Unavailable) as lost:
            _log.warning("deposed", index=index_uid, why=_first(lost))
            return_value = False
        else:
            return_value = True
        return return_value

    async def _tell_ended(self, index_uid: IndexUid) -> None:
        """Another process may have ended what is waited for here."""
        index = self._tools.cluster.view.indexes.get(index_uid)
        still_open = {intent.intent_id for intent in index.accepted} if index else set()
        for intent_id in [i for i in self._ends if i not in still_open]:
            intent = await self._tools.store.intent(intent_id)
            if intent.state.closed:
                self._tell(intent_id, intent.state.phase)

    def _tell(self, intent_id: int, phase: t.Phase) -> None:
        future = self._ends.pop(intent_id, None)
        if future is not None and not future.done():
            future.set_result(phase)

    def _next(self, index_uid: IndexUid) -> Intent | None:
        """Return the oldest intent of this index, if it is this drive's to carry now."""
        indexes = self._tools.cluster.view.indexes
        index = indexes.get(index_uid)
        intent = index.queued[0] if index and index.queued else None
        if intent is None or intent.index_uid != index_uid:
            return None
        heads = [i.accepted[0] for uid in intent.index_uids if (i := indexes.get(uid))]
        return intent if all(head.intent_id == intent.intent_id for head in heads) else None

    async def _carry(self, intent: Intent, lease: Lease) -> None:
        if intent.kind.moves_indexes and not await self._at_rest(intent):
            self._moved()
            return
        run = IntentRun(self._tools, intent, lease)
        self._tell(intent.intent_id, await run.to_the_end())
        if intent.kind.moves_indexes:
            self._moved()
        self._go_on(intent)

    async def _at_rest(self, intent: Intent) -> bool:
        """Wait until a swap can begin; False if it was withdrawn before."""
        self._moved()
        ended = asyncio.ensure_future(self.ended(intent.intent_id))
        still = asyncio.ensure_future(self._still(intent.index_uids))
        try:
            await asyncio.wait({ended, still}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                ended.result()  # Raises if the store is not there.
                return False
            still.result()
            return True
        finally:
            ended.cancel()
            still.cancel()

    def _go_on(self, intent: Intent) -> None:
        """It has ended: carry what was behind it, and tell whoever looks at its indexes."""
        for index_uid in intent.index_uids:
            self._wake_next(index_uid)
        if intent.kind is IntentKind.REPAIR:
            return  # Its own next try is the sweep's: a node that flaps must not be chased.
        for index_uid in intent.index_uids:
            for listener in self._listeners:
                listener(index_uid)

    def _wake_next(self, index_uid: IndexUid) -> None:
        """Have the next intent of an index carried by whoever has to: maybe another's drive."""
        index = self._tools.cluster.view.indexes.get(index_uid)
        if index is not None and index.queued:
            self.wake(index.queued[0].index_uid)


async def _still_already(_: tuple[IndexUid, ...]) -> None:
    """There are no documents."""


def _nothing_left() -> None:
    """Nobody clears away anything."""


def _first(group: BaseExceptionGroup[BaseException]) -> str:
    """Return the text of the first error inside nested groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)
