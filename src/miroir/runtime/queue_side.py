"""The queue's side: what follows tasks, takes them back, and tells whoever wants to be told."""

from dataclasses import dataclass

from miroir.runtime.outside import Outside
from miroir.services.broadcaster import Broadcaster
from miroir.services.cluster import Cluster
from miroir.services.lanes import Lanes
from miroir.services.queue_keeper import KeeperTools, QueueKeeper
from miroir.services.recalls import Recaller, RecallTools
from miroir.services.replicas import Replicas
from miroir.services.tasks import Tasks, TaskTools
from miroir.services.watcher import TaskWatcher


@dataclass(frozen=True)
class Queued:
    """What this side needs of the others."""

    outside: Outside
    cluster: Cluster
    lanes: Lanes
    replicas: Replicas
    watcher: TaskWatcher
    broadcaster: Broadcaster


@dataclass(frozen=True)
class QueueSide:
    """Tasks, from their acceptance to whoever is told of their end."""

    tasks: Tasks
    keeper: QueueKeeper


def make_queue_side(queued: Queued) -> QueueSide:
    """Make these services."""
    store, clock = queued.outside.store, queued.outside.clock
    recaller = Recaller(
        RecallTools(control=queued.outside.control, cluster=queued.cluster, clock=clock)
    )
    tasks = Tasks(
        TaskTools(
            store=store,
            cluster=queued.cluster,
            clock=clock,
            lanes=queued.lanes,
            replicas=queued.replicas,
            watcher=queued.watcher,
            broadcaster=queued.broadcaster,
            recaller=recaller,
        )
    )
    keeper = QueueKeeper(
        KeeperTools(store=store, clock=clock, broadcaster=queued.broadcaster, tasks=tasks)
    )
    return QueueSide(tasks, keeper)
