"""One seed, one history: otherwise a failing seed could not be looked into."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.sim_run import simulate

_SEEDS = (1, 2, 3, 4, 5)


def test_the_same_seed_gives_the_same_log() -> None:
    """Within one process: nothing is left over from the run before."""
    for seed in _SEEDS:
        first, second = simulate(seed), simulate(seed)
        assert first.log == second.log
        assert len(first.log) > 50


def test_another_seed_gives_another_log() -> None:
    """Else the test above would pass for a simulation that does nothing."""
    assert len({simulate(seed).digest for seed in _SEEDS}) == len(_SEEDS)


def test_the_log_does_not_depend_on_the_hash_seed() -> None:
    """Python orders sets of strings anew in each process; no decision may rest on that."""
    code = (
        "from tests.support.sim_run import simulate\n"
        f"print(*[simulate(seed).digest for seed in {_SEEDS}])"
    )
    root = Path(__file__).parents[2]
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            cwd=root,
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2", "77")
    }
    assert len(outputs) == 1
