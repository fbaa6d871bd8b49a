"""
One look at one node for one index, and what follows from it.

    look ─▶ right: proved
        └─▶ wrong: demoted ─▶ repaired | reported | adopted as the wanted settings

A look says something only while no change of the index is open and nothing is queued on the node.
Repairs and adoptions are intents: they can never fight a broadcast. Who looks, and when, is the
business of the sweep (`reconciler.py`) and of the feed (`feed.py`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from functools import partial

import orjson
import structlog

from miroir.core import drift, settings as rules
from miroir.core.broadcast_types import NodeState, Phase
from miroir.core.drift import Action, Finding, Mode, State, Watch
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import MiroirError, NodeError, NodeRefused
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl, NodeRequest, Settings
from miroir.ports.store import Store
from miroir.services.carriers import unfinished
from miroir.services.cluster import Cluster, IndexView
from miroir.services.drift_book import DriftBook, Pair
from miroir.services.drift_rules import DriftRules
from miroir.services.patience import until_stored
from miroir.services.prober import Prober
from miroir.services.readings import Reading, judge
from miroir.services.registrar import Base, Registrar, SettingsWrite
from miroir.services.replicas import Replicas
from miroir.services.verified import was_verified
from miroir.telemetry import Metrics

_SECOND_LOOK_S = 0.5
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Evidence:
    """
    Why a look is taken, where it is not the sweep's turn.

    Attributes:
        foreign: Somebody else has certainly changed the node since it was proved.
        sure: Nothing that a node hides (secrets) can have changed since it was proved.
        mode: To be taken instead of the index's own.
    """

    foreign: bool = False
    sure: bool = False
    mode: Mode | None = None


@dataclass(frozen=True)
class InspectorTools:
    """
    What an inspector works with.

    Attributes:
        ended: Returns when an intent has ended.
        rules: What each index wants.
        repairs_max: Repairs that do not hold before it only alerts.
    """

    control: NodeControl
    store: Store
    cluster: Cluster
    clock: Clock
    prober: Prober
    registrar: Registrar
    replicas: Replicas
    metrics: Metrics
    ended: Callable[[int], Awaitable[Phase]]
    rules: DriftRules
    repairs_max: int


class Inspector:
    """Looks, demotes, has repaired."""

    def __init__(self, tools: InspectorTools) -> None:
        self.rules = tools.rules
        self.book = DriftBook(tools.metrics)
        self._tools = tools
        self._looking: set[Pair] = set()
        self._ordered: set[Pair] = set()
        """To be repaired whatever the mode, until found right: a look may say nothing now."""
        self._group: asyncio.TaskGroup | None = None

    async def begin(self) -> None:
        """There is nothing to begin with."""

    async def run(self) -> None:
        """Give the looks that follow repairs a home until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await asyncio.get_running_loop().create_future()  # For ever.

    def breaker_open(self, index_uid: IndexUid, node_id: NodeId) -> bool:
        """Whether repairs of this node have not held, so that there are no more."""
        index = self._tools.cluster.view.live(index_uid)
        watch = self.book.watch((index_uid, node_id))
        return index is not None and watch.at(index.record.version).open(self._tools.repairs_max)

    async def look(
        self, index_uid: IndexUid, node_id: NodeId, evidence: Evidence | None = None
    ) -> bool:
        """
        Look at one node for one index and act on it; False if that says nothing now.

        With evidence one look is enough; without, what is wrong is looked at twice.
        """
        pair = (index_uid, node_id)
        if pair in self._looking:
            return False
        self._looking.add(pair)
        try:
            told = await self._look(pair, evidence)
        finally:
            self._looking.discard(pair)
        self.book.passed_over.discard(pair)
        if not told:
            self.book.passed_over.add(pair)
        return told

    async def _look(self, pair: Pair, evidence: Evidence | None) -> bool:
        if self._is_off(pair, evidence):
            return True
        doubts = self.book.doubts.get(pair, 0)
        # Who orders a repair or an adoption wants the whole of it.
        whole = pair in self._ordered or (evidence is not None and evidence.mode is not None)
        ignored = frozenset[str]() if whole else self.rules.ignored(pair[0])
        seen = await self._seen(*pair, ignored)
        if seen is None:
            return False
        if seen.finding.state is not State.SYNCED and evidence is None:
            await self._tools.clock.sleep(_SECOND_LOOK_S)
            again = await self._seen(*pair, ignored)
            if again is None or again.finding != seen.finding:
                return False  # On its way somewhere: the next look sees where.
        before = await self._judged(pair)
        if doubts != self.book.doubts.get(pair, 0):
            return False  # It was changed meanwhile.
        return await self._act(pair, seen, before, evidence)

    def _is_off(self, pair: Pair, evidence: Evidence | None) -> bool:
        """Whether drift is not looked for here, and nothing else is the matter either."""
        index = self._tools.cluster.view.live(pair[0])
        off = self._mode(pair, evidence) is Mode.OFF
        return off and (index is None or _proved(index, pair[1]))

    def _mode(self, pair: Pair, evidence: Evidence | None) -> Mode:
        if evidence and evidence.mode:
            return evidence.mode
        return Mode.REPAIR if pair in self._ordered else self.rules.of(pair[0])

    async def _seen(
        self, index_uid: IndexUid, node_id: NodeId, ignored: Collection[str]
    ) -> Reading | None:
        """Judge what the node shows; None while that says nothing."""
        index = self._quiet(index_uid, node_id)
        if index is None or index.record.settings is None:
            return None
        try:
            if not _proved(index, node_id) and await self._still_changing(index_uid, node_id):
                return None
            shown = await self._tools.control.read_settings(node_id, index_uid)
        except NodeError as error:
            if not _is_missing(error):  # E.g. a node with another key: it may have the index.
                _log.info("look_unanswered", node=node_id, index=index_uid, why=str(error))
                return None
            shown = None
        engine = self._tools.cluster.view.engines.get(node_id, "")
        reading = await judge(self._tools.prober, index.record, engine, shown)
        after = self._quiet(index_uid, node_id)
        if after is None or after.record.version != index.record.version:
            return None
        return reading.leaving_alone(ignored)

    async def _still_changing(self, index_uid: IndexUid, node_id: NodeId) -> bool:
        """Whether a task is queued that could undo what is about to be read and believed."""
        return await unfinished(self._tools.control, node_id, index_uid) is not None

    def _quiet(self, index_uid: IndexUid, node_id: NodeId) -> IndexView | None:
        """Return the index if no change of it is open and the node answers."""
        view = self._tools.cluster.view
        index = view.live(index_uid)
        if index is None or index.accepted or node_id not in view.healthy:
            return None
        return index

    async def _judged(self, pair: Pair) -> Watch:
        """Return what is remembered, after a look at how the last repair ended."""
        watch = self.book.watch(pair)
        intent_id = self.book.repairs.get(pair)
        if intent_id is None:
            return watch
        state = (await self._tools.store.intent(intent_id)).state
        if not state.closed:
            return watch
        self.book.repairs.pop(pair, None)
        progress = state.nodes.get(pair[1])
        unheard = progress is None or progress.state in {NodeState.SILENT, NodeState.UNANSWERED}
        if state.phase is Phase.CONVERGED and not unheard:
            return watch
        self._tools.metrics.drift_repair("failed")
        return drift.refunded(watch) if unheard else watch

    # ---- what follows

    async def _act(
        self, pair: Pair, seen: Reading, before: Watch, evidence: Evidence | None
    ) -> bool:
        """Do what follows; False if it could not be done now."""
        tools, given = self._tools, evidence or Evidence()
        index = self._quiet(*pair)
        if index is None:
            return False
        proved = _proved(index, pair[1])
        hides = rules.has_secrets(index.record.settings or {})
        mode = self._mode(pair, evidence)
        patch = seen.adoption() if mode is Mode.ADOPT else {}
        foreign = proved or given.foreign
        if patch and not foreign:  # Found before a restart, perhaps, and not adopted yet.
            version = index.record.version
            foreign = await was_verified(tools.store, *pair, version)
            if self._quiet(*pair) is None:
                return False
        watch, action = drift.decide(
            before.at(index.record.version),
            seen.finding,
            mode=mode,
            repairs_max=tools.repairs_max,
            sure=proved or given.sure or not hides,
            adoptable=bool(patch) if foreign else None,
        )
        if action is not Action.NOTHING or evidence is None:
            self.book.watches[pair] = watch  # What the feed makes us look at proves no patience.
        if action is Action.NOTHING:
            await self._synced(pair, seen.finding)
            return True
        await self.demote(*pair, exposed_s=self._since_right_s(pair, index))
        self.book.note(pair, seen.finding, action, tools.clock.wall_ms())
        if seen.finding.state is State.MISSING:
            await self.miss(*pair, "the index was missing on it")
        if action is Action.ALERT:
            return True
        if self._quiet(*pair) is None:
            self.book.watches[pair] = drift.refunded(watch)
            return False
        if action is Action.REPAIR:
            await self._repair(pair, seen.finding)
        else:
            await self._adopt(pair, seen.finding, patch, index.record.version)
        return True

    async def _repair(self, pair: Pair, finding: Finding) -> None:
        reason = f"drift on {pair[1]}: {', '.join(finding.faults) or 'secrets cannot be read'}"
        intent = await self._tools.registrar.repair(pair[0], (pair[1],), reason)
        self.book.repairs[pair] = intent.intent_id
        self._follow(pair, intent.intent_id)

    async def _adopt(self, pair: Pair, finding: Finding, patch: Settings, version: int) -> None:
        base = Base(f'"{version}"', frozenset({str(version)}))  # Not over a change made meanwhile.
        request = NodeRequest("PATCH", "/settings", orjson.dumps(patch), "application/json")
        write = SettingsWrite(
            pair[0],
            patch,
            request,
            resets=False,
            base=base,
            by="reconciler",
            reason=f"adopted from {pair[1]}",
        )
        try:
            task = await self._tools.registrar.change_settings(write)
        except MiroirError as error:
            now_ms = self._tools.clock.wall_ms()
            self.book.note(pair, finding, Action.ALERT, now_ms, f"not adopted: {error}")
            return
        if task.intent_id is not None:
            self._follow(pair, task.intent_id)

    def _follow(self, pair: Pair, intent_id: int) -> None:
        """Look once more when the intent has ended; its own next try is the sweep's."""
        if self._group is not None:
            self._group.create_task(self._look_after(pair, intent_id))

    async def _look_after(self, pair: Pair, intent_id: int) -> None:
        await self._tools.ended(intent_id)
        index = self._quiet(*pair)
        if index is not None and _proved(index, pair[1]):
            seen = await self._seen(*pair, self.rules.ignored(pair[0]))
            if seen is not None and seen.finding.state is State.SYNCED:
                await self._synced(pair, seen.finding)
        for other in sorted(self.book.passed_over - {pair}):
            if other[0] == pair[0]:  # The repair of one node has kept it from being judged.
                await self.look(*other)

    async def _synced(self, pair: Pair, finding: Finding) -> None:
        index_uid, node_id = pair
        index = self._tools.cluster.view.live(index_uid)
        if index is None:
            return
        version, doubts = index.record.version, self.book.doubts.get(pair, 0)
        if index.proved.get(node_id) != version:
            proof = {node_id: finding.fingerprint}
            at_ms = self._tools.clock.wall_ms()
            if not await self._tools.store.prove(index_uid, proof, version=version, at_ms=at_ms):
                return
            if doubts != self.book.doubts.get(pair, 0):  # It was changed after it was read.
                await self.demote(index_uid, node_id, exposed_s=None, stored=True)
                return
            self._tools.cluster.apply_proof(index_uid, (node_id,), version)
        self.book.over(pair, self._tools.clock.monotonic_s())
        self.book.leave_alone(pair, finding, self._tools.clock.wall_ms())
        self._ordered.discard(pair)

    # ---- what others do through it

    async def demote(
        self,
        index_uid: IndexUid,
        node_id: NodeId,
        *,
        exposed_s: float | None,
        stored: bool = False,
    ) -> None:
        """
        Take a node out of the reads of an index: the view first, then the store.

        Args:
            index_uid: The index.
            node_id: The node.
            exposed_s: How long readers could see what is wrong with it, if that is known.
            stored: Whether the store may hold a proof that the view does not know of.
        """
        tools = self._tools
        index = tools.cluster.view.live(index_uid)
        self.book.doubt((index_uid, node_id))
        known = index is not None and node_id in index.proved
        if known:
            tools.cluster.apply_demotion(index_uid, (node_id,))
            if exposed_s is not None:
                tools.metrics.drift_exposure(exposed_s)
        if known or stored:
            await until_stored(tools.clock, lambda: tools.store.unprove(index_uid, (node_id,)))

    def _since_right_s(self, pair: Pair, index: IndexView) -> float:
        """Seconds since the node was last found right: by a look, or by the commit itself."""
        tools = self._tools
        committed_s = max(0.0, (tools.clock.wall_ms() - index.record.updated_at_ms) / 1000)
        right_s = self.book.right_s.get(pair)
        if right_s is None:
            return committed_s
        return min(committed_s, tools.clock.monotonic_s() - right_s)

    async def miss(self, index_uid: IndexUid, node_id: NodeId, why: str) -> None:
        """A node has lost the documents of an index; siblings can fill it, if there are."""
        left = self._tools.replicas.leave(index_uid, {node_id: why})
        for gone, reason in left.items():
            mark = partial(self._tools.store.set_out_of_sync, index_uid, gone, reason)
            await until_stored(self._tools.clock, mark)

    async def look_now(self, index_uid: IndexUid) -> None:
        """Look at every node of an index: what is wanted of it has changed."""
        for node_id in self._tools.cluster.view.topology.node_ids:
            await self.look(index_uid, node_id)

    async def repair_now(self, index_uid: IndexUid) -> None:
        """
        Close the breakers of an index and repair what is wrong, whatever its mode.

        A node that can say nothing now, as it is being looked at or a change is open, is repaired
        by a later look.
        """
        for node_id in self._tools.cluster.view.topology.node_ids:
            self.book.watches.pop((index_uid, node_id), None)
            self._ordered.add((index_uid, node_id))
            await self.look(index_uid, node_id, Evidence(mode=Mode.REPAIR))

    async def adopt_now(self, index_uid: IndexUid, node_id: NodeId) -> None:
        """Make what a node shows the wanted settings, whatever the mode of the index."""
        self.book.watches.pop((index_uid, node_id), None)
        await self.look(index_uid, node_id, Evidence(foreign=True, mode=Mode.ADOPT))


def _proved(index: IndexView, node_id: NodeId) -> bool:
    return index.proved.get(node_id) == index.record.version


def _is_missing(error: NodeError) -> bool:
    """Whether a node has said that it does not have the index."""
    return isinstance(error, NodeRefused) and error.error.get("code") == "index_not_found"
