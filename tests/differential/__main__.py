"""
Worlds by hand: `python -m tests.differential --seeds 100 --shape 3x2`.

Embedded nodes, or real ones where MIROIR_MEILISEARCH_BIN names a binary. Ends with 1 if an answer
differs.
"""
# ruff: noqa: T201 - a command prints

import argparse
import sys
import tempfile
from pathlib import Path

from miroir.cli.layout import Engine
from tests.differential.run import play
from tests.support.beside import beside
from tests.support.node_process import BINARY


def main() -> int:
    """Play the worlds that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential")
    parser.add_argument("--seeds", type=int, default=20, help="how many worlds")
    parser.add_argument("--start", type=int, default=0, help="the first")
    parser.add_argument("--questions", type=int, default=200, help="to each")
    parser.add_argument("--shape", default="3x1", help="shards x replica groups")
    asked = parser.parse_args()
    shards, groups = map(int, asked.shape.split("x"))
    engine = Engine("meilisearch", BINARY) if BINARY else Engine("embedded")
    with (
        tempfile.TemporaryDirectory() as folder,
        beside(Path(folder), engine, shards, groups) as both,
    ):
        played = play(both, range(asked.start, asked.start + asked.seeds), asked.questions)
    for said in played.faults[:20]:
        print(said)
    for reason, count in played.refused.most_common():
        print(f"refused {count} times: {reason}")
    print(f"{engine}, {asked.shape}: {played.sentence()}")
    return 1 if played.faults else 0


if __name__ == "__main__":
    sys.exit(main())
