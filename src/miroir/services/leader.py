"""
The right to act: leases in the store, renewed while work goes on.

One lease per scope (`index:movies`, `drift`). A lease protects the store: every guarded write
carries its epoch. It does not stop a paused process from reaching a node; that is found by
read-back before a commit, and by the sweep afterwards. Lease time is counted from before the lease
was asked for, so that the holder always stops before the store lets another one in.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from miroir.errors import LeaseLost
from miroir.ports.clock import Clock
from miroir.ports.records import Lease
from miroir.ports.store import Store

LEASE_TTL_S = 10.0
_RENEW_EVERY_S = 3.0
_TAKE_AGAIN_S = 1.0


class Leader:
    """Takes, renews and gives up leases in this process's name."""

    def __init__(self, *, store: Store, clock: Clock, holder: str) -> None:
        self._store = store
        self._clock = clock
        self._holder = holder

    @asynccontextmanager
    async def lead(self, scope: str) -> AsyncIterator[Lease]:
        """
        Hold the lease of `scope` for the length of the block; waits while another holds it.

        Raises:
            LeaseLost: Out of the block, when a renewal finds another holder.
        """
        lease = await self._take(scope)
        async with asyncio.TaskGroup() as group:
            renewal = group.create_task(self._renew(lease))
            try:
                yield lease
            finally:
                renewal.cancel()
        await self._store.release_lease(lease)

    async def _take(self, scope: str) -> Lease:
        while (lease := await self._ask(scope)) is None:
            await self._clock.sleep(_TAKE_AGAIN_S)
        return lease

    async def _ask(self, scope: str) -> Lease | None:
        return await self._store.take_lease(
            scope, self._holder, ttl_ms=int(LEASE_TTL_S * 1000), now_ms=self._clock.wall_ms()
        )

    async def _renew(self, lease: Lease) -> None:
        while True:
            await self._clock.sleep(_RENEW_EVERY_S)
            held = await self._ask(lease.scope)
            if held is None or held.epoch != lease.epoch:
                raise LeaseLost(f"another process leads {lease.scope}")
