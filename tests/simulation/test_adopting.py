"""
An index in mode `adopt` whose Miroir dies between finding a foreign change and adopting it.

Real services, simulated nodes, no chance; the checker of the settings simulation watches.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from miroir.config import Config
from miroir.core.topology import IndexUid
from tests.support.sim_choices import Choices
from tests.support.sim_faults import FaultPlan
from tests.support.sim_world import World
from tests.support.virtual_loop import VirtualLoop, run_virtual

MOVIES = IndexUid("movies")
SEED = 3
PATCH = {"stopWords": ["theirs"]}


@pytest.fixture(autouse=True)
def adopting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configure mode `adopt`, and restarts that take no time."""
    configured = Choices.config

    def config(self: Choices) -> Config:
        whole = configured(self)
        check = whole.settings_drift_check.model_copy(update={"modes": {"movies": "adopt"}})
        return whole.model_copy(update={"settings_drift_check": check})

    monkeypatch.setattr(Choices, "config", config)


async def until(true: Callable[[], Any]) -> None:
    """Wait in the simulated time; what never comes true ends the run."""
    for _ in range(4000):
        if true():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it does not come true")


def played(scene: Callable[[World], Awaitable[None]]) -> None:
    """Play a scene on a cluster."""

    async def main(loop: VirtualLoop) -> None:
        world = World(loop, SEED, FaultPlan("random", random.Random(0), {}))
        await until(lambda: world.process.serves)
        await scene(world)
        assert world.failure is None, world.failure
        for process in world.processes:
            process.alive = False

    run_virtual(main, seed=SEED)


def test_a_foreign_change_that_was_found_before_a_restart_is_adopted_after_it() -> None:
    """Who chose this mode has changed one node on purpose, and finds it undone."""

    async def scene(world: World) -> None:
        await world.process.ask(lambda s: s.settings.lifecycle.create_index(MOVIES, None))
        tables, nodes = world.store._tables, list(world.nodes.values())

        def proved() -> int:
            rows = tables.versions.items()
            return sum(uid == MOVIES and bool(v.version) for (uid, _), v in rows)

        await until(lambda: proved() == len(nodes))
        nodes[0].handle_settings_patch(MOVIES, PATCH, "foreign")
        await until(lambda: proved() < len(nodes))
        world.process.die("in the very moment")

        await until(lambda: tables.indexes[MOVIES].version == 2 and proved() == len(nodes))
        for node in nodes:
            assert node.disk.indexes[MOVIES].shown["stopWords"] == ["theirs"]

    played(scene)
