"""
SQLite: the store in one file, for one process.

Every transaction runs on one connection in one thread of its own, so that the event loop never
waits for the disk; those that come together are committed together (`store_together.py`). WAL with
synchronous=FULL: what has been answered survives kill -9 and a power cut. An exclusive lock on
`miroir.lock` keeps a second process out; the kernel drops it with its holder, so whoever gets it
knows the predecessor dead and takes the leases from it (their epochs still grow).

Only what is SQLite's stands here; statements are in the other `store_*.py`.
"""

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import structlog

from miroir.adapters.store_indexes import drop_leases
from miroir.adapters.store_payloads import PayloadFiles
from miroir.adapters.store_schema import check_key, migrate
from miroir.adapters.store_seal import Seal
from miroir.adapters.store_sql import SqlStore
from miroir.adapters.store_tasks import files_in_use
from miroir.adapters.store_together import Outcome, Together, Work
from miroir.adapters.store_transaction import Transaction
from miroir.errors import ConfigError, Unavailable
from miroir.ports.clock import Clock, SystemClock

Result = TypeVar("Result")

DATABASE_NAME: Final = "miroir.db"
LOCK_NAME: Final = "miroir.lock"
_log = structlog.get_logger(__name__)
_PRAGMAS: Final = (
    # Payloads lie here until every replica has them: in small pages that takes a sixth more CPU
    # for each batch. Of a file that is there already, the pages stay as they are.
    "PRAGMA page_size = 16384",
    "PRAGMA journal_mode = WAL",
    "PRAGMA wal_autocheckpoint = 2048",  # Pages.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 5000",  # Milliseconds; for backups that read the file.
)


async def open_store(directory: Path, *, seal: Seal, clock: Clock | None = None) -> SqlStore:
    """
    Open the store of a data directory, creating both where they are missing.

    Args:
        directory: Holds `miroir.db` and `miroir.lock`; one process at a time.
        seal: For settings; the same key as ever since there is one.
        clock: For the times of records.

    Raises:
        ConfigError: The directory is in use or cannot be used, the database was written by a
            newer release, sealed by another key, or is none. The message names file and remedy.
    """
    database = SqliteDatabase(directory, seal=seal, clock=clock or SystemClock())
    await database.open()
    return SqlStore(database)


class SqliteDatabase:
    """See `Database`."""

    def __init__(self, directory: Path, *, seal: Seal, clock: Clock) -> None:
        self._directory = directory
        self._seal = seal
        self._clock = clock
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._together = Together(self._worker, self._transact_all)
        self._connection: sqlite3.Connection | None = None
        self._payloads = PayloadFiles(directory)
        self._lock: int | None = None

    async def open(self) -> None:
        """See `open_store`."""
        try:
            await self._in_worker(self._open)
        except BaseException:
            await self.aclose()
            raise

    async def transact(self, work: Callable[[Transaction], Result]) -> Result:
        """See `Database.transact`."""
        try:
            return await self._together.done(work)
        except (sqlite3.OperationalError, OSError) as error:
            raise Unavailable(f"the store cannot be used: {error}") from error

    async def rewrite(self) -> None:
        """Write the file anew, so that nothing that was replaced or deleted is left in it."""
        try:
            await self._in_worker(self._rewrite)
        except sqlite3.OperationalError as error:
            raise Unavailable(f"the store cannot be written anew: {error}") from error

    def _rewrite(self) -> None:
        self._connected.execute("VACUUM")
        self._connected.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    async def aclose(self) -> None:
        """See `Database.aclose`. Waits for the transactions in work."""
        await self._together.idle()
        await self._in_worker(self._close)
        self._worker.shutdown(wait=True)  # Idle by now.

    async def _in_worker(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    def _open(self) -> None:
        path = self._directory / DATABASE_NAME
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _lock(self._directory / LOCK_NAME)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._connection = _connect(path)
            self._begun(lambda: _prepare(self._transaction(), str(path)))
            self._payloads.open(files_in_use(self._transaction()), str(path))
        except (OSError, sqlite3.DatabaseError) as error:
            raise ConfigError(
                f"{path}: the store cannot be opened ({error}); give `data_dir` a directory that "
                "this user can write and that holds no other program's files"
            ) from error

    def _transact_all(self, works: Sequence[Work]) -> Sequence[Outcome]:
        """Commit all of these, each all or nothing."""
        if len(works) == 1:
            return [(self._begun(lambda: works[0](self._transaction())), None)]
        return self._begun(lambda: [self._transact_one(work) for work in works])

    def _transact_one(self, work: Work) -> Outcome:
        connection = self._connected
        connection.execute("SAVEPOINT one")
        try:
            outcome: Outcome = (work(self._transaction()), None)
        except Exception as error:
            if not connection.in_transaction:
                raise  # It was rolled back by itself, and all that came before with it.
            connection.execute("ROLLBACK TO one")
            outcome = (None, error)
        connection.execute("RELEASE one")
        return outcome

    def _begun(self, work: Callable[[], Result]) -> Result:
        """Run work between BEGIN and COMMIT."""
        connection = self._connected
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work()
            self._payloads.sync()
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # Some errors have rolled back by themselves.
                connection.execute("ROLLBACK")
            raise
        if self._payloads.turned:
            self._release()
        return result

    def _release(self) -> None:
        """Find files of bodies that are free; what was committed is, whether or not that works."""
        try:
            self._payloads.release(files_in_use(self._transaction()))
        except (sqlite3.OperationalError, OSError) as error:
            _log.warning("payloads_not_released", why=str(error))

    def _transaction(self) -> Transaction:
        now_ms = self._clock.wall_ms()
        return Transaction(self._connected, self._seal, now_ms, self._payloads)

    @property
    def _connected(self) -> sqlite3.Connection:
        assert self._connection is not None, "the store is closed"
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._payloads.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)  # Transactions are begun by hand.
    connection.row_factory = sqlite3.Row
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    return connection


def _prepare(tx: Transaction, place: str) -> None:
    migrate(tx, place)
    check_key(tx, place)
    drop_leases(tx)


def _lock(path: Path) -> int:
    """Lock the file for this process's life; its content names the holder for people."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise ConfigError(
            f"{path}: the data directory is in use by another process (pid {holder}); stop it or "
            "give this one a `data_dir` of its own"
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor
