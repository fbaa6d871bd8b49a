"""
One simulated process's door to the store that outlives it.

Every call passes two points, before and after its effect; there a process can die, be paused, or
wait. The effect itself is one synchronous transaction of `MemoryStore`. A dead process gets no
further. Effects are shown to a listener at once, in the order in which they happened.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from miroir.errors import Unavailable
from tests.support.memory_store import MemoryStore
from tests.support.sim_faults import FaultPlan, FaultPoint as F


class Owner(Protocol):
    """The process that the door belongs to."""

    @property
    def alive(self) -> bool:
        """False: dead."""
        ...

    def die(self, why: str) -> None:
        """Die here."""
        ...

    def pause(self, why: str) -> None:
        """Be paused from now on, while another process takes over."""
        ...

    def allows(self, name: str) -> bool:
        """Whether the process gets as far as this effect; else it hangs there."""
        ...

    async def go_on(self) -> None:
        """Return when this process runs (it may be paused)."""
        ...


Listener = Callable[[str, tuple[Any, ...], dict[str, Any], Any], None]
"""Told of an effect: name, arguments, keyword arguments, result or exception."""


class StoreDoor:
    """Looks like a `Store`."""

    def __init__(
        self,
        store: MemoryStore,
        owner: Owner,
        faults: FaultPlan,
        latency_s: Callable[[], float],
        listener: Listener,
    ) -> None:
        self._store = store
        self._owner = owner
        self._faults = faults
        self._latency_s = latency_s
        self._listener = listener

    def __getattr__(self, name: str) -> Callable[..., Any]:
        effect = getattr(self._store, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._before(name)
            try:
                result = await effect(*args, **kwargs)
            except Exception as error:
                self._listener(name, args, kwargs, error)
                raise
            self._listener(name, args, kwargs, result)
            await self._after(name)
            return result

        self.__dict__[name] = call
        return call

    async def _before(self, name: str) -> None:
        if not self._owner.alive:
            raise asyncio.CancelledError
        if self._faults.strikes(F.MIROIR_CRASHED_BEFORE_WRITE, name):
            self._owner.die(f"MIROIR_CRASHED_BEFORE_WRITE {name}")
        elif self._faults.strikes(F.MIROIR_PAUSED, name):
            self._owner.pause(f"MIROIR_PAUSED {name}")
        await self._wait(name)
        if self._faults.strikes(F.STORE_FAILED, name):
            raise Unavailable("the store cannot be written")
        if not self._owner.allows(name):
            await asyncio.get_running_loop().create_future()  # For ever, until it dies.

    async def _after(self, name: str) -> None:
        if self._faults.strikes(F.MIROIR_CRASHED_AFTER_WRITE, name):
            self._owner.die(f"MIROIR_CRASHED_AFTER_WRITE {name}")
        if self._owner.alive and self._faults.chance.random() < 0.5:
            return  # The caller goes on at once.
        await self._wait(name)

    async def _wait(self, name: str) -> None:
        if not self._owner.alive:
            raise asyncio.CancelledError
        slow = self._faults.strikes(F.STORE_SLOW, name)
        await asyncio.sleep(self._latency_s() * (500 if slow else 1))
        await self._owner.go_on()
        if not self._owner.alive:
            raise asyncio.CancelledError
