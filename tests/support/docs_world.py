"""
One simulated cluster that takes documents: real services, nodes that hold documents, a judge.

    clients and faults ─▶ faults stop ─▶ everything accepted ends, every replica is in sync
      ─▶ the replicas of a shard hold the same documents, those that the accepted writes lead to

The judge knows what was accepted from the store's own transactions, in order, and what each write
is from its durable parts; it never asks Miroir what it thinks of its replicas' contents.
"""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from miroir.config import Config
from miroir.core.consistency import Consistency, replicas_needed
from miroir.core.topology import IndexUid
from miroir.errors import MiroirError, Unavailable
from miroir.ports.records import IntentKind, TaskQuery, TaskRecord, WritePart
from miroir.runtime import Outside, make_services
from miroir.telemetry import Metrics
from tests.support.docs_faults import LateParts
from tests.support.docs_node import DocsNetwork, DocsNode, deletes, edited, parsed
from tests.support.memory_store import MemoryStore
from tests.support.sim_faults import FaultPlan, FaultPoint as F
from tests.support.sim_inside import Inside
from tests.support.sim_store import StoreDoor
from tests.support.virtual_loop import VirtualClock, VirtualLoop

_METRICS: Final = Metrics()
_GRIDS: Final = ((1, 1), (1, 2), (1, 3), (2, 2), (2, 1), (1, 2))
_ANYTHING: Final = object()
_FOUND_S: Final = 10.0
"""In this time a late part is found at the latest."""
_BUSY: Final = {"save_shares", "start_task", "finish_task", "open_write", "set_in_sync", "shares"}


@dataclass(frozen=True)
class Accepted:
    """A document write as it became durable."""

    task: TaskRecord
    parts: tuple[WritePart, ...]


class Process(Inside):
    """One Miroir process."""

    answered: ClassVar[type[Exception]] = MiroirError

    def __init__(self, world: "DocsWorld", number: int) -> None:
        super().__init__(f"miroir{number}")
        self._world = world
        chance = random.Random(f"{world.seed} {self.name}")
        faults: Any = LateParts(world, self)
        network = world.network_type(self, world.nodes, chance, faults, world.note)
        store: Any = StoreDoor(
            world.store,
            self,
            world.faults,
            lambda: 0.0002 * chance.paretovariate(1.5),
            world.effect,
        )
        outside = Outside(network, network, store, world.clock, chance, _METRICS)
        self.services = make_services(world.config, world.topology, outside)
        self.services.documents.resync.page_documents = 2  # Many steps, for what may come between.
        self._store = store
        self.begin()

    # ---- what the door to the store and the network want of their owner

    @property
    def rules(self) -> bool:
        return self.alive

    def die(self, why: str) -> None:
        if not self.alive:
            return
        self.alive = False
        self._world.note(f"{self.name} dies: {why}")
        self.gone.set()
        self._root.cancel()
        self._world.restart()

    def fell_over(self, why: str) -> None:
        self._world.fail(f"{self.name} fell over: {why}")

    def pause(self, why: str) -> None:
        raise AssertionError(why)

    def allows(self, name: str) -> bool:
        return True

    async def go_on(self) -> None:
        return

    def departs(self, *_: Any) -> None:
        return

    def was_read(self, *_: Any) -> None:
        return


class DocsWorld:
    """
    The cluster of one run.

    Attributes:
        writes: Every document write that became durable, by task uid.
        ends: Index and intent of every deletion of an index -> the next write's uid, at least.
        failure: The first thing that went wrong, or None.
    """

    node_type: ClassVar[type[DocsNode]] = DocsNode
    network_type: ClassVar[type[DocsNetwork]] = DocsNetwork
    late_calls: frozenset[str] = frozenset()  # That nobody has to repair if they come late.

    def __init__(self, loop: VirtualLoop, seed: int, faults: FaultPlan) -> None:
        self.seed = seed
        self.faults = faults
        self.loop = loop
        self.chance = random.Random(f"world {seed}")
        self.clock = VirtualClock(loop)
        self.log: list[str] = []
        self.failure: str | None = None
        self.failed = asyncio.Event()
        self.writes: dict[int, Accepted] = {}
        self.ends: dict[tuple[str, int], int] = {}
        self._opened: dict[int, int] = {}
        shards, groups = _GRIDS[seed // 8 % len(_GRIDS)]
        names = [f"n{i}" for i in range(shards * groups)]
        self.config = _config(shards, names)
        self.topology = self.config.topology.to_core()
        self.nodes = {
            name: self.node_type(name, random.Random(f"{seed} {name}"), faults) for name in names
        }
        for node in self.nodes.values():
            node.noted = self.note
            node.changed = lambda *_: None
        self.store = MemoryStore(self.clock, pause=self._trouble)
        self.store_fails = False
        self.late_until_s = -_FOUND_S
        self._numbers = 0
        self.process: Process
        self._start()

    def note(self, text: str) -> None:
        self.log.append(f"{self.loop.time():10.4f} {text}")

    def fail(self, why: str) -> None:
        if self.failure is None:
            self.failure = why
            self.note(f"FAILURE {why}")
        self.failed.set()

    def _start(self) -> None:
        self._numbers += 1
        self.note(f"miroir{self._numbers} starts")
        self.process = Process(self, self._numbers)

    def restart(self) -> None:
        self.loop.call_later(self.chance.uniform(0.05, 3.0), self._again)

    def _again(self) -> None:
        self.store.reopen()
        self._start()

    async def _trouble(self, moment: str) -> None:
        """The disk is full, now and then, while documents are written."""
        name = moment.removeprefix("before ")
        if not self.faults.active or self.faults.style not in {"store", "all"}:
            return
        if name in _BUSY and self.chance.random() < 0.03:
            self.note(f"the store fails: {name}")
            raise Unavailable("the disk is full")

    def effect(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """Seen from inside the store: what was really made durable, and when."""
        if name == "open_write" and not isinstance(result, Exception):
            self.writes[result.uid] = Accepted(result, args[1])
            self.note(f"accepted task {result.uid}: {[p.path for p in args[1]]}")
        elif name == "accept_intent" and args[0].kind is IntentKind.DELETE:
            self._opened[result[0].intent_id] = (max(self.writes, default=-1)) + 1
        elif name == "commit" and args[0].kind is IntentKind.DELETE and isinstance(result, int):
            # Also one that was durable, but whose task was not: its client never heard of it.
            self.ends[(args[0].index_uid, args[0].intent_id)] = self._opened[args[0].intent_id]
        if name in {"finish_task", "save_shares", "set_in_sync", "set_out_of_sync", "commit"}:
            self.note(f"store: {name} {args} {kwargs} {result or ''}"[:600])

    # ---- what happens to it

    async def befall(self) -> None:
        while self.faults.active:
            await asyncio.sleep(0.5)
            node = self.nodes[self.chance.choice(list(self.nodes))]
            if self.faults.strikes(F.NODE_CRASHED) and node.up:
                node.crash()
                node.restart_after(self.chance.uniform(0.2, 25.0))
            if self.faults.strikes(F.NODE_UNREACHABLE) and node.reachable:
                node.reachable = False
                self.note(f"{node.node_id} is cut off")
                self.loop.call_later(self.chance.uniform(1.0, 40.0), self._join, node)

    def _join(self, node: DocsNode) -> None:
        node.reachable = True
        self.note(f"{node.node_id} is reachable")

    def heal(self) -> None:
        self.faults.stop()
        for node in self.nodes.values():
            node.reachable = True
            node.restart()

    # ---- the judge

    def check_reached(self, task_uid: int, level: Consistency) -> None:
        """A write was acknowledged: as many nodes of each shard as it asked for must have it."""
        needed = replicas_needed(level, self.topology.group_count)
        for part in self.writes[task_uid].parts if task_uid in self.writes else ():
            tag = f"miroir:{task_uid}:{part.shard_id}"
            column = self.topology.columns[part.shard_id]
            have = [
                n
                for n in column
                if any(t.body.get("tag") == tag for t in self.nodes[n].disk.tasks)
            ]
            if len(have) < needed:
                self.fail(f"task {task_uid} ({level}) was acknowledged, and {have} have it")

    async def at_rest(self) -> str:
        """Return what is still open, or nothing."""
        process = self.process
        if not process.serves:
            return "no process"
        view = process.services.common.cluster.view
        tasks = await self.store.tasks(TaskQuery(limit=1, statuses=("enqueued", "processing")))
        if tasks.total:
            return f"{tasks.total} tasks, e.g. {tasks.results[0]}"
        if lagging := await self.store.out_of_sync():
            live = {k: v for k, v in lagging.items() if view.live(k[0]) is not None}
            if live:
                return f"out of sync: {live}"
        if intents := await self.store.open_intents():
            return f"{len(intents)} intents, e.g. {intents[0].index_uid} {intents[0].kind}"
        for uid, index in view.indexes.items():
            unproved = set(view.topology.node_ids) - {
                n for n, v in index.proved.items() if v == index.record.version
            }
            if unproved:
                return f"unproved for {uid}: {unproved}"
        for record in await self.store.indexes():
            holders = [n for n in self.nodes if record.uid in self.nodes[n].disk.indexes]
            if record.deleted and holders:
                return f"{record.uid} is deleted and on {holders}"
        if self.loop.time() < self.late_until_s + _FOUND_S:
            return "a late part may still come, or be found"
        busy = [n.node_id for n in self.nodes.values() if n.pending_any()]
        return f"busy nodes: {busy}" if busy else ""

    async def judge(self) -> None:
        """Compare what nodes hold with each other and with what was accepted."""
        view = self.process.services.common.cluster.view
        for record in await self.store.indexes():
            if record.deleted:
                for node in self.nodes.values():
                    if record.uid in node.disk.indexes:
                        self.fail(f"{record.uid} is deleted and on {node.node_id}")
                continue
            wanted = await self._wanted(record.uid)
            for shard, column in enumerate(view.topology.columns):
                held = {n: self.nodes[n].documents.get(record.uid) for n in column}
                for node_id, documents in held.items():
                    if documents != held[column[0]]:
                        self.fail(f"{record.uid}: shard {shard} differs: {held} ({node_id})")
                        return
                self._compare(record.uid, wanted.get(shard, {}), held[column[0]] or {})

    def _compare(self, uid: str, wanted: Mapping[str, Any], held: Mapping[str, Any]) -> None:
        known = {k: d for k, d in wanted.items() if d is not _ANYTHING and d is not None}
        sure = {k: d for k, d in held.items() if wanted.get(k) is not _ANYTHING}
        if known != sure:
            self.fail(f"{uid}: accepted writes lead to {known}, nodes hold {sure}")

    async def _wanted(self, uid: IndexUid) -> dict[int, dict[str, Any]]:
        """Carry out the accepted writes in order; `_ANYTHING` where shards failed differently."""
        shards: dict[int, dict[str, Any]] = {}
        ends = sorted(after for intent, after in self.ends.items() if intent[0] == uid)
        page = await self.store.tasks(TaskQuery(limit=10**6, reverse=True, index_uids=(uid,)))
        for task in page.results:
            if task.uid not in self.writes:
                continue
            while ends and ends[0] <= task.uid:
                shards.clear()
                ends.pop(0)
            shares = await self.store.shares(task.uid)
            for part in self.writes[task.uid].parts:
                how = {s.status for s in shares if s.shard_id == part.shard_id} - {"missed"}
                carry_out(part, shards.setdefault(part.shard_id, {}), how, task.status)
        return {} if ends else shards


def carry_out(part: WritePart, shard: dict[str, Any], how: set[str], status: str) -> None:
    """Apply one part to the model; what is not known from its end is anything from then on."""
    write = parsed(part.method, part.path, part.body)
    assert write is not None
    done = status == "succeeded" or how == {"succeeded"}
    if not done and how in ({"failed"}, {"canceled"}):
        return
    if write.action in {"POST", "PUT"}:
        for document in write.body["documents"]:
            key = str(document[write.body["primaryKey"]])
            old = (shard.get(key) or {}) if write.action == "PUT" else {}
            unknown = not done or old is _ANYTHING
            shard[key] = _ANYTHING if unknown else {**old, **document}
        return
    for key, document in list(shard.items()):
        if document is None or (document is _ANYTHING and write.action in {"/delete", "/edit"}):
            continue
        if deletes(
            {"action": write.action, **write.body},
            key,
            document if document is not _ANYTHING else {},
        ):
            after = edited(document) if write.action == "/edit" else None
            shard[key] = after if done else _ANYTHING


def _config(shards: int, names: list[str]) -> Config:
    nodes = [
        {"name": n, "url": f"http://{n}:7700", "shard": i % shards, "replica_group": i // shards}
        for i, n in enumerate(names)
    ]
    return Config.model_validate(
        {
            "topology": {
                "shards": shards,
                "replica_groups": len(names) // shards,
                "nodes": nodes,
            },
            "settings_broadcast": {
                "probe_wait_s": 1.0,
                "verify_timeout_s": 20.0,
                "node_silence_s": 15.0,
            },
            "settings_drift_check": {"interval_s": 12.0},
            "health": {"interval_s": 1.0},
            "limits": {"write_timeout_s": 3.0},
        }
    )
