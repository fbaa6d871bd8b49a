"""
Guards taken out, one after the other: the simulation has to miss them within the default seeds.

That measures the simulation itself. The whole table: `python -m tests.simulation --guards`, and
`docs/track-record.md`.
"""

import pytest

from tests.simulation.guards import GUARDS, seeds_to_find, without
from tests.support.sim_run import simulate

_SEEDS = 200
_ASKED = (
    "commit once",
    "compare and set",
    "durable, then act",
    "verify before commit",
    "view told before acting",
)


@pytest.mark.parametrize("name", _ASKED)
def test_a_missing_guard_is_missed(name: str) -> None:
    """A checker that does not see these holes would see none."""
    found = seeds_to_find(name, _SEEDS)
    assert found is not None


def test_every_guard_is_put_back() -> None:
    """A test that leaves a hole behind would spoil those after it."""
    before = simulate(1).digest
    for name in GUARDS:
        with without(name):
            pass
    assert simulate(1).digest == before
