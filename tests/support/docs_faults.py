"""The faults of the simulation of documents: which kinds a seed meets, which parts come late."""

import random
from typing import TYPE_CHECKING

from tests.support.sim_calls import TIMEOUT_S
from tests.support.sim_faults import CRASHES, NET, FaultPlan, FaultPoint as F

if TYPE_CHECKING:
    from tests.support.docs_world import DocsWorld, Process


def plan_for(seed: int) -> FaultPlan:
    """Return the faults of a seed: each style leaves some kinds out."""
    chance = random.Random(f"documents {seed}")
    net: dict[F, float] = {k: v * 2 for k, v in NET.items() if k is not F.REQUEST_LATE}
    late = {F.REQUEST_LATE: 0.08}
    nodes: dict[F, float] = {F.NODE_CRASHED: 0.15, F.NODE_UNREACHABLE: 0.05}
    nodes[F.NODE_CRASHED_AFTER_WORK] = 0.03
    crashes: dict[F, float] = {k: v for k, v in CRASHES.items() if k is not F.MIROIR_PAUSED}
    tasks: dict[F, float] = {F.TASK_FAILED: 0.04, F.TASK_SLOW: 0.04}
    styles: tuple[tuple[str, dict[F, float]], ...] = (
        ("calm", {}),
        ("network", {**net, **late}),
        ("nodes", nodes),
        ("tasks", {**tasks, **nodes}),
        ("crashes", {k: v * 3 for k, v in crashes.items()}),
        ("store", {F.STORE_SLOW: 0.05}),
        ("all", {**net, **nodes, **tasks, **crashes}),
        ("no refusals", {**net, **nodes, **crashes, F.TASK_SLOW: 0.05}),
    )
    style, rates = styles[seed % len(styles)]
    return FaultPlan(style, chance, rates, budget=40)


class LateParts:
    """
    The plan of faults, as the network asks it: late is only what Miroir can repair.

    A part that comes late to the last replica of a shard lies over later ones for ever, and a late
    change of an index is met by the settings simulation. So only parts of writes are late, one at
    a time, and only where a sibling is in sync that nothing else happens to meanwhile: not even a
    lost answer to a health check, or an index that is made anew is without it.
    """

    def __init__(self, world: "DocsWorld", process: "Process") -> None:
        self._world = world
        self._process = process

    def strikes(self, point: F, what: str = "") -> bool:
        """See `FaultPlan.strikes`."""
        world = self._world
        if what in world.late_calls:
            return world.faults.strikes(point, what)
        if world.loop.time() < world.late_until_s:
            return False
        if point is F.REQUEST_LATE and not (what == "send" and self._has_siblings()):
            return False
        if not world.faults.strikes(point, what):
            return False
        if point is F.REQUEST_LATE:
            world.late_until_s = world.loop.time() + 5 * TIMEOUT_S
        return True

    def _has_siblings(self) -> bool:
        view = self._process.services.common.cluster.view
        lagging = any(index.out_of_sync for index in view.indexes.values())
        return not lagging and all(len(column) > 1 for column in view.topology.columns)
