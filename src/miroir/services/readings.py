"""
What one read-back of one node means, measured by what its engine class has to show.

    shown ─▶ class of the engine ─▶ form that this class has of the version ─▶ finding

Asks the prober for forms and defaults; decides nothing and changes nothing.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from miroir.core import drift
from miroir.core.drift import Finding, State
from miroir.core.features import class_shown
from miroir.ports.node import Settings
from miroir.ports.records import IndexRecord
from miroir.services.prober import Prober


@dataclass(frozen=True)
class Reading:
    """
    One judged read-back.

    Attributes:
        finding: Right, wrong in these keys, or missing.
        shown: What the node showed; None: it does not have the index.
        form: What it should have shown, with true secrets.
        known: Whether anything was committed by this class of engine.
    """

    finding: Finding
    shown: Settings | None
    form: Settings
    known: bool

    def adoption(self) -> dict[str, object]:
        """Return what would have to be changed for the cluster to be as this node is."""
        if self.shown is None:
            return {}
        by_letter = self.known and not self.finding.ignored
        return drift.adoption(self.form, self.shown, None if by_letter else self.finding.faults)

    def leaving_alone(self, keys: Collection[str]) -> "Reading":
        """Return this reading, with foreign values of these keys being no fault."""
        return replace(self, finding=drift.leaving_alone(self.finding, keys))


async def judge(
    prober: Prober, record: IndexRecord, engine: str, shown: Settings | None
) -> Reading:
    """
    Judge a read-back; of an engine of which nothing is committed, by its defaults, too.

    Args:
        prober: Knows forms and defaults.
        record: Of the index, at the version that is in force.
        engine: Class of the node at its last health check.
        shown: What it shows; None: it does not have the index.
    """
    assert record.settings is not None, "nothing is committed"
    engine = engine if shown is None else class_shown(engine, shown)
    forms = record.fingerprints
    form = await prober.committed_form(record.settings, forms, engine)
    finding = drift.look(form, forms, engine, shown)
    if finding.state is State.DRIFTED and engine not in forms:
        fresh = await prober.fresh((engine, *forms))
        finding = drift.look(form, forms, engine, shown, fresh)
    return Reading(finding, shown, form, engine in forms)
