"""
The sweep: reads every (index, node) back, finds drift, demotes at once and has it repaired.

Runs under one lease, so that of several processes one sweeps. It looks only while no change of the
index is open; a finding is believed after a second look. A node that returns is looked at at once.
Repairs are intents: they can never fight a broadcast.
"""

import asyncio
from dataclasses import dataclass, replace

import structlog

from miroir.core import drift, settings as rules
from miroir.core.broadcast_types import NodeState, Phase
from miroir.core.drift import Action, Finding, State, Watch
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import LeaseLost, NodeError, NodeRefused
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl
from miroir.ports.store import Store
from miroir.services.carriers import unfinished
from miroir.services.cluster import Cluster, IndexView
from miroir.services.leader import Leader
from miroir.services.registrar import Registrar
from miroir.telemetry import Metrics

_SECOND_LOOK_S = 0.5
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Drift:
    """
    A node that shows something else than what was committed.

    Attributes:
        first_seen_ms: Wall time of the first finding since it was last right.
        last_seen_ms: Of the newest.
        action: What was done about it.
    """

    index_uid: IndexUid
    node_id: NodeId
    finding: Finding
    first_seen_ms: int
    last_seen_ms: int
    action: Action


@dataclass(frozen=True)
class SweepTools:
    """
    What the reconciler works with.

    Attributes:
        interval_s: One sweep in this time.
        auto_repair: False: report only.
        repairs_max: Repairs that do not hold before it only alerts.
    """

    control: NodeControl
    store: Store
    cluster: Cluster
    clock: Clock
    leader: Leader
    registrar: Registrar
    metrics: Metrics
    interval_s: float
    auto_repair: bool
    repairs_max: int


class Reconciler:
    """Finds and repairs out-of-band changes."""

    def __init__(self, tools: SweepTools) -> None:
        self._tools = tools
        self._watches: dict[tuple[IndexUid, NodeId], Watch] = {}
        self._drifts: dict[tuple[IndexUid, NodeId], Drift] = {}
        self._repairs: dict[tuple[IndexUid, NodeId], int] = {}
        self._urgent: asyncio.Queue[NodeId] = asyncio.Queue()

    @property
    def drifts(self) -> tuple[Drift, ...]:
        """What is drifted or missing now, oldest first."""
        return tuple(sorted(self._drifts.values(), key=lambda d: d.first_seen_ms))

    def nudge(self, node_id: NodeId, healthy: bool) -> None:  # noqa: FBT001 - a listener
        """A node's health has changed; one that returns is looked at without delay."""
        if healthy:
            self._urgent.put_nowait(node_id)

    def look_again(self, index_uid: IndexUid) -> None:
        """
        A change of this index has ended; nodes that it left unproved are looked at without delay.

        One that refused the change did nothing and is right as it is; one that fell silent and is
        back wants repair.
        """
        view = self._tools.cluster.view
        index = view.live(index_uid)
        if index is None or index.accepted:
            return
        for node_id in sorted(view.healthy):
            if not self._proved(index, node_id):
                self._urgent.put_nowait(node_id)

    async def run(self) -> None:
        """Sweep for ever, every `interval_s`, spread evenly over the interval."""
        while True:
            try:
                async with self._tools.leader.lead("drift"), asyncio.TaskGroup() as group:
                    group.create_task(self._sweep_for_ever())
                    group.create_task(self._look_at_returning())
            except* LeaseLost:
                _log.warning("deposed", scope="drift")

    async def sweep(self, *, over_s: float = 0.0) -> None:
        """Look at every healthy node of every index once, spread over `over_s` seconds."""
        view = self._tools.cluster.view
        pairs = [(i, n) for i in view.indexes for n in view.topology.node_ids]
        pause_s = over_s / max(1, len(pairs))
        for index_uid, node_id in pairs:
            await self._look(index_uid, node_id)
            if pause_s:
                await self._tools.clock.sleep(pause_s)

    async def _sweep_for_ever(self) -> None:
        while True:
            started_s = self._tools.clock.monotonic_s()
            await self.sweep(over_s=self._tools.interval_s * 0.5)
            passed_s = self._tools.clock.monotonic_s() - started_s
            await self._tools.clock.sleep(max(0.05, self._tools.interval_s - passed_s))

    async def _look_at_returning(self) -> None:
        while True:
            node_id = await self._urgent.get()
            for index_uid in list(self._tools.cluster.view.indexes):
                await self._look(index_uid, node_id)

    async def _look(self, index_uid: IndexUid, node_id: NodeId) -> None:
        began_s = self._tools.clock.monotonic_s()
        finding = await self._seen(index_uid, node_id)
        if finding is None:
            return
        if finding.state is not State.SYNCED:
            await self._tools.clock.sleep(_SECOND_LOOK_S)
            again = await self._seen(index_uid, node_id)
            if again != finding:
                return  # On its way somewhere: the next sweep sees where.
        await self._act(index_uid, node_id, finding, began_s)

    async def _seen(self, index_uid: IndexUid, node_id: NodeId) -> Finding | None:
        """Judge what the node shows; None while that says nothing."""
        index = self._quiet(index_uid, node_id)
        if index is None or index.record.settings is None:
            return None
        try:
            if not self._proved(index, node_id) and await self._still_changing(index_uid, node_id):
                return None
            shown = await self._tools.control.read_settings(node_id, index_uid)
        except NodeRefused:
            shown = None
        except NodeError as error:
            _log.info("sweep_unanswered", node=node_id, index=index_uid, why=str(error))
            return None
        after = self._quiet(index_uid, node_id)
        if after is None or after.record.version != index.record.version:
            return None
        engine = self._tools.cluster.view.engines.get(node_id, "")
        return drift.look(index.record.settings, index.record.fingerprints, engine, shown)

    async def _still_changing(self, index_uid: IndexUid, node_id: NodeId) -> bool:
        """Whether a task is queued that could undo what is about to be read and believed."""
        return await unfinished(self._tools.control, node_id, index_uid) is not None

    @staticmethod
    def _proved(index: IndexView, node_id: NodeId) -> bool:
        return index.proved.get(node_id) == index.record.version

    def _quiet(self, index_uid: IndexUid, node_id: NodeId) -> IndexView | None:
        """Return the index if no change of it is open and the node answers."""
        view = self._tools.cluster.view
        index = view.live(index_uid)
        if index is None or index.accepted or node_id not in view.healthy:
            return None
        return index

    async def _act(
        self, index_uid: IndexUid, node_id: NodeId, finding: Finding, began_s: float
    ) -> None:
        tools, key = self._tools, (index_uid, node_id)
        before = await self._judged(key)
        index = self._quiet(index_uid, node_id)
        if index is None:
            return
        sure = self._proved(index, node_id) or not rules.has_secrets(index.record.settings or {})
        watch, action = drift.decide(
            before,
            finding,
            auto_repair=tools.auto_repair,
            repairs_max=tools.repairs_max,
            sure=sure,
        )
        self._watches[key] = watch
        if action is Action.NOTHING:
            await self._synced(index_uid, node_id, finding)
            return
        if self._proved(index, node_id):
            await tools.store.unprove(index_uid, (node_id,))
            tools.cluster.apply_demotion(index_uid, (node_id,))
            tools.metrics.drift_exposure(tools.clock.monotonic_s() - began_s)
        self._note(index_uid, node_id, finding, action)
        if finding.state is State.MISSING:
            await self._miss(index_uid, node_id)
        if action is Action.REPAIR and self._quiet(index_uid, node_id) is not None:
            reason = f"drift on {node_id}: {', '.join(finding.faults) or 'secrets cannot be read'}"
            intent = await tools.registrar.repair(index_uid, (node_id,), reason)
            self._repairs[key] = intent.intent_id

    async def _judged(self, key: tuple[IndexUid, NodeId]) -> Watch:
        """Return what is remembered, after a look at how the last repair ended."""
        watch = self._watches.get(key, Watch())
        intent_id = self._repairs.get(key)
        if intent_id is None:
            return watch
        state = (await self._tools.store.intent(intent_id)).state
        if not state.closed:
            return watch
        del self._repairs[key]
        progress = state.nodes.get(key[1])
        unheard = progress is None or progress.state in {NodeState.SILENT, NodeState.UNANSWERED}
        if state.phase is Phase.CONVERGED and not unheard:
            return watch
        self._tools.metrics.drift_repair("failed")
        return drift.refunded(watch) if unheard else watch

    async def _miss(self, index_uid: IndexUid, node_id: NodeId) -> None:
        """A node without the index has no documents either; siblings can fill it, if there are."""
        tools = self._tools
        view = tools.cluster.view
        index = view.live(index_uid)
        if index is None or node_id in index.out_of_sync:
            return
        column = view.topology.columns[view.topology.by_id[node_id].shard_id]
        if any(n != node_id and n not in index.out_of_sync for n in column):
            why = "the index was missing on it"
            # Decided and told in one step: two replicas cannot leave at once (WR-4), and the index
            # cannot end in between. After a crash here the next look finds it again.
            tools.cluster.apply_sync(index_uid, node_id, why)
            await tools.store.set_out_of_sync(index_uid, node_id, why)

    async def _synced(self, index_uid: IndexUid, node_id: NodeId, finding: Finding) -> None:
        index = self._tools.cluster.view.live(index_uid)
        if index is None:
            return
        version = index.record.version
        if index.proved.get(node_id) != version:
            proof = {node_id: finding.fingerprint}
            at_ms = self._tools.clock.wall_ms()
            if await self._tools.store.prove(index_uid, proof, version=version, at_ms=at_ms):
                self._tools.cluster.apply_proof(index_uid, (node_id,), version)
        ended = self._drifts.pop((index_uid, node_id), None)
        if ended is not None:
            if ended.action is Action.REPAIR:
                self._tools.metrics.drift_repair("repaired")
            _log.info("drift_over", index=index_uid, node=node_id, faults=ended.finding.faults)

    def _note(
        self, index_uid: IndexUid, node_id: NodeId, finding: Finding, action: Action
    ) -> None:
        now_ms = self._tools.clock.wall_ms()
        key = (index_uid, node_id)
        known = self._drifts.get(key)
        if known is None:
            self._tools.metrics.drift_detected()
        if action is Action.ALERT and known is not None and known.action is Action.REPAIR:
            self._tools.metrics.drift_repair("given_up")
        if known is None or known.finding != finding:
            _log.warning(
                "drift_found",
                index=index_uid,
                node=node_id,
                state=finding.state.value,
                faults=finding.faults,
                action=action.value,
            )
        fresh = Drift(index_uid, node_id, finding, now_ms, now_ms, action)
        self._drifts[key] = (
            fresh if known is None else replace(fresh, first_seen_ms=known.first_seen_ms)
        )
