"""
One call to a node: the future that its caller awaits.

    queued -> connecting -> sent -> ended: answered | unreachable | timeout | cancelled

The call is itself the future, so that a warm send costs no task and no callback: awaiting it gives
the reply, cancelling it (as a cancelled `await` does) gives its connection up. It ends exactly
once, and tells its owner so. It knows its deadline and what it is sending; who serves it, and what
happens to the connection, belongs to the pool.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Literal, Protocol

from miroir.adapters.http_connection import HttpConnection
from miroir.errors import NodeUnreachable
from miroir.ports.node import NodeReply

Outcome = Literal["answered", "unreachable", "timeout", "cancelled"]

Observe = Callable[[str, Outcome, float], None]
"""Told of each ended call: node id, outcome, seconds from `send` to its end."""


class CallOwner(Protocol):
    """Hears of the end of a call."""

    def ended(self, call: "Call", outcome: Outcome) -> None:
        """Take notice; free what the call holds."""
        ...


class Call(asyncio.Future[NodeReply]):
    """
    A request on its way.

    Attributes:
        head: Everything before the body, as bytes.
        body: The body.
        method: HTTP method.
        lasting: See `NodeRequest`.
        connection: The one that carries it now.
        started_s: Loop time of `send`.
        due_s: Loop time at which the owner ends it.
    """

    # Names must not meet those of the base class, which has a leading underscore before its own.
    __slots__ = (
        "body",
        "connection",
        "due_s",
        "head",
        "lasting",
        "method",
        "owner",
        "started_s",
    )

    def __init__(
        self, owner: CallOwner, loop: asyncio.AbstractEventLoop, method: str, head: bytes
    ) -> None:
        super().__init__(loop=loop)
        self.owner = owner
        self.method = method
        self.head = head
        self.body = b""
        self.lasting = False
        self.connection: HttpConnection | None = None
        self.started_s = self.due_s = loop.time()

    def finish(self, reply: NodeReply) -> None:
        """End with an answer."""
        assert not self.done(), "a call that was given up has no connection to be answered by"
        self.set_result(reply)
        self._end("answered")

    def fail(self, message: str, outcome: Outcome = "unreachable") -> None:
        """End without one."""
        if self.done():
            return  # the caller has gone already
        self.set_exception(NodeUnreachable(message))
        self._end(outcome)

    def cancel(self, msg: Any | None = None) -> bool:
        """Give the call up; see `asyncio.Future.cancel`."""
        if not super().cancel(msg):
            return False
        self._end("cancelled")
        return True

    def _end(self, outcome: Outcome) -> None:
        # Futures live as long as their callers hold them: keep neither payloads nor keys.
        self.head = self.body = b""
        self.owner.ended(self, outcome)
