"""
Seeds by hand: `python -m tests.simulation --seeds 5000 --start 1000`, on every core.

Prints what went wrong with the command that repeats it, and how often each fault has struck; ends
with 1 if anything went wrong. `--log` plays in this process and prints every event. `--guards`
takes each guard of the protocol out and counts the seeds until that is noticed.
"""
# ruff: noqa: T201 - a command prints

import argparse
import sys

from tests.simulation.farm import Harvest, hunt, play
from tests.simulation.guards import GUARDS
from tests.support.sim_run import simulate

_AT_ONCE = 2000


def main() -> int:
    """Play the seeds that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=500, help="how many")
    parser.add_argument("--start", type=int, default=0, help="the first")
    parser.add_argument("--log", action="store_true", help="print every event")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at a failure")
    parser.add_argument("--lines", type=int, default=40, help="of the log of a failed run")
    parser.add_argument("--guards", nargs="?", const="", help="take each guard out, or this one")
    options = parser.parse_args()
    if options.guards is not None:
        return _guards(options.guards, options.seeds, options.start)
    if options.log:
        return _one_by_one(options.start, options.seeds)
    return _all(options)


def _one_by_one(first: int, count: int) -> int:
    for seed in range(first, first + count):
        outcome = simulate(seed)
        print("\n".join(outcome.log))
        if outcome.failure is not None:
            print(outcome.report(0))
            return 1
    return 0


def _all(options: argparse.Namespace) -> int:
    """Play many, some at a time, so that a night's failures are seen before the morning."""
    whole = Harvest()
    for first in range(options.start, options.start + options.seeds, _AT_ONCE):
        count = min(_AT_ONCE, options.start + options.seeds - first)
        part = play(first, count, lines=options.lines)
        for report in part.failures.values():
            print(report)
        whole.add(part)
        if options.seeds > _AT_ONCE:
            print(part.sentence(), flush=True)
        if part.failures and not options.keep_going:
            break
    print(whole.table())
    return 1 if whole.failures else 0


def _guards(only: str, seeds_max: int, first: int) -> int:
    """Print the table of guards; 1 if one was never missed."""
    missed = 0
    for name in GUARDS:
        if only and only not in name:
            continue
        found = hunt(name, seeds_max, first)
        missed += found is None
        count, what = found or ("-", "")
        print(f"{name:38} {count:>5}  {what[:150]}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
