"""
Cancels and deletes tasks on request.

    POST /tasks/cancel ─▶ a cancelation is stored; it recalls what it matches
         a document write          ─▶ taken back, before it is sent or on its nodes (`recalls.py`)
         a change, not started yet ─▶ taken out of the queue of its index
         a change that has started ─▶ let go: nodes may have it, only an abort undoes it
    DELETE /tasks      ─▶ done at once; nodes keep their own tasks

What was recalled when a process ended is recalled anew when the next one starts. No decision about
a single document or setting is taken here.
"""

import asyncio
from dataclasses import dataclass
from functools import partial

from miroir.ports.clock import Clock
from miroir.ports.records import NewTask, TaskQuery, TaskRecord
from miroir.ports.store import Store
from miroir.services.broadcaster import Broadcaster
from miroir.services.patience import until_stored
from miroir.services.tasks import Tasks


@dataclass(frozen=True)
class KeeperTools:
    """What the keeper works with."""

    store: Store
    clock: Clock
    broadcaster: Broadcaster
    tasks: Tasks


class QueueKeeper:
    """Takes tasks out of the queue, and old ones out of the list."""

    def __init__(self, tools: KeeperTools) -> None:
        self._tools = tools
        self._news = asyncio.Event()
        self._news.set()  # A former process may have left something.

    async def cancel(self, query: TaskQuery, said: str) -> TaskRecord:
        """
        Recall the tasks that a query matches; return the cancelation.

        Args:
            query: Its paging is ignored.
            said: The query as the client wrote it, with its `?`; for the details.
        """
        opened = await self._tools.store.open_cancelation(query, self._task("Cancelation", said))
        self._news.set()
        return opened

    async def delete(self, query: TaskQuery, said: str) -> TaskRecord:
        """Delete the ended tasks that a query matches; see `cancel`. Return the deletion."""
        return await self._tools.store.delete_tasks(query, self._task("Deletion", said))

    async def withdraw(self, intent_id: int) -> bool:
        """Take a change back that no node has been asked for; False if one may have been."""
        at_ms = self._tools.clock.wall_ms()
        return await self._tools.broadcaster.withdraw(intent_id, at_ms=at_ms)

    async def run(self) -> None:
        """Carry out what is recalled, for ever."""
        clock, store = self._tools.clock, self._tools.store
        while True:
            await self._news.wait()
            self._news.clear()
            for task in await until_stored(clock, store.recalled_tasks):
                await until_stored(clock, partial(self._recall, task))

    async def _recall(self, task: TaskRecord) -> None:
        if task.intent_id is None:
            self._tools.tasks.recall(task.uid)
            return
        at_ms = self._tools.clock.wall_ms()
        if not await self._tools.broadcaster.withdraw(task.intent_id, at_ms=at_ms):
            await self._tools.store.let_go(task.uid, at_ms=at_ms)

    def _task(self, what: str, said: str) -> NewTask:
        return NewTask(
            index_uid=None,
            type=f"task{what}",
            details={"originalFilter": said},
            at_ms=self._tools.clock.wall_ms(),
            custom_metadata=None,
        )
