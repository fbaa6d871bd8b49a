"""
A TCP server that does exactly what a script says, and nothing that HTTP demands.

A script is an async function; each accepted connection plays the next one, and the last one is
played again for all further connections:

    async def cut_off(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\\r\\ncontent-length: 10\\r\\n\\r\\nhalf")
        peer.close()

    async with FaultServer(cut_off, answering(b"fine")) as server:
        ...  # server.url, server.requests, server.connections

A script that fails, fails the test. A client that goes away ends the script quietly. No sleeping:
a script that waits, waits for something (`request`, `gone`, an `asyncio.Event` of the test).
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self, cast

HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Received:
    """
    A request as it came over the wire.

    Attributes:
        head: Up to and without the empty line.
        body: As announced by its content-length.
    """

    head: bytes
    body: bytes

    @property
    def line(self) -> str:
        """The request line."""
        return self.head.split(b"\r\n", 1)[0].decode()

    @property
    def headers(self) -> dict[str, str]:
        """Headers by lower-case name."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = (line.split(":", 1) for line in lines)
        return {name.lower(): value.strip() for name, value in pairs}


class Peer:
    """
    One accepted connection, as a script sees it.

    Attributes:
        number: Of this connection, from 1.
    """

    def __init__(
        self, server: "FaultServer", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self.number = server.connections

    async def head(self) -> bytes:
        """Read up to the end of a request's headers."""
        return (await self._reader.readuntil(HEAD_END)).removesuffix(HEAD_END)

    async def request(self) -> Received:
        """Read a whole request."""
        received = Received(await self.head(), b"")
        length = int(received.headers.get("content-length", 0))
        received = Received(received.head, await self._reader.readexactly(length))
        self._server.requests.append(received)
        return received

    async def send(self, *pieces: bytes) -> None:
        """Send each piece, and let the client have it before the next."""
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()
            await turns()

    async def gone(self) -> None:
        """Wait until the client closes the connection."""
        try:
            while await self._reader.read(65536):
                pass
        except ConnectionError:
            pass  # closed with a reset: gone all the same

    def deafen(self) -> None:
        """Take nothing more off the wire."""
        cast("asyncio.ReadTransport", self._writer.transport).pause_reading()

    def close(self) -> None:
        """Close both directions."""
        self._writer.close()

    def half_close(self) -> None:
        """Close our direction; the client may go on sending."""
        self._writer.write_eof()

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


async def turns(count: int = 5) -> None:
    """Let everything that is ready in this loop happen."""
    for _ in range(count):
        await asyncio.sleep(0)


def reply(body: bytes = b"{}", *, status: str = "200 OK", headers: bytes = b"") -> bytes:
    """Return a well-formed answer."""
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n".encode()
    return head + headers + b"\r\n" + body


def answering(body: bytes = b"{}", *, status: str = "200 OK", headers: bytes = b"") -> Script:
    """Return a script that answers every request well."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(reply(body, status=status, headers=headers))

    return script


def sending(*pieces: bytes) -> Script:
    """Return a script that answers its one request with these bytes, and waits for the end."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(*pieces)
        await peer.gone()

    return script


class FaultServer:
    """
    The server.

    Attributes:
        requests: Whole requests, in the order of their arrival.
        connections: Accepted so far.
        ended: Of these, how many are over.
    """

    def __init__(
        self, *scripts: Script, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> None:
        assert scripts, "at least one script"
        self._scripts = list(scripts)
        self._host = host
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._playing: set[asyncio.Task[None]] = set()
        self._faults: list[BaseException] = []
        self.requests: list[Received] = []
        self.connections = 0
        self.ended = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept, self._host, 0, ssl=self._tls, limit=1 << 20
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._playing:
            task.cancel()
        if self._playing:
            await asyncio.wait(self._playing)
        await turns()
        if error is None and self._faults:
            raise self._faults[0]

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        number = self._server.sockets[0].getsockname()[1]
        assert isinstance(number, int)
        return number

    @property
    def url(self) -> str:
        """As a topology names it."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http{'s' if self._tls else ''}://{host}:{self.port}"

    async def emptied(self) -> None:
        """Wait until every accepted connection has ended; fails after five seconds."""
        async with asyncio.timeout(5):
            while self.ended < self.connections:
                await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._playing.add(task)
        self.connections += 1
        script = self._scripts[min(self.connections, len(self._scripts)) - 1]
        try:
            await script(Peer(self, reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away, as it may
        except asyncio.CancelledError:
            pass  # the test is over
        except Exception as fault:  # noqa: BLE001 - raised again at the end of the test
            self._faults.append(fault)
        finally:
            self._playing.discard(task)
            self.ended += 1
            writer.close()
