"""
What a scatter costs: three nodes asked at once, over our client and over httpx.

    python -m benchmarks.client [scatters]

The stub nodes run in a process of their own; measured is the CPU of this process alone, so that
the figures are the clients' and not the stub's. Rounds of the contestants alternate, the median
counts, and only the ratios mean anything on another machine.
"""

import asyncio
import multiprocessing
import multiprocessing.connection
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import cast

import httpx
import uvloop

from miroir.adapters.node_http import NodeHttp
from miroir.core.topology import NodeId
from miroir.ports.node import NodeRequest

BODY = b'{"hits":[' + b",".join([b'{"id":1,"text":"' + b"x" * 480 + b'"}'] * 60) + b"]}"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nvary: Origin\r\n"
ANSWER += b"date: Mon, 23 Nov 2026 12:16:35 GMT\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY
QUERY = b'{"q":"a","limit":20,"showRankingScoreDetails":true}'
NODES = [NodeId(f"n{i}") for i in range(3)]
ROUNDS = 5

Scatter = Callable[[], Awaitable[None]]


class Stub(asyncio.Protocol):
    """Answers each packet that ends a request; the requests here fit into one."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if data.endswith(QUERY):
            self._transport.write(ANSWER)


def serve(ready: multiprocessing.connection.Connection) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Stub, "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(main())


async def measure(scatter: Scatter, count: int, at_once: int) -> float:
    """Return microseconds of CPU for each scatter."""

    async def worker() -> None:
        for _ in range(count // at_once):
            await scatter()

    await scatter()
    started = time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())
    return (time.process_time() - started) / (count // at_once * at_once) * 1e6


async def ours(port: int, count: int, at_once: int) -> float:
    client = NodeHttp(dict.fromkeys(NODES, f"http://127.0.0.1:{port}"), master_key="k" * 32)
    request = NodeRequest("POST", "/indexes/movies/search", QUERY, "application/json")

    async def scatter() -> None:
        calls = [client.send(node_id, request, timeout_s=10) for node_id in NODES]
        for call in calls:
            assert len((await call).body) == len(BODY)

    spent = await measure(scatter, count, at_once)
    await client.aclose()
    return spent


async def with_httpx(port: int, count: int, at_once: int) -> float:
    headers = {"authorization": "Bearer " + "k" * 32, "content-type": "application/json"}
    url = f"http://127.0.0.1:{port}/indexes/movies/search"
    async with httpx.AsyncClient(headers=headers, timeout=10) as client:

        async def scatter() -> None:
            async with asyncio.TaskGroup() as group:
                for _ in NODES:
                    group.create_task(client.post(url, content=QUERY))

        return await measure(scatter, count, at_once)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    here, there = multiprocessing.Pipe()
    stub = multiprocessing.Process(target=serve, args=(there,), daemon=True)
    stub.start()
    port = here.recv()
    contestants: dict[str, Callable[[int], float]] = {
        "miroir, uvloop": lambda n: uvloop.run(ours(port, count, n)),
        "miroir, asyncio": lambda n: asyncio.run(ours(port, count, n)),
        "httpx, uvloop": lambda n: uvloop.run(with_httpx(port, max(count // 30, 32), n)),
    }
    for at_once in (1, 32):
        rounds: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(ROUNDS):
            for name, run in contestants.items():
                rounds[name].append(run(at_once))
        best = statistics.median(rounds["miroir, uvloop"])
        for name, spent in rounds.items():
            median = statistics.median(spent)
            print(f"{at_once:3} at once  {name:16} {median:8.1f} us  {median / best:6.1f}x")
    stub.terminate()


if __name__ == "__main__":
    main()
