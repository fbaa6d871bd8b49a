"""`python -m benchmarks [NAME...]`: run all benchmarks, or some, and print one line per figure."""

import argparse
import importlib
import sys

NAMES = ("merge", "client", "search", "against", "ingest", "settings_change", "node")


def main() -> int:
    """Return 1 if a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    names = parser.parse_args().names or NAMES
    if unknown := set(names) - set(NAMES):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    missed = False
    for name in names:
        for figure in importlib.import_module(f"benchmarks.{name}").figures():
            print(figure, flush=True)
            missed |= figure.missed
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
