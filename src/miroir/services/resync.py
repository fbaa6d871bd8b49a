"""
Brings replicas that missed writes up from a sibling, while reads and writes go on.

    settings first (looked at as soon as the index is back)
        ─▶ take new writes, drop the old documents, list the sibling's ids
        ─▶ copy in pages ─▶ same number of documents on both
        ─▶ every write up to now is settled, and the sibling is still in sync ─▶ in sync again

From the first step on the replica gets every new write like its siblings. A page is copied while
its lane is held and the sibling has nothing queued, so that what is read is what all earlier
writes led to, and what comes later comes after it: the copy can never overwrite something newer.
How a write ended on the sibling may be known long before it is settled what was right, which
takes an answer of every replica: a copy counts only when no write that it may contain can still
turn out to have gone wrong on the sibling.

Memory is bounded by the ids of one shard and one page. Anything that goes wrong leaves the
replica out of sync, and the next round begins anew. A replica that has lost the whole index gets
it again only here, where a sibling can fill it. Nothing is sent while the end of the index is
accepted; that is looked at under the lane, which an index's end needs, too, to be accepted.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import msgspec
import orjson
import structlog

from miroir.core.settings import EMBEDDERS
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeError, Unavailable
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl, NodeReply, NodeRequest
from miroir.ports.records import Intent, IntentKind
from miroir.services.cluster import Cluster, IndexView
from miroir.services.patience import Pauses
from miroir.services.quiet import Quiet
from miroir.services.replicas import Replicas
from miroir.services.strays import Strays
from miroir.services.tasks import Tasks
from miroir.services.tickets import TicketOffice
from miroir.services.watcher import TaskWatcher

_ROUND_S: Final = 2.0
_PAUSE_MAX_S: Final = 60.0
_HOLD_MAX_S: Final = 20.0
_JSON: Final = "application/json"
_log = structlog.get_logger(__name__)


class _Page(msgspec.Struct):
    results: list[msgspec.Raw]
    total: int


_page = msgspec.json.Decoder(_Page)


class Interrupted(Exception):
    """This round cannot go on; the reason is the text. Never leaves this file."""


@dataclass(frozen=True)
class ResyncTools:
    """What the copying works with."""

    control: NodeControl
    cluster: Cluster
    clock: Clock
    quiet: Quiet
    strays: Strays
    replicas: Replicas
    tasks: Tasks
    watcher: TaskWatcher
    tickets: TicketOffice
    page_documents: int = 1000  # Asked for and sent at a time.


class Resync:
    """Repairs the in-sync set."""

    def __init__(self, tools: ResyncTools) -> None:
        self._control = tools.control
        self._cluster = tools.cluster
        self._clock = tools.clock
        self._quiet_moments = tools.quiet
        self._strays = tools.strays
        self._replicas = tools.replicas
        self._tasks = tools.tasks
        self._watcher = tools.watcher
        self._tickets = tools.tickets
        self.page_documents = tools.page_documents
        self._given_back: list[Callable[[NodeId], None]] = []
        self._woken = asyncio.Event()
        self._pauses: Pauses[tuple[IndexUid, NodeId]] = Pauses(
            tools.clock, first_s=_ROUND_S, max_s=_PAUSE_MAX_S
        )

    def on_given_back(self, listener: Callable[[NodeId], None]) -> None:
        """Call `listener(node_id)` when a node has an index again, without its settings."""
        self._given_back.append(listener)

    async def run(self) -> None:
        """Look for replicas to bring up, for ever; one after the other."""
        while True:
            for index in list(self._cluster.view.indexes.values()):
                for node_id in list(index.out_of_sync):
                    if not self._pauses.rests((index.record.uid, node_id)):
                        await self._try(index.record.uid, node_id)
            await self._until_next_round()

    def look_again(self, _index_uid: IndexUid) -> None:
        """A change has ended: replicas may be right for a moment, before the next one begins."""
        self._woken.set()

    async def _until_next_round(self) -> None:
        async with asyncio.TaskGroup() as timers:
            timer = timers.create_task(self._ring())
            await self._woken.wait()
            timer.cancel()
        self._woken.clear()

    async def _ring(self) -> None:
        await self._clock.sleep(_ROUND_S)
        self._woken.set()

    async def _try(self, index_uid: IndexUid, node_id: NodeId) -> None:
        sibling = self._sibling(index_uid, node_id)
        if sibling is None:
            return
        try:
            await self._end_swaps(node_id)
            found = await self._control.index(node_id, index_uid)
            if found is None and self._changes(index_uid):
                return  # It may have read the node before; what it read would go.
            if found is None:
                await self._create(index_uid, node_id, sibling)
            elif found.get("primaryKey") not in {None, self._index(index_uid).record.primary_key}:
                await self._take_away(index_uid, node_id, sibling)
            elif self._settings_are_right(index_uid, node_id):
                _log.info("resync_begins", index=index_uid, node=node_id, sibling=sibling)
                await self._bring_up(index_uid, node_id, sibling)
        except (NodeError, Unavailable, TimeoutError, Interrupted) as why:
            self._pauses.lengthen((index_uid, node_id))
            _log.warning("resync_interrupted", index=index_uid, node=node_id, why=str(why))
            index = self._cluster.view.live(index_uid)
            # In an index that was made anew meanwhile it may be in sync: nothing is interrupted.
            if index is not None and node_id in index.out_of_sync:
                self._replicas.leave(index_uid, {node_id: f"resync interrupted: {why}"})

    async def _end_swaps(self, node_id: NodeId) -> None:
        """No swap that was given up on this node may come over what is about to be done."""
        if not await self._tickets.clear(node_id):
            raise Interrupted("a swap could still have come; it has to be looked at again")

    def _sibling(self, index_uid: IndexUid, node_id: NodeId) -> NodeId | None:
        """Return whom to copy from, if the replica is up and nothing open forbids it."""
        view = self._cluster.view
        index = view.live(index_uid)
        if index is None or node_id not in index.out_of_sync:
            return None
        if any(_disturbs(intent) for intent in index.accepted):
            return None
        if node_id not in view.healthy or node_id not in view.topology.by_id:
            return None
        column = view.topology.column_of(node_id)
        return next((n for n in column if n in view.ready(index)), None)

    def _settings_are_right(self, index_uid: IndexUid, node_id: NodeId) -> bool:
        """Whether the sweep has brought the settings up; before, documents would be in vain."""
        index = self._index(index_uid)
        return index.proved.get(node_id) == index.record.version

    def _changes(self, index_uid: IndexUid) -> bool:
        """Whether a change of settings has begun, which goes by what nodes showed it."""
        begun = self._index(index_uid).intent
        return begun is not None and begun.kind.changes_settings

    def _check_unchanged(self, index_uid: IndexUid) -> None:
        if self._changes(index_uid):
            raise Interrupted("a change of its settings has begun")

    async def _create(self, index_uid: IndexUid, node_id: NodeId, sibling: NodeId) -> None:
        """Give the index back; its settings are repaired at once, then comes the copy."""
        await self._replicas.doubt(index_uid, node_id)  # What was proved went with the old one.
        async with self._quiet(index_uid, (sibling,)):
            key = self._undisturbed(index_uid, node_id).record.primary_key
            self._check_unchanged(index_uid)
            uid = await self._control.create_index(node_id, index_uid, key)
        await self._watcher.ended(node_id, uid)
        _log.warning("index_given_back", index=index_uid, node=node_id)
        for listener in self._given_back:
            listener(node_id)

    async def _take_away(self, index_uid: IndexUid, node_id: NodeId, sibling: NodeId) -> None:
        """Delete what an earlier index of this name has left here: it has another primary key."""
        await self._replicas.doubt(index_uid, node_id)  # What was proved goes with it.
        async with self._quiet(index_uid, (sibling,)):
            self._undisturbed(index_uid, node_id)
            self._check_unchanged(index_uid)
            uid = await self._control.delete_index(node_id, index_uid)
        await self._watcher.ended(node_id, uid)
        _log.warning("leftover_deleted", index=index_uid, node=node_id, task=uid)

    async def _bring_up(self, index_uid: IndexUid, node_id: NodeId, sibling: NodeId) -> None:
        pair = (sibling, node_id)
        await self._strays.look(node_id, index_uid)  # What has come before does no harm.
        async with self._quiet(index_uid, pair):
            self._undisturbed(index_uid, node_id)
            self._cluster.apply_catching_up(index_uid, node_id)
            emptied = await self._send(node_id, NodeRequest("DELETE", _documents(index_uid)))
            ids = await self._ids(index_uid, sibling)
        await self._applied(node_id, emptied)
        for start in range(0, len(ids), self.page_documents):
            async with self._quiet(index_uid, (sibling,)):
                self._check_still_taking(index_uid, node_id)
                page = await self._documents(
                    index_uid, sibling, ids[start:][: self.page_documents]
                )
                uid = await self._send(node_id, self._post(index_uid, page)) if page else None
            if uid is not None:
                await self._applied(node_id, uid)
        async with self._quiet(index_uid, pair):
            self._check_still_taking(index_uid, node_id)
            counts = [await self._control.document_count(n, index_uid) for n in pair]
            if counts[0] != counts[1]:
                raise Interrupted(f"{counts[1]} documents where the sibling has {counts[0]}")
        await self._tasks.reported(index_uid)
        if sibling in self._undisturbed(index_uid, node_id).out_of_sync:
            raise Interrupted("the sibling has strayed meanwhile")
        await self._strays.look(node_id, index_uid)  # A late part may lie over the copy.
        if not await self._replicas.join(index_uid, node_id):
            raise Interrupted("it missed a write meanwhile")
        self._pauses.forget((index_uid, node_id))
        _log.info("resync_done", index=index_uid, node=node_id, documents=len(ids))

    def _quiet(
        self, index_uid: IndexUid, nodes: Sequence[NodeId]
    ) -> AbstractAsyncContextManager[None]:
        return self._quiet_moments.held(index_uid, nodes, within_s=_HOLD_MAX_S)

    async def _ids(self, index_uid: IndexUid, node_id: NodeId) -> list[Any]:
        """Return the id of every document, in the node's order."""
        key = self._index(index_uid).record.primary_key
        if key is None:
            return []
        ids: list[Any] = []
        while True:
            body = {"fields": [key], "offset": len(ids), "limit": self.page_documents}
            page = _read(await self._fetch(index_uid, node_id, body))
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
        return _read(await self._fetch(index_uid, node_id, body)).results

    async def _fetch(self, index_uid: IndexUid, node_id: NodeId, body: dict[str, Any]) -> bytes:
        path = f"{_documents(index_uid)}/fetch"
        request = NodeRequest("POST", path, orjson.dumps(body), _JSON)
        reply = await self._control.forward(node_id, request)
        if reply.status >= 400:
            raise Interrupted(f"{node_id} refused to show documents ({reply.status})")
        return reply.body

    async def _send(self, node_id: NodeId, request: NodeRequest) -> int:
        """Send a write to the replica alone; return its task, behind all that was sent before."""
        reply = await self._control.forward(node_id, request)
        if reply.status >= 400:
            raise Interrupted(f"{node_id} refused a page ({reply.status})")
        return _whole_number(reply, "taskUid")

    async def _applied(self, node_id: NodeId, uid: int) -> None:
        """Wait for a task of the replica, without a lane: its queue keeps the order."""
        task = await self._watcher.ended(node_id, uid)
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
        if node_id not in self._undisturbed(index_uid, node_id).catching_up:
            raise Interrupted("it missed a write meanwhile")

    def _undisturbed(self, index_uid: IndexUid, node_id: NodeId) -> IndexView:
        """Return the index if it goes on, and what documents look like in it does, too."""
        index = self._index(index_uid)
        for intent in index.accepted:
            if _disturbs(intent):
                raise Interrupted(f"the index has an open {intent.kind.value}")
        if node_id not in index.out_of_sync:
            raise Interrupted("it is in sync already")
        return index


def _disturbs(intent: Intent) -> bool:
    """Whether the index does not go on as it is, or documents will look otherwise in it."""
    if intent.kind is IntentKind.REPAIR:
        return False
    return not intent.kind.changes_settings or EMBEDDERS in intent.patch


def _documents(index_uid: IndexUid) -> str:
    return f"/indexes/{quote(index_uid)}/documents"


def _whole_number(reply: NodeReply, name: str) -> int:
    try:
        value = orjson.loads(reply.body)[name]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        value = None
    if type(value) is not int:
        raise Interrupted(f"an answer without `{name}` (status {reply.status})")
    return value


def _read(body: bytes) -> _Page:
    try:
        return _page.decode(body)
    except msgspec.DecodeError as error:
        raise Interrupted(f"an answer that is no page of documents: {error}") from None


def _at(document: Any, key: str) -> Any:
    """Return the primary key's value, also of a nested key `a.b`."""
    if not isinstance(document, dict):
        raise Interrupted("a document that is no object")
    if key in document:
        return document[key]
    for name, inner in document.items():
        if key.startswith(f"{name}.") and isinstance(inner, dict):
            return _at(inner, key[len(name) + 1 :])
    raise Interrupted("a document without its primary key")
