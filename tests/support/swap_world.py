"""
A simulated cluster whose indexes are swapped and renamed: a model of what uid has which content.

A *content* begins with the creation of an index and goes from uid to uid. The world follows the
store's own commits: which content each uid has, which writes and settings belong to each content.
The judge compares that with what the nodes hold; a watch looks at every moment whether a node that
may serve holds documents of another content.
"""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from miroir.core import settings as rules, swaps as pairs
from miroir.core.topology import IndexUid
from miroir.ports.records import Intent, IntentKind, SwapRecord
from tests.support.docs_faults import plan_for as docs_plan_for
from tests.support.docs_node import DocsNetwork, DocsNode, parsed
from tests.support.docs_world import DocsWorld, carry_out
from tests.support.sim_faults import FaultPlan, FaultPoint as F
from tests.support.sim_node import PROBE
from tests.support.swap_node import SwapsNetwork, SwapsNode

_REQUESTS: Final = ("swap_indexes", "swap_back", "issue_ticket", "withdraw_ticket")
_ABOUT_SWAPS: Final = (*_REQUESTS, "swap", "stubborn", "held up", "lost on the way back")
_WATCH_S: Final = 0.2
_TARGETS: Final = (
    *((point, name)
      for point in (F.MIROIR_CRASHED_BEFORE_WRITE, F.MIROIR_CRASHED_AFTER_WRITE, F.STORE_SLOW)
      for name in ("accept_intent", "start_intent", "save_intent", "commit_swap", "unprove")),
    *((point, name)
      for point in (F.MIROIR_CRASHED_BEFORE_CALL, F.MIROIR_CRASHED_IN_CALL, F.REQUEST_LATE,
                    F.MIROIR_CRASHED_AFTER_CALL, F.ANSWER_LOST, F.REQUEST_LOST)
      for name in (*_REQUESTS, "indexes", "tasks")),
)  # fmt: skip


@dataclass
class SwapFaults(FaultPlan):
    """A plan in which requests about swaps meet more, and may come late, as document parts may."""

    about_swaps: dict[F | tuple[F, str], float] = field(default_factory=dict)

    def strikes(self, point: F, what: str = "") -> bool:
        if self.target is not None and self.target[:2] == (point, what):
            return super().strikes(point, what)
        if what in _ABOUT_SWAPS and self.active:
            rate = self.about_swaps.get((point, what), self.about_swaps.get(point, 0.0))
            if rate and self.chance.random() < rate:
                self.hits[point] += 1  # No part of the budget: this is what it is all about.
                return True
        return (point is not F.REQUEST_LATE or what == "send") and super().strikes(point, what)


def plan_for(seed: int) -> SwapFaults:
    """Return the faults of a seed."""
    base = docs_plan_for(seed)
    chance = random.Random(f"swaps {seed}")
    net: dict[F | tuple[F, str], float] = {
        F.REQUEST_LATE: 0.15,
        F.ANSWER_LOST: 0.15,
        F.REQUEST_LOST: 0.08,
        F.ANSWER_SLOW: 0.1,
    }
    about: dict[F | tuple[F, str], float] = {}
    if base.style in {"network", "all", "no refusals"}:
        about |= net
    if base.style in {"tasks", "all"}:
        about |= {F.TASK_FAILED: 0.08, (F.REQUEST_LATE, "lost on the way back"): 0.3}
    style, rates, target = base.style, dict(base.rates), None
    if style == "store":  # There is a simulation of its own for a disk that is full.
        style, rates = "targeted", {F.NODE_CRASHED: 0.05, F.NODE_CRASHED_AFTER_WORK: 0.05}
        target = (*_TARGETS[seed // 8 % len(_TARGETS)], chance.randrange(4))
    if F.NODE_CRASHED_AFTER_WORK in rates:
        rates[F.NODE_CRASHED_AFTER_WORK] = 0.06
    return SwapFaults(style, base.chance, rates, target, budget=45, about_swaps=about)


class SwapsWorld(DocsWorld):
    """
    The cluster of one run.

    Attributes:
        place: Uid -> its content.
        swaps: How many were committed.
    """

    node_type: ClassVar[type[DocsNode]] = SwapsNode
    network_type: ClassVar[type[DocsNetwork]] = SwapsNetwork
    late_calls = frozenset(_ABOUT_SWAPS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.place: dict[str, int] = {}
        self.swaps = 0
        self._contents = 0
        self._written: dict[int, int] = {}
        self._settings: dict[int, Any] = {}
        self._born: dict[str, int] = {}
        self._versions: dict[str, int] = {}
        self._seen: set[int] = set()
        super().__init__(*args, **kwargs)
        self._watching = self.loop.create_task(self._watch())

    # ---- the model

    def effect(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        super().effect(name, args, kwargs, result)
        if isinstance(result, Exception):
            return
        if name == "open_write":
            self._wrote(result.uid, str(args[0].index_uid), args[1])
        elif name == "commit" and args[0].intent_id not in self._seen:
            self._seen.add(args[0].intent_id)
            self._committed(args[0], args[1], result)
        elif name == "commit_swap" and args[0].intent_id not in self._seen:
            self._seen.add(args[0].intent_id)
            self._swapped(args[0], args[1])

    def _wrote(self, task_uid: int, index_uid: str, parts: Any) -> None:
        content = self.place[index_uid]
        self._written[task_uid] = content
        for part in parts:
            write = parsed(part.method, part.path, part.body)
            for document in write.body.get("documents", ()) if write else ():
                if "v" in document:
                    self._born[document["v"]] = content

    def _committed(self, intent: Intent, record: Any, version: int) -> None:
        uid = str(intent.index_uid)
        if intent.kind is IntentKind.CREATE:
            self._contents += 1
            self.place[uid] = self._contents
        if intent.kind is IntentKind.DELETE:
            del self.place[uid]
            return
        if record.settings is not None:
            self._settings[self.place[uid]] = record.settings
        self._count(uid, version, version - record.raise_version)

    def _swapped(self, intent: Intent, record: SwapRecord) -> None:
        self.swaps += 1
        before = dict(self.place)
        for uid, source in pairs.sources(intent.swaps).items():
            self.place.pop(uid, None)
            if source is not None:
                self.place[uid] = before[source]
        for moved in record.indexes:
            version = moved.record.version
            self._count(moved.record.uid, version, version - (not moved.record.deleted))
        self.note(f"swapped {pairs.shown(intent.swaps)}: {self.place}")

    def _count(self, uid: str, version: int, before: int) -> None:
        if self._versions.get(uid, 0) != before:
            self.fail(f"{uid}: version {version} after {self._versions.get(uid, 0)}")
        self._versions[uid] = version

    # ---- at every moment

    async def _watch(self) -> None:
        while self.failure is None:
            await asyncio.sleep(_WATCH_S)
            if self.process.serves:
                self._look()

    def _look(self) -> None:
        view = self.process.services.common.cluster.view
        for uid, index in view.indexes.items():
            if index.record.deleted or index.accepted or uid not in self.place:
                continue
            served = [n for n, v in index.proved.items() if v == index.record.version]
            for node_id in (n for n in served if n not in index.out_of_sync):
                held = self.nodes[node_id].documents.get(uid, {})
                wrong = {d["v"] for d in held.values() if self._is_foreign(d, self.place[uid])}
                if wrong:
                    self.fail(f"{node_id} may serve {wrong} of another index as {uid}")

    def _is_foreign(self, document: Any, content: int) -> bool:
        return self._born.get(document.get("v", ""), content) != content

    # ---- the judge

    async def at_rest(self) -> str:
        live = {*self.place, PROBE}
        left = {n: sorted(self.nodes[n].disk.indexes.keys() - live) for n in self.nodes}
        return await super().at_rest() or (f"left: {left}" if any(left.values()) else "")

    async def judge(self) -> None:
        self._watching.cancel()
        self._look()
        await super().judge()
        for record in await self.store.indexes():
            if record.deleted != (record.uid not in self.place):
                self.fail(f"{record.uid}: deleted {record.deleted}, but {self.place}")
            versions = [entry.version for entry in await self.store.history(record.uid)]
            if versions != list(range(len(versions), 0, -1)):
                self.fail(f"{record.uid}: versions {versions}")
            if record.deleted:
                continue
            wanted = self._settings[self.place[record.uid]]
            if record.settings != wanted:
                self.fail(f"{record.uid}: settings {record.settings}, accepted {wanted}")
            for node in self.nodes.values():
                shown = node.disk.indexes[record.uid].shown
                if faults := rules.differences(wanted, shown):
                    self.fail(f"{node.node_id} shows other settings of {record.uid}: {faults}")

    async def _wanted(self, uid: IndexUid) -> dict[int, dict[str, Any]]:
        """Carry out the writes of the content that this uid has, in order."""
        shards: dict[int, dict[str, Any]] = {}
        for task_uid in sorted(u for u, c in self._written.items() if c == self.place[uid]):
            task = await self.store.task(task_uid)
            assert task is not None
            shares = await self.store.shares(task_uid)
            for part in self.writes[task_uid].parts:
                how = {s.status for s in shares if s.shard_id == part.shard_id} - {"missed"}
                carry_out(part, shards.setdefault(part.shard_id, {}), how, task.status)
        return shards
