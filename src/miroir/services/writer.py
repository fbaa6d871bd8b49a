"""
Takes in document writes: checks the whole payload, cuts it per shard, makes it durable, sends it.

A payload is accepted whole or refused whole: what a node would report as a failed task is reported
as a failed task here, before a single byte was sent anywhere. The acknowledgement (202) means that
the write is durable; usually every in-sync replica has queued it by then. It is not waited for
when it stands behind a settings change that its outcome depends on, or when that takes long.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson

from miroir.core import documents
from miroir.core.routing import shard_of, slot_table, write_targets
from miroir.core.settings import EMBEDDERS
from miroir.core.topology import IndexUid, NodeId, ShardId
from miroir.errors import IndexNotFound, NoCoveringSet, SettingsFrozen, Unavailable
from miroir.ports.clock import Clock
from miroir.ports.records import (
    Intent,
    IntentKind,
    NewTask,
    NodeTaskRecord,
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

_JSON: Final = "application/json"
_VECTORS: Final = b'"_vectors"'
_ACK_MAX_S: Final = 10.0
_SETTLE_MAX_S: Final = 60.0
_DRAIN_MAX_S: Final = 60.0
_TRIES_MAX: Final = 10
_WAITING_BYTES_MAX: Final = 1 << 29


@dataclass(frozen=True)
class DocumentsWrite:
    """
    A request that adds, replaces or updates documents.

    Attributes:
        index_uid: The index.
        method: POST replaces, PUT updates.
        body: Decompressed.
        content_type: As it came.
        primary_key: The `primaryKey` parameter, or None.
        csv_delimiter: The `csvDelimiter` parameter, or None.
        custom_metadata: The `customMetadata` parameter, or None.
        skip_creation: The `skipCreation` parameter, or None.
    """

    index_uid: IndexUid
    method: str
    body: bytes
    content_type: str | None
    primary_key: str | None = None
    csv_delimiter: str | None = None
    custom_metadata: str | None = None
    skip_creation: str | None = None


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
        payload = await _off_the_loop(
            len(write.body),
            documents.parse_payload,
            *(write.body, write.content_type, write.csv_delimiter),
        )
        details = {"receivedDocuments": payload.document_count, "indexedDocuments": 0}
        task = self._task(
            write.index_uid, "documentAdditionOrUpdate", details, write.custom_metadata
        )
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
            ids = await _off_the_loop(len(write.body), documents.check_ids, payload, key)
        fault = next((f for f in (key, ids) if isinstance(f, documents.PayloadFault)), None)
        if fault is not None or isinstance(key, documents.PayloadFault):
            assert fault is not None
            await self._tools.lifecycle.ensure_index(write.index_uid, None)  # As a node does.
            return await self._fail(task, fault)
        await self._tools.lifecycle.ensure_index(write.index_uid, key)
        if key is None or not ids:
            return await self._tools.store.open_task(task, status="succeeded")
        table = slot_table(self._tools.cluster.view.topology.shard_count)
        batches = await _off_the_loop(len(write.body), documents.split, payload, ids, table)
        path = _documents_path(write, key)
        parts = [
            WritePart(shard_id, write.method, path, payload.content_type, batch.body)
            for shard_id, batch in batches.items()
        ]
        return await self._open(task, parts, depends=_VECTORS in write.body, key=key)

    async def delete_ids(
        self, index_uid: IndexUid, ids: Sequence[str], custom_metadata: str | None = None
    ) -> TaskRecord:
        """Accept the deletion of documents by id; unknown ids are no fault."""
        check_uid(index_uid)
        self._check_frozen(index_uid)
        details = {"providedIds": len(ids), "deletedDocuments": 0, "originalFilter": None}
        task = self._task(index_uid, "documentDeletion", details, custom_metadata)
        batches = documents.split_ids(
            ids, slot_table(self._tools.cluster.view.topology.shard_count)
        )
        path = f"/indexes/{quote(index_uid)}/documents/delete-batch"
        parts = [
            WritePart(shard_id, "POST", path, _JSON, batch.body)
            for shard_id, batch in batches.items()
        ]
        return await self._delete(task, parts, depends=False)

    async def delete_all(
        self, index_uid: IndexUid, custom_metadata: str | None = None
    ) -> TaskRecord:
        """Accept the deletion of every document."""
        check_uid(index_uid)
        self._check_frozen(index_uid)
        details = {"deletedDocuments": 0}
        task = self._task(index_uid, "documentDeletion", details, custom_metadata)
        path = f"/indexes/{quote(index_uid)}/documents"
        return await self._to_every_shard(task, ("DELETE", path, None, b""), depends=False)

    async def delete_matching(
        self, index_uid: IndexUid, body: bytes, custom_metadata: str | None = None
    ) -> TaskRecord:
        """Accept a deletion by filter; `body` was found valid by a node before."""
        check_uid(index_uid)
        self._check_frozen(index_uid)
        shown = orjson.dumps(orjson.loads(body).get("filter")).decode()
        details = {"providedIds": 0, "deletedDocuments": 0, "originalFilter": shown}
        task = self._task(index_uid, "documentDeletion", details, custom_metadata)
        path = f"/indexes/{quote(index_uid)}/documents/delete"
        return await self._to_every_shard(task, ("POST", path, _JSON, body), depends=True)

    async def delete_index(self, index_uid: IndexUid) -> TaskRecord:
        """
        Accept the end of an index, behind every document write accepted before.

        A write that reached a node after the deletion would create the index anew there.
        """
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

    async def _to_every_shard(
        self, task: NewTask, request: tuple[str, str, str | None, bytes], *, depends: bool
    ) -> TaskRecord:
        method, path, content_type, body = request
        shards = range(self._tools.cluster.view.topology.shard_count)
        parts = [WritePart(ShardId(s), method, path, content_type, body) for s in shards]
        return await self._delete(task, parts, depends=depends)

    async def _delete(
        self, task: NewTask, parts: Sequence[WritePart], *, depends: bool
    ) -> TaskRecord:
        async def attempt() -> TaskRecord | None:
            if task.index_uid is None or not self._tools.cluster.view.live(task.index_uid):
                return await self._fail_missing(task)
            if not parts:
                return await self._tools.store.open_task(task, status="succeeded")
            return await self._open(task, parts, depends=depends)

        return await self._until_opened(task, attempt)

    async def _until_opened(
        self, task: NewTask, attempt: Callable[[], Awaitable[TaskRecord | None]]
    ) -> TaskRecord:
        """Try until the index stays what the write was prepared for until it is durable."""
        assert task.index_uid is not None
        for _ in range(_TRIES_MAX):
            await self._settle_lifecycle(task.index_uid)
            if (record := await attempt()) is not None:
                return record
        raise Unavailable(f"index `{task.index_uid}` changes all the time")

    async def _settle_lifecycle(self, index_uid: IndexUid) -> None:
        """Wait for creations, deletions and key changes accepted before: they decide the key."""
        index = self._tools.cluster.view.indexes.get(index_uid)
        try:
            async with asyncio.timeout(_SETTLE_MAX_S):
                for intent in index.accepted if index else ():
                    if _is_lifecycle(intent):
                        await self._tools.broadcaster.ended(intent.intent_id)
        except TimeoutError:
            raise Unavailable(
                f"index `{index_uid}` is still being created, deleted or given its primary key"
            ) from None

    async def _open(
        self,
        task: NewTask,
        parts: Sequence[WritePart],
        *,
        depends: bool,
        key: str | None = None,
    ) -> TaskRecord | None:
        """
        Make the write durable, queue it, and wait a while until the replicas have it.

        None, and nothing was done, if the index is not what the write was prepared for: gone, on
        its way out, or with another primary key than `key`.
        """
        assert task.index_uid is not None
        async with self._order.take(task.index_uid):
            view = self._tools.cluster.view
            index = view.live(task.index_uid)
            if index is None or any(_is_lifecycle(i) for i in index.accepted):
                return None
            if key is not None and index.record.primary_key != key:
                return None
            self._check_frozen(task.index_uid)
            self._check_waiting(parts)
            shares = _shares(view, index, parts)
            gate = self._gate(index, depends=depends)
            record = await self._tools.store.open_write(task, tuple(parts), shares)
            shares = tuple(replace(share, task_uid=record.uid) for share in shares)
            # Not awaited in between: who comes next finds this write queued.
            sent = self._tools.tasks.follow(Write(record, tuple(parts), shares, gate=gate))
        if gate is None:
            await asyncio.wait((sent,), timeout=_ACK_MAX_S)
        return record

    def _check_waiting(self, parts: Sequence[WritePart]) -> None:
        waiting_bytes = self._tools.lanes.waiting_bytes
        if waiting_bytes + sum(len(part.body) for part in parts) > _WAITING_BYTES_MAX:
            raise Unavailable(f"{waiting_bytes} bytes of documents wait to be sent")

    def _gate(self, index: IndexView, *, depends: bool) -> Gate | None:
        """Return what the write must wait for: changes that its outcome depends on."""
        before = [i for i in index.accepted if depends or _changes_meaning(i)]
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
        self, index_uid: IndexUid, kind: str, details: Mapping[str, Any], metadata: str | None
    ) -> NewTask:
        return NewTask(
            index_uid=index_uid,
            type=kind,
            details=details,
            at_ms=self._tools.clock.wall_ms(),
            custom_metadata=metadata,
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


def _documents_path(write: DocumentsWrite, primary_key: str) -> str:
    parameters = {
        "primaryKey": primary_key,
        "csvDelimiter": write.csv_delimiter,
        "skipCreation": write.skip_creation,
    }
    given = urlencode({k: v for k, v in parameters.items() if v is not None})
    return f"/indexes/{quote(write.index_uid)}/documents?{given}"


def _is_lifecycle(intent: Intent) -> bool:
    """Whether it decides if the index exists, and what its primary key is."""
    return not (intent.kind.changes_settings or intent.kind is IntentKind.REPAIR)


def _changes_meaning(intent: Intent) -> bool:
    """Whether documents written before and after this change end up differently."""
    return intent.kind.changes_settings and EMBEDDERS in intent.patch


def _shares(
    view: View, index: IndexView, parts: Sequence[WritePart]
) -> tuple[NodeTaskRecord, ...]:
    """
    Every replica of every shard concerned; each shard needs one that is in sync and up.

    Who of them takes writes is decided when the part is sent: a replica may begin to catch up
    between now and then.
    """
    shares: list[NodeTaskRecord] = []
    for part in parts:
        targets = write_targets(view.topology, part.shard_id)
        if not view.ready(index).intersection(targets):
            raise NoCoveringSet(
                f"no replica of shard {part.shard_id} can take the write", (part.shard_id,)
            )
        shares += [_unsent(node_id, part.shard_id) for node_id in targets]
    return tuple(shares)


def _unsent(node_id: NodeId, shard_id: ShardId) -> NodeTaskRecord:
    return NodeTaskRecord(
        task_uid=0, node_id=node_id, shard_id=shard_id, node_task_uid=None, status="unsent"
    )


_LOOP_BYTES_MAX: Final = 1 << 20


async def _off_the_loop(size_bytes: int, function: Any, *arguments: Any) -> Any:
    """Run a pure function; in a thread when the payload is large enough to stall the loop."""
    if size_bytes <= _LOOP_BYTES_MAX:
        return function(*arguments)
    return await asyncio.to_thread(function, *arguments)
