"""
One Miroir process of a simulated cluster: the real services over a simulated outside.

It can die at any await of the store or of a node call: its tasks are cancelled, and no call of a
dead process has any effect. It can be paused while another takes over; a paused one is deaf to
clients, and when it goes on it may only find out that it is deposed.
"""

import asyncio
import random
import traceback
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from miroir.errors import Unavailable
from miroir.runtime import Outside, Services, make_services
from miroir.telemetry import Metrics
from tests.support.sim_choices import uid_by
from tests.support.sim_network import SimNetwork
from tests.support.sim_store import StoreDoor

if TYPE_CHECKING:
    from tests.support.sim_world import World

Result = TypeVar("Result")

_METRICS: Final = Metrics()
_GUARDED: Final = {"start_intent", "save_intent", "commit", "freeze"}


class Gone(Exception):
    """The process that was asked is dead or deaf: a client sees a broken connection."""


class Process:
    """
    One process.

    Attributes:
        alive: Whether anything it does still counts.
        deposed: Whether it was paused and another has taken over.
        ready: Set when it takes requests.
        since_s: When it was started, by the world's clock.
    """

    def __init__(self, world: "World", number: int) -> None:
        self.name = f"miroir{number}"
        self.alive = True
        self.deposed = False
        self.since_s = world.loop.time()
        self.ready = asyncio.Event()
        self.gone = asyncio.Event()
        self._world = world
        self._running = asyncio.Event()
        self._running.set()
        self._clients: asyncio.TaskGroup | None = None
        chance = random.Random(f"{world.seed} {self.name}")
        network = SimNetwork(self, world.nodes, chance, world.faults, self.note)
        store: Any = StoreDoor(
            world.store,
            self,
            world.faults,
            lambda: 0.0002 * chance.paretovariate(1.5),
            self._effect,
        )
        outside = Outside(network, network, store, world.clock, chance, _METRICS)
        self.services: Services = make_services(world.config, world.topology, outside)
        self.services.common.leader._holder = self.name
        self.services.settings.commons.ring.new_uid = lambda: uid_by(chance)
        self.services.common.health.on_found_down(network.break_off)
        self._store = store
        self._root = asyncio.get_running_loop().create_task(self._run(), name=self.name)

    @property
    def serves(self) -> bool:
        """Whether clients get through to it."""
        return self.alive and not self.deposed and self.ready.is_set()

    @property
    def rules(self) -> bool:
        """See `sim_network.Caller`."""
        return self.alive and not self.deposed

    async def _run(self) -> None:
        try:
            await self.services.common.health.check_all()
            await self.services.common.cluster.load(self._store)
            await self.services.settings.commons.cluster.load(self._store)
            self.services.settings.commons.steward.begin()
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
                self._world.fail(f"{self.name} fell over: {_short(error)}")
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
        self._clients.create_task(_into(asked, work(self.services)))
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

    # ---- its life

    def die(self, why: str) -> None:
        """Die here and now."""
        if not self.alive:
            return
        self.alive = False
        self.note(f"dies: {why}")
        self.gone.set()
        self._running.set()
        self._root.cancel()
        self._world.process_lost(self, must_reopen=not self.deposed)

    def pause(self, why: str) -> None:
        """Stand still; the world starts another process and lets this one go on later."""
        if self.deposed:
            return
        self.deposed = True
        self.note(f"is paused: {why}")
        self.gone.set()
        self._running.clear()
        self._world.process_paused(self)

    def resume(self) -> None:
        """Go on, not knowing how long it was."""
        self.note("goes on")
        self._running.set()

    async def go_on(self) -> None:
        """See `sim_store.Owner`."""
        await self._running.wait()

    # ---- what it does, seen from outside

    def note(self, text: str) -> None:
        self._world.note(f"{self.name} {text}")

    def departs(self, node_id: str, name: str, index_uid: str, body: Mapping[str, Any]) -> None:
        """See `sim_network.Caller`."""
        self._world.departed(self, node_id, name, index_uid, body)

    def was_read(self, node_id: str, index_uid: str) -> None:
        """See `sim_network.Caller`; what a deposed process learns, nobody else knows."""
        if self.rules:
            self._world.was_read(node_id, index_uid)

    def allows(self, name: str) -> bool:
        """Whether a deposed process gets to this effect: guarded writes, and nothing else."""
        return not self.deposed or name in _GUARDED

    def _effect(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        self._world.effect(self, name, args, kwargs, result)


async def _for_ever(loop: Callable[[], Any]) -> None:
    await loop()


async def _into(asked: "asyncio.Future[Any]", work: Coroutine[Any, Any, Any]) -> None:
    try:
        result = await work
    except Exception as error:  # noqa: BLE001 - the client's, not the process's
        if not asked.done():
            asked.set_exception(error)
            asked.exception()
        return
    if not asked.done():
        asked.set_result(result)


def _short(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    lines = traceback.format_exception(type(error), error, error.__traceback__, limit=-6)
    return "".join(lines)
