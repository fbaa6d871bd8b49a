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

import structlog

from miroir.errors import LeaseLost, Unavailable
from miroir.ports.clock import Clock
from miroir.ports.records import Lease
from miroir.ports.store import Store

LEASE_TTL_S = 10.0
_RENEW_EVERY_S = 3.0
_TAKE_AGAIN_S = 1.0
_log = structlog.get_logger(__name__)


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
        try:
            await self._store.release_lease(lease)
        except Unavailable as error:  # Then it runs out by itself.
            _log.warning("store_unavailable", scope=scope, why=str(error))

    async def _take(self, scope: str) -> Lease:
        while True:
            try:
                lease = await self._ask(scope)
            except Unavailable as error:
                _log.warning("store_unavailable", scope=scope, why=str(error))
                lease = None
            if lease is not None:
                return lease
            await self._clock.sleep(_TAKE_AGAIN_S)

    async def _ask(self, scope: str) -> Lease | None:
        return await self._store.take_lease(
            scope, self._holder, ttl_ms=int(LEASE_TTL_S * 1000), now_ms=self._clock.wall_ms()
        )

    async def _renew(self, lease: Lease) -> None:
        """Ask again in time; a store that does not answer is asked until the lease is over."""
        held_s = self._clock.monotonic_s()
        while True:
            await self._clock.sleep(_RENEW_EVERY_S)
            asked_s = self._clock.monotonic_s()
            try:
                held = await self._ask(lease.scope)
            except Unavailable as error:
                if asked_s - held_s >= LEASE_TTL_S - _RENEW_EVERY_S:
                    raise LeaseLost(f"{lease.scope} could not be renewed: {error}") from error
                continue
            if held is None or held.epoch != lease.epoch:
                raise LeaseLost(f"another process leads {lease.scope}")
            held_s = asked_s
