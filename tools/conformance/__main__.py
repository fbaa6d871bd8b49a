"""
Runs suites that others wrote against the embedded node and compares with the reviewed lists.

    python -m tools.conformance [cases] [sdk] [--only TEXT] [--verbose]

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

from tools.conformance import sdk
from tools.conformance.cases import Outcome, outcomes

HERE: Final = Path(__file__).parent
_SHARED: Final = HERE.parents[1].parent / "shared" / "conformance"


def reviewed(suite: str) -> dict[str, str]:
    """Return the cases of a suite that are known to fail, with the reason of each."""
    lists: dict[str, dict[str, str]] = json.loads((HERE / "reviewed.json").read_text())
    return lists[suite]


def report(found: list[Outcome], known: dict[str, str], *, verbose: bool) -> int:
    """Print counts by kind and what is not as reviewed; return the number of surprises."""
    passed, total = Counter[str](), Counter[str]()
    surprises = 0
    for outcome in found:
        total[outcome.kind] += 1
        passed[outcome.kind] += outcome.fault is None
        listed = outcome.name.partition("[")[0] in known
        if (outcome.fault is not None) != listed:
            surprises += 1
            said = outcome.fault or "passes, but is on the reviewed list"
            print(f"SURPRISE {outcome.name}: {said}")
        elif outcome.fault is not None and verbose:
            print(
                f"known {outcome.name}: {known[outcome.name.partition('[')[0]]}\n  {outcome.fault}"
            )
    for kind in sorted(total):
        share = 100 * passed[kind] / total[kind]
        print(f"{kind:<16} {passed[kind]:>4} of {total[kind]:>4}  {share:5.1f} %")
    print(f"{'all':<16} {passed.total():>4} of {total.total():>4}")
    return surprises


def main() -> int:
    """Run the wanted suites; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.conformance", description=__doc__)
    parser.add_argument("suites", nargs="*", default=["cases", "sdk"])
    parser.add_argument("--only", default="", help="replay only cases with this in their name")
    parser.add_argument("--short", action="store_true", help="only half of the SDK's tests")
    parser.add_argument("--verbose", action="store_true", help="show known failures too")
    asked = parser.parse_args()
    surprises = 0
    if "cases" in asked.suites:
        folder = Path(os.environ.get("MIROIR_CONFORMANCE") or _SHARED)
        if (folder / "replay.py").is_file():
            found = list(outcomes(folder, asked.only))
            surprises += report(found, reviewed("cases"), verbose=asked.verbose)
        else:
            print("SKIPPED replayed cases: no folder with replay.py (set MIROIR_CONFORMANCE)")
    if "sdk" in asked.suites:
        ran = sdk.outcomes(short=asked.short)
        if ran is None:
            print(f"SKIPPED {sdk.NAME}: its source could not be fetched from the package index")
        else:
            surprises += report(ran, reviewed("sdk"), verbose=asked.verbose)
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main())
