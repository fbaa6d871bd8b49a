"""
Statements about intents: open, start, save, commit, freeze.

Each function is the body of one transaction; the contract is `ports/store.py`. The guards stand
here and nowhere else: lease epoch, revision, one started intent per index, one commit per intent,
one chain of versions, one set of fingerprints per version.
"""

from collections.abc import Mapping
from dataclasses import replace

from miroir.adapters import (
    store_codec as codec,
    store_history,
    store_indexes,
    store_swaps,
    store_tasks,
)
from miroir.adapters.store_transaction import Row, Transaction
from miroir.core.broadcast_judge import verified_anew
from miroir.core.broadcast_types import Broadcast, Decision, NodeState
from miroir.core.swaps import new_names
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import LeaseLost
from miroir.ports.records import (
    NOT_CREATED,
    CommitRecord,
    IndexRecord,
    Intent,
    IntentKind,
    IntentTask,
    Lease,
    NewIntent,
    NewTask,
    SwapRecord,
    TaskRecord,
)


def open_intent(tx: Transaction, intent: NewIntent) -> Intent:
    """See `Store.open_intent`."""
    assert not intent.state.closed
    intent_id = tx.next("intent")
    tx.run(
        """INSERT INTO intent (intent_id, index_uid, kind, patch, target, undo, primary_key,
        made_by, reason, at_ms, state, phase, base_version, swaps, care, revision, started,
        closed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0)""",
        *(intent_id, intent.index_uid, intent.kind.value),
        tx.seal.seal("intent.patch", intent.patch),
        tx.seal.seal("intent.target", intent.target),
        tx.seal.seal("intent.undo", intent.undo),
        *(intent.primary_key, intent.by, intent.reason, intent.at_ms),
        *(codec.to_json(intent.state), intent.state.phase.value, _version(tx, intent.index_uid)),
        *(codec.to_json(intent.swaps), codec.to_json(intent.care)),
    )
    for index_uid in intent.index_uids:
        tx.run(
            "INSERT INTO intent_index (intent_id, index_uid, holds) VALUES (?, ?, 0)",
            *(intent_id, index_uid),
        )
    return codec.intent(_row(tx, intent_id), tx.seal)


def accept_intent(tx: Transaction, intent: NewIntent, task: NewTask) -> tuple[Intent, TaskRecord]:
    """See `Store.accept_intent`."""
    opened = open_intent(tx, intent)
    promised = store_tasks.insert(tx, task, intent_id=opened.intent_id)
    tx.run("UPDATE intent SET task_uid = ? WHERE intent_id = ?", promised.uid, opened.intent_id)
    return replace(opened, task_uid=promised.uid), promised


def intent(tx: Transaction, intent_id: int) -> Intent:
    """See `Store.intent`."""
    return codec.intent(_row(tx, intent_id), tx.seal)


def open_intents(tx: Transaction) -> tuple[Intent, ...]:
    """See `Store.open_intents`."""
    rows = tx.rows("SELECT * FROM intent WHERE closed = 0 ORDER BY intent_id")
    return tuple(codec.intent(row, tx.seal) for row in rows)


def recent_intents(tx: Transaction, limit: int) -> tuple[Intent, ...]:
    """See `Store.recent_intents`."""
    rows = tx.rows("SELECT * FROM intent ORDER BY intent_id DESC LIMIT ?", limit)
    return tuple(codec.intent(row, tx.seal) for row in rows)


def start_intent(tx: Transaction, intent: Intent, lease: Lease) -> Intent:
    """See `Store.start_intent`."""
    row = _guarded(tx, intent, lease)
    assert not row["closed"], intent.intent_id
    assert intent.base_version == _version(tx, intent.index_uid), "the base is what is committed"
    for index_uid in intent.index_uids:
        other = tx.row(
            "SELECT intent_id FROM intent_index"
            " WHERE index_uid = ? AND holds = 1 AND intent_id <> ?",
            *(index_uid, intent.intent_id),
        )
        assert other is None, "one started intent per index"
    tx.run("UPDATE intent_index SET holds = 1 WHERE intent_id = ?", intent.intent_id)
    tx.run(
        """UPDATE intent SET target = ?, undo = ?, base_version = ?, state = ?, phase = ?,
        started = 1, started_at_ms = coalesce(started_at_ms, ?), revision = revision + 1
        WHERE intent_id = ?""",
        tx.seal.seal("intent.target", intent.target),
        tx.seal.seal("intent.undo", intent.undo),
        *(intent.base_version, codec.to_json(intent.state), intent.state.phase.value),
        *(tx.now_ms, intent.intent_id),
    )
    if row["task_uid"] is not None:
        store_tasks.start(tx, row["task_uid"], at_ms=tx.now_ms)
    _record_proofs(tx, intent, row, intent.state)
    started_at_ms = row["started_at_ms"] if row["started_at_ms"] is not None else tx.now_ms
    return _saved(replace(intent, started_at_ms=started_at_ms), row)


def save_intent(
    tx: Transaction,
    intent: Intent,
    state: Broadcast,
    lease: Lease,
    *,
    ended: tuple[IntentTask, ...],
) -> Intent:
    """See `Store.save_intent`."""
    row = _guarded(tx, intent, lease)
    assert not row["closed"], intent.intent_id
    committed = row["committed_version"]
    assert (state.decision is Decision.COMMIT) <= (committed is not None), "not committed"
    assert (state.decision is Decision.ABORT) <= (committed is None), "already committed"
    closed_at_ms = tx.now_ms if state.closed else None
    tx.run(
        """UPDATE intent SET state = ?, phase = ?, closed = ?, closed_at_ms = ?,
        revision = revision + 1 WHERE intent_id = ?""",
        *(codec.to_json(state), state.phase.value, int(state.closed), closed_at_ms),
        intent.intent_id,
    )
    store_history.add_tasks(tx, intent.intent_id, ended)
    _record_proofs(tx, intent, row, state)
    if state.closed:
        tx.run("UPDATE intent_index SET holds = 0 WHERE intent_id = ?", intent.intent_id)
    if state.closed and committed is None and row["task_uid"] is not None:
        _fail(tx, row["task_uid"], state)
    return _saved(replace(intent, state=state, closed_at_ms=closed_at_ms), row)


def _saved(intent: Intent, row: Row) -> Intent:
    """Return the intent after a save, with what others have written meanwhile."""
    return replace(
        intent,
        task_uid=row["task_uid"],
        revision=row["revision"] + 1,
        committed_version=row["committed_version"],
    )


def _record_proofs(tx: Transaction, intent: Intent, row: Row, state: Broadcast) -> None:
    """What a node was last told decides what it is proved at; see `Store.save_intent`."""
    if intent.kind.moves_indexes:
        store_swaps.settle_progress(tx, intent, state)
        return
    version = _version_of_direction(tx, row, state)
    known = {
        found["node_id"]: (found["version"], found["fingerprint"])
        for found in tx.rows(
            "SELECT * FROM node_settings_version WHERE index_uid = ?", row["index_uid"]
        )
    }
    anew = verified_anew(intent.state, state)
    proved: dict[NodeId, str] = {}
    for node_id in state.touched:
        progress = state.nodes[node_id]
        seen = progress.fingerprint
        if progress.state is not NodeState.VERIFIED or version is None or seen is None:
            if not intent.kind.leaves_settings:
                store_indexes.unprove(tx, row["index_uid"], (node_id,))
        elif node_id in anew and known.get(node_id) != (version, seen):
            proved[node_id] = seen
    if version is not None:
        store_indexes.set_proved(tx, row["index_uid"], proved, version, tx.now_ms)


def _version_of_direction(tx: Transaction, row: Row, state: Broadcast) -> int | None:
    """Return the committed version that a verified node serves; None if it serves none."""
    index = store_indexes.index(tx, row["index_uid"])
    if index is None or index.deleted or state.decision is None:
        return None
    if state.decision is Decision.COMMIT:
        return index.version
    # Without a way back the nodes were verified at the target; only a repair's is the base.
    at_base = state.undoable or row["kind"] == IntentKind.REPAIR
    return int(row["base_version"]) if at_base else None


def commit(tx: Transaction, intent: Intent, record: CommitRecord, lease: Lease) -> int:
    """See `Store.commit`."""
    row = _guarded(tx, intent, lease)
    if row["committed_version"] is not None:
        return int(row["committed_version"])
    _check_begun(row)
    before = store_indexes.index(tx, intent.index_uid)
    version = before.version if before is not None else 0
    assert version == row["base_version"], "versions form one chain"
    version += record.raise_version
    bound = {} if record.raise_version else _bound(tx, before)
    after = _after_commit(intent.index_uid, before, record, version, bound)
    store_indexes.put_index(tx, after)
    if record.raise_version:
        store_history.add_version(tx, intent, record, after)
    _settle_nodes(tx, intent, record, version)
    _finish(tx, row, record, version)
    return version


def commit_swap(tx: Transaction, intent: Intent, record: SwapRecord, lease: Lease) -> int:
    """See `Store.commit_swap`."""
    row = _guarded(tx, intent, lease)
    if row["committed_version"] is not None:
        return int(row["committed_version"])
    _check_begun(row)
    version = store_swaps.move(tx, intent, record)
    if row["task_uid"] is not None:
        store_tasks.rename_index(tx, new_names(intent.swaps), before=row["task_uid"])
    _finish(tx, row, record, version)
    return version


def _check_begun(row: Row) -> None:
    assert row["started"], row["intent_id"]
    assert not row["closed"], row["intent_id"]


def _finish(tx: Transaction, row: Row, record: CommitRecord | SwapRecord, version: int) -> None:
    tx.run(
        "UPDATE intent SET committed_version = ? WHERE intent_id = ?", version, row["intent_id"]
    )
    if row["task_uid"] is not None:
        store_tasks.finish(
            tx,
            row["task_uid"],
            status="succeeded",
            details=record.task_details,
            error=None,
            at_ms=record.at_ms,
        )


def _bound(tx: Transaction, index: IndexRecord | None) -> Mapping[str, str]:
    """Return the fingerprints of the last version; deletion of the index does not free it."""
    if index is None:
        return {}
    row = tx.row(
        "SELECT fingerprints FROM settings_history WHERE index_uid = ? AND version = ?",
        *(index.uid, index.version),
    )
    first: Mapping[str, str] = {} if row is None else codec.from_json(row["fingerprints"])
    return {**index.fingerprints, **first}


def _after_commit(
    uid: IndexUid,
    before: IndexRecord | None,
    record: CommitRecord,
    version: int,
    bound: Mapping[str, str],
) -> IndexRecord:
    """Return the index as the commit makes it; a commit also ends a freeze."""
    for engine in bound.keys() & record.fingerprints.keys():
        assert bound[engine] == record.fingerprints[engine], "a version has one fingerprint"
    old = None if before is None or before.deleted else before
    blank = IndexRecord(
        uid=uid,
        primary_key=None,
        version=version,
        settings=None,
        fingerprints={},
        frozen_reason=None,
        deleted=record.deleted,
        created_at_ms=record.at_ms if old is None else old.created_at_ms,
        updated_at_ms=record.at_ms,
    )
    if record.deleted:
        return blank
    old = old or blank
    return replace(
        blank,
        primary_key=record.primary_key if record.primary_key is not None else old.primary_key,
        settings=record.settings if record.settings is not None else old.settings,
        fingerprints={**bound, **record.fingerprints},
        unconfirmed=record.unconfirmed if record.raise_version else old.unconfirmed,
    )


def _settle_nodes(tx: Transaction, intent: Intent, record: CommitRecord, version: int) -> None:
    index_uid = intent.index_uid
    if record.deleted or intent.kind is IntentKind.CREATE:
        tx.run("DELETE FROM out_of_sync WHERE index_uid = ?", index_uid)
    if record.deleted:
        tx.run("DELETE FROM node_settings_version WHERE index_uid = ?", index_uid)
        return
    if intent.kind is IntentKind.CREATE:
        for node_id in record.unproved:
            store_indexes.set_out_of_sync(tx, index_uid, node_id, NOT_CREATED)
    store_indexes.unprove(tx, index_uid, record.unproved)
    store_indexes.set_proved(tx, index_uid, record.proved, version, record.at_ms)


def freeze(tx: Transaction, intent: Intent, reason: str, lease: Lease) -> None:
    """See `Store.freeze`."""
    _guarded(tx, intent, lease)
    store_indexes.set_frozen(tx, intent.index_uid, reason)


def _guarded(tx: Transaction, intent: Intent, lease: Lease) -> Row:
    """Return the intent's row if the caller leads and nobody else has saved it meanwhile."""
    store_indexes.guard(tx, lease)
    row = _row(tx, intent.intent_id)
    if row["revision"] != intent.revision:
        raise LeaseLost(
            f"intent {intent.intent_id} is at revision {row['revision']}, not {intent.revision}"
        )
    return row


def _row(tx: Transaction, intent_id: int) -> Row:
    row = tx.row("SELECT * FROM intent WHERE intent_id = ?", intent_id)
    assert row is not None, intent_id
    return row


def _version(tx: Transaction, uid: IndexUid) -> int:
    row = tx.row("SELECT version FROM index_record WHERE uid = ?", uid)
    return 0 if row is None else int(row["version"])


def _fail(tx: Transaction, task_uid: int, state: Broadcast) -> None:
    task = store_tasks.get(tx, task_uid)
    assert task is not None
    store_tasks.finish(
        tx, task_uid, status="failed", details=task.details, error=state.error, at_ms=tx.now_ms
    )
