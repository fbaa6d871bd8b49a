"""
The tables of the store, once for both dialects (`BLOB` reads `BYTEA` in PostgreSQL).

Rules that a constraint can hold stand here as constraints: one started intent per index, one row
of history per version, for ever. Change the schema by a further entry of `MIGRATIONS`, never by
editing one: an entry that has been released is history.
"""

from collections.abc import Callable
from typing import Final

from miroir.adapters.store_transaction import Transaction
from miroir.errors import ConfigError

_V1: Final = (
    "CREATE TABLE counter (name TEXT PRIMARY KEY, next BIGINT NOT NULL)",
    "INSERT INTO counter (name, next) VALUES ('task', 0), ('intent', 1)",
    "CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE lease (
        scope TEXT PRIMARY KEY,
        holder TEXT,
        epoch BIGINT NOT NULL,
        expires_at_ms BIGINT NOT NULL)""",
    """CREATE TABLE index_record (
        uid TEXT PRIMARY KEY,
        primary_key TEXT,
        version BIGINT NOT NULL CHECK (version >= 0),
        settings BLOB,
        fingerprints TEXT NOT NULL,
        frozen_reason TEXT,
        deleted BIGINT NOT NULL,
        created_at_ms BIGINT NOT NULL,
        updated_at_ms BIGINT NOT NULL)""",
    """CREATE TABLE node_settings_version (
        index_uid TEXT NOT NULL REFERENCES index_record (uid),
        node_id TEXT NOT NULL,
        version BIGINT,
        fingerprint TEXT,
        verified_at_ms BIGINT NOT NULL,
        PRIMARY KEY (index_uid, node_id))""",
    """CREATE TABLE settings_history (
        index_uid TEXT NOT NULL REFERENCES index_record (uid),
        version BIGINT NOT NULL,
        fingerprints TEXT NOT NULL,
        diff TEXT NOT NULL,
        kind TEXT NOT NULL,
        made_by TEXT NOT NULL,
        reason TEXT NOT NULL,
        intent_id BIGINT NOT NULL UNIQUE,
        at_ms BIGINT NOT NULL,
        PRIMARY KEY (index_uid, version))""",
    """CREATE TABLE expected_read_back (
        target_hash TEXT NOT NULL,
        engine TEXT NOT NULL,
        read_back BLOB NOT NULL,
        PRIMARY KEY (target_hash, engine))""",
    """CREATE TABLE intent (
        intent_id BIGINT PRIMARY KEY,
        index_uid TEXT NOT NULL,
        kind TEXT NOT NULL,
        patch BLOB NOT NULL,
        target BLOB NOT NULL,
        undo BLOB NOT NULL,
        primary_key TEXT,
        made_by TEXT NOT NULL,
        reason TEXT NOT NULL,
        at_ms BIGINT NOT NULL,
        state TEXT NOT NULL,
        base_version BIGINT NOT NULL,
        task_uid BIGINT,
        revision BIGINT NOT NULL,
        started BIGINT NOT NULL,
        closed BIGINT NOT NULL,
        committed_version BIGINT)""",
    """CREATE UNIQUE INDEX one_started_intent ON intent (index_uid)
        WHERE started = 1 AND closed = 0""",
    "CREATE INDEX open_intent ON intent (intent_id) WHERE closed = 0",
    """CREATE TABLE task (
        uid BIGINT PRIMARY KEY,
        index_uid TEXT,
        type TEXT NOT NULL,
        details TEXT NOT NULL,
        at_ms BIGINT NOT NULL,
        custom_metadata TEXT,
        status TEXT NOT NULL,
        error TEXT,
        canceled_by BIGINT,
        started_at_ms BIGINT,
        finished_at_ms BIGINT,
        intent_id BIGINT REFERENCES intent (intent_id))""",
    "CREATE INDEX task_by_index ON task (index_uid, uid)",
    "CREATE INDEX unfinished_task ON task (uid) WHERE status IN ('enqueued', 'processing')",
    """CREATE TABLE write_part (
        task_uid BIGINT NOT NULL REFERENCES task (uid),
        position BIGINT NOT NULL,
        shard_id BIGINT NOT NULL,
        method TEXT NOT NULL,
        path TEXT NOT NULL,
        content_type TEXT,
        body BLOB NOT NULL,
        PRIMARY KEY (task_uid, position))""",
    """CREATE TABLE node_task (
        task_uid BIGINT NOT NULL REFERENCES task (uid),
        node_id TEXT NOT NULL,
        shard_id BIGINT NOT NULL,
        node_task_uid BIGINT,
        status TEXT NOT NULL,
        error TEXT,
        details TEXT,
        PRIMARY KEY (task_uid, node_id))""",
    """CREATE TABLE out_of_sync (
        index_uid TEXT NOT NULL,
        node_id TEXT NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (index_uid, node_id))""",
)

HISTORY_LABEL: Final = "settings_history.settings"
_KEY_ID_FACT: Final = "seal_key_id"


def _keep_settings_in_force(tx: Transaction, place: str) -> None:
    """The version in force can be rolled back to; of older ones the settings were never kept."""
    check_key(tx, place)
    for row in tx.rows("SELECT uid, version, settings FROM index_record"):
        if row["settings"] is None:
            continue
        settings = tx.seal.open("index_record.settings", row["settings"])
        tx.run(
            "UPDATE settings_history SET settings = ? WHERE index_uid = ? AND version = ?",
            *(tx.seal.seal(HISTORY_LABEL, settings), row["uid"], row["version"]),
        )


_V2: Final = (
    "ALTER TABLE settings_history ADD COLUMN settings BLOB",
    _keep_settings_in_force,
    "ALTER TABLE intent ADD COLUMN phase TEXT NOT NULL DEFAULT 'queued'",
    "ALTER TABLE intent ADD COLUMN started_at_ms BIGINT",
    "ALTER TABLE intent ADD COLUMN closed_at_ms BIGINT",
    # Quotes inside a text are escaped in JSON: only the key itself reads like this.
    """UPDATE intent SET phase = CASE
        WHEN state LIKE '%"phase":"probing"%' THEN 'probing'
        WHEN state LIKE '%"phase":"proposing"%' THEN 'proposing'
        WHEN state LIKE '%"phase":"verifying"%' THEN 'verifying'
        WHEN state LIKE '%"phase":"waiting"%' THEN 'waiting'
        WHEN state LIKE '%"phase":"committing"%' THEN 'committing'
        WHEN state LIKE '%"phase":"converged"%' THEN 'converged'
        WHEN state LIKE '%"phase":"aborted"%' THEN 'aborted'
        WHEN state LIKE '%"phase":"refused"%' THEN 'refused'
        WHEN state LIKE '%"phase":"frozen"%' THEN 'frozen'
        ELSE 'queued' END""",
    "CREATE INDEX intent_by_index ON intent (index_uid, intent_id)",
    """CREATE TABLE intent_task (
        intent_id BIGINT NOT NULL REFERENCES intent (intent_id),
        node_id TEXT NOT NULL,
        task_uid BIGINT NOT NULL,
        status TEXT NOT NULL,
        error TEXT,
        started_at_ms BIGINT,
        finished_at_ms BIGINT,
        PRIMARY KEY (intent_id, node_id, task_uid))""",
)

_V3: Final = (
    "ALTER TABLE intent ADD COLUMN swaps TEXT NOT NULL DEFAULT '[]'",
    # Every index of every intent; `holds`: it is started and not closed.
    """CREATE TABLE intent_index (
        intent_id BIGINT NOT NULL REFERENCES intent (intent_id),
        index_uid TEXT NOT NULL,
        holds BIGINT NOT NULL,
        PRIMARY KEY (intent_id, index_uid))""",
    """INSERT INTO intent_index (intent_id, index_uid, holds)
        SELECT intent_id, index_uid, started * (1 - closed) FROM intent""",
    "CREATE UNIQUE INDEX one_holder ON intent_index (index_uid) WHERE holds = 1",
    "CREATE INDEX intent_of_index ON intent_index (index_uid, intent_id)",
    "DROP INDEX one_started_intent",
    "DROP INDEX intent_by_index",
    # One intent may commit a version of several indexes: its id is no longer unique here.
    """CREATE TABLE settings_history_3 (
        index_uid TEXT NOT NULL REFERENCES index_record (uid),
        version BIGINT NOT NULL,
        fingerprints TEXT NOT NULL,
        diff TEXT NOT NULL,
        kind TEXT NOT NULL,
        made_by TEXT NOT NULL,
        reason TEXT NOT NULL,
        intent_id BIGINT NOT NULL,
        at_ms BIGINT NOT NULL,
        settings BLOB,
        PRIMARY KEY (index_uid, version),
        UNIQUE (intent_id, index_uid))""",
    """INSERT INTO settings_history_3 (index_uid, version, fingerprints, diff, kind, made_by,
        reason, intent_id, at_ms, settings) SELECT index_uid, version, fingerprints, diff, kind,
        made_by, reason, intent_id, at_ms, settings FROM settings_history""",
    "DROP TABLE settings_history",
    "ALTER TABLE settings_history_3 RENAME TO settings_history",
    "CREATE INDEX swap_task ON task (uid) WHERE type = 'indexSwap'",
)

_V4: Final = (
    "ALTER TABLE intent ADD COLUMN care TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE index_record ADD COLUMN unconfirmed TEXT",
)

_V5: Final = (
    "ALTER TABLE task ADD COLUMN recalled_by BIGINT",
    "CREATE INDEX recalled_task ON task (recalled_by) WHERE recalled_by IS NOT NULL",
    # A task that was cancelled is in the batch of its cancelation, any other in one of its own.
    "CREATE INDEX task_by_batch ON task (coalesce(canceled_by, uid))",
    "ALTER TABLE node_task ADD COLUMN repeated BIGINT NOT NULL DEFAULT 0",
    # Nobody knows any more how often these were sent.
    "UPDATE node_task SET repeated = 1 WHERE status IN ('unsent', 'sent')",
    "CREATE TABLE webhook (uuid TEXT PRIMARY KEY, definition BLOB NOT NULL)",
    """CREATE TABLE webhook_notice (
        number BIGINT PRIMARY KEY,
        uuid TEXT NOT NULL REFERENCES webhook (uuid),
        task TEXT NOT NULL)""",
    "CREATE INDEX notice_of_webhook ON webhook_notice (uuid, number)",
    "INSERT INTO counter (name, next) VALUES ('notice', 1)",
)

Step = str | Callable[[Transaction, str], None]

_V6: Final = (
    # Large bodies lie in files beside the database (`store_payloads.py`).
    "ALTER TABLE write_part ADD COLUMN kept_file BIGINT",
    "ALTER TABLE write_part ADD COLUMN kept_from BIGINT",
    "ALTER TABLE write_part ADD COLUMN kept_bytes BIGINT",
)

MIGRATIONS: Final[tuple[tuple[Step, ...], ...]] = (_V1, _V2, _V3, _V4, _V5, _V6)
"""What leads from each schema version to the next; the first starts from nothing."""


def migrate(tx: Transaction, place: str) -> None:
    """
    Bring the tables to this release's schema.

    Args:
        tx: A transaction of the store.
        place: The database's name, for the message.

    Raises:
        ConfigError: A newer release has written this store.
    """
    tx.run("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
    row = tx.row("SELECT max(version) AS version FROM schema_version")
    found = row["version"] if row is not None and row["version"] is not None else 0
    if found > len(MIGRATIONS):
        raise ConfigError(
            f"{place}: schema version {found} was written by a newer release (this one knows "
            f"{len(MIGRATIONS)}); install that release or use another data directory"
        )
    for version, steps in enumerate(MIGRATIONS[found:], start=found + 1):
        for step in steps:
            tx.run(step) if isinstance(step, str) else step(tx, place)
        tx.run("INSERT INTO schema_version (version) VALUES (?)", version)


def check_key(tx: Transaction, place: str) -> None:
    """
    Bind the store to the key that seals it; a store without a key may get one.

    Raises:
        ConfigError: The store is sealed by another key than the configured one.
    """
    found, given = stored_key_id(tx), tx.seal.key_id
    if found and found != given:
        configured = (
            f"the configured secret has id {given}" if given else "no secret is configured"
        )
        raise ConfigError(
            f"{place}: sealed under the secret key with id {found}, but {configured}; set "
            "MIROIR_SECRET_KEY (or the master key, if that was used) to the former value, or seal "
            "the store anew with `miroir secrets rekey`"
        )
    if given and not found:
        set_key_id(tx, given)


def stored_key_id(tx: Transaction) -> str:
    """Return which secret seals the store; empty if none ever did."""
    row = tx.row("SELECT value FROM fact WHERE name = ?", _KEY_ID_FACT)
    return "" if row is None else str(row["value"])


def set_key_id(tx: Transaction, key_id: str) -> None:
    """Bind the store to a secret."""
    tx.run(
        "INSERT INTO fact (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        *(_KEY_ID_FACT, key_id),
    )
