"""Makes what keeps replicas alike: the census, that finds who lost something, and the copying."""

from dataclasses import dataclass

from miroir.config import Config
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl
from miroir.ports.store import Store
from miroir.services.census import Census, CensusTools
from miroir.services.cluster import Cluster
from miroir.services.lanes import Lanes
from miroir.services.leader import Leader
from miroir.services.quiet import Quiet
from miroir.services.replicas import Replicas
from miroir.services.resync import Resync, ResyncTools
from miroir.services.tasks import Tasks
from miroir.services.tickets import TicketOffice
from miroir.services.watcher import TaskWatcher
from miroir.telemetry import Metrics


@dataclass(frozen=True)
class CopiesSide:
    """Replicas: compared, and filled from a sibling."""

    resync: Resync
    census: Census


@dataclass(frozen=True)
class Copied:
    """What replicas are compared and filled with."""

    control: NodeControl
    store: Store
    clock: Clock
    metrics: Metrics
    cluster: Cluster
    leader: Leader
    watcher: TaskWatcher
    tickets: TicketOffice
    lanes: Lanes
    tasks: Tasks
    replicas: Replicas


def make_copies_side(config: Config, around: Copied) -> CopiesSide:
    """Make them; the census forgets what it knows of a replica that was filled anew."""
    quiet = Quiet(
        control=around.control, cluster=around.cluster, clock=around.clock, lanes=around.lanes
    )
    resync = Resync(
        ResyncTools(
            control=around.control,
            cluster=around.cluster,
            clock=around.clock,
            quiet=quiet,
            strays=around.lanes.strays,
            replicas=around.replicas,
            tasks=around.tasks,
            watcher=around.watcher,
            tickets=around.tickets,
        )
    )
    census = Census(
        CensusTools(
            control=around.control,
            store=around.store,
            cluster=around.cluster,
            clock=around.clock,
            leader=around.leader,
            quiet=quiet,
            replicas=around.replicas,
            tasks=around.tasks,
            metrics=around.metrics,
            interval_s=config.settings_drift_check.interval_s,
        )
    )
    around.replicas.on_joined(census.forget)
    return CopiesSide(resync, census)
