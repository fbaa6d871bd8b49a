"""
What a search costs Miroir itself: 3 shards, 30 KB from each, one search in 20 hits.

    proxy CPU for each search / CPU of `orjson.loads` of the same three answers

A proxy that decoded all answers once and did nothing else would be at 1.
"""

from collections.abc import Iterator

import orjson

from benchmarks.figures import Figure, cpu_us, medians
from benchmarks.proxy import INDEX, proxy
from benchmarks.samples import search_answer
from benchmarks.stub import stubs
from miroir.ports.node import NodeRequest

SHARDS = 3
ROUNDS = 5
SEARCHES = 2048
AT_ONCE = 32
RATIO_MAX = 1.8
SEARCH = NodeRequest(
    "POST", f"/indexes/{INDEX}/search", b'{"q":"lorem ipsum"}', "application/json"
)


def figures() -> Iterator[Figure]:
    """Yield the one figure."""
    answers = [search_answer(seed) for seed in range(SHARDS)]
    with stubs(answers) as ports, proxy(ports) as miroir:
        miroir.cpu_us_per(SEARCH, AT_ONCE * 8, at_once=AT_ONCE)  # warms caches on both sides
        spent = medians(
            {
                "proxy": lambda: miroir.cpu_us_per(SEARCH, SEARCHES, at_once=AT_ONCE),
                "decode": lambda: cpu_us(lambda: [orjson.loads(a) for a in answers], 500),
            },
            ROUNDS,
        )
    yield Figure(
        "search: proxy CPU",
        spent["proxy"] / spent["decode"],
        "orjson.loads of the same 3 answers",
        f"{spent['proxy']:.0f} us / {spent['decode']:.0f} us, {SHARDS} x "
        f"{len(answers[0]) // 1000} kB, {AT_ONCE} at once",
        RATIO_MAX,
    )
