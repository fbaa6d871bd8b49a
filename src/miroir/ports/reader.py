"""
What the main process and its readers tell each other, and how a reader is reached.

A reader is a process of its own that answers searches out of a copy of the view. Everything that
is true of the cluster is decided in the main process, which tells its readers in numbered
messages; a reader does as told, in order, and confirms each number. Messages hold secrets
(embedder keys, the master key): they travel over a pair of sockets that nobody else has.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from miroir.core.keys import Definition
from miroir.core.topology import IndexUid, NodeId
from miroir.ports.records import IndexRecord

Counts = tuple[tuple[tuple[str, str, int], ...], Mapping[str, tuple[tuple[int, ...], float]]]
"""(who, how it ended, how often) and, for each who, the counts of its buckets and seconds."""


class Message(msgspec.Struct, frozen=True, tag=True):
    """Any message; the tag is its name."""


# ---- from the main process


class Hello(Message, frozen=True):
    """
    The first message: how to be.

    Attributes:
        number: Which reader this is, from 1.
        config: The configuration, without secrets.
        secrets: Its secrets by name.
        main_port: Where the main process takes, on loopback, what a reader does not answer.
    """

    number: int
    config: Mapping[str, Any]
    secrets: Mapping[str, str]
    main_port: int

    def __repr__(self) -> str:
        """Return it without what may be secret."""
        return f"Hello({self.number})"


class IndexSeen(msgspec.Struct, frozen=True):
    """
    One index as reads see it; see `IndexView`.

    Attributes:
        record: None: the one that was told last.
    """

    uid: IndexUid
    record: IndexRecord | None
    proved: Mapping[NodeId, int]
    out_of_sync: Mapping[NodeId, str]
    stirred: Mapping[NodeId, int]
    in_flight: bool
    spared: frozenset[NodeId]


class KeysSeen(msgspec.Struct, frozen=True):
    """
    The API keys of the cluster, without values.

    Attributes:
        known: Uids of all of them, deleted or not.
        live: Those that open something.
    """

    known: tuple[str, ...]
    live: Mapping[str, Definition]


class Picture(Message, frozen=True):
    """
    A step of the view; with nothing in it, a question whether anybody is there.

    Attributes:
        healthy: Nodes that answer.
        changed: Indexes that are not as told before.
        gone: Indexes that are no longer there.
        keys: None: as before.
    """

    number: int
    healthy: frozenset[NodeId]
    changed: tuple[IndexSeen, ...] = ()
    gone: tuple[IndexUid, ...] = ()
    keys: KeysSeen | None = None


class Close(Message, frozen=True):
    """Judge no answer of these indexes good until `Open` comes with this number."""

    number: int
    index_uids: tuple[IndexUid, ...]


class Open(Message, frozen=True):
    """See `Close`."""

    number: int


class Drain(Message, frozen=True):
    """Say when no request runs on these nodes; see `Running.drained`."""

    question: int
    index_uid: IndexUid
    nodes: tuple[NodeId, ...]
    within_s: float


class Stop(Message, frozen=True):
    """Take nothing more, end what is in work, and end."""


# ---- from a reader


class Ready(Message, frozen=True):
    """Tell me everything now."""


class Confirmed(Message, frozen=True):
    """Everything up to this number is done."""

    number: int


class Drained(Message, frozen=True):
    """The answer to `Drain`."""

    question: int
    done: bool


class Suspected(Message, frozen=True):
    """A node did not answer."""

    node_id: NodeId


class Counted(Message, frozen=True):
    """What was counted since the last message of this kind: calls to nodes, and requests."""

    calls: Counts
    requests: Counts


ToReader = Hello | Picture | Close | Open | Drain | Stop
ToMain = Ready | Confirmed | Drained | Suspected | Counted


class Reader(Protocol):
    """A reader, as the main process reaches it."""

    def tell(self, message: ToReader) -> None:
        """Send a message; told in order, or never if the reader ends before."""
        ...

    async def end(self) -> None:
        """End it for certain, and return when it is no more."""
        ...
