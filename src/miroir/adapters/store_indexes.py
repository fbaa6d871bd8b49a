"""
Statements about leases, facts, indexes, and what nodes are proved to serve.

Each function is the body of one transaction, or a part of one; the contract is `ports/store.py`.
Nothing here knows about intents beyond whether one is open.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from miroir.adapters import store_codec as codec
from miroir.adapters.store_transaction import Transaction
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import LeaseLost
from miroir.ports.records import IndexRecord, Lease, NodeVersion


def take_lease(
    tx: Transaction, scope: str, holder: str, *, ttl_ms: int, now_ms: int
) -> Lease | None:
    """See `Store.take_lease`."""
    row = tx.row("SELECT * FROM lease WHERE scope = ?", scope)
    epoch = 1 if row is None else int(row["epoch"])
    if row is not None:
        held = row["holder"] is not None and row["expires_at_ms"] > now_ms
        if held and row["holder"] != holder:
            return None
        epoch += not held
    tx.run(
        """INSERT INTO lease (scope, holder, epoch, expires_at_ms) VALUES (?, ?, ?, ?)
        ON CONFLICT (scope) DO UPDATE SET holder = excluded.holder, epoch = excluded.epoch,
        expires_at_ms = excluded.expires_at_ms""",
        *(scope, holder, epoch, now_ms + ttl_ms),
    )
    return Lease(scope, holder, epoch)


def release_lease(tx: Transaction, lease: Lease) -> None:
    """See `Store.release_lease`."""
    tx.run(
        "UPDATE lease SET holder = NULL, expires_at_ms = 0"
        " WHERE scope = ? AND holder = ? AND epoch = ?",
        *(lease.scope, lease.holder, lease.epoch),
    )


def drop_leases(tx: Transaction) -> None:
    """Take every lease from its holder, whose death is proved; the epochs stay."""
    tx.run("UPDATE lease SET holder = NULL, expires_at_ms = 0")


def guard(tx: Transaction, lease: Lease) -> None:
    """
    Let only the newest holder through.

    Raises:
        LeaseLost: The store knows a higher epoch.
    """
    row = tx.row("SELECT epoch FROM lease WHERE scope = ?", lease.scope)
    assert row is not None, f"a lease that the store never gave: {lease}"
    if row["epoch"] > lease.epoch:
        raise LeaseLost(f"{lease.scope} is led under epoch {row['epoch']}, not {lease.epoch}")
    assert row["epoch"] == lease.epoch, f"a lease that the store never gave: {lease}"


def fact(tx: Transaction, name: str) -> str | None:
    """See `Store.fact`."""
    row = tx.row("SELECT value FROM fact WHERE name = ?", name)
    return None if row is None else str(row["value"])


def set_fact(tx: Transaction, name: str, value: str) -> None:
    """See `Store.set_fact`."""
    tx.run(
        "INSERT INTO fact (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        *(name, value),
    )


def indexes(tx: Transaction) -> tuple[IndexRecord, ...]:
    """See `Store.indexes`."""
    rows = tx.rows("SELECT * FROM index_record ORDER BY uid")
    return tuple(codec.index_record(row, tx.seal) for row in rows)


def index(tx: Transaction, uid: IndexUid) -> IndexRecord | None:
    """See `Store.index`."""
    row = tx.row("SELECT * FROM index_record WHERE uid = ?", uid)
    return None if row is None else codec.index_record(row, tx.seal)


def put_index(tx: Transaction, record: IndexRecord) -> None:
    """Write an index's row whole."""
    settings = record.settings
    sealed = None if settings is None else tx.seal.seal("index_record.settings", settings)
    tx.run(
        """INSERT INTO index_record (uid, primary_key, version, settings, fingerprints,
        frozen_reason, deleted, created_at_ms, updated_at_ms, unconfirmed)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (uid) DO UPDATE SET primary_key = excluded.primary_key,
        version = excluded.version, settings = excluded.settings,
        fingerprints = excluded.fingerprints, frozen_reason = excluded.frozen_reason,
        deleted = excluded.deleted, created_at_ms = excluded.created_at_ms,
        updated_at_ms = excluded.updated_at_ms, unconfirmed = excluded.unconfirmed""",
        *(record.uid, record.primary_key, record.version, sealed),
        *(codec.to_json(record.fingerprints), record.frozen_reason, int(record.deleted)),
        *(record.created_at_ms, record.updated_at_ms),
        None if record.unconfirmed is None else codec.to_json(record.unconfirmed),
    )


def confirm(tx: Transaction, index_uid: IndexUid, version: int) -> bool:
    """See `Store.confirm`."""
    row = tx.row("SELECT version, unconfirmed FROM index_record WHERE uid = ?", index_uid)
    if row is None or row["version"] != version or row["unconfirmed"] is None:
        return False
    tx.run("UPDATE index_record SET unconfirmed = NULL WHERE uid = ?", index_uid)
    return True


def set_frozen(tx: Transaction, uid: IndexUid, reason: str | None) -> None:
    """Refuse document writes to an index, or let them through again."""
    tx.run("UPDATE index_record SET frozen_reason = ? WHERE uid = ?", reason, uid)


def thaw(tx: Transaction, index_uid: IndexUid) -> None:
    """See `Store.thaw`."""
    set_frozen(tx, index_uid, None)


def node_versions(tx: Transaction) -> tuple[NodeVersion, ...]:
    """See `Store.node_versions`."""
    rows = tx.rows("SELECT * FROM node_settings_version ORDER BY index_uid, node_id")
    return tuple(codec.node_version(row) for row in rows)


def unprove(tx: Transaction, index_uid: IndexUid, node_ids: Iterable[NodeId]) -> None:
    """See `Store.unprove`."""
    for node_id in node_ids:
        tx.run(
            "UPDATE node_settings_version SET version = NULL, fingerprint = NULL"
            " WHERE index_uid = ? AND node_id = ?",
            *(index_uid, node_id),
        )


def set_proved(
    tx: Transaction, index_uid: IndexUid, proved: Mapping[NodeId, str], version: int, at_ms: int
) -> None:
    """Record nodes (node -> fingerprint) as serving a version; who already does stays as it is."""
    for node_id, fingerprint in proved.items():
        tx.run(
            """INSERT INTO node_settings_version (index_uid, node_id, version, fingerprint,
            verified_at_ms) VALUES (?, ?, ?, ?, ?) ON CONFLICT (index_uid, node_id) DO UPDATE SET
            version = excluded.version, fingerprint = excluded.fingerprint,
            verified_at_ms = excluded.verified_at_ms""",
            *(index_uid, node_id, version, fingerprint, at_ms),
        )


def prove(
    tx: Transaction,
    index_uid: IndexUid,
    proved: Mapping[NodeId, str],
    *,
    version: int,
    at_ms: int,
) -> bool:
    """See `Store.prove`."""
    if not _rests(tx, index_uid, version):
        return False
    set_proved(tx, index_uid, proved, version, at_ms)
    return True


def _rests(tx: Transaction, index_uid: IndexUid, version: int) -> bool:
    """Whether this is the committed version, and no change of the index is open."""
    row = tx.row(
        "SELECT 1 AS found FROM index_record WHERE uid = ? AND version = ? AND deleted = 0"
        " AND NOT EXISTS (SELECT 1 FROM intent WHERE closed = 0 AND intent_id IN"
        " (SELECT intent_id FROM intent_index WHERE index_uid = ?))",
        *(index_uid, version, index_uid),
    )
    return row is not None


def learn(
    tx: Transaction,
    index_uid: IndexUid,
    *,
    version: int,
    engine: str,
    fingerprint: str,
    settings: Mapping[str, Any],
) -> IndexRecord | None:
    """See `Store.learn`."""
    record = index(tx, index_uid) if _rests(tx, index_uid, version) else None
    if record is None or engine in record.fingerprints:
        return None
    learnt = replace(
        record,
        settings={**settings, **(record.settings or {})},
        fingerprints={**record.fingerprints, engine: fingerprint},
    )
    put_index(tx, learnt)
    return learnt


def expected(tx: Transaction, target_hash: str, engine: str) -> Mapping[str, Any] | None:
    """See `Store.expected`."""
    row = tx.row(
        "SELECT read_back FROM expected_read_back WHERE target_hash = ? AND engine = ?",
        *(target_hash, engine),
    )
    if row is None:
        return None
    read_back: Mapping[str, Any] = tx.seal.open("expected.read_back", row["read_back"])
    return read_back


def keep_expected(
    tx: Transaction, target_hash: str, engine: str, read_back: Mapping[str, Any]
) -> None:
    """See `Store.keep_expected`."""
    tx.run(
        "INSERT INTO expected_read_back (target_hash, engine, read_back) VALUES (?, ?, ?)"
        " ON CONFLICT (target_hash, engine) DO NOTHING",
        *(target_hash, engine, tx.seal.seal("expected.read_back", read_back)),
    )


def out_of_sync(tx: Transaction) -> Mapping[tuple[IndexUid, NodeId], str]:
    """See `Store.out_of_sync`."""
    rows = tx.rows("SELECT * FROM out_of_sync ORDER BY index_uid, node_id")
    return {(row["index_uid"], row["node_id"]): row["reason"] for row in rows}


def set_in_sync(tx: Transaction, index_uid: IndexUid, node_id: NodeId) -> None:
    """See `Store.set_in_sync`."""
    tx.run("DELETE FROM out_of_sync WHERE index_uid = ? AND node_id = ?", index_uid, node_id)


def set_out_of_sync(tx: Transaction, index_uid: IndexUid, node_id: NodeId, reason: str) -> None:
    """See `Store.set_out_of_sync`."""
    tx.run(
        "INSERT INTO out_of_sync (index_uid, node_id, reason) VALUES (?, ?, ?)"
        " ON CONFLICT (index_uid, node_id) DO NOTHING",
        *(index_uid, node_id, reason),
    )
