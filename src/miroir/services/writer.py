"""
Takes in document writes: checks the whole payload, cuts it per shard, makes it durable, sends it.

A payload is accepted whole or refused whole: what a node would report as a failed task is reported
as a failed task here, before a single byte was sent anywhere. The acknowledgement (202) means that
the write is durable and that every in-sync replica has queued it, unless it had to wait behind a
settings change that its outcome depends on; then it means durable.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson

from miroir.core import documents
from miroir.core.routing import shard_of, slot_table, write_targets
from miroir.core.settings import EMBEDDERS
from miroir.core.topology import IndexUid, NodeId, ShardId
from miroir.errors import IndexNotFound, NoCoveringSet, SettingsFrozen
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
from miroir.services.lanes import Gate, Lanes, Write
from miroir.services.registrar import Registrar
from miroir.services.tasks import Tasks

_JSON: Final = "application/json"
_VECTORS: Final = b'"_vectors"'


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
    registrar: Registrar
    broadcaster: Broadcaster
    lanes: Lanes
    tasks: Tasks


class Writer:
    """Accepts document writes."""

    def __init__(self, tools: WriteTools) -> None:
        self._tools = tools
        self._order: dict[IndexUid, asyncio.Lock] = {}

    async def add(self, write: DocumentsWrite) -> TaskRecord:
        """
        Accept a payload of documents.

        Raises:
            RequestRefused: Syntax or parameters; nothing was done.
            SettingsFrozen: The index takes no documents for now.
            Unavailable: Some shard concerned has no replica that could take its part.
        """
        self._check_frozen(write.index_uid)
        payload = documents.parse_payload(write.body, write.content_type, write.csv_delimiter)
        details = {"receivedDocuments": payload.document_count, "indexedDocuments": 0}
        task = self._task(
            write.index_uid, "documentAdditionOrUpdate", details, write.custom_metadata
        )
        await self._settle_lifecycle(write.index_uid)
        index = self._tools.cluster.view.live(write.index_uid)
        known = index.record.primary_key if index else None
        key = documents.find_primary_key(payload, known, write.primary_key)
        if isinstance(key, documents.PayloadFault):
            return await self._fail(task, key)
        await self._tools.registrar.ensure_index(write.index_uid, key)
        if key is None:
            return await self._tools.store.open_task(
                task, status="succeeded"
            )  # No document in it.
        ids = await _off_the_loop(len(write.body), documents.check_ids, payload, key)
        if isinstance(ids, documents.PayloadFault):
            return await self._fail(task, ids)
        if not ids:
            return await self._tools.store.open_task(task, status="succeeded")
        table = slot_table(self._tools.cluster.view.topology.shard_count)
        batches = await _off_the_loop(len(write.body), documents.split, payload, ids, table)
        path = _documents_path(write, key)
        parts = [
            WritePart(shard_id, write.method, path, payload.content_type, batch.body)
            for shard_id, batch in batches.items()
        ]
        return await self._open(task, parts, depends=_VECTORS in write.body)

    async def delete_ids(
        self, index_uid: IndexUid, ids: Sequence[str], custom_metadata: str | None = None
    ) -> TaskRecord:
        """Accept the deletion of documents by id; unknown ids are no fault."""
        self._check_frozen(index_uid)
        details = {"providedIds": len(ids), "deletedDocuments": 0, "originalFilter": None}
        task = self._task(index_uid, "documentDeletion", details, custom_metadata)
        await self._settle_lifecycle(index_uid)
        if not self._known(index_uid):
            return await self._fail_missing(task)
        if not ids:
            return await self._tools.store.open_task(task, status="succeeded")
        batches = documents.split_ids(
            ids, slot_table(self._tools.cluster.view.topology.shard_count)
        )
        path = f"/indexes/{quote(index_uid)}/documents/delete-batch"
        parts = [
            WritePart(shard_id, "POST", path, _JSON, batch.body)
            for shard_id, batch in batches.items()
        ]
        return await self._open(task, parts, depends=False)

    async def delete_all(
        self, index_uid: IndexUid, custom_metadata: str | None = None
    ) -> TaskRecord:
        """Accept the deletion of every document."""
        self._check_frozen(index_uid)
        details = {"providedIds": 0, "deletedDocuments": 0, "originalFilter": None}
        task = self._task(index_uid, "documentDeletion", details, custom_metadata)
        path = f"/indexes/{quote(index_uid)}/documents"
        return await self._to_every_shard(task, ("DELETE", path, None, b""), depends=False)

    async def delete_matching(
        self, index_uid: IndexUid, body: bytes, custom_metadata: str | None = None
    ) -> TaskRecord:
        """Accept a deletion by filter; `body` was found valid by a node before."""
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
        async with self._order_of(index_uid), self._tools.lanes.drained(index_uid):
            return await self._tools.registrar.delete_index(index_uid)

    async def _settle_lifecycle(self, index_uid: IndexUid) -> None:
        """Wait for creations, deletions and key changes accepted before: they decide the key."""
        index = self._tools.cluster.view.indexes.get(index_uid)
        for intent in index.accepted if index else ():
            if intent.kind not in {IntentKind.CHANGE, IntentKind.REPAIR}:
                await self._tools.broadcaster.ended(intent.intent_id)

    def _order_of(self, index_uid: IndexUid) -> asyncio.Lock:
        return self._order.setdefault(index_uid, asyncio.Lock())

    async def _to_every_shard(
        self, task: NewTask, request: tuple[str, str, str | None, bytes], *, depends: bool
    ) -> TaskRecord:
        assert task.index_uid is not None
        await self._settle_lifecycle(task.index_uid)
        if not self._known(task.index_uid):
            return await self._fail_missing(task)
        method, path, content_type, body = request
        shards = range(self._tools.cluster.view.topology.shard_count)
        parts = [WritePart(ShardId(s), method, path, content_type, body) for s in shards]
        return await self._open(task, parts, depends=depends)

    async def _open(
        self, task: NewTask, parts: Sequence[WritePart], *, depends: bool
    ) -> TaskRecord:
        """Make the write durable, queue it, and wait until the replicas have it."""
        assert task.index_uid is not None
        async with self._order_of(task.index_uid):
            view = self._tools.cluster.view
            index = view.live(task.index_uid)
            if index is None:
                return await self._fail_missing(task)
            shares = _shares(view, index, parts)
            gate = self._gate(index, depends=depends)
            record = await self._tools.store.open_write(task, tuple(parts), shares)
            write = Write(
                record, tuple(parts), await self._tools.store.shares(record.uid), gate=gate
            )
            sent = self._tools.tasks.follow(write)
        if gate is None:
            await asyncio.shield(sent)
        return record

    def _gate(self, index: IndexView, *, depends: bool) -> Gate | None:
        """Return what the write must wait for: changes that its outcome depends on."""
        before = [i for i in index.accepted if depends or _changes_meaning(i)]
        if not before:
            return None

        async def wait() -> None:
            for intent in before:
                await self._tools.broadcaster.ended(intent.intent_id)

        return wait

    def _known(self, index_uid: IndexUid | None) -> bool:
        return index_uid is not None and self._tools.cluster.view.live(index_uid) is not None

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
        record = await self._tools.store.open_task(task)
        at_ms = self._tools.clock.wall_ms()
        await self._tools.store.finish_task(
            record.uid, status="failed", details=task.details, error=error, at_ms=at_ms
        )
        return record


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


def _changes_meaning(intent: Intent) -> bool:
    """Whether documents written before and after this change end up differently."""
    return intent.kind is not IntentKind.REPAIR and (
        intent.kind is not IntentKind.CHANGE or EMBEDDERS in intent.patch
    )


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
