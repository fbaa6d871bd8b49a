"""
One keep-alive connection to a server, cheap enough for constant load, and the clock of a run.

An answer of any status is an `Answer`; so is none (status None): then nobody knows whether the
server acted. Nothing is ever sent twice.
"""

import http.client
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

IDLE_MAX_S: Final = 2.0
"""A connection that rested longer is opened anew: the server may have closed it."""


class Clock:
    """Seconds since the load began."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Count from now on."""
        self._start_s = time.monotonic()
        self._wall_s = time.time()

    def now_s(self) -> float:
        """Return the moment."""
        return round(time.monotonic() - self._start_s, 4)

    def from_wall(self, moment: str | None) -> float | None:
        """Convert RFC 3339; None stays None. All processes run on one machine, on one clock."""
        if moment is None:
            return None
        head, _, rest = moment.rstrip("Z").partition(".")
        whole = datetime.fromisoformat(f"{head}+00:00").timestamp()
        return round(whole + float(f"0.{rest or 0}") - self._wall_s, 4)


@dataclass(frozen=True)
class Answer:
    """What came back, and when."""

    sent_s: float
    received_s: float
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None

    @property
    def code(self) -> str | None:
        """The code of an error."""
        if self.status is None or self.status < 400:
            return None
        return self.body.get("code") if isinstance(self.body, dict) else "no JSON"

    @property
    def task(self) -> int | None:
        """The task of an accepted write."""
        return int(self.body["taskUid"]) if self.status == 202 else None

    def header_number(self, name: str) -> int | None:
        """Return a header that is a number."""
        value = self.headers.get(name)
        return None if value is None else int(value)


class Line:
    """A connection; for one thread."""

    def __init__(self, port: int, key: str, clock: Clock, *, timeout_s: float = 30.0) -> None:
        self._port, self._timeout_s, self._clock = port, timeout_s, clock
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._connection: http.client.HTTPConnection | None = None
        self._used_s = 0.0

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request and return what came of it."""
        sent_s = self._clock.now_s()
        content = None if body is None else json.dumps(body).encode()
        try:
            connection = self._open(sent_s)
            connection.request(method, path, content, {**self._headers, **(headers or {})})
            reply = connection.getresponse()
            text = reply.read()
        except (OSError, http.client.HTTPException):
            # Faults are what this is for; status None says so.
            self.close()
            return Answer(sent_s, self._clock.now_s())
        self._used_s = received_s = self._clock.now_s()
        names = {name.lower(): value for name, value in reply.getheaders()}
        return Answer(sent_s, received_s, reply.status, names, _decoded(text))

    def close(self) -> None:
        """Close the connection; the next request opens one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self, now_s: float) -> http.client.HTTPConnection:
        if self._connection is not None and now_s - self._used_s > IDLE_MAX_S:
            self.close()
        if self._connection is None:
            self._connection = http.client.HTTPConnection(
                "127.0.0.1", self._port, timeout=self._timeout_s
            )
            self._connection.connect()
            self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._connection


def _decoded(text: bytes) -> Any:
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text.decode(errors="replace")
