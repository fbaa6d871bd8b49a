"""
Nodes as processes: the real Meilisearch binary and the embedded node, started for tests.

`real_node` needs MIROIR_MEILISEARCH_BIN; `embedded_node` the console script's `node` command.
Both wait until `/health` answers and stop by process id. Nothing here knows the adapters.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

KEY = "test-master-key-0123456789"
START_MAX_S = 20.0
BINARY = os.environ.get("MIROIR_MEILISEARCH_BIN", "")


@dataclass(frozen=True)
class RunningNode:
    """
    A node that answers.

    Attributes:
        url: Where.
        master_key: Its key.
        process: To stop or kill it; whoever started it waits for it.
    """

    url: str
    master_key: str
    process: "subprocess.Popen[bytes]"


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = probe.getsockname()[1]
    assert isinstance(number, int)
    return number


def embedded_node_is_usable() -> bool:
    """Whether `miroir node` exists."""
    command = [sys.executable, "-m", "miroir", "node", "--help"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def real_node(directory: Path, *options: str) -> Iterator[RunningNode]:
    """Run the binary of MIROIR_MEILISEARCH_BIN."""
    port = free_port()
    command = [BINARY, "--db-path", str(directory / "data"), "--no-analytics"]
    command += ["--http-addr", f"127.0.0.1:{port}", "--master-key", KEY, *options]
    with _running(command, directory, port) as node:
        yield node


@contextmanager
def embedded_node(directory: Path, *options: str) -> Iterator[RunningNode]:
    """Run the embedded node."""
    port = free_port()
    command = [sys.executable, "-m", "miroir", "node", "--port", str(port)]
    command += ["--db-path", str(directory / "data"), "--master-key", KEY, *options]
    with _running(command, directory, port) as node:
        yield node


@contextmanager
def _running(command: list[str], directory: Path, port: int) -> Iterator[RunningNode]:
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=directory, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_healthy(url, process, log)
        yield RunningNode(url, KEY, process)
    finally:
        process.kill()
        process.wait()


def _wait_until_healthy(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline_s = time.monotonic() + START_MAX_S
    while time.monotonic() < deadline_s:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=1):
                return
        except OSError:
            time.sleep(0.02)  # not up yet: asked again until the deadline
    raise AssertionError(f"no node at {url}: {log.read_text()}")
