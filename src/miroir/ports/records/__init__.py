"""
What the store keeps, as values. Times are milliseconds since 1970-01-01 UTC.

The store is the authority; what nodes show is evidence. Settings inside these values may hold true
secrets (embedder keys): they are never logged, and an adapter seals them before they reach a disk.
"""

from miroir.ports.records.indexes import (
    NOT_CREATED,
    NOT_MOVED,
    IndexRecord,
    Lease,
    Unconfirmed,
)
from miroir.ports.records.intents import (
    Care,
    CommitRecord,
    HistoryEntry,
    Intent,
    IntentKind,
    IntentQuery,
    IntentTask,
    MovedIndex,
    NewIntent,
    NodeVersion,
    SwapRecord,
)
from miroir.ports.records.tasks import (
    OF_ONE_INDEX,
    BatchPage,
    NewTask,
    NodeTaskRecord,
    TaskPage,
    TaskQuery,
    TaskRecord,
    WritePart,
)
from miroir.ports.records.webhooks import Backlog, Notice, Webhook

__all__ = [
    "NOT_CREATED",
    "NOT_MOVED",
    "OF_ONE_INDEX",
    "Backlog",
    "BatchPage",
    "Care",
    "CommitRecord",
    "HistoryEntry",
    "IndexRecord",
    "Intent",
    "IntentKind",
    "IntentQuery",
    "IntentTask",
    "Lease",
    "MovedIndex",
    "NewIntent",
    "NewTask",
    "NodeTaskRecord",
    "NodeVersion",
    "Notice",
    "SwapRecord",
    "TaskPage",
    "TaskQuery",
    "TaskRecord",
    "Unconfirmed",
    "Webhook",
    "WritePart",
]
