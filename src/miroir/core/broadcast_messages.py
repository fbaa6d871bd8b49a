"""
What is said to the machine of a settings change, and what it orders: events and commands.

Only values stand here, and none of them is stored; what follows from what is in `broadcast.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from miroir.core.topology import NodeId

# Events: what happened, in the past tense; but for Begin, which the leader says.


@dataclass(frozen=True)
class Begin:
    """The leader takes the change up, for the first time or after a crash or another leader."""

    down: frozenset[NodeId] = frozenset()


@dataclass(frozen=True)
class Refused:
    """The target is not valid; nobody was promised anything."""

    error: Mapping[str, Any]


@dataclass(frozen=True)
class Probed:
    """The probe has shown its read-back; empty where it could not be asked."""

    expected: Mapping[str, str]


@dataclass(frozen=True)
class ProbeRefused:
    """The probe said no, or its task failed, before a live node was touched."""

    error: Mapping[str, Any]


@dataclass(frozen=True)
class Drained:
    """No search of before runs on the wave any more, or it is not waited for any longer."""

    round: int


@dataclass(frozen=True)
class PatchAccepted:
    """The node has queued our patch."""

    node_id: NodeId
    round: int
    task_uid: int


@dataclass(frozen=True)
class PatchRejected:
    """The node said no to the patch and did nothing."""

    node_id: NodeId
    round: int
    error: Mapping[str, Any]


@dataclass(frozen=True)
class PatchUnanswered:
    """No answer to the patch, or its task can no longer be found; it may have been applied."""

    node_id: NodeId
    round: int


@dataclass(frozen=True)
class TaskEnded:
    """The node's task has ended; with an error if it failed."""

    node_id: NodeId
    round: int
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class SettingsRead:
    """The node's settings were read back and judged; no faults = they are what they should be."""

    node_id: NodeId
    round: int
    fingerprint: str
    engine: str
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReadFailed:
    """The node could not be read."""

    node_id: NodeId
    round: int


@dataclass(frozen=True)
class NodeSilent:
    """The node has made no progress for `node_silence_s`."""

    node_id: NodeId


@dataclass(frozen=True)
class BackoffElapsed:
    """The pause before the next round is over."""

    round: int


@dataclass(frozen=True)
class CanaryJudged:
    """The golden queries were answered; with an error where they do not hold."""

    error: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class CommitDoubted:
    """
    Nodes have a change that is not ours, newer than ours: what was read is no evidence.

    `doubts` is that of the order; an answer to an older order is late.
    """

    node_ids: frozenset[NodeId]
    doubts: int


@dataclass(frozen=True)
class VersionCommitted:
    """The store has taken the commit; once per intent, however often it was asked."""

    version: int


@dataclass(frozen=True)
class Frozen:
    """The index is frozen."""


Event = (
    Begin
    | Refused
    | Probed
    | ProbeRefused
    | Drained
    | PatchAccepted
    | PatchRejected
    | PatchUnanswered
    | TaskEnded
    | SettingsRead
    | ReadFailed
    | NodeSilent
    | BackoffElapsed
    | CanaryJudged
    | CommitDoubted
    | VersionCommitted
    | Frozen
)


# Commands: what to do, named as orders.


@dataclass(frozen=True)
class Probe:
    """Ask the probe index; answer Probed or ProbeRefused."""


@dataclass(frozen=True)
class Drain:
    """Wait until no search of before runs on these nodes; answer Drained."""

    node_ids: tuple[NodeId, ...]
    round: int


@dataclass(frozen=True)
class ApplySettings:
    """Send the target of the present direction; answer PatchAccepted, -Rejected, -Unanswered."""

    node_id: NodeId
    round: int


@dataclass(frozen=True)
class AwaitTask:
    """Wait for the node's task; answer TaskEnded, PatchUnanswered or NodeSilent."""

    node_id: NodeId
    task_uid: int
    round: int


@dataclass(frozen=True)
class ReadSettings:
    """Read the node back and judge; answer SettingsRead or ReadFailed."""

    node_id: NodeId
    round: int


@dataclass(frozen=True)
class StartBackoff:
    """Pause before the next round; answer BackoffElapsed. `retry` is 0 after mere silence."""

    retry: int
    round: int


@dataclass(frozen=True)
class PutCanary:
    """Put the golden queries to these nodes; answer CanaryJudged."""

    node_ids: tuple[NodeId, ...]


@dataclass(frozen=True)
class CommitVersion:
    """Commit in the store; answer VersionCommitted, or CommitDoubted with the same `doubts`."""

    doubts: int = 0


@dataclass(frozen=True)
class Freeze:
    """Freeze document writes to the index in the store; answer Frozen."""


Command = (
    Probe
    | Drain
    | ApplySettings
    | AwaitTask
    | ReadSettings
    | StartBackoff
    | PutCanary
    | CommitVersion
    | Freeze
)
