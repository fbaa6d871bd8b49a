"""
A Miroir in front of stubs, its CPU and memory, and the load on it.

Miroir runs as it does in production: `miroir serve`, one process. The load comes from this process
over the project's own node client, which is fast enough not to be the bottleneck. Where there is
more than one core, what is measured has the first one, and load and stubs have the others.
"""

import asyncio
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvloop

from miroir.adapters.node_http import HttpLimits, NodeHttp
from miroir.cli.admin_client import AdminClient
from miroir.cli.process import Command, ServerProcess, free_ports
from miroir.core.topology import NodeId
from miroir.ports.node import NodeReply, NodeRequest

INDEX: Final = "films"
_START_S: Final = 60.0
_STOP_S: Final = 15.0
CORES: Final = os.sched_getaffinity(0)
_LISTENING: Final = "0A"
_TARGET: Final = NodeId("target")
Call = Callable[[], Awaitable[NodeReply]]
Cores = Callable[[], AbstractContextManager[None]]


class Proxy:
    """
    A running server under load: Miroir, or what it is compared with.

    Attributes:
        url: Where it listens.
        pid: Its first process.
    """

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self.pid = pid

    @property
    def pids(self) -> tuple[int, ...]:
        """All its processes (Linux only)."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return (self.pid, *map(int, children))

    def cpu_s(self) -> float:
        """Return the CPU that it has used so far, user and system (Linux only)."""
        return sum(map(_cpu_s, self.pids))

    def memory_mib(self) -> float:
        """Return the resident memory of its largest process (Linux only)."""
        return max(map(_memory_mib, self.pids))

    def load(
        self, request: NodeRequest, times: int, *, at_once: int, cores: "Cores | None" = None
    ) -> "Load":
        """Send a request `times` times, `at_once` at a time; from other cores than the first."""
        found: list[Load] = []

        async def measured(call: Call) -> None:
            await _repeat(call, at_once, at_once)  # opens the connections
            cpu_s, started_s = self.cpu_s(), time.perf_counter()
            taken_s = await _repeat(call, times, at_once)
            wall_s = time.perf_counter() - started_s
            found.append(
                Load(
                    times / wall_s,
                    (self.cpu_s() - cpu_s) / times * 1e6,
                    statistics.median(taken_s) * 1000,
                )
            )

        with (cores or elsewhere)():
            uvloop.run(_loaded(self.url, request, at_once, measured))
        return found[0]

    def cpu_us_per(self, request: NodeRequest, times: int, *, at_once: int) -> float:
        """Send a request `times` times, `at_once` at a time; return CPU microseconds for each."""
        return self.load(request, times, at_once=at_once).cpu_us


@dataclass(frozen=True)
class Load:
    """
    What one round of load has shown.

    Attributes:
        per_s: Requests answered in a second.
        cpu_us: CPU of the server for each.
        median_ms: From sending one to the end of its answer.
    """

    per_s: float
    cpu_us: float
    median_ms: float


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


@contextmanager
def on_one_core() -> Iterator[None]:
    """Have what is started inside run on the first core alone."""
    with _on({min(CORES)}):
        yield


@contextmanager
def elsewhere() -> Iterator[None]:
    """Run this thread, and what is started inside, on all cores but the first if there are any."""
    with _on(CORES - {min(CORES)} or CORES):
        yield


@contextmanager
def _on(cores: set[int]) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def proxy(
    stub_ports: Sequence[int],
    program: Sequence[str] = ("-m", "miroir"),
    *,
    key: str = "",
    processes: int = 1,
    cores: Cores | None = None,
) -> Iterator[Proxy]:
    """
    Run Miroir with one shard per stub.

    Args:
        stub_ports: Where the nodes listen.
        program: The arguments of Python before `serve`.
        key: The master key; none: everything is open.
        processes: How many answer searches.
        cores: Where they run; none: on one core.
    """
    with tempfile.TemporaryDirectory(prefix="miroir-bench-") as name:
        folder = Path(name)
        port = free_ports(1)[0]
        nodes = "".join(f"    - http://127.0.0.1:{each}\n" for each in stub_ports)
        (folder / "miroir.yaml").write_text(
            f"listen: {{host: 127.0.0.1, port: {port}}}\ndata_dir: data\n"
            f"processes: {processes}\n"
            + ("master_key: {env: BENCH_KEY}\n" if key else "")
            + f"topology:\n  shards: {len(stub_ports)}\n  replica_groups: 1\n  nodes:\n{nodes}"
        )
        argv = (sys.executable, *program, "serve", "--config", str(folder / "miroir.yaml"))
        kept = {k: v for k, v in os.environ.items() if not k.startswith("MIROIR_")}
        kept["PYTHONPATH"] = os.pathsep.join((str(Path.cwd()), kept.get("PYTHONPATH", "")))
        command = Command(argv, kept | {"BENCH_KEY": key}, folder, folder / "log")
        server = ServerProcess("miroir", port, command)
        with (cores or on_one_core)():
            server.start()
        try:
            server.wait_healthy(time.monotonic() + _START_S)
            _create_index(AdminClient(server.url, key) if key else AdminClient(server.url))
            assert server.pid is not None
            running = Proxy(server.url, server.pid)
            _wait_listening(running, processes)
            yield running
        finally:
            server.stop(time.monotonic() + _STOP_S)


def _wait_listening(running: Proxy, processes: int) -> None:
    """Wait until every process listens on the port (Linux only)."""
    wanted, until_s = f":{int(running.url.rpartition(':')[2]):04X}", time.monotonic() + _START_S
    while True:
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
        ours = [line for line in lines if line.split()[1].endswith(wanted)]
        if sum(line.split()[3] == _LISTENING for line in ours) >= processes:
            return
        assert time.monotonic() < until_s, "not every process listens"
        time.sleep(0.05)


def _create_index(client: AdminClient) -> None:
    body = {"uid": INDEX, "primaryKey": "id"}
    accepted = client.request("POST", "/indexes", body).ok()
    task = client.wait_task(accepted["taskUid"], timeout_s=_START_S)
    assert task["status"] == "succeeded", task


async def _loaded(
    url: str, request: NodeRequest, at_once: int, use: Callable[[Call], Awaitable[None]]
) -> None:
    limits = HttpLimits(connections_max=at_once)
    client = NodeHttp({_TARGET: url}, master_key=None, limits=limits)
    try:
        await use(lambda: client.send(_TARGET, request, timeout_s=60))
    finally:
        await client.aclose()


async def _repeat(call: Call, times: int, at_once: int) -> list[float]:
    """Call so often; return the seconds of each."""
    taken_s: list[float] = []

    async def worker() -> None:
        for _ in range(times // at_once):
            started_s = time.perf_counter()
            reply = await call()
            taken_s.append(time.perf_counter() - started_s)
            assert reply.status < 300, reply.body[:500]

    assert times % at_once == 0
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())
    return taken_s
