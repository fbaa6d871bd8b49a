"""Miroir's tasks, and document writes with their shares."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from miroir.core.topology import IndexUid, NodeId, ShardId

OF_ONE_INDEX: Final = (
    "documentAdditionOrUpdate",
    "documentEdition",
    "documentDeletion",
    "settingsUpdate",
    "indexCreation",
    "indexDeletion",
    "indexUpdate",
    "indexCompaction",
    "dsrUpdate",
    "dsrClear",
)
"""Types that are about exactly one index; others are not shown to who asks for indexes."""


@dataclass(frozen=True)
class NewTask:
    """A task of Miroir's before it has a uid; `details` with secrets masked."""

    index_uid: IndexUid | None
    type: str
    details: Mapping[str, Any]
    at_ms: int
    custom_metadata: str | None


@dataclass(frozen=True)
class TaskRecord(NewTask):
    """
    A task of Miroir's.

    Attributes:
        uid: Miroir's own integer, from 0, never used twice.
        status: enqueued, processing, succeeded, failed or canceled.
        error: Meilisearch error object of a failed task.
        canceled_by: Uid of the cancelling task.
        started_at_ms: None before.
        finished_at_ms: None before.
        intent_id: The intent it reports on, or None for document writes.
        recalled_by: Uid of a cancelling task that has not reached it yet; None once it has ended.
    """

    uid: int
    status: str
    error: Mapping[str, Any] | None
    canceled_by: int | None
    started_at_ms: int | None
    finished_at_ms: int | None
    intent_id: int | None
    recalled_by: int | None = None

    @property
    def batch_uid(self) -> int | None:
        """Its batch: itself, or the cancelation that it was cancelled by; None until it began."""
        if self.started_at_ms is None and self.finished_at_ms is None:
            return None
        return self.uid if self.canceled_by is None else self.canceled_by


@dataclass(frozen=True)
class TaskQuery:
    """
    Which tasks to list; an empty tuple is no restriction.

    Attributes:
        limit: At most so many.
        from_uid: Start at this uid, included.
        reverse: Oldest first.
        batches: Uids of batches.
        index_uids: Tasks of these indexes alone; none that are about several, or about none.
        times: `(field, operator, ms)`: field enqueued, started or finished; operator < or >.
        open_to: Index patterns (exact, `prefix*` or `*`) of a key that asks, which sees no other
            tasks, and none that are about several indexes, or about none; None: it sees all.
    """

    limit: int = 20
    from_uid: int | None = None
    reverse: bool = False
    uids: tuple[int, ...] = ()
    statuses: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    index_uids: tuple[str, ...] = ()
    canceled_by: tuple[int, ...] = ()
    times: tuple[tuple[str, str, int], ...] = ()
    batches: tuple[int, ...] = ()
    open_to: tuple[str, ...] | None = None


@dataclass(frozen=True)
class TaskPage:
    """
    Tasks of one query.

    Attributes:
        total: How many match without the paging.
        next_uid: `from` of the next page, or None.
    """

    results: tuple[TaskRecord, ...]
    total: int
    next_uid: int | None


@dataclass(frozen=True)
class BatchPage:
    """
    Batches of one query.

    Attributes:
        results: Uid of each batch, and its tasks, oldest first.
        total: How many match without the paging.
        next_uid: `from` of the next page, or None.
    """

    results: tuple[tuple[int, tuple[TaskRecord, ...]], ...]
    total: int
    next_uid: int | None


@dataclass(frozen=True)
class WritePart:
    """
    One shard's part of a document write, as it is sent to each node of the column.

    Attributes:
        shard_id: Whose.
        method: HTTP method.
        path: Path and query on the node.
        content_type: Of the body, or None for no body.
        body: The bytes.
    """

    shard_id: ShardId
    method: str
    path: str
    content_type: str | None
    body: bytes


@dataclass(frozen=True)
class NodeTaskRecord:
    """
    One node's share of a document write.

    Attributes:
        node_task_uid: None while unsent, or when the node missed it.
        status: unsent, sent, succeeded, failed, canceled or missed.
        error: Of a failed one.
        details: As the node reported them at its end.
        repeated: Whether it was sent more than once, or may have been: then the node may have
            carried out a request that it never answered, besides the one that it did.
    """

    task_uid: int
    node_id: NodeId
    shard_id: ShardId
    node_task_uid: int | None
    status: str
    error: Mapping[str, Any] | None = None
    details: Mapping[str, Any] | None = None
    repeated: bool = False
