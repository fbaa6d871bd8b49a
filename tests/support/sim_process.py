"""
One Miroir process of a simulated cluster: the real services over a simulated outside.

It can die at any await of the store or of a node call: its tasks are cancelled, and no call of a
dead process has any effect. It can be paused while another takes over; a paused one is deaf to
clients, and when it goes on it may only find out that it is deposed.
"""

import asyncio
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from miroir.runtime import Outside, make_services
from miroir.telemetry import Metrics
from tests.support.sim_choices import uid_by
from tests.support.sim_inside import Inside
from tests.support.sim_network import SimNetwork
from tests.support.sim_store import StoreDoor

if TYPE_CHECKING:
    from tests.support.sim_world import World

_METRICS: Final = Metrics()
_GUARDED: Final = {"start_intent", "save_intent", "commit", "freeze"}


class Process(Inside):
    """
    One process.

    Attributes:
        deposed: Whether it was paused and another has taken over.
        since_s: When it was started, by the world's clock.
    """

    def __init__(self, world: "World", number: int) -> None:
        super().__init__(f"miroir{number}")
        self.deposed = False
        self.since_s = world.loop.time()
        self._world = world
        self._running = asyncio.Event()
        self._running.set()
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
        self.services = make_services(world.config, world.topology, outside)
        self.services.common.leader._holder = self.name
        self.services.settings.commons.ring.new_uid = lambda: uid_by(chance)
        self.services.common.health.on_found_down(network.break_off)
        self._store = store
        self.begin()

    @property
    def serves(self) -> bool:
        """Whether clients get through to it."""
        return super().serves and not self.deposed

    @property
    def rules(self) -> bool:
        """See `sim_calls.Caller`."""
        return self.alive and not self.deposed

    async def prepare(self) -> None:
        """Read the commons as well."""
        await super().prepare()
        await self.services.settings.commons.cluster.load(self._store)
        self.services.settings.commons.steward.begin()

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

    def fell_over(self, why: str) -> None:
        """See `Inside`."""
        self._world.fail(f"{self.name} fell over: {why}")

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
        """See `sim_calls.Caller`."""
        self._world.departed(self, node_id, name, index_uid, body)

    def was_read(self, node_id: str, index_uid: str) -> None:
        """See `sim_calls.Caller`; what a deposed process learns, nobody else knows."""
        if self.rules:
            self._world.was_read(node_id, index_uid)

    def allows(self, name: str) -> bool:
        """Whether a deposed process gets to this effect: guarded writes, and nothing else."""
        return not self.deposed or name in _GUARDED

    def _effect(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        self._world.effect(self, name, args, kwargs, result)
