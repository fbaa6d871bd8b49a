"""
What a scatter costs: three nodes asked at once, over our client and over others.

The stub nodes run in a process of their own; measured is the CPU of this process alone, so that
the figures are the clients' and not the stub's.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

import httpx
import uvloop

from benchmarks.figures import Figure, medians
from benchmarks.samples import search_answer
from benchmarks.stub import stubs
from miroir.adapters.node_http import NodeHttp
from miroir.core.topology import NodeId
from miroir.ports.node import NodeRequest

SHARDS = 3
ROUNDS = 5
SCATTERS = 1024
SCATTERS_HTTPX = 64
QUERY = b'{"q":"a","limit":20,"showRankingScoreDetails":true}'

Scatter = Callable[[], Awaitable[None]]


def figures() -> Iterator[Figure]:
    """Yield our client on asyncio, and httpx, each against our client on uvloop."""
    with stubs([search_answer(seed) for seed in range(SHARDS)]) as ports:
        for at_once in (1, 32):
            spent = medians(_contestants(ports, at_once), ROUNDS)
            ours = spent.pop("miroir, uvloop")
            for name, other in spent.items():
                yield Figure(
                    f"scatter, {at_once} at once: {name}",
                    other / ours,
                    "our client on uvloop",
                    f"CPU {other:.0f} us / {ours:.0f} us, {SHARDS} nodes",
                )


def _contestants(ports: list[int], at_once: int) -> dict[str, Callable[[], float]]:
    return {
        "miroir, uvloop": lambda: uvloop.run(_ours(ports, SCATTERS, at_once)),
        "miroir, asyncio": lambda: asyncio.run(_ours(ports, SCATTERS, at_once)),
        "httpx, uvloop": lambda: uvloop.run(_with_httpx(ports, SCATTERS_HTTPX, at_once)),
    }


async def _measure(scatter: Scatter, count: int, at_once: int) -> float:
    """Return microseconds of CPU for each scatter."""

    async def worker() -> None:
        for _ in range(count // at_once):
            await scatter()

    await scatter()
    started_s = time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())
    return (time.process_time() - started_s) / (count // at_once * at_once) * 1e6


async def _ours(ports: list[int], count: int, at_once: int) -> float:
    urls = {NodeId(f"n{port}"): f"http://127.0.0.1:{port}" for port in ports}
    client = NodeHttp(urls, master_key="k" * 32)
    request = NodeRequest("POST", "/indexes/films/search", QUERY, "application/json")

    async def scatter() -> None:
        calls = [client.send(node_id, request, timeout_s=10) for node_id in urls]
        for call in calls:
            assert (await call).status == 200

    spent = await _measure(scatter, count, at_once)
    await client.aclose()
    return spent


async def _with_httpx(ports: list[int], count: int, at_once: int) -> float:
    headers = {"authorization": "Bearer " + "k" * 32, "content-type": "application/json"}
    urls = [f"http://127.0.0.1:{port}/indexes/films/search" for port in ports]
    async with httpx.AsyncClient(headers=headers, timeout=10) as client:

        async def scatter() -> None:
            async with asyncio.TaskGroup() as group:
                for url in urls:
                    group.create_task(client.post(url, content=QUERY))

        return await _measure(scatter, count, at_once)
