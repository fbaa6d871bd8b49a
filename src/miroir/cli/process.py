"""
One server as a child process: start, wait until it answers, pause, stop, kill, start again.

A port is free or it is not; a process is up when `GET /health` says so; one that ends early is
reported with the end of its log. No knowledge of what the server is.
"""

import http.client
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from miroir.cli.faults import CliFault
from miroir.cli.guard import launch, signal_group

_POLL_S: Final = 0.05
_LOG_LINES: Final = 12
_LOG_BYTES: Final = 8192


class ProcessFault(CliFault):
    """A server did not start, or ended; the message is for the operator."""


@dataclass(frozen=True)
class Command:
    """
    How a server is started.

    Attributes:
        argv: Program and arguments. No secrets: every user of the machine can read them.
        environ: Its whole environment.
        folder: Its working directory.
        log: File that its output is appended to.
    """

    argv: Sequence[str]
    environ: Mapping[str, str]
    folder: Path
    log: Path


class ServerProcess:
    """A server on 127.0.0.1 that can be started any number of times, always on the same port."""

    def __init__(self, name: str, port: int, command: Command) -> None:
        self.name = name
        self.port = port
        self.command = command
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process and self.running else None

    @property
    def running(self) -> bool:
        """Whether the process exists; it may not answer yet, or be paused."""
        return self._process is not None and self._process.poll() is None

    @property
    def ended(self) -> str:
        """How it ended, in words."""
        status = self._process.poll() if self._process else None
        if status is None:
            return "not started" if self._process is None else "still running"
        if status < 0:
            return f"ended by {signal.Signals(-status).name}"
        return f"ended with status {status}"

    def start(self) -> None:
        """
        Start the process; does not wait for it to answer. Nothing if it runs.

        Raises:
            ProcessFault: It cannot be started at all.
        """
        if self.running:
            return
        self.command.folder.mkdir(parents=True, exist_ok=True)
        self.command.log.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self.command.log.open("ab") as log:
                self._process = launch(
                    self.command.argv,
                    environ=self.command.environ,
                    folder=self.command.folder,
                    output=log,
                )
        except OSError as error:
            raise ProcessFault(f"{self.name} cannot be started: {error}") from error

    def wait_healthy(self, deadline_s: float) -> None:
        """
        Return once `GET /health` answers 200.

        Args:
            deadline_s: On `time.monotonic`.

        Raises:
            ProcessFault: It ended, or the deadline has passed.
        """
        while not self.healthy():
            if not self.running:
                raise ProcessFault(f"{self.name} {self.ended}{self.log_tail()}")
            if time.monotonic() > deadline_s:
                raise ProcessFault(f"{self.name} does not answer on {self.url}{self.log_tail()}")
            time.sleep(_POLL_S)

    def healthy(self) -> bool:
        """Whether it answers `GET /health` with 200 just now."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False  # not up is an answer here, not an error
        finally:
            connection.close()

    def stop(self, deadline_s: float) -> None:
        """Ask it to end; kill it when it still runs at the deadline (on `time.monotonic`)."""
        self.ask_to_stop()
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.kill()

    def ask_to_stop(self) -> None:
        """Send SIGTERM and return; a paused process is woken to hear it."""
        if self._process:
            signal_group(self._process, signal.SIGTERM)
            signal_group(self._process, signal.SIGCONT)

    def kill(self) -> None:
        """End it without warning (SIGKILL) and wait until it is gone."""
        if self._process:
            signal_group(self._process, signal.SIGKILL)
            self._process.wait()

    def pause(self) -> None:
        """Stop it in its tracks (SIGSTOP): connections stay open, nothing is answered."""
        if self._process:
            signal_group(self._process, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        if self._process:
            signal_group(self._process, signal.SIGCONT)

    def log_tail(self) -> str:
        """Return where the log is and its last lines."""
        log = self.command.log
        if not log.exists():
            return ""
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_BYTES))
            lines = file.read().decode(errors="replace").splitlines()[-_LOG_LINES:]
        return "".join(f"\n  | {line}" for line in (f"{log}:", *lines))


def port_is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1 at this port."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still ending is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Return ports that are free now, each another."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
