"""
Meilisearch nodes, as the services see them.

Two ports over the same servers. `NodeTransport` is the data plane: bytes in, bytes out, for the
hot path. `NodeControl` is the control plane: typed calls for settings, tasks and indexes;
simulations implement this one. Every call of either ends within its deadline in exactly one of
three ways:

- an answer;
- `NodeRefused`: the node said no (4xx) and did nothing;
- `NodeUnreachable`: no usable answer (refused or broken connection, timeout, 5xx, not JSON); the
  node may have acted.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from miroir.core.swaps import Swaps
from miroir.core.topology import IndexUid, NodeId

Json = Any
"""A decoded JSON value."""

Settings = Mapping[str, Json]
"""A settings object as `GET /indexes/{uid}/settings` answers it."""


class NodeRequest(msgspec.Struct, frozen=True):
    """
    One HTTP request to a node.

    Attributes:
        method: Upper case.
        path: Path and query string, percent-encoded, e.g. `/indexes/movies/search`.
        body: As it goes onto the wire.
        content_type: Of the body; None for no body.
        authorization: The client's own `Authorization` value, or None for the node's master key.
        headers: Further headers, by lower-case name.
        lasting: Whether it is waited for even if the node is found down meanwhile.
    """

    method: str
    path: str
    body: bytes = b""
    content_type: str | None = None
    authorization: str | None = None
    headers: Mapping[str, str] = {}
    lasting: bool = False

    def __repr__(self) -> str:
        """Return it without what may be secret."""
        return f"NodeRequest({self.method} {self.path}, {len(self.body)} bytes)"


class NodeReply(msgspec.Struct, frozen=True):
    """
    A node's answer, whatever its status.

    Attributes:
        status: HTTP status.
        headers: By lower-case name; of a repeated one the last. Those that told of a content
            coding go with it.
        body: Decoded from any transfer or content coding.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class NodeTransport(Protocol):
    """Sends requests over kept-alive connections."""

    def send(
        self, node_id: NodeId, request: NodeRequest, *, timeout_s: float
    ) -> Awaitable[NodeReply]:
        """
        Write the request at once where a connection is idle, and return the awaitable answer.

        Writing to all nodes first and awaiting afterwards is what makes a scatter cheap. Any HTTP
        status is an answer. A cancelled await gives the connection up; await every answer, or
        cancel it. Requests whose kept-alive connection turns out to have been closed by the node
        before the first byte of an answer are sent again once on a fresh one if their method is
        GET, or if the node cannot have got them whole. A connection that was fresh already is a
        fault of the node: nothing is sent again.

        Args:
            node_id: Who.
            request: What.
            timeout_s: For the whole call, connecting included.

        Raises:
            NodeUnreachable: See the module; the message tells refused, reset, timeout or garbage.
            ValueError: At once, for a request that cannot be written as HTTP; a bug of ours.
        """
        ...

    def in_flight(self, node_id: NodeId) -> int:
        """Return how many calls to a node have not ended; for least-loaded routing."""
        ...

    def break_off(self, node_id: NodeId) -> None:
        """
        End calls to a node that was found down as unreachable now, but for lasting ones.

        Whoever waits for them can ask somebody else at once, instead of at the deadline.
        """
        ...


@dataclass(frozen=True)
class NodeTask:
    """
    A task as a node reports it.

    Attributes:
        uid: Of this node; not comparable between nodes.
        index_uid: None for global tasks.
        type: Meilisearch's task type, e.g. `settingsUpdate`.
        status: enqueued, processing, succeeded, failed or canceled.
        error: Meilisearch's error object of a failed task.
        details: As the node reports them; settings updates carry their patch, secrets masked.
        started_at: RFC 3339, or None.
        finished_at: RFC 3339, or None.
        enqueued_at: RFC 3339; tells two tasks of one uid apart, after a node was replaced.
    """

    uid: int
    index_uid: IndexUid | None
    type: str
    status: str
    error: Mapping[str, Json] | None = None
    details: Mapping[str, Json] | None = None
    started_at: str | None = None
    finished_at: str | None = None
    enqueued_at: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in {"succeeded", "failed", "canceled"}


@dataclass(frozen=True)
class NodeIndex:
    """An index as a node lists it."""

    uid: IndexUid
    primary_key: str | None


class NodeControl(Protocol):
    """Typed calls with the node's master key. Deadlines are the adapter's."""

    async def engine(self, node_id: NodeId) -> str:
        """
        Return the engine class, e.g. `1.50.0` or `1.50.0+chatCompletions`.

        Settings shapes are comparable within one (`core/features.py`).
        """
        ...

    async def check_health(self, node_id: NodeId) -> None:
        """Return if the node is available and takes our key; raise otherwise."""
        ...

    async def indexes(self, node_id: NodeId) -> tuple[NodeIndex, ...]:
        """Return every index of the node."""
        ...

    async def index(self, node_id: NodeId, index_uid: IndexUid) -> Mapping[str, Json] | None:
        """Return the index as the node shows it (`uid`, `primaryKey`, dates); None if missing."""
        ...

    async def document_count(self, node_id: NodeId, index_uid: IndexUid) -> int:
        """Return how many documents the node holds. Refused: index_not_found."""
        ...

    async def create_index(
        self, node_id: NodeId, index_uid: IndexUid, primary_key: str | None
    ) -> int:
        """Ask for an index; return the node's task uid."""
        ...

    async def update_index(
        self, node_id: NodeId, index_uid: IndexUid, primary_key: str | None
    ) -> int:
        """Ask for another primary key; return the node's task uid, which fails if missing."""
        ...

    async def delete_index(self, node_id: NodeId, index_uid: IndexUid) -> int:
        """Ask for the end of an index; return the node's task uid, which fails if missing."""
        ...

    async def swap_indexes(self, node_id: NodeId, swaps: Swaps) -> int:
        """
        Ask that pairs of indexes are swapped or renamed, all or none; return the node's task uid.

        Neither the task's end nor a repetition proves anything: a node that crashes between doing
        it and noting that it did does it again.
        """
        ...

    async def patch_settings(self, node_id: NodeId, index_uid: IndexUid, patch: Settings) -> int:
        """
        PATCH the settings; return the node's task uid. A missing index is created.

        Written at once as far as the connection takes it; nothing is written after the deadline,
        and a node does not act on a part.
        """
        ...

    async def read_settings(self, node_id: NodeId, index_uid: IndexUid) -> Settings:
        """Read the complete settings, secrets masked. Refused: index_not_found."""
        ...

    async def tasks(self, node_id: NodeId, uids: tuple[int, ...]) -> tuple[NodeTask, ...]:
        """Return those of the tasks that the node still knows, in any order."""
        ...

    async def newest_task_uid(self, node_id: NodeId) -> int:
        """Return the highest task uid the node has given out; -1 for none."""
        ...

    async def feed(self, node_id: NodeId, after_uid: int) -> tuple[NodeTask, ...]:
        """Return the tasks above `after_uid` that change settings or indexes, oldest first."""
        ...

    async def forward(self, node_id: NodeId, request: NodeRequest) -> NodeReply:
        """Send any request and return any answer below 500; raise `NodeUnreachable` for 5xx."""
        ...
