"""
What a whole history says about versions, markers and tasks: tables that every judge looks into.

Built once from a finished history; decides nothing.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property

from tests.soak.history import (
    ENDED,
    Change,
    Disturbance,
    Foreign,
    History,
    NodeTask,
    Setup,
    TaskSeen,
    Version,
)

SLACK_S = 0.01
"""Moments that servers tell are cut to a millisecond, and clocks are read one after the other."""


class Book:
    """
    Tables of one history.

    Attributes:
        setup: What the run was made of.
        versions: By index, then by version.
        by_task: The version that a task has made.
        shard_of: The shard of each node.
    """

    def __init__(self, history: History) -> None:
        (self.setup,) = history.of(Setup)
        self._history = history
        self.versions: dict[str, dict[int, Version]] = defaultdict(dict)
        self.by_task: dict[int, Version] = {}
        for version in history.of(Version):
            self.versions[version.index][version.version] = version
            if version.task is not None:
                self.by_task[version.task] = version
        self.shard_of = {
            node: shard for shard, column in enumerate(self.setup.columns) for node in column
        }

    @cached_property
    def endings(self) -> dict[int, list[TaskSeen]]:
        """Every look at a task that found it ended, or not at all; in the order of looking."""
        found: dict[int, list[TaskSeen]] = defaultdict(list)
        for seen in sorted(self._history.of(TaskSeen), key=lambda seen: seen.at_s):
            if seen.status in ENDED or seen.status == "missing":
                found[seen.task].append(seen)
        return found

    def status(self, task: int | None) -> str | None:
        """Return how a task ended by the last look; None: it did not, or there is none."""
        looks = self.endings.get(task, []) if task is not None else []
        return looks[-1].status if looks else None

    @cached_property
    def foreign_tasks(self) -> dict[tuple[str, int], list[NodeTask]]:
        """By index and marker: the tasks in which nodes did what somebody else asked for."""
        foreign = {(f.index, f.marker) for f in self._history.of(Foreign)}
        found: dict[tuple[str, int], list[NodeTask]] = defaultdict(list)
        for task in self._history.of(NodeTask):
            if task.marker is not None and (task.index, task.marker) in foreign:
                found[task.index, task.marker].append(task)
        return found

    def effective_s(self, index: str, marker: int, shard: int) -> float | None:
        """Return when a foreign marker first was in force on a node of a shard; None: never."""
        tasks = self._in_force(index, marker, shard)
        return min((t.finished_s for t in tasks if t.finished_s is not None), default=None)

    def changed_by_others(self, index: str, marker: int, shard: int) -> set[str]:
        """Return the nodes of a shard on which a foreign marker was in force."""
        return {task.node for task in self._in_force(index, marker, shard)}

    def _in_force(self, index: str, marker: int, shard: int) -> list[NodeTask]:
        return [
            task
            for task in self.foreign_tasks.get((index, marker), [])
            if task.status == "succeeded" and self.shard_of[task.node] == shard
        ]

    def is_foreign(self, index: str, marker: int) -> bool:
        """Whether somebody else set this marker on a node."""
        return (index, marker) in self._foreign

    @cached_property
    def _foreign(self) -> set[tuple[str, int]]:
        return {(f.index, f.marker) for f in self._history.of(Foreign)}

    @cached_property
    def failed_markers(self) -> dict[tuple[str, int], Change]:
        """Markers of changes that did not come about: refused, or ended in failure."""
        return {
            (change.index, change.marker): change
            for change in self._history.of(Change)
            if change.marker is not None and self.came_to_nothing(change)
        }

    def came_to_nothing(self, change: Change) -> bool:
        """Whether the client was told for certain that nothing has come of a change."""
        if change.status is None or change.status >= 500:
            return False
        return change.status != 202 or self.status(change.task) in {"failed", "canceled"}

    @cached_property
    def _converged(self) -> dict[str, tuple[list[float], list[int]]]:
        tables: dict[str, tuple[list[float], list[int]]] = {}
        for index, versions in self.versions.items():
            ends = sorted(
                (v.ended_s, v.version) for v in versions.values() if v.ended_s is not None
            )
            moments: list[float] = []
            newest: list[int] = []
            for moment, version in ends:
                moments.append(moment)
                newest.append(max(version, newest[-1] if newest else 0))
            tables[index] = (moments, newest)
        return tables

    def over_before(self, index: str, at_s: float) -> int:
        """Return the version that every node in use had reached by then."""
        moments, newest = self._converged.get(index, ([], []))
        place = bisect_right(moments, at_s - SLACK_S)
        return newest[place - 1] if place else 0

    @cached_property
    def _deafness(self) -> dict[str, list[Disturbance]]:
        found: dict[str, list[Disturbance]] = defaultdict(list)
        for disturbance in self._history.of(Disturbance):
            if disturbance.hearing:
                found[disturbance.on].append(disturbance)
        return found

    def heard_since_s(self, nodes: Iterable[str], from_s: float, until_s: float) -> float:
        """Return from when on, in a time, Miroir and these nodes can hear of each other."""
        since_s = from_s
        for name in (*nodes, "miroir"):
            for deaf in self._deafness.get(name, []):
                if deaf.from_s < until_s and deaf.until_s > from_s:
                    since_s = max(since_s, min(deaf.until_s, until_s))
        return since_s
