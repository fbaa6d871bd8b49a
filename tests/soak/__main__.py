"""
`python -m tests.soak --seconds 60 --seed 1 --shape 2x2`: one run and its verdict.

Ends with 0 when nothing was found, else with 1 and the folder in which history and logs are kept.
MIROIR_MEILISEARCH_BIN chooses real nodes (which obey no faults of their own). `--judge FILE`
judges a kept history again.
"""
# ruff: noqa: T201 - a command prints

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

import miroir
from miroir.cli.layout import Shape, find_engine
from tests.soak.checker import Bounds, check
from tests.soak.history import History, load
from tests.soak.run import Order, soak
from tests.soak.verdict import RULES, Verdict

SHOWN_MAX = 3
TEXT_MAX = 600


def main() -> int:
    """Do what the command line says; return the exit status."""
    options = _options()
    bounds = Bounds(exposure_p99_s=options.exposure)
    if options.judge:
        return _tell(check(load(options.judge), bounds))
    folder = Path(tempfile.mkdtemp(prefix="miroir-soak-", dir=options.folder))
    order = Order(
        seconds=options.seconds,
        seed=options.seed,
        shape=Shape(*map(int, options.shape.split("x"))),
        engine=find_engine(os.environ, embedded=not os.environ.get("MIROIR_MEILISEARCH_BIN")),
        folder=folder / "cluster",
        readers=options.readers,
        rate=options.rate,
        kinds=frozenset(options.only.split(",")) if options.only else None,
        settings=tuple(tuple(s.split("=", 1)) for s in options.set),
    )
    print(f"soak: {order} with {Path(miroir.__file__).parent}", flush=True)
    history = soak(order, say=_say)
    status = _tell(check(history, bounds))
    if status == 0 and not options.keep:
        shutil.rmtree(folder)
        return 0
    return _keep(history, folder, status)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--seconds", type=float, default=600.0, help="of load and faults")
    parser.add_argument("--seed", type=int, default=1, help="of the plan of faults")
    parser.add_argument("--shape", default="2x2", help="shards x replica groups")
    parser.add_argument("--readers", type=int, default=6)
    parser.add_argument("--rate", type=float, default=12.0, help="searches a second, each reader")
    parser.add_argument("--only", default="", help="kinds of faults, by comma; see plan.WEIGHTS")
    parser.add_argument("--set", action="append", default=[], help="section.key=value of Miroir")
    parser.add_argument("--exposure", type=float, default=4.0, help="bound of the p99, seconds")
    parser.add_argument("--folder", default=None, help="where histories are kept")
    parser.add_argument("--keep", action="store_true", help="keep a good history too")
    parser.add_argument("--judge", type=Path, help="judge this history instead")
    return parser.parse_args()


def _tell(verdict: Verdict) -> int:
    for name, value in verdict.figures.items():
        print(f"{name:28} {value}")
    print()
    for rule, count in verdict.by_rule.items():
        print(f"{count:6}  {RULES[rule]}")
        shown = [finding for finding in verdict.findings if finding.rule == rule]
        for finding in shown[:SHOWN_MAX]:
            print(f"        {finding.what[:TEXT_MAX]}")
    print("\nsoak: good" if verdict.good else f"\nsoak: BAD, {len(verdict.findings)} findings")
    return 0 if verdict.good else 1


def _keep(history: History, folder: Path, status: int) -> int:
    file = folder / "history.jsonl"
    history.save(file)
    print(f"the logs are in {folder / 'cluster' / 'logs'}, the history is {file}")
    print(f"judge it again: python -m tests.soak --judge {file}")
    return status


def _say(what: str) -> None:
    print(what, flush=True)


if __name__ == "__main__":
    sys.exit(main())
