"""
The state of a settings change, as it is stored.

Only values stand here; what follows from what is decided in `broadcast.py`, and what is said to it
and ordered by it is in `broadcast_messages.py`. The strings of the enums are stored: never rename
one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from miroir.core.topology import IndexUid, NodeId


class Phase(StrEnum):
    """Where a change stands."""

    QUEUED = "queued"
    PROBING = "probing"
    DRAINING = "draining"
    PROPOSING = "proposing"
    VERIFYING = "verifying"
    WAITING = "waiting"
    CHECKING = "checking"
    COMMITTING = "committing"
    CONVERGED = "converged"
    ABORTED = "aborted"
    REFUSED = "refused"
    FROZEN = "frozen"
    CANCELED = "canceled"
    """Taken out of the queue before it began; the machine never saw it."""


class Decision(StrEnum):
    """Taken once, never changed."""

    COMMIT = "commit"
    ABORT = "abort"


class NodeState(StrEnum):
    """
    How far one node is in the present direction.

    SENDING is stored before the request leaves; UNANSWERED means that it may have acted. SILENT
    (no progress for `node_silence_s`) and REJECTED (it said no) are left alone from then on.
    """

    UNTOUCHED = "untouched"
    SENDING = "sending"
    SENT = "sent"
    ENDED = "ended"
    UNANSWERED = "unanswered"
    REJECTED = "rejected"
    READING = "reading"
    VERIFIED = "verified"
    DIFFERENT = "different"
    SILENT = "silent"


@dataclass(frozen=True)
class Progress:
    """
    One node's part.

    Attributes:
        state: See `NodeState`.
        task_uid: The node's task of the last accepted proposal.
        fingerprint: Last read back.
        engine: Engine version at that time.
        faults: What differed there, in words, e.g. `synonyms: not as sent`.
        error: Meilisearch error object of the last refusal or failed task.
        proposals: How often the target was sent in this direction.
    """

    state: NodeState
    task_uid: int | None = None
    fingerprint: str | None = None
    engine: str | None = None
    faults: tuple[str, ...] = ()
    error: Mapping[str, Any] | None = None
    proposals: int = 0


CLOSED_PHASES: Final = frozenset(
    {Phase.CONVERGED, Phase.ABORTED, Phase.REFUSED, Phase.FROZEN, Phase.CANCELED}
)


@dataclass(frozen=True)
class Broadcast:
    """
    The whole state of one settings change.

    Attributes:
        index_uid: The index whose settings change.
        columns: The nodes of each shard: what a covering set is judged by.
        waves: The nodes in the order of change; together every node to be changed.
        commit_after: Waves that must be verified before the commit, at least one.
        retries_max: Proposals after the first that a differing node gets.
        undoable: Whether an abort restores the base. A repair has no other base than its target.
        drains: Whether searches are kept away from each wave, and waited for, before it changes.
        canary: Whether golden queries are put to the nodes that are verified before the commit.
        forward: Whether it is never aborted once a node may have acted, as there is no way back.
        patient: Whether a node that the cover needs is never given up: what it did must be known.
        blind: Whether a part of the target cannot be read back (secrets): then only a task that
            has succeeded proves it, and a request without an answer is sent again.
        freeze: Whether an index that can be neither changed nor restored is frozen.
        phase: Where the change stands.
        decision: None until taken.
        wave: Index of the wave in work.
        round: Grows with every proposal round; ties events to commands.
        retries: Rounds of this wave after the first.
        doubts: How often a commit was put off because somebody else had touched a node.
        expected: Engine version -> fingerprint that the probe showed, or, where it showed none,
            the nodes of an earlier wave; may lack engines.
        nodes: Progress in the present direction, absent = none; an abort keeps who may have acted.
        error: Meilisearch error object that ended the change, if one did.
        version: The committed version; None before.
    """

    index_uid: IndexUid
    columns: tuple[tuple[NodeId, ...], ...]
    waves: tuple[tuple[NodeId, ...], ...]
    commit_after: int = 1
    retries_max: int = 3
    undoable: bool = True
    drains: bool = False
    canary: bool = False
    forward: bool = False
    patient: bool = False
    freeze: bool = True
    blind: bool = False
    phase: Phase = Phase.QUEUED
    decision: Decision | None = None
    wave: int = 0
    round: int = 0
    retries: int = 0
    doubts: int = 0
    expected: Mapping[str, str] = field(default_factory=dict)
    nodes: Mapping[NodeId, Progress] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    version: int | None = None

    def __post_init__(self) -> None:
        assert self.waves
        assert all(self.waves)
        assert 1 <= self.commit_after <= len(self.waves)
        assert self.wave < len(self.waves)
        late = {n for wave in self.waves[self.commit_after :] for n in wave}
        everyone = {n for column in self.columns for n in column}
        assert self.covers(everyone - late), "a commit without a cover would be nobody's version"

    @property
    def closed(self) -> bool:
        """Whether nothing more will happen."""
        return self.phase in CLOSED_PHASES

    @property
    def drained(self) -> frozenset[NodeId]:
        """Nodes that searches are kept away from, while those that run there are waited for."""
        draining = self.phase is Phase.DRAINING
        return frozenset(self.waves[self.wave]) if draining else frozenset()

    @property
    def undoing(self) -> bool:
        """Whether nodes are being brought back to the base."""
        return self.decision is Decision.ABORT

    @property
    def touched(self) -> tuple[NodeId, ...]:
        """Nodes that may show something else than the base."""
        return tuple(n for n, p in self.nodes.items() if p.state is not NodeState.UNTOUCHED)

    @property
    def verified(self) -> tuple[NodeId, ...]:
        """Nodes read back as expected in this direction."""
        return tuple(n for n, p in self.nodes.items() if p.state is NodeState.VERIFIED)

    def covers(self, node_ids: Iterable[NodeId]) -> bool:
        """Whether these nodes hold every shard."""
        chosen = set(node_ids)
        return all(chosen.intersection(column) for column in self.columns)
