"""One run of a simulated cluster whose indexes are swapped: clients, faults, a judge."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from miroir.core.swaps import Swap
from miroir.core.topology import IndexUid
from miroir.runtime import Services
from tests.support.docs_run import Client, simulate as simulate_documents
from tests.support.docs_world import DocsWorld
from tests.support.sim_faults import FaultPlan
from tests.support.swap_world import SwapsWorld, plan_for

UIDS: Final = (IndexUid("books"), IndexUid("films"), IndexUid("movies"))
Work = Callable[[Services], Coroutine[Any, Any, Any]]


class SwapClient(Client):
    """Sends writes to any of three indexes, and swaps and renames them, one after the other."""

    def _any_work(self, step: int) -> tuple[Work, str]:
        self._index = self._chance.choice(UIDS)
        if self._chance.random() > 0.3:
            return super()._any_work(step)
        left, right = self._chance.sample(UIDS, 2)
        if self._chance.random() < 0.25:
            if self._chance.random() < 0.2:  # One that never was; its content stays there.
                right = IndexUid(f"{left}-{self._number}-{step}")
            return (
                lambda s: s.documents.swapper.rename(left, right, None),
                f"rename {left} to {right}",
            )
        rename = self._chance.random() < 0.2
        swaps = (Swap(left, right, rename=rename),)
        return lambda s: s.documents.swapper.swap(swaps), f"swap {swaps}"


async def three_clients(world: DocsWorld) -> None:
    """Have clients send what comes to their mind."""
    async with asyncio.TaskGroup() as clients:
        for number in range(3):
            clients.create_task(SwapClient(world, number).run())


def simulate(seed: int, faults: FaultPlan | None = None) -> SwapsWorld:
    """Run one seed to its end; `failure` of the returned world is what went wrong."""
    world = simulate_documents(
        seed, faults or plan_for(seed), workload=three_clients, world_type=SwapsWorld
    )
    assert isinstance(world, SwapsWorld)
    return world
