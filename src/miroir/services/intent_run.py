"""
Carries one intent from wherever it stands to its end: commands into calls, answers into events.

Rule 1: durable, then act. Every step is saved, and the view told, before its commands are obeyed.
Rule 2: this file decides nothing: the machine (`core.broadcast`) does, and what a command means
        for a kind of intent is its carrier's.

A lost lease ends the run at once: whoever leads now has the same state before them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import assert_never

import structlog

from miroir.core import broadcast as machine, broadcast_messages as m, broadcast_types as t
from miroir.core.moments import moment_ms
from miroir.core.topology import NodeId
from miroir.errors import NodeError, NodeRefused
from miroir.ports.clock import Chance, Clock
from miroir.ports.node import NodeControl, NodeTask
from miroir.ports.records import Intent, IntentTask, Lease, SwapRecord
from miroir.ports.store import Store
from miroir.services.canaries import Canaries
from miroir.services.carriers import DOCUMENT_TYPES, Carrier, unfinished
from miroir.services.cluster import Cluster
from miroir.services.doubts import Doubts
from miroir.services.fence import Fence
from miroir.services.leader import Leader
from miroir.services.ledger import Ledger
from miroir.services.planning import Plans
from miroir.services.prober import Prober
from miroir.services.watcher import NodeSilenceError, TaskWatcher
from miroir.telemetry import Metrics

_BACKOFF_BASE_S = 0.25
_BACKOFF_MAX_S = 15.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Tools:
    """
    What a broadcaster works with.

    Attributes:
        check: Has a node's health and engine looked at now.
    """

    store: Store
    cluster: Cluster
    clock: Clock
    leader: Leader
    planner: Plans
    prober: Prober
    watcher: TaskWatcher
    chance: Chance
    metrics: Metrics
    control: NodeControl
    ledger: Ledger
    fence: Fence
    check: Callable[[NodeId], Awaitable[bool]]
    canaries: Canaries
    node_silence_s: float
    verify_timeout_s: float
    drain_max_s: float
    document_wait_max_s: float


class IntentRun:
    """One intent from wherever it stands to its end."""

    def __init__(self, tools: Tools, intent: Intent, lease: Lease) -> None:
        self._tools = tools
        self._intent = intent
        self._lease = lease
        self._events: asyncio.Queue[m.Event] = asyncio.Queue()
        self._heard_s: dict[NodeId, float] = {}
        self._started_s = tools.clock.monotonic_s()
        self._carrier: Carrier | None = None
        self._mixed_since_s: float | None = None
        self._doubts = Doubts(tools.ledger, tools.watcher, intent.index_uid)
        self._ended: list[IntentTask] = []

    async def to_the_end(self) -> t.Phase:
        """Carry the intent and return the phase in which it closed."""
        await self._start()
        async with asyncio.TaskGroup() as calls:
            while not self._intent.state.closed:
                commands = await self._advance()
                for command in commands:
                    calls.create_task(self._obey(command))
        self._no_longer_mixed()
        state = self._intent.state
        _log.info("intent_closed", **_sentence(self._intent), version=state.version)
        return state.phase

    async def _start(self) -> None:
        """Resolve a fresh intent against what is in force now; take a begun one up as it is."""
        tools = self._tools
        if self._intent.state.phase is t.Phase.QUEUED:
            await tools.planner.prepare(self._intent)
            planned = tools.planner.plan(self._intent, tools.cluster.view)
            self._intent = await tools.store.start_intent(planned, self._lease)
        self._carrier = tools.planner.carrier(self._intent, tools.cluster.view)
        _log.info("intent_taken_up", **_sentence(self._intent))
        if self._intent.committed_version is not None and self._intent.state.version is None:
            # The commit was durable and the step after it was not.
            self._events.put_nowait(m.VersionCommitted(self._intent.committed_version))
        elif (error := tools.planner.impossible(self._intent, tools.cluster.view)) is not None:
            self._events.put_nowait(m.Refused(error))
        else:
            down = frozenset(tools.cluster.view.topology.by_id) - tools.cluster.view.healthy
            self._events.put_nowait(m.Begin(down))

    async def _advance(self) -> tuple[m.Command, ...]:
        """Take in every event that is there, save once, and return what is to be done."""
        state, commands = machine.step(self._intent.state, await self._events.get())
        while not self._events.empty():
            state, more = machine.step(state, self._events.get_nowait())
            commands += more
        if state != self._intent.state:
            before = self._intent.state
            ended, self._ended = tuple(self._ended), []
            self._intent = await self._tools.store.save_intent(
                self._intent, state, self._lease, ended=ended
            )
            self._tools.cluster.apply_progress(self._intent)
            if before.phase is not state.phase:
                _log.info("intent_moved", **_sentence(self._intent), was=before.phase.value)
        return commands

    async def _obey(self, command: m.Command) -> None:
        event = await self._answer(command)
        self._events.put_nowait(event)

    async def _answer(self, command: m.Command) -> m.Event:
        match command:
            case m.Probe():
                return await self._probe()
            case m.Drain(node_ids=node_ids, round=round_):
                return await self._drain(node_ids, round_)
            case m.ApplySettings(node_id=node_id, round=round_):
                return await self._apply(node_id, round_)
            case m.AwaitTask(node_id=node_id, task_uid=task_uid, round=round_):
                return await self._await_task(node_id, task_uid, round_)
            case m.ReadSettings(node_id=node_id, round=round_):
                return await self._read(node_id, round_)
            case m.StartBackoff(retry=retry, round=round_):
                ceiling_s = min(_BACKOFF_MAX_S, _BACKOFF_BASE_S * 2.0**retry)
                await self._tools.clock.sleep(self._tools.chance.uniform(0.0, ceiling_s))
                return m.BackoffElapsed(round_)
            case m.PutCanary() | m.CommitVersion() | m.Freeze():
                return await self._decide(command)
            case _:
                assert_never(command)

    async def _probe(self) -> m.Event:
        verdict = await self._tools.planner.expected(self._intent, self._tools.cluster.view)
        if verdict.refusal is not None:
            return m.ProbeRefused(self._tools.planner.error_of(verdict.refusal))
        return m.Probed(verdict.expected)

    async def _drain(self, node_ids: tuple[NodeId, ...], round_: int) -> m.Event:
        """Wait for searches that were sent to these nodes before the view spared them."""
        uid, within_s = self._intent.index_uid, self._tools.drain_max_s
        if not await self._tools.fence.drained(uid, node_ids, within_s=within_s):
            # Their answers are thrown away when they come: the nodes have lost their proof.
            _log.info("searches_outlast_drain", index=uid, nodes=node_ids, after_s=within_s)
        return m.Drained(round_)

    async def _apply(self, node_id: NodeId, round_: int) -> m.Event:
        assert self._carrier is not None
        if self._mixed_since_s is None and not self._intent.state.drains:
            self._mixed_since_s = self._tools.clock.monotonic_s()
        try:
            state = self._intent.state
            uid = await self._carrier.send(node_id, self._engine(node_id), state)
        except NodeRefused as refused:
            self._hear(node_id)
            return m.PatchRejected(node_id, round_, refused.error)
        except NodeError as error:
            patience_s = self._tools.node_silence_s
            silent = self._unheard(node_id, str(error), patience_s)
            return silent or m.PatchUnanswered(node_id, round_)
        self._hear(node_id)
        if uid is None:
            return m.TaskEnded(node_id, round_)
        return m.PatchAccepted(node_id, round_, uid)

    async def _await_task(self, node_id: NodeId, task_uid: int, round_: int) -> m.Event:
        try:
            task = await self._tools.watcher.ended(node_id, task_uid)
        except NodeSilenceError:
            return m.NodeSilent(node_id)
        self._hear(node_id)
        if task is None or task.status == "canceled":  # By somebody else; it has done nothing.
            return m.PatchUnanswered(node_id, round_)
        self._ended.append(_ended(node_id, task))
        return m.TaskEnded(node_id, round_, task.error)

    async def _read(self, node_id: NodeId, round_: int) -> m.Event:
        assert self._carrier is not None
        try:
            state = self._intent.state
            if state.drains:
                await self._documents_done(node_id)
            if self._intent.kind.changes_settings:
                await self._doubts.about_to_read(node_id, state.nodes[node_id].task_uid)
            seen = await self._carrier.read(node_id, self._engine(node_id), state)
            if await self._was_upgraded(node_id):
                return m.ReadFailed(node_id, round_)
        except NodeRefused as refused:
            self._hear(node_id)
            faults = (f"not readable: {refused}",)
            return m.SettingsRead(node_id, round_, "", self._engine(node_id), faults)
        except NodeError as error:
            silent = self._unheard(node_id, str(error), self._tools.verify_timeout_s)
            return silent or m.ReadFailed(node_id, round_)
        self._hear(node_id)
        engine = seen.engine or self._engine(node_id)
        unexpected = state.expected.get(engine, seen.fingerprint) != seen.fingerprint
        if not state.undoing and (seen.faults or unexpected):
            self._tools.metrics.hash_mismatch()
        return m.SettingsRead(node_id, round_, seen.fingerprint, engine, seen.faults)

    async def _was_upgraded(self, node_id: NodeId) -> bool:
        """
        Ask which engine it was that has just been read.

        The view knows the engine of the last check of health; a fingerprint that is bound to the
        wrong engine would make drift of every other node of that engine, for ever.
        """
        engine = await self._tools.control.engine(node_id)
        if engine == self._engine(node_id):
            return False
        # All who have to know are told, and a node that was away is admitted first.
        await self._tools.check(node_id)
        return True

    async def _documents_done(self, node_id: NodeId) -> None:
        """
        Wait for documents that the node took in while it worked on the change.

        They queue behind a reindex; before they are done the node would answer with its own
        settings and with documents of the past.
        """
        tools, uid = self._tools, self._intent.index_uid
        newest = await unfinished(tools.control, node_id, uid, types=DOCUMENT_TYPES)
        if newest is None:
            return
        try:
            async with asyncio.timeout(tools.document_wait_max_s):
                await tools.watcher.ended(node_id, newest)
        except TimeoutError:
            _log.warning(
                "documents_lag", index=uid, node=node_id, after_s=tools.document_wait_max_s
            )

    async def _decide(self, command: m.PutCanary | m.CommitVersion | m.Freeze) -> m.Event:
        match command:
            case m.PutCanary(node_ids=node_ids):
                return await self._put_canary(node_ids)
            case m.CommitVersion(doubts=doubts):
                return await self._doubted(doubts) or await self._commit()
            case m.Freeze():
                return await self._freeze()

    async def _put_canary(self, node_ids: tuple[NodeId, ...]) -> m.Event:
        index = self._tools.cluster.view.indexes[self._intent.index_uid]
        error = await self._tools.canaries.judged(self._intent, index, node_ids)
        return m.CanaryJudged(error)

    async def _doubted(self, doubts: int) -> m.Event | None:
        """Look once more whether what was read back is still what is there."""
        if not self._intent.kind.changes_settings:
            return None
        touched = await self._doubts.arisen(self._intent.state.verified)
        return m.CommitDoubted(touched, doubts) if touched else None

    async def _commit(self) -> m.Event:
        assert self._carrier is not None
        tools = self._tools
        record = self._carrier.commit(self._intent.state)
        if isinstance(record, SwapRecord):
            return await self._commit_swap(record)
        async with tools.fence.switching(self._intent.index_uids):
            version = await tools.store.commit(self._intent, record, self._lease)
            # Nothing is awaited in between: who sees the task succeeded sees the new version.
            tools.cluster.apply_commit(self._intent, record, version)
        self._intent = replace(self._intent, committed_version=version)
        if self._intent.kind.changes_settings:
            took_ms = tools.clock.wall_ms() - self._intent.at_ms
            tools.metrics.time_to_consistent(max(0, took_ms) / 1000)
            self._no_longer_mixed()
        return m.VersionCommitted(version)

    async def _commit_swap(self, record: SwapRecord) -> m.Event:
        async with self._tools.fence.switching(self._intent.index_uids):
            version = await self._tools.store.commit_swap(self._intent, record, self._lease)
            # As above: nothing is awaited in between.
            self._intent = replace(self._intent, committed_version=version)
            self._tools.cluster.apply_swap(self._intent, record)
        return m.VersionCommitted(version)

    async def _freeze(self) -> m.Event:
        reason = f"neither the change nor its undoing could be verified ({_faults(self._intent)})"
        await self._tools.store.freeze(self._intent, reason, self._lease)
        index = self._tools.cluster.view.live(self._intent.index_uid)
        if index is not None:
            self._tools.cluster.apply_record(replace(index.record, frozen_reason=reason))
        return m.Frozen()

    def _no_longer_mixed(self) -> None:
        """Observe, once, how long nodes could differ; a take-over counts from itself on."""
        if self._mixed_since_s is not None and self._intent.kind.changes_settings:
            now_s = self._tools.clock.monotonic_s()
            self._tools.metrics.mixed_window(now_s - self._mixed_since_s)
        self._mixed_since_s = None

    def _engine(self, node_id: NodeId) -> str:
        return self._tools.cluster.view.engines.get(node_id, "")

    def _hear(self, node_id: NodeId) -> None:
        self._heard_s[node_id] = self._tools.clock.monotonic_s()

    def _unheard(self, node_id: NodeId, why: str, patience_s: float) -> m.NodeSilent | None:
        """Note that a node did not answer; NodeSilent when that has lasted too long."""
        _log.info("node_unanswered", node=node_id, intent=self._intent.intent_id, why=why)
        since_s = self._heard_s.setdefault(node_id, self._started_s)
        silent_s = self._tools.clock.monotonic_s() - since_s
        return m.NodeSilent(node_id) if silent_s >= patience_s else None


def _ended(node_id: NodeId, task: NodeTask) -> IntentTask:
    return IntentTask(
        node_id=node_id,
        task_uid=task.uid,
        status=task.status,
        error=task.error,
        started_at_ms=moment_ms(task.started_at),
        finished_at_ms=moment_ms(task.finished_at),
    )


def _sentence(intent: Intent) -> dict[str, object]:
    return {
        "intent": intent.intent_id,
        "index": intent.index_uid,
        "kind": intent.kind.value,
        "phase": intent.state.phase.value,
        "decision": intent.state.decision.value if intent.state.decision else None,
        "round": intent.state.round,
        "nodes": {n: p.state.value for n, p in intent.state.nodes.items()},
    }


def _faults(intent: Intent) -> str:
    parts: Iterable[str] = (
        f"{node_id}: {', '.join(p.faults) or p.state.value}"
        for node_id, p in intent.state.nodes.items()
        if p.state is not t.NodeState.VERIFIED
    )
    return "; ".join(parts)
