"""
API keys and features of a simulated cluster that somebody changes behind Miroir's back: scenes.

Real services, simulated nodes, no chance; the checker of the settings simulation watches.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from miroir.core.commons import KEYS
from miroir.errors import NotEverywhere
from miroir.telemetry import Metrics
from tests.support import sim_process
from tests.support.sim_choices import SWEEP_S
from tests.support.sim_faults import FaultPlan
from tests.support.sim_world import World
from tests.support.virtual_loop import VirtualLoop, run_virtual

TWO_NODES = 3


def played(scene: Callable[[World], Awaitable[None]], monkeypatch: pytest.MonkeyPatch) -> Metrics:
    """Play a scene on a cluster whose first keys are committed; return what was counted."""
    metrics = Metrics()
    monkeypatch.setattr(sim_process, "_METRICS", metrics)

    async def main(loop: VirtualLoop) -> None:
        plan = FaultPlan("random", random.Random(0), {})
        world = World(loop, TWO_NODES, plan)
        await asyncio.sleep(2.0)
        assert world.checker.commons.latest(KEYS), "the first keys are there by now"
        await scene(world)
        assert world.failure is None, world.failure
        for process in world.processes:
            process.alive = False

    run_virtual(main, seed=TWO_NODES)
    return metrics


def counted(metrics: Metrics, line: str) -> bool:
    return line in metrics.exposition().decode()


def test_a_key_that_somebody_deletes_on_a_node_is_made_again_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody looks at logs at night; what is alerted on is a counter."""

    async def scene(world: World) -> None:
        node = next(iter(world.nodes.values()))
        uid = min(world.checker.commons.latest(KEYS))
        node.commons.set(uid, None, "foreign")
        await asyncio.sleep(1.5 * SWEEP_S)
        assert uid in node.disk.keys

    metrics = played(scene, monkeypatch)

    assert counted(metrics, 'miroir_commons_drift_detected_total{object="keys"} 1.0')
    repaired = 'miroir_commons_drift_repair_total{object="keys",result="repaired"} 1.0'
    assert counted(metrics, repaired)


def test_the_repair_of_one_node_does_not_put_off_that_of_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One sweep finds what is wrong on all of them: each sweep more is a node that differs."""

    async def scene(world: World) -> None:
        nodes = list(world.nodes.values())
        before = [node.commons.features() for node in nodes]
        for node in nodes:
            node.commons.switch({"containsFilter": True}, "foreign")
        await asyncio.sleep(1.5 * SWEEP_S)
        assert len(nodes) > 1
        assert [node.commons.features() for node in nodes] == before

    played(scene, monkeypatch)


def test_repairs_that_do_not_hold_are_given_up_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A tool with its own idea of a feature would be fought for ever."""

    async def scene(world: World) -> None:
        node = next(iter(world.nodes.values()))
        for _ in range(60):
            node.commons.switch({"metrics": True}, "foreign")
            await asyncio.sleep(1.0)

    metrics = played(scene, monkeypatch)

    given_up = 'miroir_commons_drift_repair_total{object="features",result="given_up"} 1.0'
    assert counted(metrics, given_up)


def test_a_node_with_another_master_key_is_no_fault_of_the_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its 403 is for Miroir; the client would look for what is wrong with its own key."""

    async def scene(world: World) -> None:
        node = next(iter(world.nodes.values()))
        node.locked = True
        body = {"actions": ["search"], "indexes": ["*"], "expiresAt": None}
        with pytest.raises(NotEverywhere):
            await world.process.ask(lambda s: s.settings.commons.ring.create(body))

    played(scene, monkeypatch)
