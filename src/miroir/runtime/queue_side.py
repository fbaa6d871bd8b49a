"""The queue's side: what follows tasks, takes them back, and tells whoever wants to be told."""

from dataclasses import dataclass

from miroir.api.views import task_view
from miroir.config import Config
from miroir.core.webhooks import Definition, url_fault
from miroir.errors import ConfigError
from miroir.runtime.common import Common
from miroir.runtime.outside import Outside
from miroir.services.broadcaster import Broadcaster
from miroir.services.herald import Herald, HeraldTools
from miroir.services.lanes import Lanes
from miroir.services.queue_keeper import KeeperTools, QueueKeeper
from miroir.services.recalls import Recaller, RecallTools
from miroir.services.tasks import Tasks, TaskTools
from miroir.services.webhooks import Webhooks


@dataclass(frozen=True)
class Queued:
    """What this side needs of the others."""

    config: Config
    outside: Outside
    common: Common
    lanes: Lanes
    broadcaster: Broadcaster


@dataclass(frozen=True)
class QueueSide:
    """Tasks, from their acceptance to whoever is told of their end."""

    tasks: Tasks
    keeper: QueueKeeper
    herald: Herald
    webhooks: Webhooks


def make_queue_side(queued: Queued) -> QueueSide:
    """Make these services."""
    store, clock, common = queued.outside.store, queued.outside.clock, queued.common
    recaller = Recaller(
        RecallTools(control=queued.outside.control, cluster=common.cluster, clock=clock)
    )
    tasks = Tasks(
        TaskTools(
            store=store,
            cluster=common.cluster,
            clock=clock,
            lanes=queued.lanes,
            replicas=common.replicas,
            watcher=common.watcher,
            broadcaster=queued.broadcaster,
            recaller=recaller,
        )
    )
    keeper = QueueKeeper(
        KeeperTools(store=store, clock=clock, broadcaster=queued.broadcaster, tasks=tasks)
    )
    herald = Herald(
        HeraldTools(
            store=store,
            clock=clock,
            receivers=queued.outside.receivers,
            view=task_view,
            settled=common.fence.synced,
        )
    )
    webhooks = Webhooks(store=store, configured=_configured(queued.config), changed=herald.look)
    return QueueSide(tasks, keeper, herald, webhooks)


def _configured(config: Config) -> Definition | None:
    """Return the webhook of the configuration."""
    url, authorization = config.task_webhook_url, config.task_webhook_authorization
    if url is None:
        return None
    fault = url_fault(url.reveal())
    if fault is not None:
        raise ConfigError(f"task_webhook_url: no URL that can be reached: {fault}")
    headers = {"Authorization": authorization.reveal()} if authorization else {}
    return Definition(url.reveal(), headers)
