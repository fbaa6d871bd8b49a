"""Makes what every side works with: the view, who leads, who reads, what was sent to nodes."""

import os
import socket
from dataclasses import dataclass

from miroir.config import Config
from miroir.core.topology import Topology
from miroir.runtime.outside import Outside
from miroir.services.cluster import Cluster
from miroir.services.fence import Fence
from miroir.services.health import Health
from miroir.services.leader import Leader
from miroir.services.ledger import Ledger
from miroir.services.replicas import Replicas
from miroir.services.running import Running
from miroir.services.tickets import TicketOffice
from miroir.services.watcher import TaskWatcher


@dataclass(frozen=True)
class Reading:
    """Who reads right now, in this process and in others."""

    running: Running
    fence: Fence


@dataclass(frozen=True)
class Common:
    """What every side works with."""

    cluster: Cluster
    running: Running
    fence: Fence
    health: Health
    leader: Leader
    watcher: TaskWatcher
    ledger: Ledger
    replicas: Replicas
    tickets: TicketOffice


def make_common(
    config: Config, topology: Topology, outside: Outside, reading: Reading, ledger: Ledger
) -> Common:
    """Make it; nothing is asked yet."""
    cluster = Cluster(topology)
    watcher = TaskWatcher(
        control=outside.control,
        clock=outside.clock,
        node_silence_s=config.settings_broadcast.node_silence_s,
    )
    return Common(
        cluster=cluster,
        running=reading.running,
        fence=reading.fence,
        health=Health(
            control=outside.control,
            cluster=cluster,
            clock=outside.clock,
            interval_s=config.health.interval_s,
        ),
        leader=Leader(
            store=outside.store,
            clock=outside.clock,
            holder=f"{socket.gethostname()}:{os.getpid()}",
        ),
        watcher=watcher,
        ledger=ledger,
        replicas=Replicas(store=outside.store, cluster=cluster, clock=outside.clock),
        tickets=TicketOffice(
            control=outside.control,
            store=outside.store,
            cluster=cluster,
            watcher=watcher,
            clock=outside.clock,
            interval_s=config.settings_drift_check.interval_s,
        ),
    )
