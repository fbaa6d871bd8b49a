"""
Joins services and adapters into a running Miroir. The only file that knows both.

Order of a start: the store (one process per data directory), the facts that must not change, one
look at every node, the view, then the services, and only then the listening socket. A stop goes
the other way round; what was acknowledged is in the store.
"""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
import uvicorn

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
from miroir.core.topology import Topology
from miroir.errors import ConfigError
from miroir.ports.clock import Chance, Clock, SystemClock, system_chance
from miroir.ports.node import NodeControl, NodeTransport
from miroir.ports.store import Store
from miroir.services.broadcaster import Broadcaster, Tools
from miroir.services.catalog import Catalog
from miroir.services.cluster import Cluster
from miroir.services.health import Health
from miroir.services.lanes import Lanes
from miroir.services.leader import Leader
from miroir.services.planner import Planner, Policy
from miroir.services.prober import Prober
from miroir.services.reconciler import Reconciler, SweepTools
from miroir.services.registrar import Registrar
from miroir.services.resync import Resync
from miroir.services.scatter import Scatter
from miroir.services.searcher import Searcher
from miroir.services.tasks import Tasks
from miroir.services.watcher import TaskWatcher
from miroir.services.writer import Writer, WriteTools
from miroir.telemetry import Metrics

_GRACE_S = 10
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Outside:
    """What the services need from the world; simulations bring their own."""

    control: NodeControl
    transport: NodeTransport
    store: Store
    clock: Clock
    chance: Chance
    metrics: Metrics


@dataclass(frozen=True)
class Services:
    """Every service of one process, made but not started."""

    cluster: Cluster
    health: Health
    leader: Leader
    watcher: TaskWatcher
    prober: Prober
    broadcaster: Broadcaster
    registrar: Registrar
    lanes: Lanes
    tasks: Tasks
    writer: Writer
    scatter: Scatter
    searcher: Searcher
    catalog: Catalog
    reconciler: Reconciler
    resync: Resync

    @property
    def loops(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        """What runs for as long as the process does, in the order of starting."""
        return (
            self.watcher.run,
            self.prober.run,
            self.broadcaster.run,
            self.lanes.run,
            self.tasks.run,
            self.health.run,
            self.reconciler.run,
            self.resync.run,
        )


def make_services(config: Config, topology: Topology, outside: Outside) -> Services:
    """Make every service; nothing is asked or started yet."""
    store, control, clock = outside.store, outside.control, outside.clock
    broadcast = config.settings_broadcast
    cluster = Cluster(topology)
    health = Health(
        control=control, cluster=cluster, clock=clock, interval_s=config.health.interval_s
    )
    leader = Leader(store=store, clock=clock, holder=f"{socket.gethostname()}:{os.getpid()}")
    watcher = TaskWatcher(control=control, clock=clock, node_silence_s=broadcast.node_silence_s)
    prober = Prober(
        control=control,
        store=store,
        cluster=cluster,
        watcher=watcher,
        clock=clock,
        wait_s=broadcast.probe_wait_s,
    )
    policy = Policy(
        broadcast.strategy, broadcast.max_repair_retries, broadcast.freeze_writes_on_unrepairable
    )
    planner = Planner(control=control, prober=prober, clock=clock, policy=policy)
    broadcaster = Broadcaster(
        Tools(
            store=store,
            cluster=cluster,
            clock=clock,
            leader=leader,
            planner=planner,
            prober=prober,
            watcher=watcher,
            chance=outside.chance,
            node_silence_s=broadcast.node_silence_s,
            verify_timeout_s=broadcast.verify_timeout_s,
        )
    )
    registrar = Registrar(
        store=store,
        cluster=cluster,
        clock=clock,
        planner=planner,
        prober=prober,
        broadcaster=broadcaster,
    )
    lanes = Lanes(
        transport=outside.transport,
        store=store,
        cluster=cluster,
        health=health,
        clock=clock,
        timeout_s=config.limits.write_timeout_s,
    )
    tasks = Tasks(
        store=store,
        cluster=cluster,
        lanes=lanes,
        watcher=watcher,
        broadcaster=broadcaster,
        clock=clock,
    )
    scatter = Scatter(
        transport=outside.transport,
        cluster=cluster,
        health=health,
        when_no_cover=broadcast.when_no_cover,
    )
    reconciler = Reconciler(
        SweepTools(
            control=control,
            store=store,
            cluster=cluster,
            clock=clock,
            leader=leader,
            registrar=registrar,
            metrics=outside.metrics,
            interval_s=config.settings_drift_check.interval_s,
            auto_repair=config.settings_drift_check.auto_repair,
            repairs_max=config.settings_drift_check.repair_attempts_max,
        )
    )
    health.on_change(reconciler.nudge)
    return Services(
        cluster=cluster,
        health=health,
        leader=leader,
        watcher=watcher,
        prober=prober,
        broadcaster=broadcaster,
        registrar=registrar,
        lanes=lanes,
        tasks=tasks,
        writer=Writer(
            WriteTools(store, cluster, clock, registrar, broadcaster, lanes, tasks),
        ),
        scatter=scatter,
        searcher=Searcher(
            scatter=scatter,
            shard_count=topology.shard_count,
            timeout_s=config.limits.search_timeout_s,
        ),
        catalog=Catalog(
            scatter=scatter,
            control=control,
            cluster=cluster,
            timeout_s=config.limits.search_timeout_s,
        ),
        reconciler=reconciler,
        resync=Resync(
            control=control,
            store=store,
            cluster=cluster,
            lanes=lanes,
            watcher=watcher,
            clock=clock,
        ),
    )


@asynccontextmanager
async def outside_world(config: Config, topology: Topology) -> AsyncIterator[Outside]:
    """Open the store and the connections to the nodes; close them at the end."""
    key = config.master_key.reveal() if config.master_key else None
    metrics = Metrics(
        index_label=config.metrics.index_label, index_label_max=config.metrics.index_label_max
    )
    secret = config.sealing_secret
    seal: Seal = AesSeal(secret.reveal()) if secret else NoSeal()
    store = await open_store(config.data_dir, seal=seal)
    transport = NodeHttp(
        {node.node_id: node.url for node in topology.nodes},
        master_key=key,
        limits=HttpLimits(
            connections_max=config.limits.connections_per_node_max,
            connect_max_s=config.limits.connect_timeout_s,
        ),
        observe=metrics.node_call,
    )
    try:
        control = NodeControlHttp(transport, timeout_s=config.limits.control_timeout_s)
        yield Outside(control, transport, store, SystemClock(), system_chance(), metrics)
    finally:
        await transport.aclose()
        await store.aclose()


async def check_facts(store: Store, topology: Topology) -> None:
    """
    Refuse a topology that the stored data does not fit.

    Raises:
        ConfigError: The number of shards differs from the one that documents were cut by.
    """
    known = await store.fact("shards")
    if known is None:
        await store.set_fact("shards", str(topology.shard_count))
    elif known != str(topology.shard_count):
        raise ConfigError(
            f"topology.shards: is {topology.shard_count}, but the documents in this data "
            f"directory were cut into {known}; set it to {known}, or use another data_dir"
        )


def serve(config: Config) -> None:
    """Run Miroir until SIGTERM or SIGINT."""
    with asyncio.Runner(loop_factory=_loop_factory) as runner:
        runner.run(_serve(config))


async def _serve(config: Config) -> None:
    topology = config.topology.to_core()
    async with outside_world(config, topology) as outside:
        await check_facts(outside.store, topology)
        services = make_services(config, topology, outside)
        await services.health.check_all()
        await services.cluster.load(outside.store)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(_for_ever(each)) for each in services.loops]
            await asyncio.sleep(0)  # noqa: TID251 - lets every service take its place once
            server = _server(make_app(config, services, outside))
            listening = group.create_task(server.serve(sockets=[_socket(config)]))
            await stop.wait()
            server.should_exit = True
            await listening
            for each in running:
                each.cancel()


async def _for_ever(run: Callable[[], Awaitable[None]]) -> None:
    await run()


def make_app(config: Config, services: Services, outside: Outside) -> App:
    """Return the ASGI application over these services."""
    return App(
        Edge(
            guard=Guard(config.master_key, config.admin_secret),
            cluster=services.cluster,
            store=outside.store,
            registrar=services.registrar,
            writer=services.writer,
            searcher=services.searcher,
            catalog=services.catalog,
            reconciler=services.reconciler,
            metrics=outside.metrics,
            clock=outside.clock,
            payload_bytes_max=config.limits.payload_bytes_max,
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
    host, port = bound.getsockname()[:2]
    _log.info("listening", url=f"http://{host}:{port}")
    return bound


def _server(app: App) -> uvicorn.Server:
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
    )
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    return server
