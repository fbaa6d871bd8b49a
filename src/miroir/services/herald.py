"""
Tells webhooks of tasks that have ended.

    a task ends ─▶ a notice per webhook, in the same transaction (`ports/task_store.py`)
                └▶ posted as gzipped NDJSON, oldest first ─▶ taken (2xx) ─▶ forgotten
                                                          └▶ not taken   ─▶ again, ever later

A task is told at least once: a notice is forgotten only after it was taken, so that a process that
dies in between tells it again. A receiver that takes nothing misses what is older than `_KEPT_MS`
or beyond the newest `_KEPT`, and the log says so; nobody else waits for it. (A node tries once.)
No URL and no header is ever logged.
"""

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import orjson
import structlog

from miroir.ports.clock import Clock
from miroir.ports.receiver import Receivers
from miroir.ports.records import Backlog, Notice, TaskRecord, Webhook
from miroir.ports.store import Store
from miroir.services.patience import until_stored

_LOOK_S: Final = 0.5
_PAGE: Final = Backlog(count=500, chars=8 * 1024 * 1024)
_AGAIN_FIRST_S: Final = 1.0
_AGAIN_MAX_S: Final = 60.0
_KEPT_MS: Final = 24 * 3600 * 1000
_KEPT: Final = Backlog(count=10_000, chars=64 * 1024 * 1024)
_OWN: Final = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class HeraldTools:
    """
    What a herald works with.

    Attributes:
        view: A task as `GET /tasks/{uid}` shows it.
        settled: Awaited before anybody is told: what is told has to be true everywhere.
    """

    store: Store
    clock: Clock
    receivers: Receivers
    view: Callable[[TaskRecord], Mapping[str, Any]]
    settled: Callable[[], Awaitable[None]]


class Herald:
    """One errand per webhook; while there is none, nothing is looked at."""

    def __init__(self, tools: HeraldTools) -> None:
        self._tools = tools
        self._news = asyncio.Event()
        self._webhooks: dict[str, Webhook] = {}

    def look(self) -> None:
        """The list of webhooks has changed."""
        self._news.set()

    async def run(self) -> None:
        """Tell, for ever."""
        errands: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                await self._news.wait()
                self._news.clear()
                found = await until_stored(self._tools.clock, self._tools.store.webhooks)
                self._webhooks = {webhook.uuid: webhook for webhook in found}
                for gone in errands.keys() - self._webhooks.keys():
                    errands.pop(gone).cancel()
                for new in self._webhooks.keys() - errands.keys():
                    errands[new] = group.create_task(self._errand(new))

    async def _errand(self, uuid: str) -> None:
        clock, store = self._tools.clock, self._tools.store
        pause_s = _AGAIN_FIRST_S
        while True:
            notices = await until_stored(clock, partial(store.notices, uuid, _PAGE))
            if not notices:
                await clock.sleep(_LOOK_S)
                continue
            fault = await self._tell(self._webhooks[uuid], notices)
            await self._forget(uuid, notices, told=fault is None)
            if fault is None:
                pause_s = _AGAIN_FIRST_S
                continue
            _log.warning("webhook_not_told", webhook=uuid, why=fault, again_in_s=pause_s)
            await clock.sleep(pause_s)
            pause_s = min(_AGAIN_MAX_S, pause_s * 2)

    async def _tell(self, webhook: Webhook, notices: tuple[Notice, ...]) -> str | None:
        lines = b"".join(orjson.dumps(self._tools.view(n.task)) + b"\n" for n in notices)
        headers = {**_OWN, **webhook.headers}
        await self._tools.settled()
        return await self._tools.receivers.post(webhook.url, headers, gzip.compress(lines))

    async def _forget(self, uuid: str, notices: tuple[Notice, ...], *, told: bool) -> None:
        """Forget what was told, else what was kept long enough; and what is too much to keep."""
        clock, store = self._tools.clock, self._tools.store
        over = notices if told else tuple(n for n in notices if self._is_old(n))
        if over:
            await until_stored(clock, partial(store.drop_notices, uuid, over[-1].number))
        dropped = await until_stored(clock, partial(store.trim_notices, uuid, _KEPT))
        dropped += 0 if told else len(over)
        if dropped:
            _log.warning("notices_dropped", webhook=uuid, count=dropped)

    def _is_old(self, notice: Notice) -> bool:
        ended_ms = notice.task.finished_at_ms
        return ended_ms is not None and ended_ms < self._tools.clock.wall_ms() - _KEPT_MS
