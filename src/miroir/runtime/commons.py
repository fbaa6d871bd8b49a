"""
Makes the services of the commons: what belongs to no index and must be equal on every node.

The same machine as for indexes, over the same nodes and store, under a view of its own.
"""

from dataclasses import dataclass, replace
from functools import partial

from miroir.config import Config
from miroir.core.keys import value_of
from miroir.core.topology import NodeId
from miroir.services.broadcaster import Broadcaster
from miroir.services.carriers.keys import ValueOf
from miroir.services.classes import Classes
from miroir.services.cluster import Cluster
from miroir.services.commons import Commons
from miroir.services.commons_planner import CommonsPlanner
from miroir.services.flags import Flags
from miroir.services.health import Health
from miroir.services.intake import Intake
from miroir.services.intent_run import Tools
from miroir.services.keys import KeyRing
from miroir.services.steward import Steward, StewardTools
from miroir.telemetry import KnownSecrets, Metrics

_WAIT_S = 30.0
"""How long a client waits for its key or feature to be on every node."""


@dataclass(frozen=True)
class CommonsSide:
    """Experimental features and API keys."""

    cluster: Cluster
    broadcaster: Broadcaster
    flags: Flags
    ring: KeyRing
    steward: Steward


def make_commons_side(
    config: Config, tools: Tools, health: Health, secrets: KnownSecrets
) -> CommonsSide:
    """
    Make the services of the commons out of what the broadcaster of indexes works with.

    The value of each key becomes one of the known secrets.
    """
    derived: ValueOf | None = None
    if config.master_key is not None:
        derived = partial(learnt_value, config.master_key.reveal(), secrets)
    commons = _commons(config, tools, derived or _no_keys)
    flags = Flags(commons=commons, control=tools.control, health=health)
    ring = KeyRing(commons=commons, control=tools.control, clock=tools.clock, value_of=derived)
    check = config.settings_drift_check
    steward = Steward(
        StewardTools(
            commons=commons,
            flags=flags,
            ring=ring,
            classes=Classes(
                control=tools.control,
                store=tools.store,
                cluster=tools.cluster,
                prober=tools.prober,
            ),
            control=tools.control,
            store=tools.store,
            clock=tools.clock,
            leader=tools.leader,
            metrics=tools.metrics,
            interval_s=check.interval_s,
            auto_repair=check.auto_repair,
            repairs_max=check.repair_attempts_max,
        )
    )
    broadcaster = commons.intake.broadcaster
    broadcaster.on_closed(steward.look_again)
    health.admit_by(steward.admit)
    health.on_change(partial(_note_health, tools.cluster, commons.cluster))
    health.on_change(steward.nudge)
    return CommonsSide(commons.cluster, broadcaster, flags, ring, steward)


def _commons(config: Config, tools: Tools, derived: ValueOf) -> Commons:
    cluster = Cluster(tools.cluster.view.topology, commons=True)
    planner = CommonsPlanner(
        control=tools.control,
        clock=tools.clock,
        value_of=derived,
        retries_max=config.settings_broadcast.max_repair_retries,
    )
    # Metrics of its own, that nobody is shown: they would count as changes of settings.
    unseen = Metrics(index_label=False, index_label_max=1)
    own = replace(tools, cluster=cluster, planner=planner, metrics=unseen)
    intake = Intake(
        store=tools.store,
        cluster=cluster,
        clock=tools.clock,
        planner=planner,
        broadcaster=Broadcaster(own),
    )
    return Commons(intake=intake, cluster=cluster, control=tools.control, wait_s=_WAIT_S)


def _note_health(
    indexes: Cluster,
    commons: Cluster,
    node_id: NodeId,
    healthy: bool,  # noqa: FBT001 - a listener
) -> None:
    """Tell the view of the commons, too."""
    commons.apply_health(node_id, healthy=healthy, engine=indexes.view.engines.get(node_id))


def learnt_value(master_key: str, secrets: KnownSecrets, uid: str) -> str:
    """Return the value of a key, which is a secret from now on."""
    value = value_of(master_key, uid)
    secrets.learn([value])
    return value


def _no_keys(_uid: str) -> str:
    raise AssertionError("without a master key there are no keys")
