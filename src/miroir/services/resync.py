"""
Brings replicas that missed writes up from a sibling, while reads and writes go on.

    settings first (the sweep's work)
        ─▶ take new writes, drop the old documents, list the sibling's ids
        ─▶ copy in pages ─▶ same number of documents on both ─▶ in sync again

From the first step on the replica gets every new write like its siblings. A page is copied while
its lane is held and the sibling has nothing queued, so that what is read is what all earlier
writes led to, and what comes later comes after it: the copy can never overwrite something newer.
Memory is bounded by the ids of one shard and one page. Anything that goes wrong leaves the
replica out of sync, and the next round begins anew. A replica that has lost the whole index gets
it again only here, where a sibling can fill it.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import quote

import msgspec
import orjson
import structlog

from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeError
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl, NodeRequest
from miroir.ports.store import Store
from miroir.services.cluster import Cluster, IndexView
from miroir.services.lanes import Lanes
from miroir.services.watcher import TaskWatcher

_PAGE_DOCUMENTS: Final = 1000
_PAGE_IDS: Final = 1000
_ROUND_S: Final = 2.0
_HOLD_MAX_S: Final = 20.0
_IDLE_TICK_S: Final = 0.05
_JSON: Final = "application/json"
_log = structlog.get_logger(__name__)


class _Page(msgspec.Struct):
    results: list[msgspec.Raw]
    total: int


_page = msgspec.json.Decoder(_Page)


class Interrupted(Exception):
    """This round cannot go on; the reason is the text. Never leaves this file."""


class Resync:
    """Repairs the in-sync set."""

    def __init__(
        self,
        *,
        control: NodeControl,
        store: Store,
        cluster: Cluster,
        lanes: Lanes,
        watcher: TaskWatcher,
        clock: Clock,
    ) -> None:
        self._control = control
        self._store = store
        self._cluster = cluster
        self._lanes = lanes
        self._watcher = watcher
        self._clock = clock

    async def run(self) -> None:
        """Look for replicas to bring up, for ever; one after the other."""
        while True:
            for index in list(self._cluster.view.indexes.values()):
                for node_id in list(index.out_of_sync):
                    await self._try(index.record.uid, node_id)
            await self._clock.sleep(_ROUND_S)

    async def _try(self, index_uid: IndexUid, node_id: NodeId) -> None:
        sibling = self._sibling(index_uid, node_id)
        if sibling is None:
            return
        try:
            if await self._control.index(node_id, index_uid) is None:
                await self._create(index_uid, node_id)
            elif self._settings_are_right(index_uid, node_id):
                _log.info("resync_begins", index=index_uid, node=node_id, sibling=sibling)
                await self._bring_up(index_uid, node_id, sibling)
        except (NodeError, Interrupted) as why:
            _log.warning("resync_interrupted", index=index_uid, node=node_id, why=str(why))
            if self._cluster.view.live(index_uid) is not None:
                self._cluster.apply_sync(index_uid, node_id, f"resync interrupted: {why}")

    def _sibling(self, index_uid: IndexUid, node_id: NodeId) -> NodeId | None:
        """Return whom to copy from, if the replica is up and no change of the index is open."""
        view = self._cluster.view
        index = view.live(index_uid)
        if index is None or node_id not in view.healthy or index.accepted:
            return None
        column = view.topology.columns[view.topology.by_id[node_id].shard_id]
        return next((n for n in column if n in view.ready(index)), None)

    def _settings_are_right(self, index_uid: IndexUid, node_id: NodeId) -> bool:
        """Whether the sweep has brought the settings up; before, documents would be in vain."""
        index = self._index(index_uid)
        return index.proved.get(node_id) == index.record.version

    async def _create(self, index_uid: IndexUid, node_id: NodeId) -> None:
        """Give the index back; the sweep has its settings repaired, then comes the copy."""
        key = self._index(index_uid).record.primary_key
        uid = await self._control.create_index(node_id, index_uid, key)
        await self._watcher.ended(node_id, uid)
        _log.warning("index_given_back", index=index_uid, node=node_id)

    async def _bring_up(self, index_uid: IndexUid, node_id: NodeId, sibling: NodeId) -> None:
        pair = (sibling, node_id)
        async with self._quiet(index_uid, pair):
            self._cluster.apply_catching_up(index_uid, node_id)
            await self._write(node_id, NodeRequest("DELETE", _documents(index_uid)))
            ids = await self._ids(index_uid, sibling)
        for start in range(0, len(ids), _PAGE_DOCUMENTS):
            async with self._quiet(index_uid, (sibling,)):
                self._check_still_taking(index_uid, node_id)
                page = await self._documents(index_uid, sibling, ids[start:][:_PAGE_DOCUMENTS])
                if page:
                    await self._write(node_id, self._post(index_uid, page))
        async with self._quiet(index_uid, pair):
            self._check_still_taking(index_uid, node_id)
            counts = [await self._control.document_count(n, index_uid) for n in pair]
            if counts[0] != counts[1]:
                raise Interrupted(f"{counts[1]} documents where the sibling has {counts[0]}")
            await self._store.set_in_sync(index_uid, node_id)
            self._cluster.apply_sync(index_uid, node_id, None)
        _log.info("resync_done", index=index_uid, node=node_id, documents=len(ids))

    @asynccontextmanager
    async def _quiet(self, index_uid: IndexUid, nodes: Sequence[NodeId]) -> AsyncIterator[None]:
        """Hold the lane while these nodes have nothing queued for the index."""
        topology = self._cluster.view.topology
        lane = self._lanes.lock(index_uid, topology.by_id[nodes[0]].shard_id)
        async with lane:  # What is queued now is all there is: nothing more comes in meanwhile.
            until_s = self._clock.monotonic_s() + _HOLD_MAX_S
            while not all([await self._idle(index_uid, node_id) for node_id in nodes]):
                if self._clock.monotonic_s() > until_s:
                    raise Interrupted("the queue does not run dry in time")
                await self._clock.sleep(_IDLE_TICK_S)
            yield

    async def _idle(self, index_uid: IndexUid, node_id: NodeId) -> bool:
        query = f"indexUids={quote(index_uid)}&statuses=enqueued,processing&limit=1"
        reply = await self._control.forward(node_id, NodeRequest("GET", f"/tasks?{query}"))
        return bool(_object(reply.body).get("total") == 0)

    async def _ids(self, index_uid: IndexUid, node_id: NodeId) -> list[Any]:
        """Return the id of every document, in the node's order."""
        key = self._index(index_uid).record.primary_key
        if key is None:
            return []
        ids: list[Any] = []
        while True:
            body = {"fields": [key], "offset": len(ids), "limit": _PAGE_IDS}
            page = _page.decode(await self._fetch(index_uid, node_id, body))
            ids += [_at(orjson.loads(bytes(raw)), key) for raw in page.results]
            if not page.results:
                return ids

    async def _documents(
        self, index_uid: IndexUid, node_id: NodeId, ids: Sequence[Any]
    ) -> list[msgspec.Raw]:
        """Return documents as the node stores them, unread; some may be gone by now."""
        body: dict[str, Any] = {"ids": [str(i) for i in ids], "limit": len(ids)}
        if (self._index(index_uid).record.settings or {}).get("embedders"):
            body["retrieveVectors"] = True
        return _page.decode(await self._fetch(index_uid, node_id, body)).results

    async def _fetch(self, index_uid: IndexUid, node_id: NodeId, body: dict[str, Any]) -> bytes:
        path = f"{_documents(index_uid)}/fetch"
        request = NodeRequest("POST", path, orjson.dumps(body), _JSON)
        reply = await self._control.forward(node_id, request)
        if reply.status >= 400:
            raise Interrupted(f"{node_id} refused to show documents ({reply.status})")
        return reply.body

    async def _write(self, node_id: NodeId, request: NodeRequest) -> None:
        """Send a write to the replica alone and wait until it is applied."""
        reply = await self._control.forward(node_id, request)
        if reply.status >= 400:
            raise Interrupted(f"{node_id} refused a page ({reply.status})")
        task = await self._watcher.ended(node_id, int(_object(reply.body)["taskUid"]))
        if task is None or task.status != "succeeded":
            raise Interrupted(f"{node_id} did not apply a page")

    def _post(self, index_uid: IndexUid, page: Sequence[msgspec.Raw]) -> NodeRequest:
        key = self._index(index_uid).record.primary_key
        assert key is not None, "an index with documents has a primary key"
        path = f"{_documents(index_uid)}?primaryKey={quote(key)}"
        return NodeRequest("POST", path, b"[%b]" % b",".join(page), _JSON)

    def _index(self, index_uid: IndexUid) -> IndexView:
        index = self._cluster.view.live(index_uid)
        if index is None:
            raise Interrupted("the index is gone")
        return index

    def _check_still_taking(self, index_uid: IndexUid, node_id: NodeId) -> None:
        if node_id not in self._index(index_uid).catching_up:
            raise Interrupted("it missed a write meanwhile")


def _documents(index_uid: IndexUid) -> str:
    return f"/indexes/{quote(index_uid)}/documents"


def _object(body: bytes) -> dict[str, Any]:
    value: dict[str, Any] = orjson.loads(body)
    return value


def _at(document: Any, key: str) -> Any:
    """Return the primary key's value, also of a nested key `a.b`."""
    if key in document:
        return document[key]
    for name, inner in document.items():
        if key.startswith(f"{name}.") and isinstance(inner, dict):
            return _at(inner, key[len(name) + 1 :])
    raise Interrupted("a document without its primary key")
