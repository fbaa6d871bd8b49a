"""
The node's database: one SQLite file with indexes, raw documents, tasks, keys and features.

Rules: every change of data happens inside `transaction()`, and the status of a task is written in
the same transaction as its effect, so that after kill -9 at any moment a task was applied exactly
once. Write-ahead logging lets readers go on while one writer commits. A document is stored as the
JSON text that the client sent. The search engine is not here: it is rebuilt from these tables.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS indexes (
  iid INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, primary_key TEXT,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, settings TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS documents (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, iid INTEGER NOT NULL, id TEXT NOT NULL,
  raw BLOB NOT NULL, UNIQUE (iid, id));
CREATE TABLE IF NOT EXISTS tasks (
  uid INTEGER PRIMARY KEY, batch_uid INTEGER, index_uid TEXT, status TEXT NOT NULL,
  type TEXT NOT NULL, canceled_by INTEGER, details TEXT, error TEXT, request TEXT NOT NULL,
  payload BLOB, metadata TEXT, enqueued_at INTEGER NOT NULL, started_at INTEGER,
  finished_at INTEGER);
CREATE INDEX IF NOT EXISTS tasks_by_status ON tasks (status, uid);
CREATE INDEX IF NOT EXISTS tasks_by_batch ON tasks (batch_uid);
CREATE TABLE IF NOT EXISTS batches (uid INTEGER PRIMARY KEY, view TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS api_keys (uid TEXT PRIMARY KEY, body TEXT NOT NULL,
  created_at INTEGER NOT NULL);
"""
_FORMAT: Final = "1"


class Store:
    """
    Connections to the database file: one for each thread that uses it.

    Args:
        folder: Directory of the database; created when missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "node.db"
        self._local = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._write_lock = threading.RLock()
        self._open().executescript(_SCHEMA)
        found = self.meta("format")
        if found is None:
            with self.transaction() as db:
                put_meta(db, "format", _FORMAT)
        elif found != _FORMAT:
            raise ValueError(f"the database has format {found}, this node reads {_FORMAT}")

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._file, isolation_level=None, timeout=60, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=WAL")
        # A killed process loses nothing; a power cut may lose the last commits, never consistency.
        connection.execute("PRAGMA synchronous=NORMAL")
        with self._lock:
            self._all.append(connection)
        self._local.connection = connection
        return connection

    @property
    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        return connection if connection is not None else self._open()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the body in one write transaction: all of it is durable, or nothing."""
        connection = self._connection
        with self._write_lock:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def rows(self, sql: str, arguments: Iterable[Any] = ()) -> list[sqlite3.Row]:
        """Return the rows of a query on the committed state."""
        return self._connection.execute(sql, tuple(arguments)).fetchall()

    def row(self, sql: str, arguments: Iterable[Any] = ()) -> sqlite3.Row | None:
        """Return the first row of a query, or None."""
        found: sqlite3.Row | None = self._connection.execute(sql, tuple(arguments)).fetchone()
        return found

    def meta(self, name: str) -> str | None:
        """Return a named value of the node itself."""
        row = self.row("SELECT value FROM meta WHERE name = ?", (name,))
        return None if row is None else str(row["value"])

    def size_bytes(self) -> int:
        """Return the size of the database file."""
        return self._file.stat().st_size

    def close(self) -> None:
        """Close every connection. No thread may use the store afterwards."""
        with self._lock:
            for connection in self._all:
                connection.close()
            self._all.clear()


def put_meta(db: sqlite3.Connection, name: str, value: str) -> None:
    """Set a named value of the node itself."""
    db.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )
