"""
The default seeds: every one a cluster, a workload and faults of its own, all invariants watched.

They are played on every core by worker processes; the table of fault points is printed at the end.
More by hand: `python -m tests.simulation --seeds 5000 --start 3000`, `make simulate SEEDS=200000`.
"""

import pytest

from tests.simulation.farm import Harvest, play
from tests.support.sim_faults import FaultPoint
from tests.support.sim_run import simulate

SEEDS = 2000
FOUND = (20114, 20923, 21088, 21096, 21240)
"""Seeds outside the default ones that have found something once."""
_SHOWN_MAX = 3


@pytest.fixture(scope="module")
def harvest(request: pytest.FixtureRequest) -> Harvest:
    """All default seeds, played once; how often each fault has struck is printed."""
    played = play(0, SEEDS)
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"\n{played.table()}")
    return played


def test_no_seed_breaks_an_invariant(harvest: Harvest) -> None:
    """The product's promise, under faults that no hand-written test would think of."""
    shown = list(harvest.failures.values())[:_SHOWN_MAX]
    assert not harvest.failures, f"{harvest.sentence()}\n" + "\n\n".join(shown)


def test_every_fault_point_is_hit(harvest: Harvest) -> None:
    """A fault that never strikes is not tested, whatever the enum says."""
    assert len(FaultPoint) >= 32
    assert {point for point in FaultPoint if not harvest.hits[point]} == set()


def test_the_seeds_do_something(harvest: Harvest) -> None:
    """A simulation in which nothing is accepted, answered or refused proves nothing."""
    wanted = ("accepted", "answer", "answer, flagged", "refused", "gone", "no-op")
    assert all(harvest.notes[name] > SEEDS / 20 for name in wanted), harvest.notes


@pytest.mark.parametrize("seed", FOUND)
def test_a_seed_that_found_something_stays_green(seed: int) -> None:
    """What was repaired once is not broken again."""
    outcome = simulate(seed)
    assert outcome.failure is None, outcome.report()
