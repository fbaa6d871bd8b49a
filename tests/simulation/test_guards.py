"""
Guards taken out, one after the other: the simulation has to miss them within a few seeds.

That measures the simulation itself. Here are those that are missed soon; all of them:
`python -m tests.simulation --guards`, and `docs/track-record.md`.
"""

import pytest

from tests.simulation.guards import GUARDS
from tests.simulation.taking_out import seeds_to_miss, taken_out
from tests.support.sim_run import simulate

_SEEDS = 60
_ASKED = (
    "durable, then act",
    "verify before commit",
    "view told before acting",
    "true secrets are kept",
    "a floor is kept",
    "an answer that may mix says so",
)


@pytest.mark.parametrize("name", _ASKED)
def test_a_missing_guard_is_missed(name: str) -> None:
    """A checker that does not see these holes would see none."""
    assert seeds_to_miss(GUARDS[name], simulate, _SEEDS) is not None


def test_every_guard_is_put_back() -> None:
    """A test that leaves a hole behind would spoil those after it."""
    assert len(GUARDS) >= 20
    before = simulate(1).digest
    for guard in GUARDS.values():
        with taken_out(guard):
            pass
    assert simulate(1).digest == before
