"""
A Miroir in front of stubs, its CPU, and the load on it.

Miroir runs as it does in production: `miroir serve`, one process. The load comes from this process
over the project's own node client, which is fast enough not to be the bottleneck.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
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
_TARGET: Final = NodeId("target")
Call = Callable[[], Awaitable[NodeReply]]


class Proxy:
    """A running Miroir with one index, primary key `id`."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self.url = server.url

    def cpu_s(self) -> float:
        """Return the CPU that the process has used so far, user and system (Linux only)."""
        fields = Path(f"/proc/{self._server.pid}/stat").read_text().rpartition(")")[2].split()
        user, system = int(fields[11]), int(fields[12])
        return (user + system) / os.sysconf("SC_CLK_TCK")

    def cpu_us_per(self, request: NodeRequest, times: int, *, at_once: int) -> float:
        """Send a request `times` times, `at_once` at a time; return CPU microseconds for each."""
        spent_s: list[float] = []

        async def measured(call: Call) -> None:
            await _repeat(call, at_once, at_once)  # opens the connections
            before_s = self.cpu_s()
            await _repeat(call, times, at_once)
            spent_s.append(self.cpu_s() - before_s)

        uvloop.run(_loaded(self.url, request, at_once, measured))
        return spent_s[0] / times * 1e6


@contextmanager
def proxy(stub_ports: Sequence[int], program: Sequence[str] = ("-m", "miroir")) -> Iterator[Proxy]:
    """Run Miroir with one shard per stub; `program` are the arguments of Python before `serve`."""
    with tempfile.TemporaryDirectory(prefix="miroir-bench-") as name:
        folder = Path(name)
        port = free_ports(1)[0]
        nodes = "".join(f"    - http://127.0.0.1:{each}\n" for each in stub_ports)
        (folder / "miroir.yaml").write_text(
            f"listen: {{host: 127.0.0.1, port: {port}}}\ndata_dir: data\n"
            f"topology:\n  shards: {len(stub_ports)}\n  replica_groups: 1\n  nodes:\n{nodes}"
        )
        argv = (sys.executable, *program, "serve", "--config", str(folder / "miroir.yaml"))
        kept = {k: v for k, v in os.environ.items() if not k.startswith("MIROIR_")}
        kept["PYTHONPATH"] = os.pathsep.join((str(Path.cwd()), kept.get("PYTHONPATH", "")))
        command = Command(argv, kept, folder, folder / "log")
        server = ServerProcess("miroir", port, command)
        server.start()
        try:
            server.wait_healthy(time.monotonic() + _START_S)
            _create_index(AdminClient(server.url))
            yield Proxy(server)
        finally:
            server.stop(time.monotonic() + _STOP_S)


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


async def _repeat(call: Call, times: int, at_once: int) -> None:
    async def worker() -> None:
        for _ in range(times // at_once):
            reply = await call()
            assert reply.status < 300, reply.body[:500]

    assert times % at_once == 0
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())
