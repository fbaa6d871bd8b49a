"""
Looks after the commons on every node: brings them up at the start, and keeps them as committed.

    start    the features and keys that nodes have are taken over, or default keys made (`adopt`)
    admit    a node that returns is brought to the committed keys before it counts as healthy, so
             that it neither refuses a new key nor takes a deleted one
    sweep    every node is read once per interval, at once when its health or engine class changes,
             and when a change has left it behind; what differs is repaired by an intent

Features and keys leave no task on a node: only reading them tells. A node that a change of ours
left behind is always brought up; what somebody else changed is repaired unless `auto_repair` is
off, and no more than `repairs_max` times in a row.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

import structlog

from miroir.core.broadcast_types import Phase
from miroir.core.commons import COMMONS, FEATURES, KEYS
from miroir.core.drift import Watch
from miroir.core.keys import Keys
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import LeaseLost, MiroirError, NodeError, NodeUnreachable, Unavailable
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl
from miroir.ports.records import Intent, IntentKind
from miroir.ports.store import Store
from miroir.services.carriers import ReadBack, features, keys
from miroir.services.carriers.asking import read_features, read_keys
from miroir.services.classes import Classes
from miroir.services.cluster import IndexView
from miroir.services.commons import Commons
from miroir.services.flags import Flags
from miroir.services.keys import KeyRing
from miroir.services.leader import Leader
from miroir.services.urgent import Urgent
from miroir.telemetry import Metrics

_AGAIN_S = 1.0
_ADMISSIONS_MAX = 3
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Stray:
    """
    A node that shows other features or keys than were committed.

    Attributes:
        uid: Of the common object.
        faults: In words.
        first_seen_ms: Wall time of the first look that found it wrong.
        last_seen_ms: Of the newest.
        action: `repair` or `alert`: what the newest look led to.
    """

    uid: IndexUid
    node_id: NodeId
    faults: tuple[str, ...]
    first_seen_ms: int
    last_seen_ms: int
    action: str


@dataclass(frozen=True)
class StewardTools:
    """
    What a steward works with.

    Attributes:
        interval_s: Every node is read once in this time.
        auto_repair: False: foreign changes are reported only.
        repairs_max: Repairs that do not hold before it only alerts.
    """

    commons: Commons
    flags: Flags
    ring: KeyRing
    classes: Classes
    control: NodeControl
    store: Store
    clock: Clock
    leader: Leader
    metrics: Metrics
    interval_s: float
    auto_repair: bool
    repairs_max: int


class Steward:
    """Keeps features and keys equal on every node."""

    def __init__(self, tools: StewardTools) -> None:
        self._tools = tools
        self._strays: dict[tuple[IndexUid, NodeId], Stray] = {}
        self._watches: dict[tuple[IndexUid, NodeId], Watch] = {}
        self._passed_over: set[tuple[IndexUid, NodeId]] = set()
        """Looked at while a change was open; to be looked at when it has ended."""
        self._urgent = Urgent[NodeId]()
        self._begun = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None

    @property
    def strays(self) -> tuple[Stray, ...]:
        """Nodes that differ now, the oldest first."""
        return tuple(sorted(self._strays.values(), key=lambda s: s.first_seen_ms))

    def begin(self) -> None:
        """Start to look after the commons of this cluster."""
        self._begun.set()

    def nudge(self, node_id: NodeId, healthy: bool) -> None:  # noqa: FBT001 - a listener
        """A node's health or engine class has changed; if it answers it is looked at now."""
        if healthy:
            self._urgent.put(node_id)

    def look_again(self, uid: IndexUid) -> None:
        """
        A change of the commons has ended; nodes that it left behind are looked at now.

        So are those that could not be judged because of it.
        """
        index = self._tools.commons.view(uid)
        if index is None or index.accepted:
            return
        for node_id in sorted(self._tools.commons.cluster.view.healthy):
            proved = index.proved.get(node_id) == index.record.version
            if not proved or (uid, node_id) in self._passed_over:
                self._urgent.put(node_id)

    async def admit(self, node_id: NodeId) -> None:
        """
        Bring a node that returns to the committed keys.

        Keys that an open change is about are its own: it may have been here already. One that is
        being deleted is deleted, since that has no way back.

        Raises:
            NodeError: It could not be brought there and must not serve yet.
        """
        for _ in range(_ADMISSIONS_MAX):
            wanted = await self._wanted_keys(node_id)
            if not wanted:  # Nothing was made through Miroir; without a master key nothing can be.
                return
            await keys.bring(self._tools.control, node_id, wanted, self._tools.ring.now())
            if await self._wanted_keys(node_id) == wanted:
                return
        raise NodeUnreachable(f"node {node_id}: its keys change too fast")

    async def _wanted_keys(self, node_id: NodeId) -> Keys:
        try:
            record = await self._tools.store.index(KEYS)
            opened = await self._tools.store.open_intents()
        except Unavailable as error:
            raise NodeUnreachable(f"node {node_id}: its keys cannot be looked up") from error
        wanted = dict(record.settings or {}) if record is not None else {}
        for intent in opened:
            for uid in intent.patch if intent.index_uid == KEYS else ():
                wanted.pop(uid, None)
                if intent.kind is IntentKind.DELETE:
                    wanted[uid] = None
        return wanted

    async def run(self) -> None:
        """Look after the commons for ever, from `begin` on."""
        await self._begun.wait()
        while True:
            try:
                async with self._tools.leader.lead("commons"), asyncio.TaskGroup() as group:
                    self._group = group
                    group.create_task(self._take_over())
                    group.create_task(self._sweep_for_ever())
                    group.create_task(self._look_at_urgent())
            except* LeaseLost:
                _log.warning("deposed", scope="commons")

    async def sweep(self) -> None:
        """Look at every healthy node once."""
        for node_id in self._tools.commons.cluster.view.topology.node_ids:
            await self.look_at_node(node_id)

    async def look_at_node(self, node_id: NodeId) -> None:
        """Look at the commons of one node."""
        for uid in sorted(COMMONS):
            await self._look(uid, node_id)

    async def _look(self, uid: IndexUid, node_id: NodeId) -> None:
        try:
            await self._look_and_act(uid, node_id)
        except (NodeError, Unavailable) as error:  # The next look finds it again.
            _log.info("look_unanswered", node=node_id, index=uid, why=str(error))

    # ---- steps

    async def _take_over(self) -> None:
        """Learn what nodes have, as soon as enough of them answer."""
        while not await self._adopted():
            await self._tools.clock.sleep(_AGAIN_S)

    async def _adopted(self) -> bool:
        try:
            flags = await self._tools.flags.adopt()
            return await self._tools.ring.adopt() and flags
        except MiroirError as error:
            _log.info("commons_not_taken_over", why=str(error))
            return False

    async def _sweep_for_ever(self) -> None:
        while True:
            await self.sweep()
            await self._tools.classes.learn()
            await self._tools.clock.sleep(self._tools.interval_s)
            await self._adopted()  # Flags of a newer version; keys that could not be made before.

    async def _look_at_urgent(self) -> None:
        while True:
            node_id = await self._urgent.take()
            await self.look_at_node(node_id)
            await self._tools.classes.learn()  # Its engine class may be new.

    async def _look_and_act(self, uid: IndexUid, node_id: NodeId) -> None:
        """Read one object of one node back and act on it, unless a change of it is open."""
        self._passed_over.add((uid, node_id))
        index = self._quiet(uid, node_id)
        if index is None:
            return
        seen = await self._read(uid, node_id, index)
        after = self._quiet(uid, node_id)
        if after is None or after.record.version != index.record.version:
            return
        self._passed_over.discard((uid, node_id))
        if seen.faults:
            await self._astray(uid, node_id, after, seen)
        else:
            await self._right(uid, node_id, after, seen)

    def _quiet(self, uid: IndexUid, node_id: NodeId) -> IndexView | None:
        view = self._tools.commons.cluster.view
        index = view.indexes.get(uid)
        if index is None or index.accepted or index.record.settings is None:
            return None
        return index if node_id in view.healthy else None

    async def _read(self, uid: IndexUid, node_id: NodeId, index: IndexView) -> ReadBack:
        wanted = index.record.settings or {}
        if uid == FEATURES:
            return features.look(wanted, await read_features(self._tools.control, node_id), {})
        shown = await read_keys(self._tools.control, node_id)
        ring = self._tools.ring
        return keys.look(wanted, shown, ring.value, ring.now(), wanted)

    async def _right(
        self, uid: IndexUid, node_id: NodeId, index: IndexView, seen: ReadBack
    ) -> None:
        pair, tools = (uid, node_id), self._tools
        if (stray := self._strays.pop(pair, None)) is not None:
            _log.info("drift_over", index=uid, node=node_id)
            if stray.action == "repair":
                tools.metrics.commons_drift_repair(_named(uid), "repaired")
        if (watch := self._watches.pop(pair, None)) and watch.steady + 1 < tools.repairs_max:
            self._watches[pair] = replace(watch, steady=watch.steady + 1)
        version = index.record.version
        if index.proved.get(node_id) == version:
            return
        proof, at_ms = {node_id: seen.fingerprint}, tools.clock.wall_ms()
        if await tools.store.prove(uid, proof, version=version, at_ms=at_ms):
            tools.commons.cluster.apply_proof(uid, (node_id,), version)

    async def _astray(
        self, uid: IndexUid, node_id: NodeId, index: IndexView, seen: ReadBack
    ) -> None:
        pair, tools, now_ms = (uid, node_id), self._tools, self._tools.clock.wall_ms()
        known = self._strays.get(pair)
        if known is None or known.faults != seen.faults:
            _log.warning("drift_found", index=uid, node=node_id, faults=seen.faults)
        if known is None:
            tools.metrics.commons_drift_detected(_named(uid))
        proved = index.proved.get(node_id) == index.record.version
        if proved:
            await tools.store.unprove(uid, (node_id,))
            tools.commons.cluster.apply_demotion(uid, (node_id,))
        foreign = proved or (known is not None and known.action == "alert")
        watch = self._watches.get(pair, Watch()).at(index.record.version)
        repair = watch.repairs < tools.repairs_max and (tools.auto_repair or not foreign)
        new = known is None or known.action == "repair"
        if new and watch.repairs >= tools.repairs_max:
            tools.metrics.commons_drift_repair(_named(uid), "given_up")
        self._strays[pair] = Stray(
            uid,
            node_id,
            seen.faults,
            known.first_seen_ms if known else now_ms,
            now_ms,
            "repair" if repair else "alert",
        )
        if repair and self._quiet(uid, node_id) is not None:
            self._watches[pair] = replace(watch, repairs=watch.repairs + 1, steady=0)
            reason = f"drift on {node_id}: {', '.join(seen.faults)}"
            intent = await tools.commons.repair(uid, node_id, reason)
            assert self._group is not None, "looked at while nobody leads"
            self._group.create_task(self._follow(uid, node_id, intent))

    async def _follow(self, uid: IndexUid, node_id: NodeId, repair: Intent) -> None:
        """Look again when a repair has ended: it may not have held."""
        with suppress(Unavailable):  # Then the sweep looks.
            phase = await self._tools.commons.intake.broadcaster.ended(repair.intent_id)
            if phase is not Phase.CONVERGED:
                self._tools.metrics.commons_drift_repair(_named(uid), "failed")
        await self._look(uid, node_id)
        for other in sorted(self._passed_over - {(uid, node_id)}):
            if other[0] == uid:  # The repair of one node has kept it from being judged.
                await self._look(*other)


def _named(uid: IndexUid) -> Literal["keys", "features"]:
    return "keys" if uid == KEYS else "features"
