"""
Foreign changes at moments when they are hard to see: Miroir is down, or makes the index.

Real services, simulated nodes, no chance; the checker of the settings simulation watches.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from miroir.config import Config
from miroir.core.topology import IndexUid
from tests.support.sim_choices import SWEEP_S, Choices
from tests.support.sim_faults import FaultPlan
from tests.support.sim_world import World
from tests.support.virtual_loop import VirtualLoop, run_virtual

MOVIES, BOOKS = IndexUid("movies"), IndexUid("books")
SEED = 3
PATCH = {"stopWords": ["theirs"]}


@pytest.fixture(autouse=True)
def adopting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configure mode `adopt` for movies."""
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


def in_use(world: World, index_uid: IndexUid) -> set[str]:
    """Return the nodes that are proved for an index, by the store."""
    rows = world.store._tables.versions.items()
    return {str(node) for (uid, node), v in rows if uid == index_uid and v.version}


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
            return len(in_use(world, MOVIES))

        await until(lambda: proved() == len(nodes))
        nodes[0].handle_settings_patch(MOVIES, PATCH, "foreign")
        await until(lambda: proved() < len(nodes))
        world.process.die("in the very moment")

        await until(lambda: tables.indexes[MOVIES].version == 2 and proved() == len(nodes))
        for node in nodes:
            assert node.disk.indexes[MOVIES].shown["stopWords"] == ["theirs"]

    played(scene)


def test_nodes_changed_while_miroir_was_down_are_repaired_after_one_look_at_each() -> None:
    """The repair of the first must not put off the others by a sweep: they are in use."""

    async def scene(world: World) -> None:
        await world.process.ask(lambda s: s.settings.lifecycle.create_index(BOOKS, None))
        nodes = list(world.nodes.values())
        await until(lambda: len(in_use(world, BOOKS)) == len(nodes) > 1)
        world.process.die("maintenance")
        for node in nodes:
            node.handle_settings_patch(BOOKS, PATCH, "foreign")
        died = world.process
        await until(lambda: world.process is not died and world.process.serves)
        began_s = world.loop.time()

        await until(lambda: all(not n.disk.indexes[BOOKS].shown["stopWords"] for n in nodes))
        assert world.loop.time() - began_s < SWEEP_S / 2
        await until(lambda: len(in_use(world, BOOKS)) == len(nodes))

    played(scene)


def test_a_foreign_change_of_an_index_that_is_being_made_is_found_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The task lists are read before the index is ours; what is in them takes effect later."""

    def slow(kind: str, seconds: float) -> Callable[[Any], float]:
        taken_s = iter([seconds])  # By the first of its kind; a repair is quick.
        wanted = (BOOKS, kind)
        return lambda t: next(taken_s, 0.01) if (t.index_uid, t.type) == wanted else 0.01

    async def scene(world: World) -> None:
        changed, behind = list(world.nodes.values())[:2]
        monkeypatch.setattr(behind, "_duration_s", slow("indexCreation", 5.0))
        monkeypatch.setattr(changed, "_duration_s", slow("settingsUpdate", 7.0))
        making = world.process.ask(lambda s: s.settings.lifecycle.create_index(BOOKS, None))
        task = asyncio.ensure_future(making)
        await until(lambda: BOOKS in changed.disk.indexes)
        changed.handle_settings_patch(BOOKS, PATCH, "foreign")

        def mixed() -> bool:
            foreign = changed.disk.indexes[BOOKS].shown["stopWords"] == ["theirs"]
            return foreign and str(changed.node_id) in in_use(world, BOOKS)

        await until(lambda: len(in_use(world, BOOKS)) == len(world.nodes))  # Committed.
        for _ in range(350):
            assert not mixed()
            await asyncio.sleep(0.01)
        assert world.loop.time() < SWEEP_S
        await until(lambda: len(in_use(world, BOOKS)) == len(world.nodes))
        await task

    played(scene)
