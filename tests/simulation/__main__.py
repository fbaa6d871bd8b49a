"""
More seeds by hand: `python -m tests.simulation --seeds 5000 --start 1000`.

Prints what went wrong with the command that repeats it; ends with 1 if anything did.
"""
# ruff: noqa: T201 - a command prints

import argparse
import sys
import time
from collections import Counter

from tests.simulation.guards import GUARDS, seeds_to_find
from tests.support.sim_faults import FaultPoint
from tests.support.sim_run import simulate


def main() -> int:
    """Run the seeds that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=500, help="how many")
    parser.add_argument("--start", type=int, default=0, help="the first")
    parser.add_argument("--log", action="store_true", help="print every event")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at a failure")
    parser.add_argument("--guards", action="store_true", help="take each guard out once")
    options = parser.parse_args()
    if options.guards:
        return _guards(options.seeds, options.start)
    began_s, simulated_s, failed = time.monotonic(), 0.0, 0
    hits: Counter[FaultPoint] = Counter()
    notes: Counter[str] = Counter()
    for seed in range(options.start, options.start + options.seeds):
        outcome = simulate(seed)
        hits.update(outcome.hits)
        notes.update(outcome.notes)
        simulated_s += outcome.simulated_s
        if options.log:
            print("\n".join(outcome.log))
        if outcome.failure is not None:
            failed += 1
            print(outcome.report(0 if options.log or options.keep_going else 150))
            if not options.keep_going:
                break
    real_s = time.monotonic() - began_s
    print(f"{options.seeds} seeds, {failed} failed, {simulated_s:.0f} s simulated, {real_s:.1f} s")
    print("happened: " + ", ".join(f"{name} {count}" for name, count in sorted(notes.items())))
    print("faults: " + ", ".join(f"{p.name} {hits[p]}" for p in FaultPoint))
    return 1 if failed else 0


def _guards(seeds_max: int, first: int) -> int:
    """Print the table of guards; 1 if one was never missed."""
    missed = 0
    for name in GUARDS:
        found = seeds_to_find(name, seeds_max, first)
        missed += found is None
        print(f"{name:34} {found[0] if found else '-':>5}  {found[1][:150] if found else ''}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
