"""
Runs Miroir: opens the world, starts the services, listens, and stops again.

Order of a start: the store (one process per data directory), the facts that must not change, one
look at every node, the view, then the services, and only then the listening socket. A stop goes
the other way round; what was acknowledged is in the store.
"""

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import structlog

try:
    import uvloop

    _loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = uvloop.new_event_loop
except ImportError:  # Not on this platform: asyncio's own loop does as well, slower.
    _loop_factory = None

from miroir.adapters.http_pool import HttpLimits
from miroir.adapters.node_control import NodeControlHttp
from miroir.adapters.node_http import NodeHttp
from miroir.adapters.store_seal import AesSeal, NoSeal, Seal
from miroir.adapters.store_sqlite import open_store
from miroir.api.app import App
from miroir.api.auth import Guard
from miroir.api.edge import Edge
from miroir.config import Config
from miroir.core.secret_places import secret_texts
from miroir.core.topology import Topology
from miroir.errors import ConfigError
from miroir.ports.clock import SystemClock, system_chance
from miroir.runtime.assembly import Services, make_services
from miroir.runtime.facts import check_facts
from miroir.runtime.listener import Sweeper, make_server
from miroir.runtime.outside import Outside
from miroir.services.progress import ProgressReader
from miroir.telemetry import KnownSecrets, Metrics

_GC_AFTER_OBJECTS = 20_000
_log = structlog.get_logger(__name__)


@asynccontextmanager
async def outside_world(
    config: Config, topology: Topology, secrets: KnownSecrets
) -> AsyncIterator[Outside]:
    """Open the store and the connections to the nodes; close them at the end."""
    key = config.master_key.reveal() if config.master_key else None
    metrics = Metrics(
        index_label=config.metrics.index_label, index_label_max=config.metrics.index_label_max
    )
    secret = config.sealing_secret
    seal: Seal = AesSeal(secret.reveal()) if secret else NoSeal()
    store = await open_store(config.data_dir, seal=seal)
    urls = {node.node_id: node.url for node in topology.nodes}
    limits = HttpLimits(
        connections_max=config.limits.connections_per_node_max,
        connect_max_s=config.limits.connect_timeout_s,
    )
    to_nodes = partial(
        NodeHttp,
        urls,
        master_key=key,
        limits=limits,
        observe=metrics.node_call,
        secrets=secrets,
    )
    transport = to_nodes()
    typed = to_nodes()  # On connections of its own: no health check may wait behind searches.
    try:
        control = NodeControlHttp(
            typed,
            timeout_s=config.limits.control_timeout_s,
            health_timeout_s=config.health.timeout_s,
            secrets=secrets,
        )
        yield Outside(
            control, transport, store, SystemClock(), system_chance(), metrics, secrets=secrets
        )
    finally:
        await transport.aclose()
        await typed.aclose()
        await store.aclose()


def serve(config: Config, secrets: KnownSecrets) -> None:
    """Run Miroir until SIGTERM or SIGINT; what becomes known as a secret is added to `secrets`."""
    with asyncio.Runner(loop_factory=_loop_factory) as runner:
        runner.run(_serve(config, secrets))


async def _serve(config: Config, secrets: KnownSecrets) -> None:
    topology = config.topology.to_core()
    listener = _socket(config)
    async with outside_world(config, topology, secrets) as outside:
        await check_facts(outside.store, topology)
        services = make_services(config, topology, outside)
        services.common.health.on_found_down(outside.transport.break_off)
        await services.common.health.check_all()
        await services.common.cluster.load(outside.store)
        for settings in services.common.cluster.view.settings():
            secrets.learn(secret_texts(settings))
        await services.settings.commons.cluster.load(outside.store)
        await services.settings.drift.inspector.rules.load()
        services.settings.commons.steward.begin()
        await services.documents.queue.webhooks.begin()
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(_for_ever(each)) for each in services.loops]
            await asyncio.sleep(0)  # noqa: TID251 - lets every service take its place once
            host, port = listener.getsockname()[:2]
            _log.info("listening", url=f"http://{host}:{port}")
            server = make_server(make_app(config, services, outside), config.limits)
            sweeping = group.create_task(Sweeper(server, config.limits).run())
            listening = group.create_task(server.serve(sockets=[listener]))
            _settle()
            await stop.wait()
            server.should_exit = True
            await listening
            sweeping.cancel()
            for each in running:
                each.cancel()


def _settle() -> None:
    """
    Have the garbage collector leave alone what stays for as long as the process does.

    Requests make next to no cycles; looked for every 700 objects, as is the default, they cost a
    search more than its choice of nodes does.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_AFTER_OBJECTS)


async def _for_ever(run: Callable[[], Awaitable[None]]) -> None:
    await run()


def make_app(config: Config, services: Services, outside: Outside) -> App:
    """Return the ASGI application over these services."""
    return App(
        Edge(
            guard=Guard(config.master_key, config.admin_secret, services.settings.commons.ring),
            cluster=services.common.cluster,
            store=outside.store,
            registrar=services.settings.registrar,
            lifecycle=services.settings.lifecycle,
            confirmations=services.settings.confirmations,
            writer=services.documents.writer,
            swapper=services.documents.swapper,
            keeper=services.documents.queue.keeper,
            webhooks=services.documents.queue.webhooks,
            searcher=services.reads.searcher,
            facet_searcher=services.reads.facet_searcher,
            similar_finder=services.reads.similar_finder,
            multi_searcher=services.reads.multi_searcher,
            catalog=services.reads.catalog,
            inspector=services.settings.drift.inspector,
            suspects=services.settings.drift.suspects,
            adoption=services.settings.drift.adoption,
            progress=ProgressReader(control=outside.control, clock=outside.clock),
            ring=services.settings.commons.ring,
            flags=services.settings.commons.flags,
            steward=services.settings.commons.steward,
            commons=services.settings.commons.cluster,
            metrics=outside.metrics,
            clock=outside.clock,
            payload_bytes_max=config.limits.payload_bytes_max,
            bodies_bytes_max=config.limits.bodies_bytes_max,
            requests_max=config.limits.requests_max,
            compress_from_bytes=config.limits.compress_from_bytes,
            write_consistency=config.writes.consistency,
        )
    )


def _socket(config: Config) -> socket.socket:
    listen = config.listen
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((listen.host, listen.port))
    except OSError as error:
        bound.close()
        raise ConfigError(
            f"listen.port: cannot listen on {listen.host}:{listen.port} ({error.strerror}); "
            "stop what listens there, or choose another port"
        ) from None
    return bound
