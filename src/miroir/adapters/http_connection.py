"""
One connection to a node, with at most one request in flight.

Turns transport events into two calls on its owner: `answered` or `broken`, each at most once for
a request; `broken` also when the connection ends while it is idle. What to do about either (send
again, connect anew, tell the caller) is the pool's business, never decided here.

Requests up to `_ONE_WRITE_BYTES_MAX` go out in one write. Larger bodies follow in slices while the
transport takes them, so that at most one slice is held twice.
"""

import asyncio
import os
from typing import Final, Protocol, cast

from miroir.adapters.http_answer import AnswerReader
from miroir.adapters.http_coding import AnswerBroken
from miroir.ports.node import NodeReply

_ONE_WRITE_BYTES_MAX: Final = 64 * 1024
_SLICE_BYTES: Final = 256 * 1024
_SLICES_PER_TURN_MAX: Final = 8
"""After so many slices in a row other connections get their turn of the loop."""
_READ_BYTES_MAX: Final = 64 * 1024
"""asyncio reads 256 KiB at once, which costs three times as much for answers of usual size."""


class Exchange(Protocol):
    """A request, as far as the connection that carries it is concerned."""

    head: bytes
    body: bytes
    method: str


class Owner(Protocol):
    """Hears what becomes of a connection."""

    def answered(self, connection: "HttpConnection", reply: NodeReply) -> None:
        """Take the answer to the exchange; the connection still holds it."""
        ...

    def broken(self, connection: "HttpConnection", reason: str) -> None:
        """Take notice that the connection is of no further use; it is closed already."""
        ...

    def lost(self, connection: "HttpConnection") -> None:
        """Take notice that the transport is gone; the last call there is."""
        ...


class HttpConnection(asyncio.Protocol):
    """
    One connection.

    Attributes:
        exchange: The request in flight.
        answers: Requests answered so far.
        idle_since_s: Loop time of the end of the last one; set by the owner.
    """

    __slots__ = (
        "_over",
        "_owner",
        "_paused",
        "_reader",
        "_rest",
        "_transport",
        "_write_failed",
        "answers",
        "exchange",
        "idle_since_s",
    )

    def __init__(self, owner: Owner, reader: AnswerReader) -> None:
        self._owner = owner
        self._reader = reader
        self._transport: asyncio.Transport | None = None
        self._over = False
        self._paused = False
        self._rest: memoryview | None = None
        self._write_failed = False
        self.exchange: Exchange | None = None
        self.answers = 0
        self.idle_since_s = 0.0

    # ------------------------------------------------------------ for the owner

    @property
    def usable(self) -> bool:
        """Whether a request can be written."""
        return not self._over and self._transport is not None and not self._transport.is_closing()

    @property
    def answer_started(self) -> bool:
        """Whether a byte of the answer has come."""
        return self._reader.started

    @property
    def request_incomplete(self) -> bool:
        """Whether the node certainly has not got the whole request, so cannot have acted."""
        return self._write_failed or self._paused or self._rest is not None

    @property
    def reusable(self) -> bool:
        """Whether, after an answer, another request may follow."""
        assert self._transport is not None
        return (
            self._reader.reusable
            and self._rest is None
            and not self._transport.is_closing()
            and not self._transport.get_write_buffer_size()  # answered before it was all sent
        )

    def start(self, exchange: Exchange) -> None:
        """Write a request at once."""
        transport = self._transport
        assert transport is not None
        assert self.exchange is None, "one request in flight"
        self.exchange = exchange
        self._reader.expect(head_only=exchange.method == "HEAD")
        body = exchange.body
        if len(body) <= _ONE_WRITE_BYTES_MAX:
            transport.write(exchange.head + body)
        else:
            transport.write(exchange.head)
        # asyncio writes straight away; if that failed, nothing has left.
        self._write_failed = transport.is_closing()
        if len(body) > _ONE_WRITE_BYTES_MAX and not self._write_failed:
            self._rest = memoryview(body)
            self._write_on()

    def abort(self) -> None:
        """Close at once; nothing is reported any more but `lost`."""
        self._over = True
        self._rest = None
        if self._transport is not None:
            self._transport.abort()

    # ------------------------------------------------------------ called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast("asyncio.Transport", transport)
        if hasattr(transport, "max_size"):
            transport.max_size = _READ_BYTES_MAX

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self._over:
            return
        if self.exchange is None:
            self._break("the node sent bytes that nobody had asked for")
            return
        try:
            reply = self._reader.feed(data)
        except AnswerBroken as error:
            self._break(str(error))
            return
        if reply is not None:
            self._answer(reply)

    def eof_received(self) -> bool:
        """See asyncio; decided here, for a close that waits for unsent bytes may never come."""
        if self._over:
            return False
        if self.exchange is None:
            self._break("the node closed the idle connection")
            return False
        try:
            reply = self._reader.end()
        except AnswerBroken as error:
            self._break(str(error))
        else:
            self._answer(reply)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        if isinstance(exc, OSError):
            self._read_last()
        if not self._over:
            detail = f" ({exc.strerror or exc})" if isinstance(exc, OSError) else ""
            where = "in the middle of its answer" if self._reader.started else "without an answer"
            self._break(f"the connection broke {where}{detail}")
        self._owner.lost(self)

    def pause_writing(self) -> None:
        """See asyncio."""
        self._paused = True

    def resume_writing(self) -> None:
        """
        See asyncio.

        Written later, not here: asyncio up to 3.13 reports the loss of the connection twice if a
        write inside of this callback fails.
        """
        self._paused = False
        asyncio.get_running_loop().call_soon(self._write_on)

    # ------------------------------------------------------------ steps

    def _write_on(self) -> None:
        transport = self._transport
        assert transport is not None
        for _ in range(_SLICES_PER_TURN_MAX):
            if self._rest is None or self._paused or self._over or transport.is_closing():
                return
            piece, rest = self._rest[:_SLICE_BYTES], self._rest[_SLICE_BYTES:]
            self._rest = rest if len(rest) else None
            transport.write(piece)
        asyncio.get_running_loop().call_soon(self._write_on)

    def _read_last(self) -> None:
        """
        Read what had come before a write failed.

        A node that refuses a payload answers, then resets the connection under the rest of it; the
        failed write ends the transport, but the answer is still there to be read.
        """
        assert self._transport is not None
        sock = self._transport.get_extra_info("socket")
        if sock is None or self._write_failed or self._transport.get_extra_info("ssl_object"):
            return  # nothing was sent that it could answer, or only TLS could read it
        while not self._over and self.exchange is not None:
            try:
                data = os.read(sock.fileno(), _READ_BYTES_MAX)
            except OSError:
                return  # nothing left: the loss is reported next
            if not data:
                return
            self.data_received(data)

    def _answer(self, reply: NodeReply) -> None:
        self.answers += 1
        self._owner.answered(self, reply)

    def _break(self, reason: str) -> None:
        # Asked first: what was not sent decides whether the request may be sent again.
        self._over = True
        if self._transport is not None:
            self._transport.abort()
        self._owner.broken(self, reason)
