"""
One transaction on a SQL store, as the statements in `store_*.py` see it.

All SQL of the store is written once, for SQLite and PostgreSQL: `?` for parameters (a dialect may
rewrite it), `ON CONFLICT ... DO UPDATE`, `RETURNING`, 0 and 1 for booleans, JSON as text. What
differs between the two (connecting, beginning, column types) stays in the dialect's own file.

Statements may be put together, of names and conditions of ours alone: whatever came from a client,
from a node, or out of the store is a parameter. (So ruff's S608 is off for `store_*.py`.)
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

from miroir.adapters.store_seal import Seal

Result = TypeVar("Result")


class Row(Protocol):
    """One row of an answer."""

    def __getitem__(self, column: str, /) -> Any:
        """Return a column by its name."""
        ...


class Cursor(Protocol):
    """An answer of the database."""

    @property
    def rowcount(self) -> int:
        """Rows changed."""
        ...

    def fetchone(self) -> Any:
        """Return the next row or None."""
        ...

    def fetchall(self) -> list[Any]:
        """Return all rows."""
        ...


class Connection(Protocol):
    """What both drivers have in common."""

    def execute(self, sql: str, parameters: Sequence[Any], /) -> Cursor:
        """Run one statement."""
        ...


class Place(NamedTuple):
    """Where a body is that is not in its row: number of the file, first byte, length in bytes."""

    file: int
    start: int
    size: int


class Payloads(Protocol):
    """Keeps large bodies outside of the tables; appended to, and durable with the transaction."""

    def put(self, body: bytes) -> Place:
        """Keep a body."""
        ...

    def get(self, place: Place) -> bytes:
        """Return a body."""
        ...


@dataclass(frozen=True)
class Transaction:
    """
    One open transaction.

    Attributes:
        connection: Begun; committed or rolled back by the dialect.
        seal: For columns that may hold secrets.
        now_ms: Wall time at its begin, for records only.
        payloads: For large bodies.
    """

    connection: Connection
    seal: Seal
    now_ms: int
    payloads: Payloads

    def run(self, sql: str, *parameters: Any) -> int:
        """Run a statement; return how many rows it changed."""
        return self.connection.execute(sql, parameters).rowcount

    def row(self, sql: str, *parameters: Any) -> Row | None:
        """Return the first row of an answer, or None."""
        row: Row | None = self.connection.execute(sql, parameters).fetchone()
        return row

    def rows(self, sql: str, *parameters: Any) -> list[Row]:
        """Return every row of an answer."""
        return self.connection.execute(sql, parameters).fetchall()

    def next(self, counter: str) -> int:
        """Give out the next number of a counter; never the same twice, whatever is deleted."""
        row = self.row("UPDATE counter SET next = next + 1 WHERE name = ? RETURNING next", counter)
        assert row is not None, counter
        return int(row["next"]) - 1


class Database(Protocol):
    """A dialect: runs work in transactions."""

    async def transact(self, work: Callable[[Transaction], Result]) -> Result:
        """
        Run `work` in one transaction; durable on return, undone if it raises.

        Raises:
            Unavailable: The database could not be read or written; nothing was changed.
        """
        ...

    async def aclose(self) -> None:
        """Release everything."""
        ...


def marks(values: Iterable[Any]) -> str:
    """Return `?, ?, ?` for so many values."""
    return ", ".join("?" for _ in values)
