"""Miroir's tasks, and document writes with their shares."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from miroir.core.topology import IndexUid, NodeId, ShardId


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
    """

    uid: int
    status: str
    error: Mapping[str, Any] | None
    canceled_by: int | None
    started_at_ms: int | None
    finished_at_ms: int | None
    intent_id: int | None


@dataclass(frozen=True)
class TaskQuery:
    """
    Which tasks to list; an empty tuple is no restriction.

    Attributes:
        limit: At most so many.
        from_uid: Start at this uid, included.
        reverse: Oldest first.
        times: `(field, operator, ms)`: field enqueued, started or finished; operator < or >.
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
    """

    task_uid: int
    node_id: NodeId
    shard_id: ShardId
    node_task_uid: int | None
    status: str
    error: Mapping[str, Any] | None = None
    details: Mapping[str, Any] | None = None
