"""
Statements about what has been: committed versions with their settings, intents and their tasks.

Each function is the body of one transaction, or a part of one; the contract is `ports/store.py`.
Only reads, and the rows that a commit and a save add: nothing here is ever changed or guarded.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from miroir.adapters import store_codec as codec
from miroir.adapters.store_schema import HISTORY_LABEL
from miroir.adapters.store_transaction import Transaction, marks
from miroir.core.commons import is_common
from miroir.core.topology import IndexUid
from miroir.ports.records import (
    CommitRecord,
    HistoryEntry,
    IndexRecord,
    Intent,
    IntentQuery,
    IntentTask,
    MovedIndex,
)

# All but the settings: a list is read without opening a seal.
_ENTRY = "index_uid, version, fingerprints, diff, kind, made_by, reason, intent_id, at_ms"


def add_version(tx: Transaction, intent: Intent, record: CommitRecord, after: IndexRecord) -> None:
    """Write the row of a version, with the settings that are in force from now on."""
    bound = replace(after, fingerprints=record.fingerprints)
    add_moved(tx, intent, MovedIndex(bound, {}, {}, record.diff), record.at_ms)


def add_moved(tx: Transaction, intent: Intent, moved: MovedIndex, at_ms: int) -> None:
    """Write the row of the version of one uid of an intent."""
    after = moved.record
    # Of the commons the differences are enough: whole states of many keys would grow without end.
    settings = None if is_common(after.uid) else after.settings
    sealed = None if settings is None else tx.seal.seal(HISTORY_LABEL, settings)
    tx.run(
        """INSERT INTO settings_history (index_uid, version, fingerprints, diff, kind, made_by,
        reason, intent_id, at_ms, settings) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        *(after.uid, after.version, codec.to_json(after.fingerprints)),
        *(codec.to_json(moved.diff), intent.kind.value, intent.by, intent.reason),
        *(intent.intent_id, at_ms, sealed),
    )


def history(
    tx: Transaction,
    index_uid: IndexUid,
    *,
    limit: int | None,
    from_version: int | None,
) -> tuple[HistoryEntry, ...]:
    """See `Store.history`."""
    values: list[Any] = [index_uid]
    narrow = page = ""
    if from_version is not None:
        narrow = " AND version <= ?"
        values.append(from_version)
    if limit is not None:
        page = " LIMIT ?"
        values.append(limit)
    rows = tx.rows(
        f"SELECT {_ENTRY} FROM settings_history WHERE index_uid = ?{narrow}"
        f" ORDER BY version DESC{page}",
        *values,
    )
    return tuple(codec.history_entry(row) for row in rows)


def settings_of(tx: Transaction, index_uid: IndexUid, version: int) -> Mapping[str, Any] | None:
    """See `Store.settings_of`."""
    row = tx.row(
        "SELECT settings FROM settings_history WHERE index_uid = ? AND version = ?",
        *(index_uid, version),
    )
    if row is None or row["settings"] is None:
        return None
    settings: Mapping[str, Any] = tx.seal.open(HISTORY_LABEL, row["settings"])
    return settings


def find_intents(tx: Transaction, query: IntentQuery) -> tuple[Intent, ...]:
    """See `Store.find_intents`."""
    conditions = ["1 = 1"]
    values: list[Any] = []
    of_index = "intent_id IN (SELECT intent_id FROM intent_index WHERE index_uid IN ({}))"
    wanted: tuple[tuple[str, tuple[Any, ...]], ...] = (
        ("intent_id IN ({})", query.ids),
        (of_index, query.index_uids),
        ("phase IN ({})", query.phases),
    )
    for condition, allowed in wanted:
        if allowed:
            conditions.append(condition.format(marks(allowed)))
            values += allowed
    if query.from_id is not None:
        conditions.append("intent_id <= ?")
        values.append(query.from_id)
    rows = tx.rows(
        f"SELECT * FROM intent WHERE {' AND '.join(conditions)} ORDER BY intent_id DESC LIMIT ?",
        *(*values, query.limit),
    )
    return tuple(codec.intent(row, tx.seal) for row in rows)


def intent_tasks(
    tx: Transaction, intent_ids: tuple[int, ...]
) -> Mapping[int, tuple[IntentTask, ...]]:
    """See `Store.intent_tasks`."""
    found: dict[int, tuple[IntentTask, ...]] = {}
    if not intent_ids:
        return found
    rows = tx.rows(
        f"SELECT * FROM intent_task WHERE intent_id IN ({marks(intent_ids)})"
        " ORDER BY intent_id, node_id, task_uid",
        *intent_ids,
    )
    for row in rows:
        number = row["intent_id"]
        found[number] = (*found.get(number, ()), codec.intent_task(row))
    return found


def add_tasks(tx: Transaction, intent_id: int, ended: Iterable[IntentTask]) -> None:
    """Keep how node tasks of an intent ended; what is told again replaces what was told."""
    for task in ended:
        tx.run(
            """INSERT INTO intent_task (intent_id, node_id, task_uid, status, error,
            started_at_ms, finished_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (intent_id, node_id, task_uid) DO UPDATE SET status = excluded.status,
            error = excluded.error, started_at_ms = excluded.started_at_ms,
            finished_at_ms = excluded.finished_at_ms""",
            *(intent_id, task.node_id, task.task_uid, task.status),
            *(codec.to_json_or_none(task.error), task.started_at_ms, task.finished_at_ms),
        )
