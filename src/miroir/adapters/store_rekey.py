"""
Seals a store anew: every sealed value, from one secret to another, in one transaction.

Offline only: the store's lock must be free, so no Miroir runs on it. A crash anywhere leaves the
store as it was, under the old secret. Afterwards the file is written anew, so that nothing sealed
under the old secret is left in pages that SQLite has freed. What is sealed stands in one table
here; a column that is sealed elsewhere and missing here would be lost (a test compares with the
schema).
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from miroir.adapters.store_schema import HISTORY_LABEL, set_key_id, stored_key_id
from miroir.adapters.store_seal import Seal
from miroir.adapters.store_sqlite import DATABASE_NAME, SqliteDatabase
from miroir.adapters.store_transaction import Transaction
from miroir.adapters.store_webhooks import WEBHOOK_LABEL
from miroir.errors import ConfigError, Unavailable
from miroir.ports.clock import SystemClock

SEALED: Final[tuple[tuple[str, tuple[str, ...], tuple[tuple[str, str], ...]], ...]] = (
    ("index_record", ("uid",), (("settings", "index_record.settings"),)),
    ("settings_history", ("index_uid", "version"), (("settings", HISTORY_LABEL),)),
    ("expected_read_back", ("target_hash", "engine"), (("read_back", "expected.read_back"),)),
    (
        "intent",
        ("intent_id",),
        (("patch", "intent.patch"), ("target", "intent.target"), ("undo", "intent.undo")),
    ),
    ("webhook", ("uuid",), (("definition", WEBHOOK_LABEL),)),
)
"""Table, its key, and its sealed columns with their labels."""


def sealing_key_id(directory: Path) -> str:
    """
    Return which secret a store is sealed under; empty if it never had one.

    Raises:
        ConfigError: There is no store, or it cannot be read.
    """
    path = directory / DATABASE_NAME
    if not path.exists():
        raise ConfigError(f"{path}: no such store; is `data_dir` the right one?")
    try:
        with closing(sqlite3.connect(path)) as connection:
            row = connection.execute(
                "SELECT value FROM fact WHERE name = 'seal_key_id'"
            ).fetchone()
    except sqlite3.DatabaseError as error:
        raise ConfigError(f"{path}: the store cannot be read ({error})") from error
    return str(row[0]) if row else ""


async def rekey_store(directory: Path, *, old: Seal, new: Seal) -> int:
    """
    Seal every value anew, and bind the store to the new secret.

    Returns:
        How many values were sealed anew.

    Raises:
        ConfigError: A process uses the store, `old` does not open it, or a value is damaged;
            nothing was changed.
        Unavailable: The disk failed. The message says whether anything was changed.
    """
    database = SqliteDatabase(directory, seal=old, clock=SystemClock())
    await database.open()
    try:
        count = await database.transact(lambda tx: _seal_anew(tx, new))
        await _rewrite(database, directory)
    finally:
        await database.aclose()
    return count


async def _rewrite(database: SqliteDatabase, directory: Path) -> None:
    try:
        await database.rewrite()
    except Unavailable as error:
        raise Unavailable(
            f"{directory}: everything is sealed under the new secret, but what was sealed under "
            f"the former one may be left in free pages of the file: {error}; run this again"
        ) from error


def _seal_anew(tx: Transaction, new: Seal) -> int:
    count = 0
    for table, key, columns in SEALED:
        where = " AND ".join(f"{name} = ?" for name in key)
        # Keys first, then row by row: a history of years need not fit into memory.
        for row in tx.rows(f"SELECT {', '.join(key)} FROM {table}"):
            for column, label in columns:
                count += _column(tx, new, (table, column, label, where), [row[n] for n in key])
    set_key_id(tx, new.key_id)
    assert stored_key_id(tx) == new.key_id
    return count


def _column(
    tx: Transaction, new: Seal, place: tuple[str, str, str, str], key: list[object]
) -> int:
    table, column, label, where = place
    found = tx.row(f"SELECT {column} FROM {table} WHERE {where}", *key)
    assert found is not None, "the transaction sees what it has listed"
    if found[column] is None:
        return 0
    sealed = new.seal(label, tx.seal.open(label, found[column]))
    tx.run(f"UPDATE {table} SET {column} = ? WHERE {where}", sealed, *key)
    return 1
