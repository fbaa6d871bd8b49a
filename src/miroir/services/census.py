"""
Compares what in-sync replicas hold, and takes out of sync who has lost something unnoticed.

A node that lost an index is given a fresh one by the next documents, since nodes create what they
do not have; a node may come back from an older snapshot. Neither fails a write, so nobody notices,
and the settings may even be right. So, once per interval and when a node returns, each node is
asked for its newest task, the births of its indexes and their numbers of documents: three
requests, however many indexes there are.

    its task uids went down              ─▶ it is an older self: out of sync, for every index
                                            (the feed sees that sooner, while Miroir is up)
    its index is another than before     ─▶ it has lost the one that it had: out of sync
    numbers differ, in two looks, with nothing under way, and a third time
    while the lane is held                ─▶ who is outvoted leaves; without a majority: alert

Nobody leaves but in favour of a sibling that has kept what it had (`core.census` says who). Births
are kept in the store, so that what happens while Miroir is down is noticed, too. The copy that
follows is the resync's.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import structlog

from miroir.core import census as rules
from miroir.core.topology import IndexUid, NodeId, ShardId
from miroir.errors import LeaseLost, NodeError, NodeUnreachable, Unavailable
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl, NodeRequest
from miroir.ports.store import Store
from miroir.services.cluster import Cluster, IndexView
from miroir.services.leader import Leader
from miroir.services.quiet import Quiet
from miroir.services.replicas import Replicas
from miroir.services.tasks import Tasks
from miroir.telemetry import Metrics

_AGAIN_S: Final = 5.0
_HOLD_MAX_S: Final = 2.0
_REPORT_MAX_S: Final = 30.0
_PAGE: Final = 1000
_PAGES_MAX: Final = 1000
_log = structlog.get_logger(__name__)

Shard = tuple[IndexUid, ShardId]


@dataclass(frozen=True)
class CensusTools:
    """
    What it works with.

    Attributes:
        interval_s: Every node is looked at once in this time.
    """

    control: NodeControl
    store: Store
    cluster: Cluster
    clock: Clock
    leader: Leader
    quiet: Quiet
    replicas: Replicas
    tasks: Tasks
    metrics: Metrics
    interval_s: float


@dataclass(frozen=True)
class Look:
    """
    What one node shows.

    Attributes:
        newest_task_uid: -1 for none.
        births: When each of its indexes came into being, by its own clock.
        counts: How many documents each holds.
    """

    newest_task_uid: int
    births: Mapping[IndexUid, str]
    counts: Mapping[IndexUid, int]


@dataclass
class _Known:
    """What was seen of one index before; `of` tells one life of the index from the next."""

    of: tuple[int, int]
    births: dict[NodeId, str] = field(default_factory=dict)
    kept: str = ""


class Census:
    """Finds replicas that hold less than they should."""

    def __init__(self, tools: CensusTools) -> None:
        self._tools = tools
        self._known: dict[IndexUid, _Known] = {}
        self._doubted: set[Shard] = set()
        self._unresolved: set[Shard] = set()
        self._woken = asyncio.Event()

    def nudge(self, _node_id: NodeId, healthy: bool) -> None:  # noqa: FBT001 - a listener
        """A node's health has changed; one that returns is looked at without delay."""
        if healthy:
            self._woken.set()

    def forget(self, index_uid: IndexUid, node_id: NodeId) -> None:
        """A replica has been filled anew: it may have been given the index anew, too."""
        known = self._known.get(index_uid)
        if known is not None:
            known.births.pop(node_id, None)

    async def run(self) -> None:
        """Compare for ever, under a lease: of several processes one does."""
        tools = self._tools
        while True:
            try:
                async with tools.leader.lead("census"):
                    while True:
                        await self.take()
                        await self._until_due()
            except* (LeaseLost, Unavailable) as lost:
                _log.warning("deposed", scope="census", why=str(lost.exceptions[0]))
            await tools.clock.sleep(_AGAIN_S)

    async def _until_due(self) -> None:
        pause_s = min(_AGAIN_S, self._tools.interval_s) if self._doubted else None
        try:
            async with asyncio.timeout(pause_s or self._tools.interval_s):
                await self._woken.wait()
        except TimeoutError:
            pass  # Nobody has returned: it is time all the same.
        self._woken.clear()

    async def take(self) -> None:
        """Look at every healthy node once and compare."""
        before = self._tools.cluster.view
        looks: dict[NodeId, Look] = {}
        for node_id in sorted(before.healthy):
            try:
                looks[node_id] = await self._look(node_id)
            except NodeError as error:
                _log.info("census_unanswered", node=node_id, why=str(error))
        rewound = [n for n, look in looks.items() if await self._is_rewound(n, look)]
        for index in before.indexes.values():
            if not index.record.deleted:
                await self._compare(index, looks, rewound)
        for node_id, look in looks.items():  # Last: after a crash before here all is found again.
            await self._remember_task(node_id, look)

    # ---- what nodes show

    async def _look(self, node_id: NodeId) -> Look:
        newest = await self._tools.control.newest_task_uid(node_id)
        stats = await self._get(node_id, "/stats")
        births: dict[IndexUid, str] = {}
        for page in range(_PAGES_MAX):
            answer = await self._get(node_id, f"/indexes?limit={_PAGE}&offset={page * _PAGE}")
            rows = answer["results"]
            births |= {IndexUid(row["uid"]): str(row["createdAt"]) for row in rows}
            if len(rows) < _PAGE:
                break
        counts = {
            IndexUid(uid): int(s["numberOfDocuments"]) for uid, s in stats["indexes"].items()
        }
        return Look(newest, births, counts)

    async def _get(self, node_id: NodeId, path: str) -> Any:
        reply = await self._tools.control.forward(node_id, NodeRequest("GET", path))
        if reply.status != 200:
            raise NodeUnreachable(f"node {node_id}: {path} answered {reply.status}")
        try:
            return orjson.loads(reply.body)
        except orjson.JSONDecodeError:
            raise NodeUnreachable(f"node {node_id}: {path} answered no JSON") from None

    async def _is_rewound(self, node_id: NodeId, look: Look) -> bool:
        before = await self._tools.store.fact(_task_fact(node_id))
        return before is not None and look.newest_task_uid < int(before)

    async def _remember_task(self, node_id: NodeId, look: Look) -> None:
        name, value = _task_fact(node_id), str(look.newest_task_uid)
        if await self._tools.store.fact(name) != value:
            await self._tools.store.set_fact(name, value)

    # ---- who has changed

    async def _compare(
        self, index: IndexView, looks: Mapping[NodeId, Look], rewound: Collection[NodeId]
    ) -> None:
        """Compare the replicas of one index; `index` as it was before they were asked."""
        uid = index.record.uid
        known = await self._births(index)
        for number, column in enumerate(self._tools.cluster.view.topology.columns):
            shard = (uid, ShardId(number))
            members = [n for n in column if n in looks and self._was_in_sync(index, n)]
            births = {n: looks[n].births[uid] for n in members if uid in looks[n].births}
            lost = rules.changed(births, known.births if self._rested(index) else {}, rewound)
            if lost:
                # Should nobody be there now that it can be filled from, it is found again.
                known.births.update(dict.fromkeys(lost, ""))
                await self._drop(shard, lost, keepers=set(births) - set(lost))
            elif self._rested(index):
                known.births.update(births)
                await self._count(shard, {n: looks[n].counts.get(uid, 0) for n in births})
        await self._keep(uid, known)

    def _was_in_sync(self, before: IndexView, node_id: NodeId) -> bool:
        now = self._tools.cluster.view.live(before.record.uid)
        return now is not None and not {node_id} & {*now.out_of_sync, *before.out_of_sync}

    def _rested(self, before: IndexView) -> bool:
        """Whether it is the same index as then, and nothing was or is accepted for it."""
        now = self._tools.cluster.view.live(before.record.uid)
        if now is None or now.accepted or before.accepted:
            return False
        return _life(now) == _life(before) == self._known[now.record.uid].of

    async def _drop(
        self, shard: Shard, lost: Mapping[NodeId, str], *, keepers: Collection[NodeId]
    ) -> None:
        if not keepers:
            self._alert(shard, {str(n): why for n, why in lost.items()})
            return
        if await self._tools.replicas.drop(shard[0], lost):
            self._tools.metrics.replicas_disagreed("resynced")
        self._unresolved.discard(shard)

    def _alert(self, shard: Shard, seen: Mapping[str, Any]) -> None:
        if shard in self._unresolved:
            return  # Said before, and nothing has changed.
        self._unresolved.add(shard)
        self._tools.metrics.replicas_disagreed("unresolved")
        _log.error("replicas_disagree", index=shard[0], shard=shard[1], seen=dict(seen))

    # ---- who holds how many

    async def _count(self, shard: Shard, counts: Mapping[NodeId, int]) -> None:
        """Two looks that disagree at rest are reason enough to count once more, exactly."""
        if len(set(counts.values())) < 2 or not self._tools.tasks.at_rest(shard[0]):
            self._doubted.discard(shard)
            if counts and len(set(counts.values())) == 1:
                self._unresolved.discard(shard)
            return
        if shard not in self._doubted:
            self._doubted.add(shard)
            return
        self._doubted.discard(shard)
        try:
            exact = await self._exact(shard[0], sorted(counts))
        except (NodeError, TimeoutError) as why:
            _log.info("census_interrupted", index=shard[0], why=str(why))
            return
        fewer = rules.outvoted(exact)
        if fewer is None:
            self._alert(shard, {str(n): count for n, count in exact.items()})
            return
        self._unresolved.discard(shard)
        if fewer:
            keepers = set(exact) - fewer
            await self._drop(shard, dict.fromkeys(fewer, rules.FEWER), keepers=keepers)

    async def _exact(self, index_uid: IndexUid, node_ids: Sequence[NodeId]) -> dict[NodeId, int]:
        """Count while nothing moves; who has strayed in a write before is not counted."""
        tools = self._tools
        async with tools.quiet.held(index_uid, node_ids, within_s=_HOLD_MAX_S):
            counts = {n: await tools.control.document_count(n, index_uid) for n in node_ids}
        async with asyncio.timeout(_REPORT_MAX_S):
            await tools.tasks.reported(index_uid)
        index = tools.cluster.view.live(index_uid)
        if index is None or index.accepted:
            return {}
        return {n: count for n, count in counts.items() if n not in index.out_of_sync}

    # ---- what is remembered

    async def _births(self, index: IndexView) -> _Known:
        """Return what was seen of this life of the index, if need be from the store."""
        uid, life = index.record.uid, _life(index)
        known = self._known.get(uid)
        if known is None:
            text = await self._tools.store.fact(_birth_fact(uid))
            row: Any = orjson.loads(text) if text else {"of": life, "births": {}}
            known = _Known(tuple(row["of"]), dict(row["births"]), text or "")
        if known.of != life:
            known = _Known(life)
        self._known[uid] = known
        return known

    async def _keep(self, index_uid: IndexUid, known: _Known) -> None:
        index = self._tools.cluster.view.live(index_uid)
        for node_id in index.out_of_sync if index else ():
            known.births.pop(node_id, None)  # It may be given the index anew.
        row = {"of": known.of, "births": known.births}
        text = orjson.dumps(row, option=orjson.OPT_SORT_KEYS).decode()
        if text != known.kept:
            await self._tools.store.set_fact(_birth_fact(index_uid), text)
            known.kept = text


def _life(index: IndexView) -> tuple[int, int]:
    """Tell one life of an index from the next; a swap changes the version, too."""
    return index.record.created_at_ms, index.record.version


def _birth_fact(index_uid: IndexUid) -> str:
    return f"births:{index_uid}"


def _task_fact(node_id: NodeId) -> str:
    return f"newest_task:{node_id}"
