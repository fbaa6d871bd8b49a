"""A node as its users run it: a process of its own, spoken to over HTTP."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

COMMAND = "from miroir.cli.node import node; node()"
READY_S = 30
ENDED = ("succeeded", "failed", "canceled")


class RunningNode:
    """A node process on a free port. As a context it is stopped at the end."""

    def __init__(self, folder: Path, *options: str, master_key: str | None = None) -> None:
        self.folder = folder
        self.key = master_key
        key = ["--master-key", master_key] if master_key else []
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                COMMAND,
                "--port",
                "0",
                "--db-path",
                str(folder),
                *key,
                *options,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("listening on "), line + self.complaint()
        self.url = line.removeprefix("listening on ").strip()
        self.client = httpx.Client(base_url=self.url, timeout=READY_S)

    def complaint(self) -> str:
        """Return what the process wrote to its error output; it must have ended."""
        _, err = self.process.communicate(timeout=READY_S)
        return err

    def __enter__(self) -> "RunningNode":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.communicate(timeout=READY_S)
        return self.process.returncode

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Send a request, with JSON when there is a body."""
        headers = dict(options.pop("headers", {}))
        key = options.pop("key", self.key)
        if key:
            headers.setdefault("Authorization", f"Bearer {key}")
        if body is not None:
            options["content"] = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        return self.client.request(method, path, headers=headers, **options)

    def task(self, uid: int) -> Any:
        """Return a task as it is now."""
        return self.ask("GET", f"/tasks/{uid}").json()

    def ended(self, uid: int) -> Any:
        """Wait until a task has ended and return it."""
        return self.until(uid, *ENDED)

    def until(self, uid: int, *statuses: str) -> Any:
        """Wait until a task has one of the statuses and return it."""
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            task = self.task(uid)
            if task["status"] in statuses:
                return task
            time.sleep(0.005)
        raise AssertionError(f"task {uid} is not {statuses}: {task}")

    def do(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Send a write and return its task when it has ended."""
        answer = self.ask(method, path, body, **options)
        assert answer.status_code in {200, 202}, answer.text
        return self.ended(answer.json()["taskUid"])

    def faults(self, *rules: dict[str, Any]) -> None:
        """Put rules of faults in force."""
        answer = self.ask("POST", "/_faults", list(rules))
        assert answer.status_code == 200, answer.text
