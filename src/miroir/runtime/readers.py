"""
Keeps the readers running: starts them, hears them, and starts them again when they end.

A reader that has ended, in whatever way, counts for nothing from then on (`services/fence.py`),
and its clients' connections are closed by the kernel. One that fails at once is tried again ever
later.
"""

import asyncio
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from miroir.adapters.reader_link import ReaderLink, linked
from miroir.config import Config, handed_over
from miroir.errors import ConfigError
from miroir.ports.reader import (
    Confirmed,
    Counted,
    Drained,
    Hello,
    Ready,
    Stop,
    Suspected,
    ToMain,
    ToReader,
)
from miroir.runtime.sockets import sibling
from miroir.services.fence import Fence
from miroir.services.health import Health
from miroir.telemetry import Metrics

_AGAIN_FIRST_S: Final = 0.2
_AGAIN_MAX_S: Final = 10.0
_END_MARGIN_S: Final = 2.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ReaderTools:
    """
    What readers are started with, and who hears them.

    Attributes:
        listener: A shared socket; each reader gets a sibling of it.
        main_port: Where this process takes what readers pass on.
        lock: Descriptor that readers hold (`readers_lock.py`).
    """

    config: Config
    fence: Fence
    health: Health
    metrics: Metrics
    listener: socket.socket
    main_port: int
    lock: int


class ReaderProcess:
    """A running reader; see `ports.reader.Reader`."""

    def __init__(self, process: asyncio.subprocess.Process, tools: ReaderTools) -> None:
        self._process = process
        self._tools = tools
        self._link = ReaderLink[ToMain](ToMain, self._hear, self._lost)
        self.was_ready = False

    async def connect(self, end: socket.socket, hello: Hello) -> None:
        """Begin to speak with it."""
        await linked(self._link, end)
        self._link.send(hello)

    def tell(self, message: ToReader) -> None:
        """See `Reader.tell`."""
        self._link.send(message)

    async def end(self) -> None:
        """See `Reader.end`."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def ended(self) -> int:
        """Return its exit status when it is no more."""
        status = await self._process.wait()
        self._tools.fence.leave(self)
        self._link.close()
        return status

    def _hear(self, message: ToMain) -> None:
        tools = self._tools
        match message:
            case Ready():
                self.was_ready = True
                tools.fence.join(self)
            case Confirmed(number=number):
                tools.fence.confirmed(self, number)
            case Drained(question=question, done=done):
                tools.fence.answered(self, question, done=done)
            case Suspected(node_id=node_id):
                tools.health.suspect(node_id)
                tools.fence.tell_again()
            case Counted(calls=calls, requests=requests):
                tools.metrics.add(calls, requests)

    def _lost(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()  # It cannot be told anything any more.


class Readers:
    """All of them."""

    def __init__(self, tools: ReaderTools) -> None:
        self._tools = tools
        self._running: dict[int, ReaderProcess] = {}
        self._stopping = asyncio.Event()
        self._all_gone = asyncio.Event()

    async def run(self) -> None:
        """Keep them running until `stop`; return when the last one is gone."""
        async with asyncio.TaskGroup() as group:
            for number in range(1, self._tools.config.processes):
                group.create_task(self._keep(number))
        self._all_gone.set()

    async def stop(self) -> None:
        """Have them end what is in work and end; those that take too long are ended."""
        self._stopping.set()
        for reader in self._running.values():
            reader.tell(Stop())
        limit_s = self._tools.config.limits.shutdown_grace_s + _END_MARGIN_S
        try:
            async with asyncio.timeout(limit_s):
                await self._all_gone.wait()
        except TimeoutError:
            for reader in list(self._running.values()):
                await reader.end()
            await self._all_gone.wait()

    async def _keep(self, number: int) -> None:
        pause_s = _AGAIN_FIRST_S
        while not self._stopping.is_set():
            try:
                reader = self._running[number] = await self._started(number)
            except (OSError, ConfigError) as error:
                _log.error("reader_not_started", reader=number, why=str(error))
            else:
                if self._stopping.is_set():
                    reader.tell(Stop())  # It was not yet there to be told with the others.
                status = await reader.ended()
                del self._running[number]
                if reader.was_ready:
                    pause_s = _AGAIN_FIRST_S
                if not self._stopping.is_set():
                    _log.warning("reader_ended", reader=number, status=status, again_in_s=pause_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()
            pause_s = min(_AGAIN_MAX_S, pause_s * 2)

    async def _started(self, number: int) -> ReaderProcess:
        tools = self._tools
        here, there = socket.socketpair()
        with there, sibling(tools.listener) as listener:
            kept = (there.fileno(), listener.fileno(), tools.lock)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "miroir.runtime.reader"),
                *(str(there.fileno()), str(listener.fileno())),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=kept,
                start_new_session=True,  # Ctrl-C is for the main process, which tells its readers.
            )
        reader = ReaderProcess(process, tools)
        values, secrets = handed_over(tools.config)
        await reader.connect(here, Hello(number, values, secrets, tools.main_port))
        return reader
