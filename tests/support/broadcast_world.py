"""
Nodes, a store and a network for the broadcast machine, all by turns; one seed is one history.

The world answers orders in any order, loses answers, fails tasks, lets nodes refuse, differ and
fall silent, repeats old events and kills the leader at any step. It keeps what really happened
(`shows`, `sent`, `last_read`, `commits`, `freezes`), which is what the properties are about. A
node that has not answered `patience` times running is reported silent, as the deadline does it.
"""

import random
from dataclasses import dataclass, field
from typing import Final, TypeVar, assert_never

from miroir.core.broadcast import step
from miroir.core.broadcast_messages import (
    ApplySettings,
    AwaitTask,
    BackoffElapsed,
    Begin,
    CanaryJudged,
    Command,
    CommitDoubted,
    CommitVersion,
    Drain,
    Drained,
    Event,
    Freeze,
    Frozen,
    NodeSilent,
    PatchAccepted,
    PatchRejected,
    PatchUnanswered,
    Probe,
    Probed,
    ProbeRefused,
    PutCanary,
    ReadFailed,
    ReadSettings,
    SettingsRead,
    StartBackoff,
    TaskEnded,
    VersionCommitted,
)
from miroir.core.broadcast_types import Broadcast, Decision, Phase
from miroir.core.topology import NodeId
from tests.support.playbook import stored

ENGINE: Final = "1.50.0"
VERSION: Final = 5
ERROR: Final = {"code": "no"}
T = TypeVar("T")


@dataclass
class World:
    """
    One history.

    Attributes:
        state: The machine as the store has it.
        chance: Where every choice comes from.
        fault_rate: How often something bad happens that could.
        patience: Calls without an answer before a node is reported silent.
        probe_knows: Whether the probe can say what the target will look like.
        stubborn: Nodes that apply nothing, or apply it oddly, however often they are sent it.
        faults_left: How many more bad things may happen; then all goes well.
        shows: What each node really shows: old, new, or something odd.
        sent: Node -> directions of the proposals that left, "new" or "old".
        refused: Node -> how many of them it said no to, in the forward direction.
        accepted: Node -> round and task uid of the last proposal that it took.
        last_read: Node -> what was last read of it and told to the machine; none after a crash.
        drained: Nodes that searches had been kept away from, in the forward direction.
        commits: How often the store was asked to commit.
        freezes: How often it was asked to freeze.
        taken_over_in: The phase in which the present leader found the change.
        history: Every state that was ever stored.
    """

    state: Broadcast
    chance: random.Random
    fault_rate: float = 0.2
    patience: int = 2
    probe_knows: bool = True
    stubborn: dict[NodeId, str] = field(default_factory=dict)
    faults_left: int = 12
    shows: dict[NodeId, str] = field(default_factory=dict)
    sent: dict[NodeId, list[str]] = field(default_factory=dict)
    refused: dict[NodeId, int] = field(default_factory=dict)
    accepted: dict[NodeId, tuple[int, int]] = field(default_factory=dict)
    last_read: dict[NodeId, str] = field(default_factory=dict)
    unanswered: dict[NodeId, int] = field(default_factory=dict)
    drained: set[NodeId] = field(default_factory=set)
    commits: int = 0
    freezes: int = 0
    committed: bool = False
    taken_over_in: Phase = Phase.QUEUED
    history: list[Broadcast] = field(default_factory=list)
    told: list[Event] = field(default_factory=list)
    waiting: list[Command] = field(default_factory=list)

    def tell(self, event: Event) -> None:
        """Let the machine take one event, store what comes out, and note its orders."""
        before = self.state
        self.state, commands = step(stored(before), event)
        if isinstance(event, SettingsRead) and self.state != before:  # Else it was a repetition.
            self.last_read[event.node_id] = event.fingerprint
        if isinstance(event, Drained) and self.state != before:
            self.drained |= before.drained
        self.history.append(self.state)
        if not isinstance(event, Begin):  # That is no message, and is not repeated.
            self.told.append(event)
        for command in commands:
            self._note(command)
        self.waiting += commands

    def turn(self) -> None:
        """Answer one order; or repeat an old event, or kill the leader."""
        what = self._fault(["answer", "repeat", "crash"])
        if what == "crash":
            self.take_over()
        elif what == "repeat" and self.told:
            self.tell(self.chance.choice(self.told))
        else:
            command = self.waiting.pop(self.chance.randrange(len(self.waiting)))
            self.tell(self._answer(command))

    def take_over(self) -> None:
        """Start anew from the stored state: every answer under way is lost, not every effect."""
        for command in self.waiting:
            if isinstance(command, ApplySettings | AwaitTask) and self.chance.random() < 0.5:
                self._apply(command.node_id)
        self.taken_over_in = self.state.phase
        self.waiting.clear()
        self.told.clear()
        self.last_read.clear()
        if self.committed and self.state.version is None:
            self.tell(VersionCommitted(VERSION))
            return
        everyone = sorted({n for column in self.state.columns for n in column})
        down = self._fault([frozenset[NodeId](), frozenset({self.chance.choice(everyone)})])
        self.tell(Begin(down))

    def _note(self, command: Command) -> None:
        match command:
            case ApplySettings(node_id=node_id):
                drained = node_id in self.drained or not self.state.drains
                assert drained or self.state.undoing, "searches still run there"
                self.sent.setdefault(node_id, []).append(self._direction())
            case AwaitTask(node_id=node_id, task_uid=task_uid, round=round_):
                assert self.accepted[node_id] == (round_, task_uid), "of the present proposal"
            case CommitVersion():
                self.commits += 1
            case Freeze():
                self.freezes += 1
            case _:
                pass

    def _apply(self, node_id: NodeId) -> None:
        forward = not self.state.undoing
        how = self.stubborn.get(node_id) if forward else None
        self.shows[node_id] = how or self._direction()

    def _direction(self) -> str:
        return "old" if self.state.undoing else "new"

    def _fault(self, choices: list[T]) -> T:
        """Return the first, which is none, or one of the others while faults are left."""
        if self.faults_left <= 0 or self.chance.random() >= self.fault_rate:
            return choices[0]
        self.faults_left -= 1
        return self.chance.choice(choices[1:])

    def _answer(self, command: Command) -> Event:
        match command:
            case Probe():
                known = Probed({ENGINE: "new"} if self.probe_knows else {})
                answers: list[Event] = [known, Probed({}), ProbeRefused(ERROR)]
                return self._fault(answers)
            case Drain(round=round_):
                return Drained(round_)
            case ApplySettings():
                return self._applied(command)
            case AwaitTask():
                return self._ended(command)
            case ReadSettings():
                return self._read(command)
            case StartBackoff(round=round_):
                return BackoffElapsed(round_)
            case PutCanary():
                return CanaryJudged(self._fault([None, ERROR]))
            case CommitVersion(doubts=doubts):
                return self._committed(doubts)
            case Freeze():
                return Frozen()
            case _:
                assert_never(command)

    def _applied(self, command: ApplySettings) -> Event:
        n, round_ = command.node_id, command.round
        how = self._fault(["accepted", "nothing to do", "rejected", "lost", "lost but done"])
        if how == "rejected":
            if not self.state.undoing:
                self.refused[n] = self.refused.get(n, 0) + 1
            return PatchRejected(n, round_, ERROR)
        if how == "lost":
            return self._unheard(n) or PatchUnanswered(n, round_)
        if how == "lost but done":
            self._apply(n)
            return self._unheard(n) or PatchUnanswered(n, round_)
        self.unanswered[n] = 0
        if how == "nothing to do" and self.shows.get(n, "old") == self._direction():
            return TaskEnded(n, round_)
        uid = len(self.history)  # Grows with every event.
        self.accepted[n] = (round_, uid)
        return PatchAccepted(n, round_, uid)

    def _ended(self, command: AwaitTask) -> Event:
        n, round_ = command.node_id, command.round
        how = self._fault(["done", "odd", "failed", "forgotten", "silent"])
        if how == "silent":
            return NodeSilent(n)
        if how == "failed":
            return TaskEnded(n, round_, ERROR)
        self._apply(n)
        if how == "odd":
            self.shows[n] = "odd"
        return PatchUnanswered(n, round_) if how == "forgotten" else TaskEnded(n, round_)

    def _read(self, command: ReadSettings) -> Event:
        n, round_ = command.node_id, command.round
        if self._fault(["read", "lost"]) == "lost":
            return self._unheard(n) or ReadFailed(n, round_)
        self.unanswered[n] = 0
        shown = self.shows.get(n, "old")
        # Odd is another normal form of what is wanted: no fault, and not what the probe showed.
        faults = () if shown in {self._direction(), "odd"} else ("not as wanted",)
        return SettingsRead(n, round_, shown, ENGINE, faults)

    def _committed(self, doubts: int) -> Event:
        how = self._fault(["taken", "touched in vain", "changed"])
        if how == "taken" or self.committed:
            self.committed = True
            return VersionCommitted(VERSION)
        meddled = self.chance.choice([n for wave in self.state.waves for n in wave])
        if how == "changed":
            self.shows[meddled] = "odd" if self.shows.get(meddled) == "new" else "new"
        return CommitDoubted(frozenset({meddled}), doubts)

    def _unheard(self, node_id: NodeId) -> NodeSilent | None:
        self.unanswered[node_id] = self.unanswered.get(node_id, 0) + 1
        return NodeSilent(node_id) if self.unanswered[node_id] > self.patience else None

    # ---- what the properties ask

    @property
    def ended(self) -> bool:
        """Whether the machine has come to an end."""
        return self.state.closed

    def may_show_the_target(self) -> set[NodeId]:
        """Return the nodes that were proposed to and did not refuse every time."""
        return {
            n
            for n, directions in self.sent.items()
            if directions.count("new") > self.refused.get(n, 0)
        }

    def decisions(self) -> list[Decision]:
        """Return the decisions in the order in which they were taken."""
        taken = [state.decision for state in self.history if state.decision is not None]
        return [d for i, d in enumerate(taken) if i == 0 or d is not taken[i - 1]]

    def phases(self) -> set[Phase]:
        """Return every phase that was ever stored."""
        return {state.phase for state in self.history}
