"""
Servers under test as processes of their own, each on empty databases.

An embedded node, or a whole cluster behind its public address. Starting one takes a second and
more, so the next one is started while the last is still at work.
"""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from miroir.cli.cluster import LocalCluster
from miroir.cli.layout import Engine, Shape, lay_out

_READY: Final = "listening on "


class Server(Protocol):
    """Something that was started and may not listen yet."""

    def url(self) -> str:
        """Wait until it listens; return its address."""
        ...

    def end(self) -> None:
        """Stop it and remove what it has stored."""
        ...


Start = Callable[[str | None], Server]
"""Starts one with this master key."""


class StartedNode:
    """One embedded node."""

    def __init__(self, master_key: str | None, *options: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="miroir-conformance-")
        command = [sys.executable, "-m", "miroir", "node", "--port", "0", *options]
        command += ["--db-path", str(Path(self._folder.name) / "node")]
        unset = {"MEILI_MASTER_KEY", "MIROIR_NODE_MASTER_KEY"}
        environment = {key: value for key, value in os.environ.items() if key not in unset}
        if master_key is not None:
            environment["MIROIR_NODE_MASTER_KEY"] = master_key
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, env=environment, text=True
        )

    def url(self) -> str:
        """See `Server.url`."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(_READY):
                return line.removeprefix(_READY).strip()
        raise RuntimeError("the node ended before it listened")

    def end(self) -> None:
        """See `Server.end`."""
        self._process.terminate()
        self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._folder.cleanup()


class StartedCluster:
    """
    Embedded nodes behind Miroir; `url` is Miroir's.

    One thread starts and stops them: its processes end with the thread that started them.
    """

    def __init__(self, shape: Shape, master_key: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="miroir-conformance-")
        folder = Path(self._folder.name) / "cluster"
        layout = lay_out(folder, shape, Engine("embedded"), master_key=master_key)
        # Our own variable is none of the product's, which refuses what it does not know.
        environ = {k: v for k, v in os.environ.items() if k != "MIROIR_CONFORMANCE"}
        self._cluster = LocalCluster(layout, environ=environ)
        self._fault: BaseException | None = None
        self._started, self._over = threading.Event(), threading.Event()
        self._life = threading.Thread(target=self._live)
        self._life.start()

    def _live(self) -> None:
        try:
            with self._cluster:
                self._started.set()
                self._over.wait()
        except BaseException as fault:  # noqa: BLE001 - raised where it is waited for
            self._fault = fault
        finally:
            self._started.set()

    def url(self) -> str:
        """See `Server.url`."""
        self._started.wait()
        if self._fault is not None:
            raise self._fault
        return self._cluster.url

    def end(self) -> None:
        """See `Server.end`."""
        self._over.set()
        self._life.join()
        self._folder.cleanup()


@contextmanager
def running(start: Start, master_key: str | None) -> Iterator[str]:
    """Run one server; yield its address."""
    server = start(master_key)
    try:
        yield server.url()
    finally:
        server.end()


class FreshServers:
    """Hands out the addresses of servers that nobody has used, one at a time."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._next: dict[str | None, Server] = {}

    @contextmanager
    def one(self, master_key: str | None) -> Iterator[str]:
        """Yield the address of a new server; it ends with the block."""
        server = self._next.pop(master_key, None) or self._start(master_key)
        self._next[master_key] = self._start(master_key)
        try:
            yield server.url()
        finally:
            server.end()

    def close(self) -> None:
        """End the servers that were started ahead."""
        for server in self._next.values():
            server.end()
        self._next.clear()
