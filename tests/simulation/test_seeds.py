"""
The default seeds: every one a cluster, a workload and faults of its own, all invariants watched.

More by hand: `python -m tests.simulation --seeds 5000 --start 1000`.
"""

from collections import Counter

import pytest

from tests.support.sim_faults import FaultPoint
from tests.support.sim_run import simulate

SEEDS = 520
FOUND = (20114, 20923, 21088, 21096, 21240)
"""Seeds outside the default ones that have found something once."""
_BATCH = 20
_hits: Counter[FaultPoint] = Counter()
_notes: Counter[str] = Counter()
_run: set[int] = set()


@pytest.mark.parametrize("first", range(0, SEEDS, _BATCH))
def test_no_seed_breaks_an_invariant(first: int) -> None:
    """The product's promise, under faults that no hand-written test would think of."""
    for seed in range(first, first + _BATCH):
        outcome = simulate(seed)
        _hits.update(outcome.hits)
        _notes.update(outcome.notes)
        _run.add(seed)
        assert outcome.failure is None, outcome.report()


@pytest.mark.parametrize("seed", FOUND)
def test_a_seed_that_found_something_stays_green(seed: int) -> None:
    """What was repaired once is not broken again."""
    outcome = simulate(seed)
    assert outcome.failure is None, outcome.report()


def test_every_fault_point_is_hit() -> None:
    """A fault that never strikes is not tested, whatever the enum says."""
    if len(_run) < SEEDS:
        pytest.skip("only some of the seeds were run")
    assert set(FaultPoint) == {point for point, count in _hits.items() if count}


def test_the_seeds_do_something() -> None:
    """A simulation in which nothing is accepted, answered or refused proves nothing."""
    if len(_run) < SEEDS:
        pytest.skip("only some of the seeds were run")
    wanted = ("accepted", "answer", "answer, flagged", "refused", "gone", "no-op")
    assert all(_notes[name] > SEEDS / 10 for name in wanted), _notes
