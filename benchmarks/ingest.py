"""
What a batch of documents costs Miroir itself: 1000 documents of 1 KB, a JSON array, 3 shards.

    proxy CPU for each batch / CPU of decoding, regrouping and encoding it with orjson

Less than 1 means cheaper than the plain way, everything else that a write needs included: ids
checked, a durable task, three requests, three answers, the task followed to its end.
"""

from collections.abc import Iterator

import orjson

from benchmarks.figures import Figure, cpu_us, medians
from benchmarks.merge import regrouped
from benchmarks.proxy import INDEX, proxy
from benchmarks.samples import documents
from benchmarks.stub import stubs
from miroir.ports.node import NodeRequest

SHARDS = 3
ROUNDS = 5
BATCHES = 100
AT_ONCE = 4


def figures() -> Iterator[Figure]:
    """Yield the one figure."""
    body = orjson.dumps(documents(2, 1000))
    add = NodeRequest("POST", f"/indexes/{INDEX}/documents", body, "application/json")
    with stubs([b"{}"] * SHARDS) as ports, proxy(ports) as miroir:
        miroir.cpu_us_per(add, AT_ONCE * 2, at_once=AT_ONCE)
        spent = medians(
            {
                "proxy": lambda: miroir.cpu_us_per(add, BATCHES, at_once=AT_ONCE),
                "plain": lambda: cpu_us(lambda: regrouped(body, SHARDS), 50),
            },
            ROUNDS,
        )
    yield Figure(
        "ingest: proxy CPU",
        spent["proxy"] / spent["plain"],
        "orjson decode + regroup + encode",
        f"{len(body) / spent['proxy']:.0f} MB/s / {len(body) / spent['plain']:.0f} MB/s of one "
        f"core, batches of {len(body) // 1000} kB, {AT_ONCE} at once",
    )
