"""
Where the CPU of a search, or of a batch of documents, goes inside Miroir.

    python -m benchmarks.profile search|ingest

Miroir runs under a sampler (sampled.py) and the load of the benchmark of that name; printed are
shares of all samples: per function (own), and per function with all that it calls (whole). For
reading, not for comparing: the sampler itself costs something. What the main thread's loop does in
C, and what other threads do (the store's), appears as `Runner.run`.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path

import orjson

from benchmarks import ingest, search
from benchmarks.proxy import INDEX, proxy
from benchmarks.samples import documents, search_answer
from benchmarks.stub import stubs
from miroir.ports.node import NodeRequest

ROWS = 60


def main(name: str) -> None:
    assert name in {"search", "ingest"}, __doc__
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "samples.json"
        program = ("-m", "benchmarks.sampled", str(found))
        answers = [search_answer(seed) for seed in range(search.SHARDS)]
        with stubs(answers) as ports, proxy(ports, program) as miroir:
            if name == "search":
                miroir.cpu_us_per(search.SEARCH, search.AT_ONCE * 512, at_once=search.AT_ONCE)
            else:
                body = orjson.dumps(documents(2, 1000))
                path = f"/indexes/{INDEX}/documents"
                add = NodeRequest("POST", path, body, "application/json")
                miroir.cpu_us_per(add, ingest.AT_ONCE * 100, at_once=ingest.AT_ONCE)
        samples = orjson.loads(found.read_bytes())
    for kind in ("own", "whole"):
        counts = Counter(samples[kind])
        total = sum(samples["own"].values())
        print(f"\n{kind}, {total} samples")
        for where, count in counts.most_common(ROWS):
            print(f"{count / total:6.1%}  {where}")


if __name__ == "__main__":
    main(sys.argv[1])
