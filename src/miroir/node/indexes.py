"""
The table of indexes: rows in, rows out.

An index has an internal number (`iid`) that its documents refer to, so that renaming and swapping
touch one row each. Reads see the committed state; writes take the connection of a transaction.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from miroir.node.index_uids import index_not_found
from miroir.node.json_text import decode, encode_text
from miroir.node.store import Store
from miroir.node.times import now_ns, rfc3339


@dataclass(frozen=True)
class IndexRow:
    """
    One index. Times in nanoseconds.

    Attributes:
        iid: The number that its documents carry; never reused.
        settings: The stored form (see `settings`).
    """

    iid: int
    uid: str
    primary_key: str | None
    created_at: int
    updated_at: int
    settings: dict[str, Any]


def find_index(store: Store, uid: str) -> IndexRow | None:
    """Return an index by its uid."""
    row = store.row("SELECT * FROM indexes WHERE uid = ?", (uid,))
    return None if row is None else _from_row(row)


def require_index(store: Store, uid: str) -> IndexRow:
    """
    Return an index by its uid.

    Raises:
        ApiError: `index_not_found`.
    """
    if (row := find_index(store, uid)) is None:
        raise index_not_found(uid)
    return row


def all_indexes(store: Store) -> list[IndexRow]:
    """Return every index, sorted by uid."""
    return [_from_row(row) for row in store.rows("SELECT * FROM indexes ORDER BY uid")]


def index_view(row: IndexRow) -> dict[str, Any]:
    """Return an index as the API shows it."""
    return {
        "uid": row.uid,
        "createdAt": rfc3339(row.created_at),
        "updatedAt": rfc3339(row.updated_at),
        "primaryKey": row.primary_key,
    }


def insert_index(db: sqlite3.Connection, uid: str, primary_key: str | None) -> int:
    """Create an index and return its internal number."""
    now = now_ns()
    cursor = db.execute(
        "INSERT INTO indexes (uid, primary_key, created_at, updated_at, settings) "
        "VALUES (?, ?, ?, ?, '{}')",
        (uid, primary_key, now, now),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def delete_index(db: sqlite3.Connection, iid: int) -> int:
    """Delete an index with its documents and return how many these were."""
    db.execute("DELETE FROM indexes WHERE iid = ?", (iid,))
    return db.execute("DELETE FROM documents WHERE iid = ?", (iid,)).rowcount


def touch_index(db: sqlite3.Connection, iid: int) -> None:
    """Note that an index was changed now."""
    db.execute("UPDATE indexes SET updated_at = ? WHERE iid = ?", (now_ns(), iid))


def set_primary_key(db: sqlite3.Connection, iid: int, primary_key: str) -> None:
    """Set the primary key of an index."""
    db.execute("UPDATE indexes SET primary_key = ? WHERE iid = ?", (primary_key, iid))


def set_settings(db: sqlite3.Connection, iid: int, settings: Mapping[str, Any]) -> None:
    """Replace the stored settings of an index."""
    text = encode_text(settings)
    db.execute("UPDATE indexes SET settings = ? WHERE iid = ?", (text, iid))


def rename_indexes(db: sqlite3.Connection, names: Mapping[str, str]) -> None:
    """Give indexes new uids, all at once: `{"a": "b", "b": "a"}` swaps."""
    numbers = {
        old: row["iid"]
        for old in names
        if (row := db.execute("SELECT iid FROM indexes WHERE uid = ?", (old,)).fetchone())
    }
    for old, iid in numbers.items():
        # A space is in no valid uid: it keeps the names apart while they change places.
        db.execute("UPDATE indexes SET uid = ? WHERE iid = ?", (f" {names[old]}", iid))
    for old, iid in numbers.items():
        db.execute("UPDATE indexes SET uid = ? WHERE iid = ?", (names[old], iid))


def _from_row(row: sqlite3.Row) -> IndexRow:
    values = dict(row)
    values["settings"] = decode(values["settings"])
    return IndexRow(**values)
