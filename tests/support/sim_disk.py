"""
What a simulated node keeps on its disk: indexes, tasks, API keys and features, as values.

What it does with them is `sim_node`'s; nothing here knows time, chance or faults.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from miroir.core.topology import IndexUid
from miroir.ports.node import NodeTask
from tests.support.sim_engine import Stored, task_details


@dataclass
class SimIndex:
    """
    One index.

    Attributes:
        shown: Answer to GET.
        truth: What is served, as bytes: equal means equal.
    """

    primary_key: str | None
    stored: Stored
    shown: Mapping[str, Any]
    truth: bytes


@dataclass(frozen=True)
class SimTask:
    """
    One task.

    Attributes:
        index_uid: Empty for a swap, which is a task of no index.
        origin: `own` (Miroir waits for the answer), `late` (it no longer does), `foreign`.
        status: As a node has it; `deleted` for one that the list no longer shows.
        may_create: Whether a settings task makes an index that is missing.
    """

    uid: int
    index_uid: str
    type: str
    body: Mapping[str, Any]
    origin: str
    status: str = "enqueued"
    error: Mapping[str, Any] | None = None
    enqueued_at: str | None = None
    may_create: bool = True

    def as_port(self) -> NodeTask:
        index_uid = IndexUid(self.index_uid) if self.index_uid else None
        return NodeTask(
            self.uid,
            index_uid,
            self.type,
            self.status,
            self.error,
            task_details(self.type, self.body),
            enqueued_at=self.enqueued_at,
        )


@dataclass
class Disk:
    """What survives a crash."""

    indexes: dict[str, SimIndex] = field(default_factory=dict)
    tasks: list[SimTask] = field(default_factory=list)
    keys: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    features: dict[str, bool] = field(default_factory=dict)

    def copy(self) -> "Disk":
        indexes = {uid: replace(i) for uid, i in self.indexes.items()}
        return Disk(indexes, list(self.tasks), dict(self.keys), dict(self.features))
