"""
What can go wrong in a simulated cluster, and a seeded plan of when it does.

Every fault there is has one name, in one enum; a run counts which were hit, and the suite demands
that all of them are. A plan answers "now?" at each place where a fault could happen: that is the
only way in which chance reaches a run. `stop()` ends all faults, for the liveness part.
"""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class FaultPoint(StrEnum):
    """Every fault that a run can meet."""

    REQUEST_LOST = "a request never reaches its node"
    REQUEST_RESET = "a connection is refused or reset before the request"
    REQUEST_LATE = "a request reaches its node after the caller has given up"
    ANSWER_LOST = "the node has acted, the answer is lost"
    ANSWER_SLOW = "the answer takes long"
    BODY_SLOW = "the body of a request comes slowly, long after its head was authorised"
    READ_OVERTAKEN = "a read-back shows what was there before a batch that ends meanwhile"
    HEALTH_FLAPPED = "a health call fails though the node works"
    ANSWERS_CUT = "requests reach a node, its answers get lost, for long"
    SEARCH_REFUSED = "a node has too many searches to take one more"
    NODE_CRASHED = "a node crashes and is started again"
    NODE_CRASHED_AFTER_WORK = "a node crashes between applying a batch and noting it"
    NODE_UNREACHABLE = "a node is cut off for long"
    NODE_STOPPED = "a node stands still and goes on later with all it was asked"
    NODE_RESTORED = "a node comes back with an older snapshot: settings and task uids go back"
    NODE_REPLACED = "a node comes back with an empty disk"
    NODE_UPGRADED = "a node comes back with a newer engine"
    NODE_LOCKED = "a node comes back with another master key, for a while"
    NODE_CRASHED_IN_CALL = "a node crashes with a request in its queue, before it answers"
    SCHEDULER_STUCK = "a node answers and works on nothing until it is started again"
    DISK_FULL = "a node refuses what is valid: no space left on its disk"
    TASK_FAILED = "a node fails a task that is valid"
    TASK_SLOW = "a node takes long for a task"
    SETTING_NOT_APPLIED = "a node reports success and has not applied"
    QUEUE_BUSY = "documents of somebody else are queued before a change"
    DOCUMENTS_BEHIND = "documents are queued behind a change, and done long after it"
    NEIGHBOUR_FAILED = "somebody's bad settings are in one batch with ours, and both fail"
    PROBE_SLOW = "the probe's task waits for longer than its caller"
    PROBE_NODE_CRASHED = "a node crashes with a probe in its queue"
    PROBE_INDEX_DELETED = "somebody deletes the probe index of a node"
    FOREIGN_PATCH = "somebody changes settings of one node behind Miroir's back"
    FOREIGN_TOOL = "a tool sets its own settings on one node again and again"
    FOREIGN_PATCH_EVERYWHERE = "somebody makes the same change on every node"
    FOREIGN_SWAP = "somebody swaps two indexes of one node"
    FOREIGN_KEY = "somebody makes, changes or deletes an API key of one node"
    FOREIGN_FEATURE = "somebody switches an experimental feature of one node"
    FOREIGN_CANCEL = "somebody cancels our tasks"
    FOREIGN_TASK_DELETION = "somebody deletes our tasks from the list of a node"
    INDEX_DELETED_BEHIND = "somebody deletes an index of one node"
    MIROIR_CRASHED_BEFORE_WRITE = "Miroir dies before a store write"
    MIROIR_CRASHED_AFTER_WRITE = "Miroir dies after a store write"
    MIROIR_CRASHED_BEFORE_CALL = "Miroir dies before a call to a node"
    MIROIR_CRASHED_IN_CALL = "Miroir dies while a node has its request"
    MIROIR_CRASHED_AFTER_CALL = "Miroir dies after a node has answered"
    MIROIR_PAUSED = "Miroir is paused, another takes over, the first goes on"
    CLOCK_JUMPED = "the wall clock jumps past the lease"
    CLOCK_WENT_BACK = "the wall clock goes back"
    LEASE_STOLEN = "another process holds a lease for a while"
    STORE_SLOW = "a store call takes long"
    STORE_FAILED = "a store call fails, and has done nothing"


F = FaultPoint

NET: Mapping[FaultPoint, float] = {
    F.REQUEST_LOST: 0.01,
    F.REQUEST_RESET: 0.01,
    F.REQUEST_LATE: 0.004,
    F.ANSWER_LOST: 0.012,
    F.ANSWER_SLOW: 0.02,
    F.BODY_SLOW: 0.03,
    F.READ_OVERTAKEN: 0.3,
    F.HEALTH_FLAPPED: 0.01,
    F.SEARCH_REFUSED: 0.01,
}
TASKS: Mapping[FaultPoint, float] = {
    F.TASK_FAILED: 0.02,
    F.TASK_SLOW: 0.08,
    F.SETTING_NOT_APPLIED: 0.02,
    F.NODE_CRASHED_AFTER_WORK: 0.03,
    F.NODE_CRASHED_IN_CALL: 0.02,
    F.DISK_FULL: 0.015,
    F.QUEUE_BUSY: 0.03,
    F.DOCUMENTS_BEHIND: 0.03,
    F.NEIGHBOUR_FAILED: 0.03,
    F.FOREIGN_CANCEL: 0.02,
    F.FOREIGN_TASK_DELETION: 0.03,
    F.PROBE_SLOW: 0.05,
    F.PROBE_NODE_CRASHED: 0.02,
}
CRASHES: Mapping[FaultPoint, float] = {
    F.MIROIR_CRASHED_BEFORE_WRITE: 0.004,
    F.MIROIR_CRASHED_AFTER_WRITE: 0.006,
    F.MIROIR_CRASHED_BEFORE_CALL: 0.0006,
    F.MIROIR_CRASHED_IN_CALL: 0.0006,
    F.MIROIR_CRASHED_AFTER_CALL: 0.0006,
    F.MIROIR_PAUSED: 0.002,
}
STORE: Mapping[FaultPoint, float] = {F.STORE_SLOW: 0.03, F.STORE_FAILED: 0.004}
EVENTS: Mapping[FaultPoint, float] = {
    F.NODE_CRASHED: 0.05,
    F.NODE_UNREACHABLE: 0.02,
    F.NODE_STOPPED: 0.025,
    F.NODE_RESTORED: 0.015,
    F.NODE_REPLACED: 0.006,
    F.NODE_UPGRADED: 0.012,
    F.NODE_LOCKED: 0.008,
    F.ANSWERS_CUT: 0.015,
    F.SCHEDULER_STUCK: 0.01,
    F.PROBE_INDEX_DELETED: 0.015,
    F.FOREIGN_SWAP: 0.012,
    F.INDEX_DELETED_BEHIND: 0.01,
    F.FOREIGN_PATCH: 0.06,
    F.FOREIGN_PATCH_EVERYWHERE: 0.015,
    F.FOREIGN_TOOL: 0.004,
    F.FOREIGN_KEY: 0.02,
    F.FOREIGN_FEATURE: 0.015,
    F.CLOCK_JUMPED: 0.01,
    F.CLOCK_WENT_BACK: 0.01,
    F.LEASE_STOLEN: 0.015,
}
"""Chance of each per place; those in EVENTS per second and cluster."""


@dataclass
class FaultPlan:
    """
    When which fault strikes.

    Attributes:
        style: One of `STYLES`.
        rates: Fault -> chance at each place.
        target: In style `targeted`: the one place (fault, what, how many times passed over).
        hits: How often each fault has struck.
        budget: How many more may strike.
    """

    style: str
    chance: random.Random
    rates: dict[FaultPoint, float]
    target: tuple[FaultPoint, str, int] | None = None
    hits: Counter[FaultPoint] = field(default_factory=Counter)
    budget: int = 40
    active: bool = True

    def strikes(self, point: FaultPoint, what: str = "") -> bool:
        """Whether the fault happens here and now; `what` names the place, e.g. `save_intent`."""
        if not self.active or self.budget <= 0:
            return False
        if self.target is not None and self.target[:2] == (point, what):
            point_, what_, left = self.target
            self.target = (point_, what_, left - 1) if left else None
            return left == 0 and self._hit(point)
        rate = self.rates.get(point, 0.0)
        return rate > 0 and self.chance.random() < rate and self._hit(point)

    def may_strike(self, point: FaultPoint) -> bool:
        """Whether this plan has the fault at all."""
        return self.rates.get(point, 0.0) > 0

    def _hit(self, point: FaultPoint) -> bool:
        self.hits[point] += 1
        self.budget -= 1
        return True

    def stop(self) -> None:
        """Nothing goes wrong from now on."""
        self.active = False


STYLES = (
    "calm", "random", "targeted", "network", "nodes", "crashes", "targeted", "random",
    "stubborn", "behind", "random", "upgrade", "neighbours", "silent",
)  # fmt: skip
_WRITES = (
    "open_intent", "accept_intent", "start_intent", "save_intent", "commit", "unprove", "prove",
    "take_lease", "release_lease", "freeze", "keep_expected", "expected", "open_task",
)  # fmt: skip
_CALLS = (
    "patch_settings", "read_settings", "tasks", "create_index", "delete_index", "index",
    "change_commons", "read_commons",
)  # fmt: skip


def plan_for(seed: int) -> FaultPlan:
    """Return the plan of a seed; the style goes round with the seed, so that all are met."""
    chance = random.Random(f"faults {seed}")
    style = STYLES[seed % len(STYLES)]
    match style:
        case "calm":
            return FaultPlan(style, chance, {})
        case "network":
            rates = {k: v * 4 for k, v in NET.items()} | dict(STORE) | {F.TASK_SLOW: 0.05}
            return FaultPlan(style, chance, rates, budget=60)
        case "stubborn":  # Nodes that say yes and do no.
            rates = {F.TASK_FAILED: 0.2, F.SETTING_NOT_APPLIED: 0.15, F.NODE_STOPPED: 0.02}
            return FaultPlan(style, chance, rates, budget=25)
        case "behind":  # Much goes on behind Miroir's back.
            rates = {
                F.FOREIGN_PATCH: 0.15,
                F.FOREIGN_PATCH_EVERYWHERE: 0.15,
                F.FOREIGN_TOOL: 0.03,
                F.FOREIGN_KEY: 0.08,
                F.FOREIGN_FEATURE: 0.05,
                F.NODE_RESTORED: 0.03,
                F.TASK_SLOW: 0.1,
            }
            return FaultPlan(style, chance, rates, budget=30)
        case "upgrade":  # One node after the other, and nothing else: no reason to repair.
            return FaultPlan(style, chance, {F.NODE_UPGRADED: 0.12, F.TASK_SLOW: 0.05}, budget=8)
        case "neighbours":  # Who else uses the nodes, and what stands in their queues.
            kinds = (
                F.QUEUE_BUSY, F.DOCUMENTS_BEHIND, F.NEIGHBOUR_FAILED,
                F.FOREIGN_CANCEL, F.FOREIGN_TASK_DELETION,
                F.PROBE_SLOW, F.PROBE_INDEX_DELETED, F.FOREIGN_SWAP, F.READ_OVERTAKEN,
            )  # fmt: skip
            everything = {**NET, **TASKS, **EVENTS}
            return FaultPlan(style, chance, {k: everything[k] * 3 for k in kinds}, budget=25)
        case "silent":  # Few things happen, each for long: who is waited for, and who left behind?
            rates = {F.NODE_UNREACHABLE: 0.1, F.NODE_STOPPED: 0.1, F.ANSWERS_CUT: 0.08}
            return FaultPlan(style, chance, rates | {F.TASK_SLOW: 0.1}, budget=8)
        case "nodes":
            return FaultPlan(style, chance, {**TASKS, **EVENTS}, budget=30)
        case "crashes":
            rates = {k: v * 3 for k, v in CRASHES.items()} | {F.TASK_SLOW: 0.1}
            return FaultPlan(style, chance, rates, budget=12)
        case "targeted":
            return FaultPlan(style, chance, _few(chance), target=_target(chance), budget=6)
        case _:
            share = chance.choice((0.3, 1.0, 2.0))
            rates = {**NET, **TASKS, **CRASHES, **STORE, **EVENTS}
            return FaultPlan(style, chance, {k: v * share for k, v in rates.items()})


def _few(chance: random.Random) -> dict[FaultPoint, float]:
    """One or two kinds of fault of nodes and network, next to the target."""
    everything = {**NET, **TASKS, **EVENTS}
    return {point: everything[point] * 2 for point in chance.sample(sorted(everything), 2)}


def _target(chance: random.Random) -> tuple[FaultPoint, str, int]:
    """Exactly this place, after it was passed a few times."""
    at_write = (
        F.MIROIR_CRASHED_BEFORE_WRITE,
        F.MIROIR_CRASHED_AFTER_WRITE,
        F.MIROIR_PAUSED,
        F.STORE_SLOW,
        F.STORE_FAILED,
    )
    at_call = (
        F.MIROIR_CRASHED_BEFORE_CALL,
        F.MIROIR_CRASHED_IN_CALL,
        F.MIROIR_CRASHED_AFTER_CALL,
        F.ANSWER_LOST,
        F.REQUEST_LATE,
        F.NODE_CRASHED_IN_CALL,
    )
    if chance.random() < 0.65:
        return chance.choice(at_write), chance.choice(_WRITES), chance.randrange(12)
    return chance.choice(at_call), chance.choice(_CALLS), chance.randrange(12)
