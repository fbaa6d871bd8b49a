"""
One reader: a process that answers searches out of a copy of the view, and passes the rest on.

    python -m miroir.runtime.reader LINK LISTENER    descriptors that the main process hands down

It believes what it is told and decides nothing. When the main process is gone it ends at once, in
the middle of whatever it does: nobody tells it any more what is true.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from miroir.adapters.node_http import HttpLimits, NodeHttp
from miroir.adapters.reader_link import ReaderLink, linked
from miroir.api.admission import Admission
from miroir.api.app import App
from miroir.api.auth import Guard
from miroir.api.edge import ReadEdge
from miroir.api.forward import MAIN, Forward
from miroir.api.reader_app import ReaderApp
from miroir.api.routes import read_routes
from miroir.config import Config, received
from miroir.core.secret_places import secret_texts
from miroir.core.topology import NodeId
from miroir.ports.clock import SystemClock
from miroir.ports.node import NodeTransport
from miroir.ports.reader import (
    Close,
    Confirmed,
    Counted,
    Drain,
    Drained,
    Hello,
    Open,
    Picture,
    Ready,
    Stop,
    Suspected,
    ToReader,
)
from miroir.runtime.commons import learnt_value
from miroir.runtime.event_loop import loop_factory, settle
from miroir.runtime.listening import listening
from miroir.runtime.nodes_side import connections
from miroir.runtime.read_side import ReadTools, make_read_side
from miroir.services.cluster import Cluster
from miroir.services.gate import Gate
from miroir.services.known_keys import CopiedKeys
from miroir.services.pictures import take_over
from miroir.services.running import Running
from miroir.telemetry import KnownSecrets, Metrics, set_up_logs

_COUNT_S: Final = 1.0
_SILENCE_MAX_S: Final = 5.0
"""The main process speaks each second at least (`services/fence.py`)."""
_LOST_STATUS: Final = 3
_log = structlog.get_logger(__name__)


class Copy:
    """
    What a reader knows, as it is told; and its way to say something.

    Attributes:
        stop: Set when it is to end.
    """

    def __init__(self, config: Config, secrets: KnownSecrets, link: ReaderLink[ToReader]) -> None:
        clock, key = SystemClock(), config.master_key
        value_of = partial(learnt_value, key.reveal(), secrets) if key is not None else None
        self.cluster = Cluster(config.topology.to_core())
        self.keys = CopiedKeys(clock=clock, value_of=value_of)
        self.running = Running()
        self.gate = Gate()
        self.stop = asyncio.Event()
        self.complete = asyncio.Event()
        self.heard_s = asyncio.get_running_loop().time()
        self.transport: NodeTransport | None = None
        self._drains: set[asyncio.Future[None]] = set()
        self._secrets = secrets
        self._link = link

    def suspect(self, node_id: NodeId) -> None:
        """See `scatter.Doubter`; the main process judges."""
        self.cluster.apply_health(node_id, healthy=False)
        self._link.send(Suspected(node_id))

    def vouched(self) -> bool:
        """Whether the main process has spoken lately."""
        return asyncio.get_running_loop().time() - self.heard_s < _SILENCE_MAX_S

    def hear(self, message: ToReader) -> None:
        """Do as told, before anything else is heard."""
        self.heard_s = asyncio.get_running_loop().time()
        match message:
            case Picture():
                self._see(message)
                self._link.send(Confirmed(message.number))
            case Close(number=number, index_uids=index_uids):
                self.gate.close(number, index_uids)
                self._link.send(Confirmed(number))
            case Open(number=number):
                self.gate.open(number)
            case Drain():
                drain = asyncio.ensure_future(self._drain(message))
                self._drains.add(drain)
                drain.add_done_callback(self._drains.discard)
            case Stop():
                self.stop.set()
            case Hello():
                raise AssertionError("a reader is greeted once")

    def _see(self, picture: Picture) -> None:
        lost = self.cluster.view.healthy - picture.healthy
        for seen in picture.changed:
            if seen.record is not None and seen.record.settings is not None:
                self._secrets.learn(secret_texts(seen.record.settings))
        take_over(picture, self.cluster, self.keys)
        if self.transport is not None:
            for node_id in lost:
                self.transport.break_off(node_id)
        self.complete.set()

    async def _drain(self, asked: Drain) -> None:
        done = await self.running.drained(asked.index_uid, asked.nodes, within_s=asked.within_s)
        self._link.send(Drained(asked.question, done))


class Reader:
    """The process: greeted, then told, then listening."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._hello: asyncio.Future[Hello] = asyncio.get_running_loop().create_future()
        self._copy: Copy | None = None
        self._link = ReaderLink[ToReader](ToReader, self._hear, _lost)

    async def run(self, end: socket.socket) -> None:
        """Be a reader until told otherwise."""
        await linked(self._link, end)
        hello = await self._hello
        config = received(hello.config, hello.secrets)
        secrets = KnownSecrets(hello.secrets.values())
        set_up_logs(config.logging.format, config.logging.level, secrets=secrets)
        structlog.contextvars.bind_contextvars(reader=hello.number)
        metrics = Metrics(index_label=False, index_label_max=0)
        copy = self._copy = Copy(config, secrets, self._link)
        topology = copy.cluster.view.topology
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, copy.stop.set)
        main = NodeHttp(
            {MAIN: f"http://127.0.0.1:{hello.main_port}"},
            master_key=None,
            limits=HttpLimits(connections_max=config.limits.requests_max),
        )
        try:
            async with connections(config, topology, metrics, secrets) as (transport, control):
                copy.transport = transport
                tools = ReadTools(
                    transport=transport,
                    control=control,
                    clock=SystemClock(),
                    cluster=copy.cluster,
                    health=copy,
                    running=copy.running,
                    gate=copy.gate,
                )
                app = _app(config, _edge(config, copy, tools, metrics), main, copy.vouched)
                self._link.send(Ready())
                await copy.complete.wait()
                async with listening(app, [self._listener], config.limits):
                    _log.info("reader_listening")
                    settle()
                    await self._until_stopped(copy, metrics)
                self._link.send(Counted(*metrics.taken()))
        finally:
            await main.aclose()

    async def _until_stopped(self, copy: Copy, metrics: Metrics) -> None:
        while not copy.stop.is_set():
            try:
                async with asyncio.timeout(_COUNT_S):
                    await copy.stop.wait()
            except TimeoutError:
                self._link.send(Counted(*metrics.taken()))

    def _hear(self, message: ToReader) -> None:
        if isinstance(message, Hello):
            self._hello.set_result(message)
            return
        if isinstance(message, Stop) and self._copy is None:
            os._exit(0)  # Not even begun.
        assert self._copy is not None, "nothing else is told before `Ready`"
        self._copy.hear(message)


def _edge(config: Config, copy: Copy, tools: ReadTools, metrics: Metrics) -> ReadEdge:
    reads = make_read_side(config, tools)
    return ReadEdge(
        guard=Guard(config.master_key, config.admin_secret, copy.keys),
        cluster=copy.cluster,
        joiner=reads.joiner,
        facet_searcher=reads.facet_searcher,
        similar_finder=reads.similar_finder,
        catalog=reads.catalog,
        metrics=metrics,
        clock=tools.clock,
        payload_bytes_max=config.limits.payload_bytes_max,
        compress_from_bytes=config.limits.compress_from_bytes,
    )


def _app(
    config: Config, edge: ReadEdge, main: NodeTransport, vouched: Callable[[], bool]
) -> ReaderApp:
    limits, routes = config.limits, read_routes(edge)
    admission = Admission(requests_max=limits.requests_max, bytes_max=limits.bodies_bytes_max)
    forward = Forward(
        main,
        admission=admission,
        bytes_max=limits.payload_bytes_max,
        compress_from_bytes=limits.compress_from_bytes,
    )
    return ReaderApp(App(edge, routes, admission=admission), routes, forward, vouched)


def _lost() -> None:
    """The main process is gone. Not a moment longer: nobody vouches for the copy any more."""
    os._exit(_LOST_STATUS)


async def _run(link: int, listener: int) -> None:
    with socket.socket(fileno=listener) as listening_socket:
        await Reader(listening_socket).run(socket.socket(fileno=link))


def main() -> None:
    """Run as a process; the arguments are descriptors."""
    link, listener = map(int, sys.argv[1:3])
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_run(link, listener))


if __name__ == "__main__":
    main()
