"""
Runs a node on a port: uvicorn with httptools, one process, until SIGTERM or SIGINT.

Prints one line, `listening on http://HOST:PORT`, when it accepts connections (port 0 takes a free
one). Refuses an address other than loopback unless told otherwise: this node is for development
and tests.
"""

import asyncio
import gc
import ipaddress
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from miroir.node.app import App
from miroir.node.fault_http import FaultyDoor
from miroir.node.faults import Faults
from miroir.node.instance import Node

_BACKLOG: Final = 2048
_SWITCH_S: Final = 0.001  # the task thread computes in Python: requests must get their turn


class NotLoopbackError(ValueError):
    """The address is reachable from other machines and nobody said that it may be."""


@dataclass(frozen=True)
class NodeOptions:
    """How to run a node. `port` 0 takes a free one; `master_key` None leaves it open."""

    folder: Path
    host: str = "127.0.0.1"
    port: int = 7701
    master_key: str | None = None
    faults: bool = False
    allow_remote: bool = False
    quirks: bool = False


class _Sockets:
    """The server's connections by client address, for faults."""

    def __init__(self) -> None:
        self.transports: dict[tuple[str, int], asyncio.Transport] = {}
        self.server: _Server | None = None

    def transport(self, client: tuple[str, int]) -> asyncio.Transport | None:
        return self.transports.get(client)

    def refuse_for(self, span_s: float) -> None:
        assert self.server is not None
        self.server.refuse_for(span_s)


def _watching(sockets: _Sockets) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol, which also notes its connections."""

    class Watched(HttpToolsProtocol):
        _peer: tuple[str, int] | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            peer = transport.get_extra_info("peername")
            self._peer = (str(peer[0]), int(peer[1])) if peer else None
            if self._peer is not None:
                sockets.transports[self._peer] = transport
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._peer is not None:
                sockets.transports.pop(self._peer, None)
            super().connection_lost(exc)

    return Watched


class _Server(uvicorn.Server):
    """A uvicorn server on a socket of ours, which can close its door for a while."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(config)
        self._listener = listener

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        host, port = self._listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        print(f"listening on http://{shown}:{port}", flush=True)  # noqa: T201  our one output

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """
        Stop at the first signal, without waiting for open connections.

        The signal is not noted: uvicorn would raise it again at the end, before the node has
        closed its database.
        """
        self.should_exit = self.force_exit = True

    def refuse_for(self, span_s: float) -> None:
        address, family = self._listener.getsockname()[:2], self._listener.family
        for server in self.servers:
            server.close()
        self._listener.close()
        loop = asyncio.get_running_loop()
        loop.call_later(span_s, self._reopen, address, family)

    def _reopen(self, address: tuple[str, int], family: int) -> None:
        self._listener = _listener(address[0], address[1], family)
        loop = asyncio.get_running_loop()
        self._reopening = loop.create_task(self._accept(loop))

    async def _accept(self, loop: asyncio.AbstractEventLoop) -> None:
        config = self.config

        def protocol() -> asyncio.Protocol:
            make: Callable[..., asyncio.Protocol] = config.http_protocol_class
            return make(
                config=config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
            )

        server = await loop.create_server(protocol, sock=self._listener, backlog=_BACKLOG)
        self.servers = [server]


def _listener(host: str, port: int, family: int = socket.AF_UNSPEC) -> socket.socket:
    kind = socket.SOCK_STREAM
    found = socket.getaddrinfo(host, port, family, kind, 0, socket.AI_PASSIVE)[0]
    listener = socket.socket(found[0], kind)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(found[4])
    listener.listen(_BACKLOG)
    return listener


def require_loopback(host: str) -> None:
    """
    Refuse an address that other machines can reach.

    Raises:
        NotLoopbackError: `host` is no loopback address.
    """
    if host == "localhost":
        return
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise NotLoopbackError(
            f"the embedded node is for development and tests and listens on loopback only; "
            f"{host} is reachable from other machines (--allow-remote insists)"
        )


def serve(options: NodeOptions) -> None:
    """
    Run a node until it is told to stop.

    Raises:
        NotLoopbackError: The address is not loopback and `allow_remote` is off.
        OSError: The port is taken or the folder cannot be written.
    """
    if not options.allow_remote:
        require_loopback(options.host)
    listener = _listener(options.host, options.port)
    faults = Faults() if options.faults else None
    node = Node(options.folder, options.master_key, faults, quirks=options.quirks)
    sockets = _Sockets()
    app = App(node, FaultyDoor(faults, sockets) if faults is not None else None)
    config = uvicorn.Config(
        app,
        http=_watching(sockets) if faults is not None else HttpToolsProtocol,
        loop="auto",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=120,
    )
    server = _Server(config, listener)
    sockets.server = server
    sys.setswitchinterval(_SWITCH_S)
    gc.disable()  # what is loaded here stays: looking through it for garbage only takes time
    node.start()
    gc.freeze()
    gc.enable()
    try:
        server.run(sockets=[listener])
    finally:
        app.close()
        node.stop()
