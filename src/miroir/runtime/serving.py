"""
Runs Miroir: opens the world, starts the services, listens, and stops again.

Order of a start: the port, the store (one main process per data directory), the facts that must
not change, one look at every node, the view, the services, then listening, then the readers. A
stop goes the other way round; what was acknowledged is in the store.
"""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from miroir.adapters.store_seal import AesSeal, NoSeal, Seal
from miroir.adapters.store_sqlite import open_store
from miroir.api.app import App
from miroir.config import Config
from miroir.core.secret_places import secret_texts
from miroir.core.topology import Topology
from miroir.ports.clock import SystemClock, system_chance
from miroir.runtime.app_side import make_app
from miroir.runtime.assembly import Services, make_services
from miroir.runtime.event_loop import loop_factory, settle
from miroir.runtime.facts import check_facts
from miroir.runtime.listening import listening
from miroir.runtime.nodes_side import connections
from miroir.runtime.outside import Outside
from miroir.runtime.readers import Readers, ReaderTools
from miroir.runtime.readers_lock import ReadersLock
from miroir.runtime.sockets import listening_socket, loopback_socket
from miroir.telemetry import KnownSecrets, Metrics

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def outside_world(
    config: Config, topology: Topology, secrets: KnownSecrets
) -> AsyncIterator[Outside]:
    """Open the store and the connections to the nodes; close them at the end."""
    metrics = Metrics(
        index_label=config.metrics.index_label, index_label_max=config.metrics.index_label_max
    )
    secret = config.sealing_secret
    seal: Seal = AesSeal(secret.reveal()) if secret else NoSeal()
    store = await open_store(config.data_dir, seal=seal)
    try:
        async with connections(config, topology, metrics, secrets) as (transport, control):
            yield Outside(
                control, transport, store, SystemClock(), system_chance(), metrics, secrets=secrets
            )
    finally:
        await store.aclose()


def serve(config: Config, secrets: KnownSecrets) -> None:
    """Run Miroir until SIGTERM or SIGINT; what becomes known as a secret is added to `secrets`."""
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_serve(config, secrets))


async def _serve(config: Config, secrets: KnownSecrets) -> None:
    topology = config.topology.to_core()
    lock = ReadersLock(config.data_dir)
    await lock.take()
    listener = listening_socket(config.listen, shared=config.processes > 1)
    async with outside_world(config, topology, secrets) as outside:
        lock.require()
        await check_facts(outside.store, topology)
        services = make_services(config, topology, outside)
        await _look_around(services, outside)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(_for_ever(each)) for each in services.loops]
            await asyncio.sleep(0)  # noqa: TID251 - lets every service take its place once
            host, port = listener.getsockname()[:2]
            _log.info("listening", url=f"http://{host}:{port}")
            app = make_app(config, services, outside)
            async with _readers(
                config, services, app, Shared(listener, lock, outside.metrics)
            ) as readers:
                async with listening(app, [listener], config.limits):
                    settle()
                    await stop.wait()
                    stopping = group.create_task(readers.stop()) if readers else None
                if stopping is not None:
                    await stopping
            for each in running:
                each.cancel()
    lock.release()


async def _look_around(services: Services, outside: Outside) -> None:
    """Ask every node once, and read the store."""
    services.common.health.on_found_down(outside.transport.break_off)
    await services.common.health.check_all()
    await services.common.cluster.load(outside.store)
    for settings in services.common.cluster.view.settings():
        outside.secrets.learn(secret_texts(settings))
    await services.settings.commons.cluster.load(outside.store)
    await services.settings.drift.inspector.rules.load()
    services.settings.commons.steward.begin()
    await services.documents.queue.webhooks.begin()


@dataclass(frozen=True)
class Shared:
    """What readers share with this process."""

    listener: socket.socket
    lock: ReadersLock
    metrics: Metrics


@asynccontextmanager
async def _readers(
    config: Config, services: Services, app: App, shared: Shared
) -> AsyncIterator[Readers | None]:
    """Run the other processes, if there are to be any."""
    if config.processes == 1:
        yield None
        return
    private = loopback_socket()
    assert shared.lock.descriptor is not None
    readers = Readers(
        ReaderTools(
            config=config,
            fence=services.common.fence,
            health=services.common.health,
            metrics=shared.metrics,
            listener=shared.listener,
            main_port=private.getsockname()[1],
            lock=shared.lock.descriptor,
        )
    )
    async with listening(app, [private], config.limits), asyncio.TaskGroup() as group:
        looking = group.create_task(services.common.fence.run())
        keeping = group.create_task(readers.run())
        yield readers
        await keeping
        looking.cancel()


async def _for_ever(run: Callable[[], Awaitable[None]]) -> None:
    await run()
