"""
The inside of one simulated Miroir process: its services run, clients are served, until it dies.

What its outside is made of, and what its death means to the world, is its world's own business.
"""

import asyncio
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, TypeVar

from miroir.errors import Unavailable
from miroir.runtime import Services

Result = TypeVar("Result")


class Gone(Exception):
    """The process that was asked is dead or deaf: a client sees a broken connection."""


class Inside(ABC):
    """
    The services of one process.

    Attributes:
        alive: Whether anything it does still counts.
        ready: Set when it takes requests.
        gone: Set when it answers nobody any more.
        answered: Errors that are the client's; any other ends the process.
    """

    answered: ClassVar[type[Exception]] = Exception
    services: Services
    _store: Any

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.ready = asyncio.Event()
        self.gone = asyncio.Event()
        self._clients: asyncio.TaskGroup | None = None

    def begin(self) -> None:
        """Run the services; they are made by now."""
        self._root = asyncio.get_running_loop().create_task(self._run(), name=self.name)

    @property
    def serves(self) -> bool:
        """Whether clients get through to it."""
        return self.alive and self.ready.is_set()

    @abstractmethod
    def die(self, why: str) -> None:
        """Die here and now."""

    @abstractmethod
    def fell_over(self, why: str) -> None:
        """Say that its own fault has ended it."""

    async def prepare(self) -> None:
        """Do what a start does before the services run."""
        await self.services.common.health.check_all()
        await self.services.common.cluster.load(self._store)

    async def _run(self) -> None:
        try:
            await self.prepare()
            async with asyncio.TaskGroup() as group:
                self._clients = group
                for loop in self.services.loops:
                    group.create_task(_for_ever(loop), name=f"{self.name} {loop.__qualname__}")
                await asyncio.sleep(0)
                self.ready.set()
        except asyncio.CancelledError:
            if self.alive:
                raise
        except Unavailable:
            self.die("the store was not there at the start")
        except BaseException as error:  # noqa: BLE001 - whatever it fell over is the finding
            if self.alive:
                self.fell_over(_short(error))
        finally:
            self.gone.set()

    async def ask(self, work: Callable[[Services], Coroutine[Any, Any, Result]]) -> Result:
        """
        Do something for a client, inside this process.

        Raises:
            Gone: The process died or fell silent before it answered.
        """
        if not self.serves or self._clients is None:
            raise Gone(self.name)
        asked: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._clients.create_task(self._into(asked, work(self.services)))
        leaving = asyncio.ensure_future(self.gone.wait())
        try:
            both: set[asyncio.Future[Any]] = {asked, leaving}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                raise Gone(self.name)
            return asked.result()
        finally:
            leaving.cancel()
            asked.cancel()

    async def _into(self, asked: "asyncio.Future[Any]", work: Coroutine[Any, Any, Any]) -> None:
        try:
            result = await work
        except self.answered as error:
            if not asked.done():
                asked.set_exception(error)
                asked.exception()
            return
        if not asked.done():
            asked.set_result(result)


async def _for_ever(loop: Callable[[], Any]) -> None:
    await loop()


def _short(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    lines = traceback.format_exception(type(error), error, error.__traceback__, limit=-6)
    return "".join(lines)
