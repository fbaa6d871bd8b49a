"""Makes the service that looks at what indexes nodes hold: leftovers, and primary keys."""

from miroir.config import Config
from miroir.runtime.drift_side import DriftSide
from miroir.runtime.outside import Outside
from miroir.services.intake import Intake
from miroir.services.leader import Leader
from miroir.services.leftovers import Leftovers, LeftoversTools
from miroir.services.primary_keys import PrimaryKeys
from miroir.services.prober import Prober


def make_leftovers(
    config: Config,
    outside: Outside,
    *,
    leader: Leader,
    intake: Intake,
    prober: Prober,
    drift: DriftSide,
) -> Leftovers:
    """Make it."""
    return Leftovers(
        LeftoversTools(
            control=outside.control,
            cluster=intake.cluster,
            clock=outside.clock,
            leader=leader,
            intake=intake,
            prober=prober,
            primary_keys=PrimaryKeys(
                control=outside.control,
                cluster=intake.cluster,
                intake=intake,
                miss=drift.inspector.miss,
            ),
            metrics=outside.metrics,
            interval_s=config.settings_drift_check.interval_s,
        )
    )
