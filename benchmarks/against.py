"""
Miroir against others over the same stubs, in alternating rounds: 3 shards, 30 KB from each.

    search vs go          requests/s / those of the scatter-gather in benchmarks/go
    search vs nginx       requests/s / those of nginx, which passes each request to one node
    search vs naive       requests/s / those of the same Miroir with httpx towards the nodes
    ingest vs go          batches/s, 1000 documents of 1 KB in each
    added median latency  of a search, 8 in flight, over the slowest of three nodes (10 to 16 ms)
    memory                of the process after all that
    2 processes vs 1      requests/s, where all share the cores

Everything that a search passes in production is on: a key of the cluster is checked, timeouts run,
metrics are counted. Each server has one core and the load and the stubs have the others, so
requests/s of those that keep their core busy compare what a request costs; the CPU of each stands
beside it, which is what to look at on a machine that does other things as well.
"""

import asyncio
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import orjson
import uvloop

from benchmarks.figures import Figure, Skipped
from benchmarks.proxy import CORES, INDEX, Load, Proxy, elsewhere, proxy
from benchmarks.rivals import Unavailable, go, nginx
from benchmarks.samples import documents, search_answer
from benchmarks.stub import stubs
from miroir.adapters.node_http import NodeHttp
from miroir.cli.admin_client import AdminClient
from miroir.core.topology import NodeId
from miroir.ports.node import NodeRequest

SHARDS: Final = 3
ROUNDS: Final = 5
KEY: Final = "a-master-key-for-benchmarks"
_SEARCHES, _AT_ONCE = 2048, 32
_NAIVE: Final = (64, 8)  # More at once would take it longer than its timeouts allow.
_BATCHES, _BATCHES_AT_ONCE = 48, 4
_DELAYED, _DELAYED_AT_ONCE, _DELAY_MS = 400, 8, (10, 16)


@dataclass(frozen=True)
class _Rival:
    """Who takes part, with which key, and how many searches a round of it has, at once too."""

    proxy: Proxy
    key: str = KEY
    searches: int = _SEARCHES
    at_once: int = _AT_ONCE


def figures() -> Iterator[Figure | Skipped]:
    """Yield every figure, and a line for each that cannot be had here."""
    answers = [search_answer(seed) for seed in range(SHARDS)]
    with elsewhere():
        yield from _throughput(answers)
        yield from _latency(answers)
    yield from _processes(answers)


def _throughput(answers: Sequence[bytes]) -> Iterator[Figure | Skipped]:
    with ExitStack() as stack:
        ports = stack.enter_context(stubs(answers, key=KEY))
        miroir = stack.enter_context(proxy(ports, key=KEY))
        rivals = {"miroir": _Rival(miroir, client_key(miroir))}
        for name, start in (("go", lambda: go(ports, KEY)), ("nginx", lambda: nginx(ports[0]))):
            try:
                rivals[name] = _Rival(stack.enter_context(start()))
            except Unavailable as why:
                yield Skipped(f"search vs {name}", str(why))
                if name == "go":
                    yield Skipped(f"ingest vs {name}", str(why))
        naive = stack.enter_context(proxy(ports, ("-m", "benchmarks.naive"), key=KEY))
        rivals["naive"] = _Rival(naive, client_key(naive), *_NAIVE)
        yield from _searches(rivals)
        if "go" in rivals:
            yield from _ingest({name: rivals[name] for name in ("miroir", "go")})
        memory = rivals["miroir"].proxy.memory_mib()
        yield Figure("memory", memory, "nothing", "resident", 120, unit=" MiB")


def client_key(server: Proxy) -> str:
    """Make a key for searches and documents; return its value."""
    wanted = {"actions": ["search", "documents.*"], "indexes": ["*"], "expiresAt": None}
    return str(AdminClient(server.url, KEY).request("POST", "/keys", wanted).ok()["key"])


def search(key: str) -> NodeRequest:
    """Return the search that all are asked."""
    body = b'{"q":"lorem ipsum"}'
    path = f"/indexes/{INDEX}/search"
    return NodeRequest("POST", path, body, "application/json", f"Bearer {key}")


def _searches(rivals: dict[str, _Rival]) -> Iterator[Figure]:
    for rival in rivals.values():  # warms caches on both sides
        rival.proxy.load(search(rival.key), rival.at_once * 2, at_once=rival.at_once)
    found: dict[str, list[Load]] = {name: [] for name in rivals}
    for _ in range(ROUNDS):
        for name, rival in rivals.items():
            load = rival.proxy.load(search(rival.key), rival.searches, at_once=rival.at_once)
            found[name].append(load)
    ours = found.pop("miroir")
    for name, theirs in found.items():
        yield _compared("search", name, ours, theirs, 1.5 if name == "go" else None)


def _ingest(rivals: dict[str, _Rival]) -> Iterator[Figure]:
    body = orjson.dumps(documents(2, 1000))
    path = f"/indexes/{INDEX}/documents"
    found: dict[str, list[Load]] = {name: [] for name in rivals}
    for _ in range(ROUNDS):
        for name, rival in rivals.items():
            add = NodeRequest("POST", path, body, "application/json", f"Bearer {rival.key}")
            found[name].append(rival.proxy.load(add, _BATCHES, at_once=_BATCHES_AT_ONCE))
    yield _compared("ingest", "go", found["miroir"], found["go"], 1.5)


def _compared(
    what: str, name: str, ours: list[Load], theirs: list[Load], ratio_min: float | None
) -> Figure:
    per_s, other_per_s = (
        statistics.median(load.per_s for load in each) for each in (ours, theirs)
    )
    cpu_us, other_cpu_us = (
        statistics.median(load.cpu_us for load in each) for each in (ours, theirs)
    )
    return Figure(
        what,
        per_s / other_per_s,
        name,
        f"{per_s:.0f}/s against {other_per_s:.0f}/s; by CPU {other_cpu_us / cpu_us:.2f}, "
        f"{cpu_us:.0f} us against {other_cpu_us:.0f} us",
        ratio_min=ratio_min,
    )


def _latency(answers: Sequence[bytes]) -> Iterator[Figure | Skipped]:
    """Compare with three nodes that are asked directly, by the same client."""
    request = search(KEY)
    with ExitStack() as stack:
        ports = stack.enter_context(stubs(answers, key=KEY, delay_ms=_DELAY_MS))
        through = {"miroir": stack.enter_context(proxy(ports, key=KEY))}
        with suppress(Unavailable):  # Said above.
            through["go"] = stack.enter_context(go(ports, KEY))
        found: dict[str, list[float]] = {name: [] for name in ("direct", *through)}
        for _ in range(ROUNDS):
            found["direct"].append(uvloop.run(_slowest_ms(ports, request)))
            for name, server in through.items():
                load = server.load(request, _DELAYED, at_once=_DELAYED_AT_ONCE)
                found[name].append(load.median_ms)
    direct = statistics.median(found.pop("direct"))
    for name, times in found.items():
        median_ms = statistics.median(times)
        who = "" if name == "miroir" else f" of {name}"
        yield Figure(
            f"added median latency{who}",
            median_ms - direct,
            "the slowest node",
            f"{median_ms:.2f} ms against {direct:.2f} ms, {_DELAYED_AT_ONCE} in flight",
            0.5 if name == "miroir" else None,
            unit=" ms",
        )


def _processes(answers: Sequence[bytes]) -> Iterator[Figure | Skipped]:
    """Two processes beside one; stubs, load and both have all cores there are."""
    if len(CORES) == 1:
        yield Skipped("2 processes vs 1", "there is one core")
        return
    with ExitStack() as stack:
        ports = stack.enter_context(stubs(answers, key=KEY))
        run = partial(proxy, ports, key=KEY, cores=nullcontext)
        servers = {n: stack.enter_context(run(processes=n)) for n in (1, 2)}
        requests = {n: search(client_key(server)) for n, server in servers.items()}
        found: dict[int, list[Load]] = {n: [] for n in servers}
        for _ in range(ROUNDS):
            for n, server in servers.items():
                load = server.load(requests[n], _SEARCHES, at_once=_AT_ONCE, cores=nullcontext)
                found[n].append(load)
    one, two = (statistics.median(load.per_s for load in found[n]) for n in (1, 2))
    yield Figure("2 processes", two / one, "1", f"{two:.0f}/s against {one:.0f}/s", ratio_min=1.3)


async def _slowest_ms(ports: Sequence[int], request: NodeRequest) -> float:
    """Return the median of the time that the slowest of all nodes takes."""
    nodes = {NodeId(f"n{port}"): f"http://127.0.0.1:{port}" for port in ports}
    client = NodeHttp(nodes, master_key=None)
    taken_s: list[float] = []

    async def worker() -> None:
        for _ in range(_DELAYED // _DELAYED_AT_ONCE):
            started_s = time.perf_counter()
            calls = [client.send(node_id, request, timeout_s=10) for node_id in nodes]
            for call in calls:
                await call
            taken_s.append(time.perf_counter() - started_s)

    async with asyncio.TaskGroup() as group:
        for _ in range(_DELAYED_AT_ONCE):
            group.create_task(worker())
    await client.aclose()
    return statistics.median(taken_s) * 1000
