"""
A whole cluster on this machine: nodes and Miroir, each a process of its own.

    with LocalCluster(lay_out(folder, Shape(3, 2), find_engine(os.environ))) as cluster:
        cluster.client().get("/health")
        cluster.nodes["n4"].kill()

What `miroir dev`, the demo, the tests and the benchmarks start. No process outlives the one that
started it, however that one ends (see guard.py). Everything listens on 127.0.0.1 only. Here are no
decisions about settings or documents: a cluster of processes, and nothing more.
"""

import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from miroir.cli.admin_client import AdminClient
from miroir.cli.layout import Layout, LayoutFault
from miroir.cli.process import Command, ServerProcess

STOP_S: Final = 8.0
_OLDEST: Final = (1, 15)
# What the cluster sets itself; from outside it would contradict the generated configuration.
_OWN_VARIABLES: Final = re.compile(
    r"MIROIR_(NODE_)?(MASTER_KEY|ADMIN_KEY|SECRET_KEY)(__.*)?"
    r"|MIROIR_(LISTEN|TOPOLOGY|DATA_DIR|CONFIG|URL)(__.*)?|MEILI_.*"
)


class LocalCluster:
    """
    Nodes and Miroir as processes; a context manager that starts and stops them all.

    Attributes:
        layout: Where everything is.
        nodes: Every node by its name.
        miroir: `miroir serve`.
        engine_version: What the nodes answer to `GET /version`, once started.
    """

    def __init__(
        self, layout: Layout, *, faults: bool = False, environ: Mapping[str, str] | None = None
    ) -> None:
        """
        Start nothing yet.

        Args:
            layout: From `lay_out`.
            faults: Whether embedded nodes obey `POST /_faults`.
            environ: Instead of this process' environment.
        """
        given = os.environ if environ is None else environ
        self._environ = {k: v for k, v in given.items() if not _OWN_VARIABLES.fullmatch(k)}
        self._faults = faults
        self.layout = layout
        self.engine_version = ""
        self.nodes = {
            name: ServerProcess(name, layout.ports[name], self._node_command(name))
            for name in layout.shape.names
        }
        serve = (sys.executable, "-m", "miroir", "serve", "--config", str(layout.config_file))
        command = Command(serve, self._environ, layout.folder, self._log("miroir"))
        self.miroir = ServerProcess("miroir", layout.ports["miroir"], command)

    @property
    def url(self) -> str:
        """Where Miroir listens."""
        return self.miroir.url

    @property
    def processes(self) -> tuple[ServerProcess, ...]:
        """Miroir first, then the nodes."""
        return (self.miroir, *self.nodes.values())

    def client(self, node: str | None = None, *, timeout_s: float = 10.0) -> AdminClient:
        """Return a client with the master key, for Miroir or straight for one node."""
        url = self.nodes[node].url if node else self.url
        return AdminClient(url, self.layout.master_key.reveal(), timeout_s=timeout_s)

    def admin(self) -> AdminClient:
        """Return a client for `/_miroir/*`."""
        return AdminClient(self.url, self.layout.admin_key.reveal())

    def start(self, *, timeout_s: float = 60.0) -> None:
        """
        Start everything and return when everything answers; on failure nothing is left running.

        Raises:
            ProcessFault: A process ended or did not answer in time.
            LayoutFault: The nodes are too old.
        """
        try:
            self.start_nodes(timeout_s=timeout_s)
            self.miroir.start()
            self.miroir.wait_healthy(time.monotonic() + timeout_s)
        except BaseException:
            self.stop()
            raise

    def start_nodes(self, *, timeout_s: float = 60.0) -> None:
        """Start the nodes alone, all at once; raises as `start` does, but stops nothing."""
        deadline_s = time.monotonic() + timeout_s
        for node in self.nodes.values():
            node.start()
        for node in self.nodes.values():
            node.wait_healthy(deadline_s)
        first = next(iter(self.nodes))
        self.engine_version = str(self.client(first).get("/version")["pkgVersion"])
        _check_version(self.engine_version)

    def stop(self) -> None:
        """End everything within `STOP_S` seconds: Miroir first, so that it sees no node vanish."""
        deadline_s = time.monotonic() + STOP_S
        self.miroir.stop(deadline_s - STOP_S / 2)
        for node in self.nodes.values():
            node.ask_to_stop()
        for node in self.nodes.values():
            node.stop(deadline_s)
        self.layout.lock.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _log(self, name: str) -> Path:
        return self.layout.folder / "logs" / f"{name}.log"

    def _node_command(self, name: str) -> Command:
        folder = self.layout.folder / name
        port = self.layout.ports[name]
        data = str(folder / "data.ms")
        if self.layout.engine.kind == "embedded":
            argv = [sys.executable, "-m", "miroir", "node"]
            argv += ["--port", str(port), "--db-path", data, *["--faults"] * self._faults]
        else:
            argv = [self.layout.engine.path, "--http-addr", f"127.0.0.1:{port}"]
            argv += ["--db-path", data, "--no-analytics"]
        environ = {**self._environ, "MEILI_MASTER_KEY": self.layout.master_key.reveal()}
        return Command(argv, environ, folder, self._log(name))


def _check_version(version: str) -> None:
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None or tuple(map(int, numbers.groups())) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        remedy = "update it, or unset MIROIR_MEILISEARCH_BIN"
        raise LayoutFault(f"Meilisearch {version} is too old, {oldest} is needed; {remedy}")
