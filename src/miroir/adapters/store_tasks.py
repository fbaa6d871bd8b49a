"""
Statements about tasks and document writes.

Each function is the body of one transaction, or a part of one; the contract is `ports/store.py`.
Nothing here knows what a task is about.
"""

from collections.abc import Mapping
from typing import Any, Final

from miroir.adapters import store_codec as codec, store_task_queries as queries, store_webhooks
from miroir.adapters.store_indexes import set_out_of_sync
from miroir.adapters.store_transaction import Place, Row, Transaction, marks
from miroir.core.swaps import renamed_in
from miroir.core.topology import NodeId
from miroir.ports.records import (
    NewTask,
    NodeTaskRecord,
    TaskPage,
    TaskQuery,
    TaskRecord,
    WritePart,
)

_IN_ROW_MAX: Final = 1 << 14
"""Bytes of a body that is kept in its row."""
UNENDED: Final = "status IN ('enqueued', 'processing')"

UnfinishedWrite = tuple[TaskRecord, tuple[WritePart, ...], tuple[NodeTaskRecord, ...]]


def insert(
    tx: Transaction, task: NewTask, *, status: str = "enqueued", intent_id: int | None = None
) -> TaskRecord:
    """Give out the next uid."""
    uid = tx.next("task")
    tx.run(
        """INSERT INTO task (uid, index_uid, type, details, at_ms, custom_metadata, status,
        intent_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        *(uid, task.index_uid, task.type, codec.to_json(task.details), task.at_ms),
        *(task.custom_metadata, status, intent_id),
    )
    found = get(tx, uid)
    assert found is not None
    return found


def open_task(
    tx: Transaction, task: NewTask, *, status: str, error: Mapping[str, Any] | None
) -> TaskRecord:
    """See `Store.open_task`."""
    assert status in {"enqueued", "succeeded", "failed"}, status
    assert (error is not None) == (status == "failed"), status
    opened = insert(tx, task)
    if status == "enqueued":
        return opened
    finish(tx, opened.uid, status=status, details=task.details, error=error, at_ms=task.at_ms)
    found = get(tx, opened.uid)
    assert found is not None
    return found


def start(tx: Transaction, uid: int, *, at_ms: int) -> None:
    """See `Store.start_task`."""
    tx.run(
        "UPDATE task SET status = 'processing', started_at_ms = ?"
        " WHERE uid = ? AND status = 'enqueued'",
        *(at_ms, uid),
    )


def finish(
    tx: Transaction,
    uid: int,
    *,
    status: str,
    details: Mapping[str, Any],
    error: Mapping[str, Any] | None,
    at_ms: int,
) -> None:
    """See `Store.finish_task`."""
    assert status in {"succeeded", "failed", "canceled"}, status
    before = tx.row(f"SELECT recalled_by FROM task WHERE uid = ? AND {UNENDED}", uid)
    if before is None:
        return
    recalled_by = before["recalled_by"]
    tx.run(
        """UPDATE task SET status = ?, details = ?, error = ?, canceled_by = ?,
        recalled_by = NULL, started_at_ms = coalesce(started_at_ms, ?), finished_at_ms = ?
        WHERE uid = ?""",
        *(status, codec.to_json(details), codec.to_json_or_none(error)),
        *(recalled_by if status == "canceled" else None, at_ms, at_ms, uid),
    )
    ended = get(tx, uid)
    assert ended is not None
    store_webhooks.tell(tx, ended)
    if recalled_by is not None:
        settle_cancelation(tx, recalled_by, at_ms=at_ms)


def settle_cancelation(tx: Transaction, uid: int, *, at_ms: int) -> None:
    """End a cancelation if nothing that it has recalled is unfinished."""
    if tx.row("SELECT uid FROM task WHERE recalled_by = ?", uid) is not None:
        return
    task = get(tx, uid)
    assert task is not None, "what is unfinished is never deleted"
    count = tx.row(
        "SELECT count(*) AS found FROM task WHERE coalesce(canceled_by, uid) = ?"
        " AND canceled_by IS NOT NULL",
        uid,
    )
    assert count is not None
    details = {**task.details, "canceledTasks": count["found"]}
    finish(tx, uid, status="succeeded", details=details, error=None, at_ms=at_ms)


def rename_index(tx: Transaction, names: Mapping[str, str], *, before: int) -> None:
    """Let tasks below `before` be found under the uids that their indexes have now."""
    cases = " ".join("WHEN ? THEN ?" for _ in names)
    tx.run(
        f"UPDATE task SET index_uid = CASE index_uid {cases} END"
        f" WHERE uid < ? AND index_uid IN ({marks(names)})",
        *(text for pair in names.items() for text in pair),
        *(before, *names),
    )
    for row in tx.rows(
        "SELECT uid, details FROM task WHERE uid < ? AND type = 'indexSwap'", before
    ):
        details = codec.to_json(renamed_in(codec.from_json(row["details"]), names))
        if details != row["details"]:
            tx.run("UPDATE task SET details = ? WHERE uid = ?", details, row["uid"])


def get(tx: Transaction, uid: int) -> TaskRecord | None:
    """See `Store.task`."""
    row = tx.row("SELECT * FROM task WHERE uid = ?", uid)
    return None if row is None else codec.task_record(row)


def unfinished(tx: Transaction) -> Mapping[str, int]:
    """See `Store.unfinished_tasks`. The condition is that of the index `unfinished_task`."""
    rows = tx.rows(
        "SELECT status, count(*) AS found FROM task WHERE status IN ('enqueued', 'processing')"
        " GROUP BY status"
    )
    return {row["status"]: int(row["found"]) for row in rows}


def find(tx: Transaction, query: TaskQuery) -> TaskPage:
    """See `Store.tasks`. One more than asked for is read, to know whether there is a next page."""
    where, values = queries.where(query)
    count = tx.row(f"SELECT count(*) AS total FROM task WHERE {where}", *values)
    assert count is not None
    if query.from_uid is not None:
        where += " AND uid >= ?" if query.reverse else " AND uid <= ?"
        values = [*values, query.from_uid]
    order = "ASC" if query.reverse else "DESC"
    rows = tx.rows(
        f"SELECT * FROM task WHERE {where} ORDER BY uid {order} LIMIT ?",
        *(*values, query.limit + 1),
    )
    found = tuple(codec.task_record(row) for row in rows)
    next_uid = found[-1].uid if len(found) > query.limit else None
    return TaskPage(found[: query.limit], count["total"], next_uid)


# Document writes


def open_write(
    tx: Transaction,
    task: NewTask,
    parts: tuple[WritePart, ...],
    targets: tuple[NodeTaskRecord, ...],
) -> TaskRecord:
    """See `Store.open_write`."""
    opened = insert(tx, task)
    for position, part in enumerate(parts):
        large = len(part.body) > _IN_ROW_MAX
        kept = tx.payloads.put(part.body) if large else (None, None, None)
        tx.run(
            "INSERT INTO write_part (task_uid, position, shard_id, method, path, content_type,"
            " body, kept_file, kept_from, kept_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(opened.uid, position, part.shard_id, part.method, part.path, part.content_type),
            *(b"" if large else part.body, *kept),
        )
    for share in targets:
        tx.run(
            "INSERT INTO node_task (task_uid, node_id, shard_id, status)"
            " VALUES (?, ?, ?, 'unsent')",
            *(opened.uid, share.node_id, share.shard_id),
        )
    return opened


def save_shares(
    tx: Transaction, shares: tuple[NodeTaskRecord, ...], *, out_of_sync: Mapping[NodeId, str]
) -> None:
    """See `Store.save_shares`."""
    uids = {share.task_uid for share in shares}
    assert len(uids) == 1, "shares of one write"
    task = get(tx, uids.pop())
    assert task is not None, shares
    for share in shares:
        changed = tx.run(
            "UPDATE node_task SET node_task_uid = ?, status = ?, error = ?, details = ?,"
            " repeated = ? WHERE task_uid = ? AND node_id = ?",
            *(share.node_task_uid, share.status, codec.to_json_or_none(share.error)),
            *(codec.to_json_or_none(share.details), int(share.repeated)),
            *(share.task_uid, share.node_id),
        )
        assert changed == 1, share
    for node_id, reason in out_of_sync.items():
        assert task.index_uid is not None, task
        set_out_of_sync(tx, task.index_uid, node_id, reason)
    tx.run(
        "DELETE FROM write_part WHERE task_uid = ? AND NOT EXISTS"
        " (SELECT 1 FROM node_task WHERE task_uid = ? AND status = 'unsent')",
        *(task.uid, task.uid),
    )


def unfinished_writes(tx: Transaction) -> tuple[UnfinishedWrite, ...]:
    """See `Store.unfinished_writes`."""
    rows = tx.rows(
        f"SELECT * FROM task WHERE {UNENDED}"
        " AND EXISTS (SELECT 1 FROM node_task WHERE task_uid = uid) ORDER BY uid"
    )
    return tuple(
        (codec.task_record(row), _parts(tx, row["uid"]), shares(tx, row["uid"])) for row in rows
    )


def _parts(tx: Transaction, task_uid: int) -> tuple[WritePart, ...]:
    """Return the parts that some node of their shard has yet to be sent."""
    rows = tx.rows(
        "SELECT * FROM write_part WHERE task_uid = ? AND shard_id IN"
        " (SELECT shard_id FROM node_task WHERE task_uid = ? AND status = 'unsent')"
        " ORDER BY position",
        *(task_uid, task_uid),
    )
    return tuple(codec.write_part(row, _body(tx, row)) for row in rows)


def _body(tx: Transaction, row: Row) -> bytes:
    if row["kept_file"] is None:
        return bytes(row["body"])
    return tx.payloads.get(Place(row["kept_file"], row["kept_from"], row["kept_bytes"]))


def files_in_use(tx: Transaction) -> frozenset[int]:
    """Return the numbers of the files that hold bodies which some node has yet to be sent."""
    rows = tx.rows("SELECT DISTINCT kept_file FROM write_part WHERE kept_file IS NOT NULL")
    return frozenset(row["kept_file"] for row in rows)


def shares(tx: Transaction, task_uid: int) -> tuple[NodeTaskRecord, ...]:
    """See `Store.shares`."""
    rows = tx.rows(
        "SELECT * FROM node_task WHERE task_uid = ? ORDER BY shard_id, node_id", task_uid
    )
    return tuple(codec.node_task(row) for row in rows)
