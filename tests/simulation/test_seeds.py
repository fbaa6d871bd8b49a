"""
The default seeds: every one a cluster, a workload and faults of its own, all invariants watched.

They are played on every core by worker processes; the table of fault points is printed at the end.
More by hand: `python -m tests.simulation --seeds 5000 --start 3000`, `make simulate SEEDS=200000`.
"""

import pytest

from tests.simulation.farm import play
from tests.support.sim_faults import FaultPoint

SEEDS = 1200
_SHOWN_MAX = 3


def test_no_seed_breaks_an_invariant_and_every_fault_strikes(
    request: pytest.FixtureRequest,
) -> None:
    """
    The product's promise, under faults that no hand-written test would think of.

    One test, because all of it is about the same histories: a fault that never strikes is not
    tested, whatever the enum says, and a simulation in which nothing happens proves nothing.
    """
    harvest = play(0, SEEDS)
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"\n{harvest.table()}")
    shown = list(harvest.failures.values())[:_SHOWN_MAX]
    assert not harvest.failures, f"{harvest.sentence()}\n" + "\n\n".join(shown)
    assert len(FaultPoint) >= 32
    assert {point for point in FaultPoint if not harvest.hits[point]} == set()
    wanted = ("accepted", "answer", "answer, flagged", "refused", "gone", "no-op")
    assert all(harvest.notes[name] > SEEDS / 20 for name in wanted), harvest.notes
