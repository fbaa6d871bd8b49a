"""
The listening side: uvicorn, with what it lacks against clients that are slow, silent or too many.

    connection made ─▶ headers ─▶ body ─▶ in work ─▶ answer written ─▶ resting ─┐
          ▲               │ each pause bounded            │ bounded             │ keep_alive_s
          └───────────────┴──────────── next request ─────┴─────────────────────┘

Every connection notes when it last waited for its client; one sweep per second closes those that
waited too long, so that no request pays for a timer of its own. A body has to come with
`_BYTES_PER_S_MIN` at least. A connection beyond the maximum is told 503 and closed. What a request
is, and what is answered, is none of this file's business.
"""

import asyncio
import math
from typing import Any, Final, cast

import orjson
import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from miroir.api.http import Application
from miroir.config.model import LimitsConfig
from miroir.errors import MiroirError, Overloaded, RequestTimeout

_ROUND_S: Final = 1.0
_BYTES_PER_S_MIN: Final = 4096
_DISCARD_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of a body that was refused: read and thrown away, so that the client reads why."""
_log = structlog.get_logger(__name__)


class Connection(HttpToolsProtocol):
    """
    One client's connection.

    Attributes:
        waiting_since_s: Loop time since when the client owes us something; None: we owe it.
        received_bytes: Of the body of the present request.
        unread_since_s: Loop time since when an answer cannot be written; None: it can.
    """

    connections_max = 0

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.waiting_since_s: float | None = None
        self.received_bytes = 0
        self.unread_since_s: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio."""
        super().connection_made(transport)
        self.waiting_since_s = self.loop.time()
        if len(self.connections) > self.connections_max:
            said = f"{self.connections_max} connections are open already."
            self.refuse(Overloaded(said), "503 Service Unavailable")

    def on_message_begin(self) -> None:
        """See httptools."""
        super().on_message_begin()
        self.received_bytes = 0
        if self.waiting_since_s is None:
            self.waiting_since_s = self.loop.time()

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        self.received_bytes += len(body)
        if self.cycle.response_complete and self.received_bytes > _DISCARD_BYTES_MAX:
            self.transport.abort()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """See httptools."""
        super().on_message_complete()
        self.waiting_since_s = None

    def pause_writing(self) -> None:
        """See asyncio."""
        super().pause_writing()
        self.unread_since_s = self.loop.time()

    def resume_writing(self) -> None:
        """See asyncio."""
        super().resume_writing()
        self.unread_since_s = None

    def refuse(self, error: MiroirError, status_line: str) -> None:
        """Say why, if nothing was said yet, and close."""
        body = orjson.dumps(error.body())
        cycle = cast("RequestResponseCycle | None", self.cycle)  # There is none at first.
        if cycle is None or not cycle.response_started or cycle.response_complete:
            head = (
                f"HTTP/1.1 {status_line}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nretry-after: 2\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()

    def overdue(self, now_s: float, silence_s: float) -> bool:
        """Whether the client has had its time."""
        if self.unread_since_s is not None:
            return now_s - self.unread_since_s > silence_s
        if self.flow.read_paused:
            self.waiting_since_s = self.waiting_since_s and now_s  # It is we who do not read.
        if self.waiting_since_s is None:
            return False
        allowed_s = silence_s + self.received_bytes / _BYTES_PER_S_MIN
        return now_s - self.waiting_since_s > allowed_s


class Sweeper:
    """Closes connections whose clients take too long."""

    def __init__(self, server: uvicorn.Server, limits: LimitsConfig) -> None:
        self._server = server
        self._silence_s = limits.client_silence_s

    async def run(self) -> None:
        """Look, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_ROUND_S)  # noqa: TID251 - not a service: clients live in real time
            for connection in list(self._server.server_state.connections):
                one = cast("Connection", connection)
                if one.overdue(loop.time(), self._silence_s):
                    _close(one)


def _close(connection: Connection) -> None:
    _log.info("client_too_slow", client=connection.client, unread=connection.unread_since_s)
    if connection.unread_since_s is not None:
        connection.transport.abort()
        return
    connection.refuse(RequestTimeout("The request did not come in time."), "408 Request Timeout")


def make_server(app: Application, limits: LimitsConfig) -> uvicorn.Server:
    """Return a server of this application, not listening yet."""
    kind = type("Connection", (Connection,), {"connections_max": limits.connections_max})
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=kind,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=math.ceil(limits.keep_alive_s),
            timeout_graceful_shutdown=math.ceil(limits.shutdown_grace_s),
        )
    )
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    return server
