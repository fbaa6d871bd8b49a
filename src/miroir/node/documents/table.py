"""
The table of documents: raw JSON by index number and external id, in order of insertion.

A replaced document keeps its place. Reads see the committed state; writes take the connection of a
transaction.
"""

# ruff: noqa: S608  only counts of question marks are put into the SQL

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from miroir.node.store import Store

_CHUNK: Final = 500


def stored_documents(store: Store, iid: int) -> Iterator[tuple[str, bytes]]:
    """Yield id and raw JSON of every document of an index."""
    last = -1
    while True:
        rows = store.rows(
            "SELECT seq, id, raw FROM documents WHERE iid = ? AND seq > ? ORDER BY seq LIMIT ?",
            (iid, last, _CHUNK),
        )
        for row in rows:
            yield row["id"], bytes(row["raw"])
        if len(rows) < _CHUNK:
            return
        last = rows[-1]["seq"]


def find_documents(store: Store, iid: int, ids: Iterable[str]) -> dict[str, bytes]:
    """Return the raw JSON of those of the documents that exist, in order of insertion."""
    wanted = list(dict.fromkeys(ids))
    rows = []
    for start in range(0, len(wanted), _CHUNK):
        chunk = wanted[start : start + _CHUNK]
        marks = ",".join("?" * len(chunk))
        rows += store.rows(
            f"SELECT seq, id, raw FROM documents WHERE iid = ? AND id IN ({marks})",
            (iid, *chunk),
        )
    rows.sort(key=lambda row: int(row["seq"]))
    return {row["id"]: bytes(row["raw"]) for row in rows}


def page_of_documents(store: Store, iid: int, offset: int, limit: int) -> dict[str, bytes]:
    """Return a part of an index's documents, in order of insertion."""
    rows = store.rows(
        "SELECT id, raw FROM documents WHERE iid = ? ORDER BY seq LIMIT ? OFFSET ?",
        (iid, min(limit, _SQL_MAX), min(offset, _SQL_MAX)),
    )
    return {row["id"]: bytes(row["raw"]) for row in rows}


_SQL_MAX: Final = 2**62


def count_documents(store: Store, iid: int) -> tuple[int, int]:
    """Return how many documents an index has and how many bytes they are."""
    sql = "SELECT COUNT(*), COALESCE(SUM(LENGTH(raw)), 0) FROM documents WHERE iid = ?"
    row = store.row(sql, (iid,))
    assert row is not None
    return int(row[0]), int(row[1])


def put_documents(db: sqlite3.Connection, iid: int, documents: Mapping[str, bytes]) -> None:
    """Add or replace documents."""
    db.executemany(
        "INSERT INTO documents (iid, id, raw) VALUES (?, ?, ?) "
        "ON CONFLICT (iid, id) DO UPDATE SET raw = excluded.raw",
        ((iid, name, raw) for name, raw in documents.items()),
    )


def delete_documents(db: sqlite3.Connection, iid: int, ids: Iterable[str]) -> int:
    """Delete documents and return how many existed."""
    return sum(
        db.execute("DELETE FROM documents WHERE iid = ? AND id = ?", (iid, name)).rowcount
        for name in ids
    )


def clear_documents(db: sqlite3.Connection, iid: int) -> int:
    """Delete every document of an index and return how many there were."""
    return db.execute("DELETE FROM documents WHERE iid = ?", (iid,)).rowcount
