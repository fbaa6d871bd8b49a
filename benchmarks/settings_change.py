"""
What Miroir adds to a settings change: six idle nodes, 3 shards x 2 replica groups.

    PATCH to task succeeded through Miroir / the slowest of the six nodes, patched directly

Directly means: the same PATCH is sent to all six at once, on an index of the same documents that
Miroir does not know, and each node's task is awaited. Both sides are watched in the same way: the
task is asked for every 10 ms at first, and after 2 % of the time that has passed, so that watching
six nodes takes no CPU away from them. All six share this machine's cores with Miroir, so a node
that is patched alone is quicker; that comparison is printed, too, without a target.

Two kinds of change: one of metadata (synonyms), and one for which every document is cut into
words anew (separator tokens). Each round sends values never sent before. The nodes are the
embedded ones, and Meilisearch where MIROIR_MEILISEARCH_BIN names it.
"""

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson

from benchmarks.figures import Figure
from benchmarks.samples import documents
from miroir.cli.admin_client import AdminClient
from miroir.cli.cluster import LocalCluster
from miroir.cli.layout import Engine, Shape, find_engine, lay_out
from miroir.core.documents import check_ids, parse_payload, split
from miroir.core.routing import slot_table

SHAPE = Shape(3, 2)
DOCUMENTS = 3000
ROUNDS = 3
RATIO_MAX = 1.3
EXTRA_MAX_MS = 100
_POLL_MIN_S = 0.01
_POLL_SHARE = 0.02
_PATIENCE_S = 600
_INDEX, _DIRECT = "films", "direct"
Json = dict[str, Any]


def synonyms(number: int) -> Json:
    """Return a change of metadata; each number another."""
    return {"synonyms": {"lorem": [f"word{number}"], f"word{number}": ["lorem"]}}


def separators(number: int) -> Json:
    """Return a change that needs every document cut anew; each number another."""
    return {"separatorTokens": [f"|{number}|"], "stopWords": ["sed", f"word{number}"]}


def figures() -> Iterator[Figure]:
    """Yield two figures for each kind of change and of node."""
    engines = [Engine("embedded")]
    if os.environ.get("MIROIR_MEILISEARCH_BIN"):
        engines.append(find_engine(os.environ))
    for engine in engines:
        with tempfile.TemporaryDirectory(prefix="miroir-bench-") as folder:
            layout = lay_out(Path(folder) / "cluster", SHAPE, engine)
            with LocalCluster(layout) as cluster, ThreadPoolExecutor(len(cluster.nodes)) as pool:
                kind = "embedded" if engine.kind == "embedded" else "Meilisearch"
                yield from _of_cluster(_Sides(cluster, pool), kind)


class _Sides:
    """The same change through Miroir, to all nodes at once, and to one node after the other."""

    def __init__(self, cluster: LocalCluster, pool: ThreadPoolExecutor) -> None:
        self._miroir = cluster.client(timeout_s=_PATIENCE_S)
        self._nodes = [cluster.client(name, timeout_s=_PATIENCE_S) for name in cluster.nodes]
        self._pool = pool

    def load(self) -> None:
        """Bring the documents to Miroir's index, and each shard to its nodes' own index."""
        body = orjson.dumps(documents(3, DOCUMENTS))
        self._miroir.request("POST", "/indexes", {"uid": _INDEX, "primaryKey": "id"}).ok()
        _change(self._miroir, "POST", f"/indexes/{_INDEX}/documents", body)
        payload = parse_payload(body, "application/json")
        ids = check_ids(payload, "id")
        assert isinstance(ids, list)
        batches = split(payload, ids, slot_table(SHAPE.shards))
        for position, node in enumerate(self._nodes):
            part = batches[position % SHAPE.shards].body
            _change(node, "POST", f"/indexes/{_DIRECT}/documents?primaryKey=id", part)

    def through(self, patch: Json) -> float:
        """Return the milliseconds of a change through Miroir."""
        return _patch(self._miroir, _INDEX, patch)

    def at_once(self, patch: Json) -> float:
        """Return the milliseconds of the slowest node, all patched at once."""
        return max(self._pool.map(lambda node: _patch(node, _DIRECT, patch), self._nodes))

    def alone(self, patch: Json) -> float:
        """Return the milliseconds of the slowest node, each patched while the others rest."""
        return max(_patch(node, _DIRECT, patch) for node in self._nodes)


def _of_cluster(sides: _Sides, nodes: str) -> Iterator[Figure]:
    sides.load()
    ways = (sides.through, sides.at_once, sides.alone)
    for name, change in (("metadata", synonyms), ("re-tokenising", separators)):
        for way in ways:
            way(change(0))  # connections, caches
        through, at_once, alone = _medians(change, ways)
        what = f"settings change, {name}, {nodes} nodes"
        counts = f"{DOCUMENTS} documents"
        yield Figure(
            what,
            through / at_once,
            "slowest of 6 nodes patched directly at once",
            f"{through - at_once:+.0f} ms: {through:.0f} ms / {at_once:.0f} ms, {counts}",
            RATIO_MAX + EXTRA_MAX_MS / at_once,
        )
        yield Figure(
            what,
            through / alone,
            "slowest node patched alone",
            f"{through - alone:+.0f} ms: {through:.0f} ms / {alone:.0f} ms, {counts}",
        )


def _medians(
    change: Callable[[int], Json], ways: Sequence[Callable[[Json], float]]
) -> tuple[float, ...]:
    found: list[list[float]] = [[] for _ in ways]
    numbers = itertools.count(1)  # two ways share an index: what one has sent is old to the other
    for _ in range(ROUNDS):
        for way, times in zip(ways, found, strict=True):
            times.append(way(change(next(numbers))))
    return tuple(statistics.median(times) for times in found)


def _patch(client: AdminClient, index: str, patch: Json) -> float:
    started_s = time.perf_counter()
    _change(client, "PATCH", f"/indexes/{index}/settings", patch)
    return (time.perf_counter() - started_s) * 1000


def _change(client: AdminClient, method: str, path: str, body: Json | bytes) -> None:
    """Send a write and wait for its task."""
    started_s = time.perf_counter()
    task_uid = client.request(method, path, body).ok()["taskUid"]
    while (task := client.get(f"/tasks/{task_uid}"))["status"] in {"enqueued", "processing"}:
        time.sleep(max(_POLL_MIN_S, _POLL_SHARE * (time.perf_counter() - started_s)))
    assert task["status"] == "succeeded", task
