"""
Runs suites that others wrote against the embedded node and compares with the reviewed lists.

    python -m tools.conformance [cases] [sdk] [--through 3x2] [--short] [--only TEXT] [--verbose]

With `--through` they run against the public address of a cluster of that shape (shards x replica
groups), where what several shards answer differently on purpose has a reviewed list of its own.

Exits with 1 when a case fails that is on no list, or when one on a list passes: the lists are
reviewed by people and stay true. A suite that cannot run here says so and is skipped.
"""

import argparse
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Final

from miroir.cli.layout import Shape
from tools.conformance import sdk
from tools.conformance.cases import MASTER_KEY, Outcome, outcomes
from tools.conformance.servers import Start, StartedCluster, StartedNode

HERE: Final = Path(__file__).parent
_SHARED: Final = HERE.parents[1].parent / "shared" / "conformance"


def reviewed(suite: str) -> dict[str, str]:
    """Return the cases of a suite that are known to fail, with the reason of each."""
    lists: dict[str, dict[str, str]] = json.loads((HERE / "reviewed.json").read_text())
    return lists.get(suite, {})


def judged(suite: str, through: str | None, found: list[Outcome], *, verbose: bool) -> int:
    """
    Report a suite by its reviewed list; return the number of surprises.

    Through a cluster, what fails on a node may fail, and a list of the cluster's own is added.
    """
    if through is None:
        return report(found, reviewed(suite), verbose=verbose)
    node, own = reviewed(suite), reviewed(f"{suite} {through}")
    passed = {_listed_as(o) for o in found if o.fault is None}
    known = {name: why for name, why in node.items() if name not in passed}
    return report(found, {**known, **own}, verbose=verbose)


def _listed_as(outcome: Outcome) -> str:
    return outcome.name.partition("[")[0]


def starter(through: str | None) -> Start:
    """Return what starts a node, or a cluster of a shape like `3x2`."""
    if through is None:
        return StartedNode
    shards, groups = map(int, through.split("x"))
    shape = Shape(shards, groups)
    return lambda key: StartedCluster(shape, key or MASTER_KEY)


def report(found: list[Outcome], known: dict[str, str], *, verbose: bool) -> int:
    """Print counts by kind and what is not as reviewed; return the number of surprises."""
    passed, total = Counter[str](), Counter[str]()
    surprises = 0
    for outcome in found:
        total[outcome.kind] += 1
        passed[outcome.kind] += outcome.fault is None
        listed = _listed_as(outcome) in known
        if (outcome.fault is not None) != listed:
            surprises += 1
            said = outcome.fault or "passes, but is on the reviewed list"
            print(f"SURPRISE {outcome.name}: {said}")
        elif outcome.fault is not None and verbose:
            print(f"known {outcome.name}: {known[_listed_as(outcome)]}\n  {outcome.fault}")
    for kind in sorted(total):
        share = 100 * passed[kind] / total[kind]
        print(f"{kind:<16} {passed[kind]:>4} of {total[kind]:>4}  {share:5.1f} %")
    print(f"{'all':<16} {passed.total():>4} of {total.total():>4}")
    return surprises


def main() -> int:
    """Run the wanted suites; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.conformance", description=__doc__)
    parser.add_argument("suites", nargs="*", default=["cases", "sdk"])
    parser.add_argument("--through", metavar="SHAPE", help="a cluster, e.g. 1x1 or 3x2")
    parser.add_argument("--only", default="", help="replay only cases with this in their name")
    parser.add_argument(
        "--short", action="store_true", help="what is quick: no async SDK, no fresh servers"
    )
    parser.add_argument("--verbose", action="store_true", help="show known failures too")
    asked = parser.parse_args()
    start = starter(asked.through)
    surprises = 0
    if "cases" in asked.suites:
        folder = Path(os.environ.get("MIROIR_CONFORMANCE") or _SHARED)
        if (folder / "replay.py").is_file():
            key = MASTER_KEY if asked.through else None
            found = list(outcomes(folder, start, only=asked.only, key=key, short=asked.short))
            surprises += judged("cases", asked.through, found, verbose=asked.verbose)
        else:
            print("SKIPPED replayed cases: no folder with replay.py (set MIROIR_CONFORMANCE)")
    if "sdk" in asked.suites:
        ran = sdk.outcomes(start, short=asked.short)
        if ran is None:
            print(f"SKIPPED {sdk.NAME}: its source could not be fetched from the package index")
        else:
            surprises += judged("sdk", asked.through, ran, verbose=asked.verbose)
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main())
