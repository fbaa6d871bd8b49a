"""
Looks for parts of writes that reached a node after they were given up.

A request without an answer may still be on its way: a node that stood still reads it when it goes
on, long after its sender has hung up. It is then applied behind writes that came later, on this
replica alone. Nobody can take it back; but every part carries a tag, `miroir:<task>:<shard>`, that
its node task shows as `customMetadata`, so it can be recognized.

    a part is not answered ─▶ its tag is expected on that node, for `_KEPT_S`
      seen in front of the same part, sent again   ─▶ harmless, but for an edit by function
      seen on a replica that is out of sync        ─▶ harmless: it is emptied before it is filled
      seen on one that is in sync, or being filled ─▶ out of sync: filled again from a sibling

Nothing is asked of nodes while nothing is expected. What is expected is kept in memory; after a
restart it is what was unsent then.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import orjson
import structlog

from miroir.core.topology import IndexUid, NodeId, ShardId
from miroir.errors import NodeError, NodeUnreachable, Unavailable
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl, NodeRequest
from miroir.ports.store import Store
from miroir.services.cluster import Cluster
from miroir.services.replicas import Replicas
from miroir.telemetry import Metrics

_ROUND_S: Final = 3.0
_KEPT_S: Final = 3600.0
_PAGE: Final = 200
_PAGES_MAX: Final = 50
_TYPES: Final = "documentAdditionOrUpdate,documentDeletion,documentEdition"
_EDITS: Final = "documentEdition"
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Tag:
    """What a part is recognized by."""

    task_uid: int
    shard_id: ShardId

    def __str__(self) -> str:
        """Return it as nodes keep it."""
        return f"miroir:{self.task_uid}:{self.shard_id}"


def keeps_tags(engine: str) -> bool:
    """Whether an engine takes `customMetadata` (since 1.26) or refuses it as unknown."""
    parts = engine.split(".")
    if len(parts) < 2 or not (parts[0].isdigit() and parts[1].isdigit()):
        return False
    return (int(parts[0]), int(parts[1])) >= (1, 26)


@dataclass
class _Watched:
    """One index on one node: how many requests of each tag may still come, and since when."""

    seen_uid: int
    tags: dict[str, int]
    last_s: float
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Strays:
    """Finds late parts."""

    def __init__(
        self,
        *,
        control: NodeControl,
        store: Store,
        cluster: Cluster,
        clock: Clock,
        replicas: Replicas,
        metrics: Metrics,
    ) -> None:
        self._control = control
        self._store = store
        self._cluster = cluster
        self._clock = clock
        self._replicas = replicas
        self._metrics = metrics
        self._watched: dict[tuple[NodeId, IndexUid], _Watched] = {}

    def expect(self, node_id: NodeId, index_uid: IndexUid, tag: Tag, *, after_uid: int) -> None:
        """A part was not answered: it may reach the node, as a task above `after_uid`."""
        now_s = self._clock.monotonic_s()
        watched = self._watched.setdefault((node_id, index_uid), _Watched(after_uid, {}, now_s))
        watched.tags[str(tag)] = watched.tags.get(str(tag), 0) + 1
        watched.last_s = now_s

    async def run(self) -> None:
        """Look for what is expected, for ever."""
        while True:
            for (node_id, index_uid), watched in list(self._watched.items()):
                if self._clock.monotonic_s() - watched.last_s > _KEPT_S or not watched.tags:
                    del self._watched[node_id, index_uid]
                elif node_id in self._cluster.view.healthy:
                    await self._try(node_id, index_uid)
            await self._clock.sleep(_ROUND_S)

    async def _try(self, node_id: NodeId, index_uid: IndexUid) -> None:
        try:
            await self.look(node_id, index_uid)
        except (NodeError, Unavailable) as why:
            _log.info("strays_unanswered", node=node_id, index=index_uid, why=str(why))

    async def look(self, node_id: NodeId, index_uid: IndexUid) -> None:
        """
        See what of the expected has come, and drop the replica if it did harm.

        Raises:
            NodeError: The node does not tell.
        """
        watched = self._watched.get((node_id, index_uid))
        if watched is None:
            return
        async with watched.lock:  # Each task counts once, whoever sees it.
            newest = watched.seen_uid
            async for task in self._tasks_above(watched.seen_uid, node_id, index_uid):
                newest = max(newest, task["uid"])
                if task.get("customMetadata") in watched.tags:
                    await self._came(node_id, index_uid, watched, task)
            watched.seen_uid = newest

    async def find(self, node_id: NodeId, index_uid: IndexUid, tag: Tag) -> int | None:
        """
        Return the node's task of an edit that it may have got; None if it has not.

        Raises:
            NodeError: The node does not tell.
        """
        async for task in self._tasks_above(-1, node_id, index_uid, types=_EDITS):
            if task.get("customMetadata") == str(tag):
                return int(task["uid"])
        return None

    async def _tasks_above(
        self, uid: int, node_id: NodeId, index_uid: IndexUid, *, types: str = _TYPES
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Yield document tasks, newest first."""
        query = f"indexUids={quote(index_uid)}&types={types}&limit={_PAGE}"
        start: int | None = None
        for _ in range(_PAGES_MAX):
            path = f"/tasks?{query}" + ("" if start is None else f"&from={start}")
            reply = await self._control.forward(node_id, NodeRequest("GET", path))
            try:
                page = orjson.loads(reply.body)
                results, start = page["results"], page["next"]
            except (orjson.JSONDecodeError, LookupError, TypeError):
                raise NodeUnreachable(f"node {node_id}: an unexpected list of tasks") from None
            for task in results:
                if task["uid"] <= uid:
                    return
                yield task
            if start is None:
                return

    async def _came(
        self, node_id: NodeId, index_uid: IndexUid, watched: _Watched, task: Mapping[str, Any]
    ) -> None:
        tag = task["customMetadata"]
        _, task_uid, shard_id = tag.split(":")
        shares = [
            share
            for share in await self._store.shares(int(task_uid))
            if (share.node_id, share.shard_id) == (node_id, int(shard_id))
        ]
        answered = [s.node_task_uid for s in shares if s.node_task_uid is not None]
        if task["uid"] in answered:
            return  # That is the one that was answered, not the one that was not.
        watched.tags[tag] -= 1
        if not watched.tags[tag]:
            del watched.tags[tag]
        again = any(uid > task["uid"] for uid in answered) and task.get("type") != _EDITS
        if again or any(share.status == "unsent" for share in shares):
            return  # The same part follows it: nothing has come in between.
        index = self._cluster.view.live(index_uid)
        if index is None or node_id in index.lagging:
            return
        _log.warning("part_came_late", node=node_id, index=index_uid, task=task_uid)
        why = f"a part of task {task_uid} reached it late"
        left = await self._replicas.drop(index_uid, {node_id: why})
        self._metrics.replicas_disagreed("resynced" if left else "unresolved")
