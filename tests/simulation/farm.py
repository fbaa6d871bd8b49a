"""
Plays many seeds on every core: worker processes, each with every n-th seed, one line per seed.

`python -m tests.simulation.farm` is such a worker. It switches the garbage collector off between
seeds, because a run leaves little behind and looking for it costs a sixth of the time.
"""
# ruff: noqa: T201 - a worker's output is its answer

import argparse
import gc
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson

from tests.simulation.guards import GUARDS
from tests.simulation.taking_out import taken_out
from tests.support.sim_faults import FaultPoint
from tests.support.sim_run import Outcome, simulate

_ROOT = Path(__file__).parents[2]
_COLLECT_EVERY = 25
_HUNT = 40
"""Seeds that are played before a hunt looks at what was found."""


@dataclass
class Harvest:
    """
    What many seeds came to.

    Attributes:
        failures: Seed -> report, of those that broke an invariant.
        hits: How often each fault struck.
        notes: How often what happened to clients.
        cpu_s: Of all workers together.
    """

    seeds: int = 0
    failures: dict[int, str] = field(default_factory=dict)
    hits: Counter[FaultPoint] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    simulated_s: float = 0.0
    cpu_s: float = 0.0
    real_s: float = 0.0

    def add(self, other: "Harvest") -> None:
        """Take another one in."""
        self.seeds += other.seeds
        self.failures.update(other.failures)
        self.hits.update(other.hits)
        self.notes.update(other.notes)
        self.simulated_s += other.simulated_s
        self.cpu_s += other.cpu_s
        self.real_s += other.real_s

    def sentence(self) -> str:
        """Return what a reader wants to know first."""
        return (
            f"{self.seeds} seeds, {len(self.failures)} failed, {self.simulated_s:.0f} s simulated "
            f"in {self.real_s:.1f} s ({self.cpu_s:.1f} s of CPU)"
        )

    def table(self) -> str:
        """Return every fault point with the number of times it struck, and what happened."""
        rows = [f"  {point.name:28} {self.hits[point]:7}  {point.value}" for point in FaultPoint]
        happened = ", ".join(f"{name} {count}" for name, count in sorted(self.notes.items()))
        return "\n".join(
            (f"{len(FaultPoint)} fault points:", *rows, f"clients: {happened}", self.sentence())
        )


def play(
    first: int, count: int, *, workers: int | None = None, lines: int = 60, guard: str = ""
) -> Harvest:
    """
    Play `count` seeds from `first` on.

    Args:
        first: First seed.
        count: How many.
        workers: Processes; default: one per core.
        lines: How much of a failed run's log is kept.
        guard: Name of a guard that is taken out; then a seed that fails with it too is no failure.
    """
    harvest, began_s = Harvest(), time.monotonic()
    for row in _rows(first, count, workers or os.cpu_count() or 1, (str(lines), guard)):
        harvest.seeds += 1
        if row["failure"] is not None:
            harvest.failures[row["seed"]] = row["failure"]
        harvest.hits.update({FaultPoint[name]: hits for name, hits in row["hits"].items()})
        harvest.notes.update(row["notes"])
        harvest.simulated_s += row["simulated_s"]
        harvest.cpu_s += row["cpu_s"]
    harvest.real_s = time.monotonic() - began_s
    assert harvest.seeds == count, "a worker has fallen over: its error is above"
    return harvest


def hunt(guard: str, seeds_max: int, first: int = 0) -> tuple[int, str] | None:
    """Return how many seeds it takes to miss a guard, and what was seen; None: never."""
    for start in range(first, first + seeds_max, _HUNT):
        found = play(start, min(_HUNT, first + seeds_max - start), lines=0, guard=guard).failures
        if found:
            seed = min(found)
            return seed - first + 1, found[seed].strip().splitlines()[0]
    return None


def _rows(
    first: int, count: int, workers: int, options: tuple[str, str]
) -> Iterator[dict[str, object]]:
    """Yield what each seed came to; all workers run at the same time, one is read at a time."""
    lines, guard = options
    command = [sys.executable, "-m", "tests.simulation.farm", "--lines", lines, "--guard", guard]
    command += ["--end", str(first + count), "--step", str(workers), "--start"]
    started = [
        subprocess.Popen([*command, str(first + k)], cwd=_ROOT, stdout=subprocess.PIPE)
        for k in range(min(workers, count))
    ]
    try:
        for worker in started:
            assert worker.stdout is not None
            for line in worker.stdout:
                yield orjson.loads(line)
            worker.wait()
    finally:
        for worker in started:
            worker.kill()
            worker.wait()
            assert worker.stdout is not None
            worker.stdout.close()


def _work() -> None:
    parser = argparse.ArgumentParser()
    for name in ("start", "end", "step", "lines"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--guard", default="")
    options = parser.parse_args()
    gc.disable()
    rows: list[bytes] = []
    for number, seed in enumerate(range(options.start, options.end, options.step)):
        before_s = time.process_time()
        outcome = _outcome(seed, options.guard)
        row = {
            "seed": seed,
            "failure": None if outcome.failure is None else outcome.report(options.lines),
            "hits": {point.name: count for point, count in outcome.hits.items()},
            "notes": outcome.notes,
            "simulated_s": outcome.simulated_s,
            "cpu_s": time.process_time() - before_s,
        }
        rows.append(orjson.dumps(row))
        if number % _COLLECT_EVERY == 0:
            gc.collect()
    # All at the end: a worker that nobody reads yet would wait as soon as its pipe is full.
    print(b"\n".join(rows).decode(), flush=True)


def _outcome(seed: int, guard: str) -> Outcome:
    if not guard:
        return simulate(seed)
    with taken_out(GUARDS[guard]):
        outcome = simulate(seed)
    if outcome.failure is not None and (anyway := simulate(seed)).failure is not None:
        return replace(anyway, failure=None)
    return outcome


if __name__ == "__main__":
    _work()
