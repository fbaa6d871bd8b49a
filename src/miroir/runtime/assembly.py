"""
Makes every service out of a configuration and an outside world; asks and starts nothing.

Three sides, in the order in which they need each other: settings (the protocol), documents
(writes), reads. Simulations call this with an outside of their own.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from miroir.config import Config
from miroir.core.topology import IndexUid, Topology
from miroir.runtime.common import Common, Reading, make_common
from miroir.runtime.commons import CommonsSide, make_commons_side
from miroir.runtime.copies_side import Copied, make_copies_side
from miroir.runtime.drift_side import Around, DriftSide, make_drift_side
from miroir.runtime.leftovers_side import make_leftovers
from miroir.runtime.outside import Outside
from miroir.runtime.queue_side import Queued, QueueSide, make_queue_side
from miroir.runtime.read_side import ReadSide, ReadTools, make_read_side
from miroir.services.broadcaster import Broadcaster
from miroir.services.canaries import Canaries
from miroir.services.census import Census
from miroir.services.confirmations import Confirmations
from miroir.services.fence import Fence
from miroir.services.intake import Intake
from miroir.services.intent_run import Tools
from miroir.services.lanes import Lanes, LaneTools
from miroir.services.ledger import Ledger
from miroir.services.leftovers import Leftovers
from miroir.services.lifecycle import Lifecycle
from miroir.services.pictures import Pictures
from miroir.services.planner import Planner, Policy
from miroir.services.prober import Prober
from miroir.services.reconciler import Reconciler
from miroir.services.registrar import Registrar
from miroir.services.resync import Resync
from miroir.services.running import Running
from miroir.services.strays import Strays
from miroir.services.swaps import Standstill, Swapper
from miroir.services.tasks import Tasks
from miroir.services.turns import Turns
from miroir.services.writer import Writer, WriteTools


@dataclass(frozen=True)
class SettingsSide:
    """The protocol: from a wanted change to verified nodes, and back from drift."""

    prober: Prober
    broadcaster: Broadcaster
    intake: Intake
    registrar: Registrar
    lifecycle: Lifecycle
    confirmations: Confirmations
    drift: DriftSide
    leftovers: Leftovers
    commons: CommonsSide

    @property
    def reconciler(self) -> Reconciler:
        """The sweep."""
        return self.drift.reconciler


@dataclass(frozen=True)
class DocumentsSide:
    """Document writes: in, in order, to every replica, and replicas back up."""

    lanes: Lanes
    queue: QueueSide
    writer: Writer
    resync: Resync
    census: Census
    swapper: Swapper


@dataclass(frozen=True)
class Services:
    """Every service of one process, made but not started."""

    common: Common
    settings: SettingsSide
    documents: DocumentsSide
    reads: ReadSide

    @property
    def loops(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        """What runs for as long as the process does, in the order of starting."""
        return (
            self.common.watcher.run,
            self.settings.prober.run,
            self.settings.broadcaster.run,
            self.settings.commons.broadcaster.run,
            self.settings.commons.steward.run,
            self.documents.lanes.run,
            self.documents.queue.tasks.run,
            self.documents.queue.keeper.run,
            self.documents.queue.herald.run,
            self.common.health.run,
            self.settings.reconciler.run,
            self.settings.leftovers.run,
            self.settings.confirmations.run,
            self.documents.resync.run,
            self.documents.census.run,
            self.documents.lanes.strays.run,
            self.common.tickets.run,
        )


def make_services(config: Config, topology: Topology, outside: Outside) -> Services:
    """Make every service; nothing is asked or started yet."""
    running = Running()
    fence = Fence(running=running, clock=outside.clock)
    # Whoever writes to nodes waits for the readers, and is written down.
    ledger = Ledger(outside.control, fence.synced)
    outside = replace(outside, control=ledger)
    common = make_common(config, topology, outside, Reading(running, fence), ledger)
    reads = _read_side(config, outside, common)
    settings = _settings_side(config, outside, common, reads.canaries)
    fence.begin(
        Pictures(
            cluster=common.cluster,
            commons=settings.commons.cluster,
            keys=settings.commons.ring,
        )
    )
    return Services(
        common=common,
        settings=settings,
        documents=_documents_side(config, outside, common, settings),
        reads=reads,
    )


def _read_side(config: Config, outside: Outside, common: Common) -> ReadSide:
    tools = ReadTools(
        transport=outside.transport,
        control=outside.control,
        clock=outside.clock,
        cluster=common.cluster,
        health=common.health,
        running=common.running,
    )
    return make_read_side(config, tools)


def _settings_side(
    config: Config, outside: Outside, common: Common, canaries: Canaries
) -> SettingsSide:
    wanted = config.settings_broadcast
    prober = Prober(
        control=outside.control,
        store=outside.store,
        cluster=common.cluster,
        watcher=common.watcher,
        clock=outside.clock,
        wait_s=wanted.probe_wait_s,
    )
    planner = _planner(config, outside, common, prober)
    tools = _tools(config, outside, common, planner, prober, canaries)
    broadcaster = Broadcaster(tools)
    intake = Intake(
        store=outside.store,
        cluster=common.cluster,
        clock=outside.clock,
        planner=planner,
        broadcaster=broadcaster,
    )
    registrar = Registrar(intake=intake, prober=prober)
    drift = _drift(config, outside, common, prober, intake, registrar)
    common.health.on_change(drift.feed.nudge)
    common.health.on_change(drift.reconciler.nudge)
    leftovers = make_leftovers(
        config, outside, leader=common.leader, intake=intake, prober=prober, drift=drift
    )
    common.health.on_change(leftovers.nudge)
    commons = make_commons_side(config, tools, common.health, outside.secrets)
    return SettingsSide(
        prober=prober,
        broadcaster=broadcaster,
        intake=intake,
        registrar=registrar,
        lifecycle=Lifecycle(intake),
        confirmations=Confirmations(
            store=outside.store,
            cluster=common.cluster,
            clock=outside.clock,
            registrar=registrar,
        ),
        drift=drift,
        leftovers=leftovers,
        commons=commons,
    )


def _planner(config: Config, outside: Outside, common: Common, prober: Prober) -> Planner:
    wanted = config.settings_broadcast
    return Planner(
        control=outside.control,
        prober=prober,
        clock=outside.clock,
        policy=Policy(
            wanted.strategy,
            wanted.waves,
            wanted.max_repair_retries,
            wanted.freeze_writes_on_unrepairable,
        ),
        tickets=common.tickets,
    )


def _tools(
    config: Config,
    outside: Outside,
    common: Common,
    planner: Planner,
    prober: Prober,
    canaries: Canaries,
) -> Tools:
    wanted = config.settings_broadcast
    return Tools(
        store=outside.store,
        cluster=common.cluster,
        clock=outside.clock,
        leader=common.leader,
        planner=planner,
        prober=prober,
        watcher=common.watcher,
        chance=outside.chance,
        metrics=outside.metrics,
        control=outside.control,
        ledger=common.ledger,
        fence=common.fence,
        canaries=canaries,
        node_silence_s=wanted.node_silence_s,
        verify_timeout_s=wanted.verify_timeout_s,
        check=common.health.check,
        drain_max_s=wanted.drain_max_s,
        document_wait_max_s=wanted.document_wait_max_s,
    )


def _drift(
    config: Config,
    outside: Outside,
    common: Common,
    prober: Prober,
    intake: Intake,
    registrar: Registrar,
) -> DriftSide:
    return make_drift_side(
        config,
        Around(
            ledger=common.ledger,
            store=outside.store,
            clock=outside.clock,
            metrics=outside.metrics,
            cluster=common.cluster,
            leader=common.leader,
            intake=intake,
            prober=prober,
            registrar=registrar,
            broadcaster=intake.broadcaster,
            replicas=common.replicas,
        ),
    )


def _documents_side(
    config: Config, outside: Outside, common: Common, settings: SettingsSide
) -> DocumentsSide:
    replicas, order = common.replicas, Turns[IndexUid]()
    lanes = Lanes(
        LaneTools(
            transport=outside.transport,
            cluster=common.cluster,
            replicas=replicas,
            health=common.health,
            strays=_strays(outside, common),
            clock=outside.clock,
            timeout_s=config.limits.write_timeout_s,
        )
    )
    broadcaster = settings.broadcaster
    queue = make_queue_side(Queued(config, outside, common, lanes, broadcaster))
    tasks = queue.tasks
    writer = Writer(
        WriteTools(
            store=outside.store,
            cluster=common.cluster,
            clock=outside.clock,
            lifecycle=settings.lifecycle,
            broadcaster=settings.broadcaster,
            lanes=lanes,
            tasks=tasks,
            order=order,
        )
    )
    copies = make_copies_side(config, _copied(outside, common, lanes, tasks))
    common.health.on_change(copies.census.nudge)
    settings.broadcaster.on_closed(copies.resync.look_again)
    copies.resync.on_given_back(settings.reconciler.look_soon)
    still = Standstill(
        cluster=common.cluster, lanes=lanes, tasks=tasks, replicas=replicas, clock=outside.clock
    )
    settings.broadcaster.around_moves(still.wait, common.tickets.expect)
    swapper = Swapper(intake=settings.intake, order=order)
    return DocumentsSide(lanes, queue, writer, copies.resync, copies.census, swapper)


def _strays(outside: Outside, common: Common) -> Strays:
    return Strays(
        control=outside.control,
        store=outside.store,
        cluster=common.cluster,
        clock=outside.clock,
        replicas=common.replicas,
        metrics=outside.metrics,
    )


def _copied(outside: Outside, common: Common, lanes: Lanes, tasks: Tasks) -> Copied:
    return Copied(
        control=outside.control,
        store=outside.store,
        clock=outside.clock,
        metrics=outside.metrics,
        cluster=common.cluster,
        leader=common.leader,
        watcher=common.watcher,
        tickets=common.tickets,
        lanes=lanes,
        tasks=tasks,
        replicas=common.replicas,
    )
