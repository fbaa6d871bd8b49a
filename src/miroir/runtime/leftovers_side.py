"""Makes the service that looks at what indexes nodes hold: leftovers, and primary keys."""

from miroir.config import Config
from miroir.runtime.drift_side import DriftSide
from miroir.runtime.outside import Outside
from miroir.services.cluster import Cluster
from miroir.services.intake import Intake
from miroir.services.leader import Leader
from miroir.services.leftovers import Leftovers, LeftoversTools
from miroir.services.primary_keys import PrimaryKeys


def make_leftovers(
    config: Config,
    outside: Outside,
    *,
    cluster: Cluster,
    leader: Leader,
    intake: Intake,
    drift: DriftSide,
) -> Leftovers:
    """Make it."""
    return Leftovers(
        LeftoversTools(
            control=outside.control,
            cluster=cluster,
            clock=outside.clock,
            leader=leader,
            intake=intake,
            primary_keys=PrimaryKeys(
                control=outside.control,
                cluster=cluster,
                intake=intake,
                miss=drift.inspector.miss,
            ),
            metrics=outside.metrics,
            interval_s=config.settings_drift_check.interval_s,
        )
    )
