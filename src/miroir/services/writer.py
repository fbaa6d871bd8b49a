"""
Takes in document writes: checks the whole payload, cuts it per shard, makes it durable, sends it.

A payload is accepted whole or refused whole: what a node would report as a failed task is reported
as a failed task here, before a single byte was sent anywhere. The acknowledgement (202) means that
the write is durable; usually every in-sync replica has queued it by then. It is not waited for
when it stands behind a settings change that its outcome depends on, or when that takes long.
Whoever asks for more than `one` is acknowledged only when so many replicas have it (WR-9).
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import orjson

from miroir.core import documents
from miroir.core.consistency import Consistency, replicas_needed
from miroir.core.routing import shard_of, slot_table
from miroir.core.topology import IndexUid, NodeId, ShardId
from miroir.errors import IndexNotFound, SettingsFrozen, Unavailable, WritePending
from miroir.ports.clock import Clock
from miroir.ports.records import (
    NewTask,
    TaskRecord,
    WritePart,
)
from miroir.ports.store import Store
from miroir.services.broadcaster import Broadcaster
from miroir.services.cluster import Cluster, IndexView, View
from miroir.services.intake import check_uid
from miroir.services.lanes import Gate, Lanes, Write
from miroir.services.lifecycle import Lifecycle
from miroir.services.patience import until_stored
from miroir.services.tasks import Tasks
from miroir.services.turns import Turns
from miroir.services.write_plan import (
    DocumentsWrite,
    Terms,
    always,
    changes_meaning,
    documents_path,
    is_judged_by_settings,
    is_lifecycle,
    never,
    off_the_loop,
    shares_of,
)

__all__ = ["DocumentsWrite", "Terms", "WriteTools", "Writer", "owner"]

_JSON: Final = "application/json"
_ACK_MAX_S: Final = 10.0
_SETTLE_MAX_S: Final = 60.0
_DRAIN_MAX_S: Final = 60.0
_TRIES_MAX: Final = 10
_WAITING_BYTES_MAX: Final = 1 << 29


_ANY: Final = Terms()


@dataclass(frozen=True)
class _Wish:
    """
    A write that is not durable yet.

    Attributes:
        depends: Whether its outcome depends on settings; asked only where some are changing.
        level: How many replicas must have it before it is acknowledged.
    """

    task: NewTask
    parts: Sequence[WritePart]
    depends: Callable[[], bool]
    level: Consistency


@dataclass(frozen=True)
class WriteTools:
    """What the writer works with."""

    store: Store
    cluster: Cluster
    clock: Clock
    lifecycle: Lifecycle
    broadcaster: Broadcaster
    lanes: Lanes
    tasks: Tasks
    order: Turns[IndexUid]


class Writer:
    """Accepts document writes."""

    def __init__(self, tools: WriteTools) -> None:
        self._tools = tools
        self._order = tools.order

    async def add(self, write: DocumentsWrite) -> TaskRecord:
        """
        Accept a payload of documents.

        Raises:
            RequestRefused: Syntax or parameters; nothing was done.
            SettingsFrozen: The index takes no documents for now.
            Unavailable: Some shard concerned has no replica that could take its part.
        """
        check_uid(write.index_uid)
        self._check_frozen(write.index_uid)
        payload = await off_the_loop(
            len(write.body),
            documents.parse_payload,
            *(write.body, write.content_type, write.csv_delimiter),
        )
        details = {"receivedDocuments": payload.document_count, "indexedDocuments": 0}
        task = self._task(write.index_uid, "documentAdditionOrUpdate", details, write.terms)
        return await self._until_opened(task, lambda: self._add(write, payload, task))

    async def _add(
        self, write: DocumentsWrite, payload: documents.Payload, task: NewTask
    ) -> TaskRecord | None:
        """Open the write by the primary key of this moment; None if that has changed meanwhile."""
        index = self._tools.cluster.view.live(write.index_uid)
        known = index.record.primary_key if index else None
        key = documents.find_primary_key(payload, known, write.primary_key)
        ids: Sequence[str] | documents.PayloadFault = ()
        if isinstance(key, str):
            ids = await off_the_loop(len(write.body), documents.check_ids, payload, key)
        fault = next((f for f in (key, ids) if isinstance(f, documents.PayloadFault)), None)
        if fault is not None or isinstance(key, documents.PayloadFault):
            assert fault is not None
            await self._tools.lifecycle.ensure_index(write.index_uid, None)  # As a node does.
            return await self._fail(task, fault)
        await self._tools.lifecycle.ensure_index(write.index_uid, key)
        if key is None or not ids:
            return await self._tools.store.open_task(task, status="succeeded")
        table = slot_table(self._tools.cluster.view.topology.shard_count)
        batches = await off_the_loop(len(write.body), documents.split, payload, ids, table)
        path = documents_path(write, key)
        parts = [
            WritePart(shard_id, write.method, path, payload.content_type, batch.body)
            for shard_id, batch in batches.items()
        ]
        wish = _Wish(
            task, parts, depends=partial(is_judged_by_settings, write.body), level=write.level
        )
        return await self._open(wish, key=key)

    async def delete_ids(
        self, index_uid: IndexUid, ids: Sequence[str], terms: Terms = _ANY
    ) -> TaskRecord:
        """Accept the deletion of documents by id; unknown ids are no fault."""
        check_uid(index_uid)
        self._check_frozen(index_uid)
        details = {"providedIds": len(ids), "deletedDocuments": 0, "originalFilter": None}
        task = self._task(index_uid, "documentDeletion", details, terms)
        batches = documents.split_ids(
            ids, slot_table(self._tools.cluster.view.topology.shard_count)
        )
        path = f"/indexes/{quote(index_uid)}/documents/delete-batch"
        parts = [
            WritePart(shard_id, "POST", path, _JSON, batch.body)
            for shard_id, batch in batches.items()
        ]
        return await self._change(_Wish(task, parts, depends=never, level=terms.level))

    async def delete_all(self, index_uid: IndexUid, terms: Terms = _ANY) -> TaskRecord:
        """Accept the deletion of every document."""
        check_uid(index_uid)
        self._check_frozen(index_uid)
        details = {"deletedDocuments": 0}
        task = self._task(index_uid, "documentDeletion", details, terms)
        path = f"/indexes/{quote(index_uid)}/documents"
        parts = self._to_every_shard("DELETE", path, None, b"")
        return await self._change(_Wish(task, parts, depends=never, level=terms.level))

    async def delete_matching(
        self, index_uid: IndexUid, body: bytes, terms: Terms = _ANY
    ) -> TaskRecord:
        """Accept a deletion by filter; `body` was found valid by a node before."""
        check_uid(index_uid)
        self._check_frozen(index_uid)
        shown = orjson.dumps(orjson.loads(body).get("filter")).decode()
        details = {"providedIds": 0, "deletedDocuments": 0, "originalFilter": shown}
        task = self._task(index_uid, "documentDeletion", details, terms)
        path = f"/indexes/{quote(index_uid)}/documents/delete"
        parts = self._to_every_shard("POST", path, _JSON, body)
        return await self._change(_Wish(task, parts, depends=always, level=terms.level))

    async def edit(self, index_uid: IndexUid, body: bytes, terms: Terms = _ANY) -> TaskRecord:
        """Accept an edit by function; `body` was found valid by a node before."""
        check_uid(index_uid)
        self._check_frozen(index_uid)
        asked = orjson.loads(body)
        filter_ = asked.get("filter")
        details = {
            "editedDocuments": None,
            "deletedDocuments": None,
            "originalFilter": None if filter_ is None else orjson.dumps(filter_).decode(),
            "context": asked.get("context"),
            "function": asked["function"],
        }
        task = self._task(index_uid, "documentEdition", details, terms)
        path = f"/indexes/{quote(index_uid)}/documents/edit"
        parts = self._to_every_shard("POST", path, _JSON, body)
        return await self._change(_Wish(task, parts, depends=always, level=terms.level))

    async def compact(self, index_uid: IndexUid) -> TaskRecord:
        """Accept that every node writes its database of the index anew, smaller."""
        check_uid(index_uid)
        details = {"preCompactionSize": None, "postCompactionSize": None}
        task = self._task(index_uid, "indexCompaction", details, _ANY)
        parts = self._to_every_shard("POST", f"/indexes/{quote(index_uid)}/compact", None, b"")
        return await self._change(_Wish(task, parts, depends=never, level=_ANY.level))

    async def delete_index(self, index_uid: IndexUid) -> TaskRecord:
        """
        Accept the end of an index, behind every document write accepted before.

        A write that reached a node after the deletion would create the index anew there.
        """
        await self._begin()
        try:
            async with (
                self._order.take(index_uid),
                self._tools.lanes.drained(index_uid, within_s=_DRAIN_MAX_S),
            ):
                return await self._tools.lifecycle.delete_index(index_uid)
        except TimeoutError:
            raise Unavailable(
                f"documents of index `{index_uid}` accepted before still wait to be sent"
            ) from None

    def _to_every_shard(
        self, method: str, path: str, content_type: str | None, body: bytes
    ) -> Sequence[WritePart]:
        shards = range(self._tools.cluster.view.topology.shard_count)
        return [WritePart(ShardId(s), method, path, content_type, body) for s in shards]

    async def _change(self, wish: _Wish) -> TaskRecord:
        """Open what an index has to be there for."""
        task = wish.task

        async def attempt() -> TaskRecord | None:
            if task.index_uid is None or not self._tools.cluster.view.live(task.index_uid):
                return await self._fail_missing(task)
            if not wish.parts:
                return await self._tools.store.open_task(task, status="succeeded")
            return await self._open(wish)

        return await self._until_opened(task, attempt)

    async def _until_opened(
        self, task: NewTask, attempt: Callable[[], Awaitable[TaskRecord | None]]
    ) -> TaskRecord:
        """Try until the index stays what the write was prepared for until it is durable."""
        assert task.index_uid is not None
        await self._begin()
        for _ in range(_TRIES_MAX):
            await self._settle_lifecycle(task.index_uid)
            if (record := await attempt()) is not None:
                return record
        raise Unavailable(f"index `{task.index_uid}` changes all the time")

    async def _begin(self) -> None:
        """Wait until the writes that a former process left stand in their lanes."""
        try:
            async with asyncio.timeout(_SETTLE_MAX_S):
                await self._tools.tasks.loaded()
        except TimeoutError:
            raise Unavailable("writes from before the start are still being read") from None

    async def _settle_lifecycle(self, index_uid: IndexUid) -> None:
        """Wait for creations, deletions and key changes accepted before: they decide the key."""
        index = self._tools.cluster.view.indexes.get(index_uid)
        try:
            async with asyncio.timeout(_SETTLE_MAX_S):
                for intent in index.accepted if index else ():
                    if is_lifecycle(intent):
                        await self._tools.broadcaster.ended(intent.intent_id)
        except TimeoutError:
            raise Unavailable(
                f"index `{index_uid}` is still being created, deleted or given its primary key"
            ) from None

    async def _open(self, wish: _Wish, *, key: str | None = None) -> TaskRecord | None:
        """
        Make the write durable, queue it, and wait a while until the replicas have it.

        None, and nothing was done, if the index is not what the write was prepared for: gone, on
        its way out, or with another primary key than `key`.
        """
        index_uid, parts = wish.task.index_uid, tuple(wish.parts)
        assert index_uid is not None
        async with self._order.take(index_uid):
            view = self._tools.cluster.view
            index = view.live(index_uid)
            if index is None or any(is_lifecycle(i) for i in index.accepted):
                return None
            if key is not None and index.record.primary_key != key:
                return None
            self._check_frozen(index_uid)
            self._check_waiting(parts)
            shares = shares_of(view, index, parts, wish.level)
            gate = self._gate(index, wish.depends)
            record = await self._tools.store.open_write(wish.task, parts, shares)
            shares = tuple(replace(share, task_uid=record.uid) for share in shares)
            # Not awaited in between: who comes next finds this write queued.
            write = Write(record, parts, shares, gate=gate)
            sent = self._tools.tasks.follow(write)
        if wish.level != "one":
            await self._until_reached(write, wish.level)
        elif gate is None:
            await asyncio.wait((sent,), timeout=_ACK_MAX_S)
        return record

    async def _until_reached(self, write: Write, level: Consistency) -> None:
        """
        Wait until as many replicas have a write as it has to reach.

        Raises:
            WritePending: They have not, in the time that there is; the write goes on.
        """
        view = self._tools.cluster.view
        needed = replicas_needed(level, view.topology.group_count)
        shards = {part.shard_id for part in write.parts}

        def out_of_sync() -> Collection[NodeId]:
            index = self._tools.cluster.view.live(write.task.index_uid or "")
            return index.out_of_sync.keys() if index is not None else ()

        if not await write.arrivals.reached(needed, shards, out_of_sync, within_s=_ACK_MAX_S):
            raise WritePending(
                f"Task {write.task.uid} is durable and goes on, but has not reached {needed} "
                f"replicas of each shard (`{level}`) within {_ACK_MAX_S:g} seconds."
            )

    def _check_waiting(self, parts: Sequence[WritePart]) -> None:
        waiting_bytes = self._tools.lanes.waiting_bytes
        if waiting_bytes + sum(len(part.body) for part in parts) > _WAITING_BYTES_MAX:
            raise Unavailable(f"{waiting_bytes} bytes of documents wait to be sent")

    def _gate(self, index: IndexView, depends: Callable[[], bool]) -> Gate | None:
        """Return what the write must wait for: changes that its outcome depends on."""
        before = [i for i in index.accepted if changes_meaning(i) or depends()]
        if not before:
            return None

        async def wait() -> None:
            for intent in before:
                await until_stored(
                    self._tools.clock, partial(self._tools.broadcaster.ended, intent.intent_id)
                )

        return wait

    def _check_frozen(self, index_uid: IndexUid) -> None:
        index = self._tools.cluster.view.live(index_uid)
        if index is not None and index.record.frozen_reason is not None:
            raise SettingsFrozen(
                f"Index `{index_uid}` takes no documents: {index.record.frozen_reason}. "
                "A settings change that succeeds, or `miroir settings thaw`, is the way out."
            )

    def _task(
        self, index_uid: IndexUid, kind: str, details: Mapping[str, Any], terms: Terms
    ) -> NewTask:
        return NewTask(
            index_uid=index_uid,
            type=kind,
            details=details,
            at_ms=self._tools.clock.wall_ms(),
            custom_metadata=terms.custom_metadata,
        )

    async def _fail(self, task: NewTask, fault: documents.PayloadFault) -> TaskRecord:
        error = {
            "message": fault.message,
            "code": fault.code,
            "type": "invalid_request",
            "link": f"https://docs.meilisearch.com/errors#{fault.code}",
        }
        return await self._finish_failed(task, error)

    async def _fail_missing(self, task: NewTask) -> TaskRecord:
        error = IndexNotFound(f"Index `{task.index_uid}` not found.").body()
        return await self._finish_failed(task, error)

    async def _finish_failed(self, task: NewTask, error: Mapping[str, Any]) -> TaskRecord:
        return await self._tools.store.open_task(task, status="failed", error=error)


def owner(view: View, document_id: str) -> ShardId:
    """Return the shard that holds the document of this id."""
    return shard_of(document_id, slot_table(view.topology.shard_count))
