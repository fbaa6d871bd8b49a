"""
Embedded nodes as processes of their own, each on an empty database.

Starting one takes most of a second, so the next one is started while the last is still at work.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_READY: Final = "listening on "


@dataclass(frozen=True)
class StartedNode:
    """A process that may not listen yet, and its database."""

    process: subprocess.Popen[str]
    folder: tempfile.TemporaryDirectory[str]

    def url(self) -> str:
        """Wait until it listens; return its address."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(_READY):
                return line.removeprefix(_READY).strip()
        raise RuntimeError("the node ended before it listened")

    def end(self) -> None:
        """Stop it and remove its database."""
        self.process.terminate()
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.folder.cleanup()


def started(master_key: str | None, *options: str) -> StartedNode:
    """Start a node; `url()` waits until it is ready."""
    folder = tempfile.TemporaryDirectory(prefix="miroir-conformance-")
    command = [sys.executable, "-m", "miroir", "node", "--port", "0", *options]
    command += ["--db-path", str(Path(folder.name) / "node")]
    unset = {"MEILI_MASTER_KEY", "MIROIR_NODE_MASTER_KEY"}
    environment = {key: value for key, value in os.environ.items() if key not in unset}
    if master_key is not None:
        environment["MIROIR_NODE_MASTER_KEY"] = master_key
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    return StartedNode(process, folder)


@contextmanager
def running(master_key: str | None, *options: str) -> Iterator[str]:
    """Run one node; yield its address."""
    node = started(master_key, *options)
    try:
        yield node.url()
    finally:
        node.end()


class FreshNodes:
    """Hands out the addresses of nodes that nobody has used, one at a time."""

    def __init__(self) -> None:
        self._next: dict[str | None, StartedNode] = {}

    @contextmanager
    def one(self, master_key: str | None) -> Iterator[str]:
        """Yield the address of a new node; it ends with the block."""
        node = self._next.pop(master_key, None) or started(master_key)
        self._next[master_key] = started(master_key)
        try:
            yield node.url()
        finally:
            node.end()

    def close(self) -> None:
        """End the nodes that were started ahead."""
        for node in self._next.values():
            node.end()
        self._next.clear()
