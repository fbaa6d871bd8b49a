"""
One run: a seed makes a cluster, a fault plan and clients; the checker watches; then all must end.

    clients and faults ─▶ faults stop, nodes heal ─▶ everything open ends within a bound
      ─▶ every node is proved ─▶ equal settings send nothing ─▶ a floor is met ─▶ it stays quiet

`simulate(seed)` returns an `Outcome`; a failed one carries the log and the command to repeat it.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import structlog

from tests.support.sim_clients import Clients
from tests.support.sim_ends import Ends
from tests.support.sim_faults import FaultPlan, FaultPoint, plan_for
from tests.support.sim_world import World
from tests.support.virtual_loop import VirtualLoop, run_virtual


@dataclass(frozen=True)
class Outcome:
    """
    What became of a run.

    Attributes:
        failure: The broken invariant, or None.
        simulated_s: Virtual seconds.
        notes: Counts of what happened, e.g. `commit`.
    """

    seed: int
    style: str
    failure: str | None
    log: tuple[str, ...]
    hits: Mapping[FaultPoint, int]
    simulated_s: float
    notes: Mapping[str, int]

    @property
    def digest(self) -> str:
        """SHA-256 of the log: the same for the same seed."""
        return hashlib.sha256("\n".join(self.log).encode()).hexdigest()

    def report(self, lines: int = 150) -> str:
        """Return what a reader needs: the failure, the command, the end of the log."""
        command = f"python -m tests.simulation --seeds 1 --start {self.seed} --log"
        tail = "\n".join(self.log[-lines:] if lines else ())
        return f"seed {self.seed} ({self.style}): {self.failure}\nrepeat: {command}\n{tail}"


def simulate(seed: int, *, plan: FaultPlan | None = None) -> Outcome:
    """Run one seed to its end, or to the first broken invariant."""
    faults = plan or plan_for(seed)
    runs: list[_Run] = []

    async def main(loop: VirtualLoop) -> None:
        runs.append(_Run(World(loop, seed, faults)))
        await runs[0].to_the_end()

    failure: str | None = None
    with _LogsInto(runs):
        try:
            run_virtual(main, seed=seed)
        except Exception as error:  # noqa: BLE001 - reported with the seed
            failure = f"{type(error).__name__}: {error}"
    assert runs, failure
    world = runs[0].world
    return Outcome(
        seed=seed,
        style=faults.style,
        failure=world.failure or failure,
        log=tuple(world.log),
        hits=dict(faults.hits),
        simulated_s=world.loop.time(),
        notes=dict(runs[0].clients.counts),
    )


class _LogsInto:
    """Sends the services' log lines to the run: into its log, and past the checker."""

    def __init__(self, runs: list["_Run"]) -> None:
        self._runs = runs

    def __enter__(self) -> None:
        structlog.configure(processors=[self._take], cache_logger_on_first_use=False)

    def __exit__(self, *_: object) -> None:
        structlog.reset_defaults()

    def _take(self, _logger: Any, _method: str, event: Any) -> Any:
        if self._runs:
            self._runs[0].world.written(orjson.dumps(event, default=repr).decode())
        raise structlog.DropEvent


class _Run:
    """One world with its clients."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.clients = Clients(world)

    async def to_the_end(self) -> None:
        """Run everything; end early when an invariant breaks."""
        world = self.world
        work = asyncio.ensure_future(self._everything())
        failed = asyncio.ensure_future(world.failed.wait())
        try:
            await asyncio.wait({work, failed}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            work.cancel()
            failed.cancel()
            world.loop.after_round = lambda: None
            for process in world.processes:
                process.alive = False

    async def _everything(self) -> None:
        world = self.world
        weather = asyncio.ensure_future(world.weather.run())
        await self.clients.run()
        world.note("the faults stop")
        world.heal()
        await Ends(world, self.clients).come()
        weather.cancel()
