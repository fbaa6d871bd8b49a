"""
One simulated cluster: nodes, the store, whatever processes live, and the eyes of the checker.

Everything that is seen becomes an event for the checker and a line of the log. The first broken
invariant ends the run. Chance comes from the seed alone; two runs of one seed give one log.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from miroir.core.commons import COMMONS
from miroir.core.topology import IndexUid
from tests.support import sim_events as e
from tests.support.memory_store import MemoryStore
from tests.support.sim_asked import asked_in
from tests.support.sim_checker import Bounds, Checker, Rules
from tests.support.sim_choices import FEED_S, SWEEP_S, Choices, uid_by
from tests.support.sim_engine import NEW, NEXT, OLD, Engine
from tests.support.sim_faults import FaultPlan, FaultPoint
from tests.support.sim_node import PROBE, SimNode
from tests.support.sim_process import Process
from tests.support.sim_weather import Weather
from tests.support.virtual_loop import VirtualClock, VirtualLoop

_DRIFT_BOUND_S: Final = 3 * SWEEP_S
_FEED_BOUND_S: Final = 2 * FEED_S
"""What makes a task is found within an interval and the way there and back, if nothing is lost."""
_HEARD: Final = {"behind", "neighbours", "calm", "upgrade"}
_TAKE_OVER_S: Final = 11.0


class World:
    """
    The cluster of one run.

    Attributes:
        process: The newest process.
        failure: The first broken invariant, or None.
        departures: How many changing requests have left for live indexes.
        opened: Kinds of the intents opened, in order.
        weather: What befalls whole nodes.
        disturbances: How often each node was changed, or failed us, by somebody else's doing.
        out_of_sync: When which index of which node was to be filled again.
        rewound: When which node came back with fewer tasks than it had.
    """

    def __init__(self, loop: VirtualLoop, seed: int, faults: FaultPlan) -> None:
        self.seed = seed
        self.faults = faults
        self.chance = random.Random(f"world {seed}")
        self.loop = loop
        self.clock = VirtualClock(loop)
        self.log: list[str] = []
        self.failure: str | None = None
        self.failed = asyncio.Event()
        self.departures = 0
        self.opened: list[str] = []
        self.disturbances: Counter[str] = Counter()
        self.out_of_sync: list[tuple[float, str, str]] = []
        self.rewound: list[tuple[float, str]] = []
        choices = Choices.by(self.chance)
        self.config = choices.config()
        self.topology = self.config.topology.to_core()
        engines = self._engines(choices.names)
        self.nodes = {name: self._node(name, engine) for name, engine in engines}
        self.checker = Checker(
            {name: node.engine for name, node in self.nodes.items()},
            Rules(
                columns=self.topology.columns,
                bounds=Bounds(
                    task_s=_FEED_BOUND_S if faults.style in _HEARD else _DRIFT_BOUND_S,
                    other_s=_DRIFT_BOUND_S,
                ),
                calm=faults.style == "calm",
                one_version=faults.style == "calm" and choices.in_halves,
            ),
            later=(NEW, NEXT) if faults.may_strike(FaultPoint.NODE_UPGRADED) else (NEW,),
        )
        self.store = MemoryStore(self.clock)
        self.processes: list[Process] = []
        self._records: dict[str, Any] = {}
        self._seen_views: dict[str, Any] = {}
        self._seen_view: Any = None
        self.weather = Weather(self)
        for node in self.nodes.values():
            node.commons.first_start()
            for uid in sorted(COMMONS):
                self._common_changed(node, uid, "first")
        self._start_process()
        loop.after_round = self._look_at_the_view
        loop.set_exception_handler(self._fell)

    def _engines(self, names: list[str]) -> list[tuple[str, Engine]]:
        """One version mostly; now and then one node that is behind."""
        behind = self.chance.choice(names) if self.chance.random() < 0.12 else None
        return [(name, OLD if name == behind else NEW) for name in names]

    def _node(self, name: str, engine: Engine) -> SimNode:
        chance = random.Random(f"{self.seed} {name}")
        node = SimNode(name, engine, chance, self.faults)
        node.commons.changed = self._common_changed
        node.commons.now_ms = self.clock.wall_ms
        node.commons.new_uid = lambda: uid_by(chance)
        node.changed = self._node_changed
        node.noted = self.note
        node.disturbed = self._disturbed
        node.upgraded = self._upgraded
        return node

    # ---- processes

    @property
    def process(self) -> Process:
        return self.processes[-1]

    def _start_process(self) -> None:
        self.note(f"miroir{len(self.processes) + 1} starts")
        self._seen_views, self._seen_view = {}, None
        self.processes.append(Process(self, len(self.processes) + 1))

    def process_lost(self, process: Process, *, must_reopen: bool) -> None:
        """It is dead: its successor finds the leases free."""
        if must_reopen and process is self.process:
            self.loop.call_later(self.chance.uniform(0.05, 4.0), self._replace, True)

    def process_paused(self, process: Process) -> None:
        """It stands still: its successor has to wait for the leases to run out."""
        self.loop.call_later(_TAKE_OVER_S, self._replace, False)
        back_s = _TAKE_OVER_S + self.chance.uniform(-8.0, 25.0)
        self.loop.call_later(back_s, process.resume)
        self.loop.call_later(back_s + 20.0, process.die, "it was deposed long ago")

    def _replace(self, reopen: bool) -> None:
        if reopen:
            self.store.reopen()
        self._start_process()
        if not self.faults.active:
            self._end_old_ones()

    # ---- what is seen

    def note(self, text: str) -> None:
        self.log.append(f"{self.loop.time():9.4f} {text}")

    def written(self, text: str) -> None:
        """A process has written a line of its log, or an error for a client."""
        self.note(f"  log {text}")
        self.see(e.Written(self.loop.time(), text))

    def fail(self, text: str) -> None:
        """Keep the first failure; the run ends at the next chance."""
        if self.failure is None:
            self.failure = text
            self.note(f"VIOLATION {text}")
            self.failed.set()

    def _fell(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A callback raised, or a task ended with an error that nobody looked at."""
        self.fail(f"{context['message']}: {context.get('exception')!r}")

    def see(self, event: e.Event) -> None:
        """Show the checker an event."""
        if self.failure is None:
            try:
                self.checker.see(event)
            except Exception as error:  # noqa: BLE001 - the run ends with it
                self.fail(f"{type(error).__name__}: {error}")

    def _node_changed(self, node: SimNode, index_uid: str, origin: str, by: str) -> None:
        if index_uid == PROBE:
            return
        index = node.disk.indexes.get(index_uid)
        self.note(f"{node.node_id} {index_uid} shows something new ({origin})")
        truth = index.truth if index else None
        if origin != "own":
            self.disturbances[node.node_id] += 1
        self.see(e.NodeChanged(self.loop.time(), node.node_id, index_uid, truth, origin, by))

    def _common_changed(self, node: SimNode, uid: str, origin: str) -> None:
        self.note(f"{node.node_id} {uid} shows something new ({origin})")
        if origin not in {"own", "first"}:
            self.disturbances[node.node_id] += 1
        shown = node.commons.shown(uid)
        self.see(e.CommonChanged(self.loop.time(), node.node_id, uid, shown, origin))

    def _disturbed(self, node: SimNode) -> None:
        self.disturbances[node.node_id] += 1

    def _upgraded(self, node: SimNode) -> None:
        self.see(e.Upgraded(self.loop.time(), node.node_id, node.engine.version))

    def was_read(self, node_id: str, index_uid: str) -> None:
        if index_uid != PROBE:
            self.see(e.NodeRead(self.loop.time(), node_id, index_uid))

    def departed(
        self, process: Process, node_id: str, name: str, index_uid: str, body: Mapping[str, Any]
    ) -> None:
        if index_uid != PROBE:
            self.departures += 1
            self.note(f"{process.name} sends {name} {index_uid} {sorted(body)} to {node_id}")
        durable = self._durable(index_uid, node_id) if process.rules else "sending"
        if name in {"create_index", "delete_index"} and self._given_back(index_uid, node_id):
            durable = "sending"  # No change: a replica that lost it, or has another, is filled.
        if name == "delete_index" and durable is None and self._left_over(index_uid, node_id):
            durable = "sending"  # Nor this: what a node has kept of an index that is no more.
        at_s = self.loop.time()
        self.see(e.Departed(at_s, node_id, index_uid, name, body, durable))

    def _durable(self, index_uid: str, node_id: str) -> str | None:
        for row in self.store._tables.intents.values():
            intent = row.intent
            if row.started and intent.index_uid == index_uid and not intent.state.closed:
                progress = intent.state.nodes.get(node_id)  # type: ignore[call-overload]
                return progress.state.value if progress else None
        return None

    def _given_back(self, index_uid: str, node_id: str) -> bool:
        tables = self.store._tables
        record = tables.indexes.get(IndexUid(index_uid))
        lagging = (index_uid, node_id) in tables.lagging
        return lagging and record is not None and not record.deleted

    def _left_over(self, index_uid: str, node_id: str) -> bool:
        """Whether an index was deleted, or never came to be although the node was asked."""
        tables = self.store._tables
        record = tables.indexes.get(IndexUid(index_uid))
        if record is not None:
            return record.deleted
        intents = [row.intent for row in tables.intents.values()]
        return any(
            i.index_uid == index_uid and i.kind.value == "create" and node_id in i.state.nodes
            for i in intents
            if i.state.phase.value == "aborted"
        )

    # ---- the store, effect by effect

    def effect(self, process: Process, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """A transaction took place (or raised)."""
        if isinstance(result, Exception):
            self.note(f"{process.name} {name}: {type(result).__name__} {result}")
            if isinstance(result, AssertionError):
                self.fail(f"the store asserts in {name}: {result!r}")
            return
        seer = getattr(self, f"_saw_{name}", None)
        if seer is not None:
            seer(process, args, result)

    def _saw_open_intent(self, process: Process, _args: Any, intent: Any) -> None:
        self.opened.append(intent.kind.value)
        self.note(
            f"{process.name} opens intent {intent.intent_id} {intent.kind.value} "
            f"{intent.index_uid} {sorted(intent.patch)} {intent.reason}"
        )
        self.see(
            e.Opened(
                self.loop.time(),
                intent.intent_id,
                intent.index_uid,
                intent.kind.value,
                intent.patch,
                tuple(n for wave in intent.state.waves for n in wave),
                asked_in(intent.reason),
                intent.primary_key,
            )
        )

    def _saw_accept_intent(self, process: Process, args: Any, result: Any) -> None:
        intent, task = result
        self._saw_open_intent(process, args, intent)
        self.note(f"{process.name} accepts intent {intent.intent_id} as task {task.uid}")

    def _saw_start_intent(self, process: Process, args: Any, intent: Any) -> None:
        self._guarded(process, "start_intent", args[0], args[1], intent.revision - 1)
        self.see(e.Started(self.loop.time(), intent.intent_id, intent.index_uid))
        self._store_proofs(intent.index_uid)

    def _saw_save_intent(self, process: Process, args: Any, intent: Any) -> None:
        self._guarded(process, "save_intent", args[0], args[2], intent.revision - 1)
        states = {n: p.state.value for n, p in intent.state.nodes.items()}
        decision = intent.state.decision.value if intent.state.decision else "-"
        phase = intent.state.phase.value
        self.note(f"{process.name} saves {intent.intent_id} {phase} {decision} {states}")
        if intent.state.closed:
            self.see(e.Closed(self.loop.time(), intent.intent_id, intent.index_uid, phase))
        self._store_proofs(intent.index_uid)

    def _saw_commit(self, process: Process, args: Any, version: int) -> None:
        intent, record, lease = args
        row = self.store._tables.intents[intent.intent_id].intent
        self._guarded(process, "commit", intent, lease, row.revision)
        uid = intent.index_uid
        now, before = self.store._tables.indexes[uid], self._records.get(uid)
        if now is before:
            return  # Repeated: nothing has changed.
        self._records[uid] = now
        self.note(f"{process.name} commits {intent.intent_id}: {uid} is at version {version}")
        self.see(
            e.Committed(
                at_s=self.loop.time(),
                intent=intent.intent_id,
                index=uid,
                kind=intent.kind.value,
                base=before.version if before else 0,
                version=now.version,
                raised=record.raise_version,
                fingerprints=record.fingerprints,
                deleted=record.deleted,
                proved=None
                if record.deleted or self._is_for_some(intent)
                else tuple(record.proved),
            )
        )
        self._store_proofs(uid)

    def _is_for_some(self, intent: Any) -> bool:
        """Whether it brings some nodes to what is in force."""
        nodes = {n for wave in intent.state.waves for n in wave}
        return intent.kind.value in {"repair", "update"} and nodes != set(self.nodes)

    def _saw_freeze(self, process: Process, args: Any, _result: Any) -> None:
        uid = args[0].index_uid
        self.note(f"{process.name} freezes {uid}")
        if uid in self.store._tables.indexes:
            self._records[uid] = self.store._tables.indexes[uid]

    def _saw_unprove(self, process: Process, args: Any, _result: Any) -> None:
        self.note(f"{process.name} demotes {args[0]} {args[1]}")
        self._store_proofs(args[0])

    def _saw_prove(self, process: Process, args: Any, result: bool) -> None:
        self.note(f"{process.name} proves {args[0]} {sorted(args[1])}: {result}")
        self._store_proofs(args[0])

    def _guarded(
        self, process: Process, name: str, intent: Any, lease: Any, newest_revision: int
    ) -> None:
        newest = self.store._tables.leases[lease.scope].epoch
        self.see(
            e.Guarded(
                self.loop.time(), name, lease.epoch, newest, intent.revision, newest_revision
            )
        )

    def _store_proofs(self, index_uid: str) -> None:
        rows = self.store._tables.versions.items()
        proved = {n: v.version for (uid, n), v in rows if uid == index_uid and v.version}
        self._proofs("store", index_uid, proved)

    # ---- the view

    def _look_at_the_view(self) -> None:
        process = self.processes[-1]
        view = process.services.common.cluster._now  # After every round: no detours.
        if view is self._seen_view or not process.serves or self.failure is not None:
            return
        self._seen_view = view
        self._look_at_the_commons()
        for uid, index in view.indexes.items():
            before = self._seen_views.get(uid)
            if before is not index:
                self._seen_views[uid] = index
                if before is None or before.record.version != index.record.version:
                    self.see(e.Switched(self.loop.time(), uid, index.record.version))
                self._proofs("view", uid, index.proved)
                self._returns(uid, index, before)

    def _look_at_the_commons(self) -> None:
        view = self.processes[-1].services.settings.commons.cluster._now
        for uid, index in view.indexes.items():
            if self._seen_views.get(uid) is not index:
                self._seen_views[uid] = index
                self._proofs("view", uid, index.proved)

    def tick(self) -> None:
        """Let the checker look at the time."""
        process = self.process
        if process.serves:
            commons = process.services.settings.commons.cluster.view.indexes
            for uid, index in (
                *process.services.common.cluster.view.indexes.items(), *commons.items()
            ):  # fmt: skip
                self._proofs("view", uid, index.proved)

    def _saw_set_out_of_sync(self, process: Process, args: Any, _result: Any) -> None:
        self.note(f"{process.name} has {args[1]} filled again for {args[0]}")
        self.out_of_sync.append((self.loop.time(), args[0], args[1]))

    def _returns(self, uid: str, index: Any, before: Any) -> None:
        """Nodes of a half that were changed are proved again."""
        intent = index.intent
        if intent is None or not intent.state.drains:
            return
        for name, version in index.proved.items():
            if before is not None and before.proved.get(name) != version:
                lags = self.nodes[name].lags(uid)
                self.see(e.Returned(self.loop.time(), name, uid, lags))

    def _proofs(self, source: str, index_uid: str, proved: Mapping[Any, int]) -> None:
        self.see(
            e.Proofs(
                self.loop.time(), source, index_uid, dict(proved), self._calm_nodes(index_uid)
            )
        )

    def _calm_nodes(self, index_uid: str) -> frozenset[str]:
        process = self.process
        common = index_uid in COMMONS
        lease = self.store._tables.leases.get("commons" if common else "drift")
        if not process.serves or lease is None or lease.holder != process.name:
            return frozenset()
        services = process.services
        cluster = services.settings.commons.cluster if common else services.common.cluster
        view = cluster.view
        index = view.live(index_uid)
        if index is None or index.accepted:
            return frozenset()
        nodes = self.nodes.values()
        return frozenset(n.node_id for n in nodes if n.answers and n.node_id in view.healthy)

    def heal(self) -> None:
        """No fault from now on: every node is up, every way is open."""
        self.faults.stop()
        for node in self.nodes.values():
            node.reachable, node.mute, node.locked = True, False, False
            node.go_on()
            if node.stuck:
                node.crash()
            node.restart()
        self._end_old_ones()

    def _end_old_ones(self) -> None:
        for process in self.processes[:-1]:
            process.die("the faults are over")
