"""
Rows of the store to records and back. JSON for structures; settings go through the seal.

Only shapes here: no statement, no rule.
"""

from typing import Any

import msgspec

from miroir.adapters.store_seal import Seal
from miroir.adapters.store_transaction import Row
from miroir.core.broadcast_types import Broadcast
from miroir.core.swaps import Swap
from miroir.ports.records import (
    Care,
    HistoryEntry,
    IndexRecord,
    Intent,
    IntentKind,
    IntentTask,
    NodeTaskRecord,
    NodeVersion,
    TaskRecord,
    Unconfirmed,
    WritePart,
)

_STATE = msgspec.json.Decoder(Broadcast)
_SWAPS = msgspec.json.Decoder(tuple[Swap, ...])
_CARE = msgspec.json.Decoder(Care)
_TASK = msgspec.json.Decoder(TaskRecord)
_UNCONFIRMED = msgspec.json.Decoder(Unconfirmed | None)


def to_json(value: Any) -> str:
    """Return JSON text."""
    return msgspec.json.encode(value).decode()


def to_json_or_none(value: Any) -> str | None:
    """Return JSON text, or None for None."""
    return None if value is None else to_json(value)


def from_json(text: str | None) -> Any:
    """Return the value of JSON text; None for None."""
    return None if text is None else msgspec.json.decode(text)


def state_from_json(text: str) -> Broadcast:
    """Return the machine exactly as it was stored."""
    return _STATE.decode(text)


def index_record(row: Row, seal: Seal) -> IndexRecord:
    """Return a row of `index_record`."""
    settings = row["settings"]
    return IndexRecord(
        uid=row["uid"],
        primary_key=row["primary_key"],
        version=row["version"],
        settings=None if settings is None else seal.open("index_record.settings", settings),
        fingerprints=from_json(row["fingerprints"]),
        frozen_reason=row["frozen_reason"],
        deleted=bool(row["deleted"]),
        created_at_ms=row["created_at_ms"],
        updated_at_ms=row["updated_at_ms"],
        unconfirmed=_UNCONFIRMED.decode(row["unconfirmed"] or "null"),
    )


def node_version(row: Row) -> NodeVersion:
    """Return a row of `node_settings_version`."""
    return NodeVersion(
        index_uid=row["index_uid"],
        node_id=row["node_id"],
        version=row["version"],
        fingerprint=row["fingerprint"],
        verified_at_ms=row["verified_at_ms"],
    )


def history_entry(row: Row) -> HistoryEntry:
    """Return a row of `settings_history`."""
    return HistoryEntry(
        index_uid=row["index_uid"],
        version=row["version"],
        fingerprints=from_json(row["fingerprints"]),
        diff=from_json(row["diff"]),
        kind=row["kind"],
        by=row["made_by"],
        reason=row["reason"],
        intent_id=row["intent_id"],
        at_ms=row["at_ms"],
    )


def intent(row: Row, seal: Seal) -> Intent:
    """Return a row of `intent`."""
    return Intent(
        index_uid=row["index_uid"],
        kind=IntentKind(row["kind"]),
        patch=seal.open("intent.patch", row["patch"]),
        target=seal.open("intent.target", row["target"]),
        undo=seal.open("intent.undo", row["undo"]),
        primary_key=row["primary_key"],
        by=row["made_by"],
        reason=row["reason"],
        state=state_from_json(row["state"]),
        at_ms=row["at_ms"],
        intent_id=row["intent_id"],
        swaps=_SWAPS.decode(row["swaps"]),
        care=_CARE.decode(row["care"]),
        base_version=row["base_version"],
        task_uid=row["task_uid"],
        revision=row["revision"],
        committed_version=row["committed_version"],
        started_at_ms=row["started_at_ms"],
        closed_at_ms=row["closed_at_ms"],
    )


def intent_task(row: Row) -> IntentTask:
    """Return a row of `intent_task`."""
    return IntentTask(
        node_id=row["node_id"],
        task_uid=row["task_uid"],
        status=row["status"],
        error=from_json(row["error"]),
        started_at_ms=row["started_at_ms"],
        finished_at_ms=row["finished_at_ms"],
    )


def task_record(row: Row) -> TaskRecord:
    """Return a row of `task`."""
    return TaskRecord(
        index_uid=row["index_uid"],
        type=row["type"],
        details=from_json(row["details"]),
        at_ms=row["at_ms"],
        custom_metadata=row["custom_metadata"],
        uid=row["uid"],
        status=row["status"],
        error=from_json(row["error"]),
        canceled_by=row["canceled_by"],
        started_at_ms=row["started_at_ms"],
        finished_at_ms=row["finished_at_ms"],
        intent_id=row["intent_id"],
        recalled_by=row["recalled_by"],
    )


def task_text(task: TaskRecord) -> str:
    """Return a whole task as text."""
    return to_json(task)


def task_from_text(text: str) -> TaskRecord:
    """Return the task of `task_text`."""
    return _TASK.decode(text)


def write_part(row: Row, body: bytes) -> WritePart:
    """Return a row of `write_part`; its body may be kept elsewhere."""
    return WritePart(
        shard_id=row["shard_id"],
        method=row["method"],
        path=row["path"],
        content_type=row["content_type"],
        body=body,
    )


def node_task(row: Row) -> NodeTaskRecord:
    """Return a row of `node_task`."""
    return NodeTaskRecord(
        task_uid=row["task_uid"],
        node_id=row["node_id"],
        shard_id=row["shard_id"],
        node_task_uid=row["node_task_uid"],
        status=row["status"],
        error=from_json(row["error"]),
        details=from_json(row["details"]),
        repeated=bool(row["repeated"]),
    )
