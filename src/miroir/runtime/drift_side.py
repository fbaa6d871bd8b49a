"""Makes what keeps nodes to what was committed: the sweep, the feed, what they share."""

from dataclasses import dataclass

from miroir.config import Config
from miroir.core.drift import Mode
from miroir.ports.clock import Clock
from miroir.ports.store import Store
from miroir.services.adoption import Adoption, AdoptionTools
from miroir.services.broadcaster import Broadcaster
from miroir.services.cluster import Cluster
from miroir.services.drift_rules import DriftRules, Modes
from miroir.services.feed import Feed, FeedTools
from miroir.services.inspector import Inspector, InspectorTools
from miroir.services.intake import Intake
from miroir.services.leader import Leader
from miroir.services.ledger import Ledger
from miroir.services.prober import Prober
from miroir.services.reconciler import Reconciler, SweepTools
from miroir.services.registrar import Registrar
from miroir.services.replicas import Replicas
from miroir.services.suspects import Suspects
from miroir.telemetry import Metrics


@dataclass(frozen=True)
class DriftSide:
    """Drift: found, taken out of answers, undone or adopted."""

    inspector: Inspector
    suspects: Suspects
    feed: Feed
    reconciler: Reconciler
    adoption: Adoption


@dataclass(frozen=True)
class Around:
    """What drift is looked for with."""

    ledger: Ledger
    store: Store
    clock: Clock
    metrics: Metrics
    cluster: Cluster
    leader: Leader
    intake: Intake
    prober: Prober
    registrar: Registrar
    broadcaster: Broadcaster
    replicas: Replicas


def make_drift_side(config: Config, around: Around) -> DriftSide:
    """Make them, and have the feed run beside the sweep."""
    check = config.settings_drift_check
    inspector = _inspector(config, around)
    reconciler = Reconciler(
        SweepTools(
            cluster=around.cluster,
            clock=around.clock,
            leader=around.leader,
            inspector=inspector,
            interval_s=check.interval_s,
        )
    )
    suspects = Suspects(
        ledger=around.ledger, cluster=around.cluster, inspector=inspector, clock=around.clock
    )
    feed = Feed(
        FeedTools(
            ledger=around.ledger,
            cluster=around.cluster,
            inspector=inspector,
            suspects=suspects,
            clock=around.clock,
            look_at=reconciler.look_soon,
            interval_s=check.feed_interval_s,
        )
    )
    adoption = Adoption(
        AdoptionTools(
            control=around.ledger,
            cluster=around.cluster,
            clock=around.clock,
            intake=around.intake,
            interval_s=check.interval_s,
        )
    )
    for work in (inspector, feed, adoption):
        reconciler.lead_beside(work)
    around.broadcaster.on_closed(reconciler.look_again)
    return DriftSide(inspector, suspects, feed, reconciler, adoption)


def _inspector(config: Config, around: Around) -> Inspector:
    check = config.settings_drift_check
    default = Mode.REPAIR if check.auto_repair else Mode.ALERT
    return Inspector(
        InspectorTools(
            control=around.ledger,
            store=around.store,
            cluster=around.cluster,
            clock=around.clock,
            prober=around.prober,
            registrar=around.registrar,
            replicas=around.replicas,
            metrics=around.metrics,
            ended=around.broadcaster.ended,
            rules=DriftRules(
                store=around.store,
                clock=around.clock,
                configured=Modes(default, {uid: Mode(mode) for uid, mode in check.modes.items()}),
            ),
            repairs_max=check.repair_attempts_max,
        )
    )
