"""
A small blocking client for Meilisearch's API and Miroir's own (`/_miroir/*`).

One connection per request, JSON in and out, no retries. For the command line, the demo and tests;
the data path has its own client. An answer of any status is a `Reply`; only no answer is an error.
"""

import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from miroir.cli.faults import CliFault, UsageFault

_POLL_S: Final = 0.05
_ENDED: Final = frozenset({"succeeded", "failed", "canceled"})


class NoAnswer(CliFault):
    """The server could not be reached or did not answer in time."""


class Refused(CliFault):
    """
    The server's answer was an error; the message is its own.

    Attributes:
        status: HTTP status.
    """

    def __init__(self, status: int, said: object) -> None:
        super().__init__(f"{status}: {said}")
        self.status = status


@dataclass(frozen=True)
class Reply:
    """
    One answer.

    Attributes:
        status: HTTP status.
        headers: By lower-case name.
        body: Decoded JSON; the text where it is not JSON; None where there is none.
    """

    status: int
    headers: Mapping[str, str]
    body: Any

    def ok(self) -> Any:
        """
        Return the body of a 2xx answer.

        Raises:
            Refused: Any other status.
        """
        if 200 <= self.status < 300:
            return self.body
        said = self.body.get("message") if isinstance(self.body, dict) else self.body
        raise Refused(self.status, said)


class AdminClient:
    """
    Talks to one server.

    Args:
        url: `http://host:port`.
        key: Sent as bearer token, if given.
        timeout_s: For each request.
    """

    def __init__(self, url: str, key: str | None = None, *, timeout_s: float = 10.0) -> None:
        try:
            parts = urlsplit(url if "//" in url else f"http://{url}")
            self._host, self._port = parts.hostname or "", parts.port
        except ValueError:
            parts, self._host = urlsplit(""), ""
        if parts.scheme not in {"http", "https"} or not self._host:
            raise UsageFault(f"`{url}` is not a URL; write it as http://host:port")
        if "@" in parts.netloc:  # And it would be printed wherever the address is.
            raise UsageFault("a URL with a user in it is not taken; give a key: --key env:NAME")
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._secure = parts.scheme == "https"
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout_s = timeout_s

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Reply:
        """
        Send one request; a body that is not bytes is sent as JSON.

        Raises:
            NoAnswer: Nothing came back; the server may or may not have acted.
        """
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=self._timeout_s)
        payload = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        extra = {"Content-Type": content_type} if payload is not None else {}
        try:
            connection.request(
                method, path, payload, {**self._headers, **extra, **(headers or {})}
            )
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            why = str(error) or type(error).__name__
            raise NoAnswer(f"{self.url} does not answer: {why}") from error
        finally:
            connection.close()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, names, _decoded(content))

    def get(self, path: str) -> Any:
        """Return the body of a GET; `Refused` if it is no 2xx, `NoAnswer` if there is none."""
        return self.request("GET", path).ok()

    def wait_task(
        self, task_uid: int, *, timeout_s: float, each: Callable[[Any], None] | None = None
    ) -> Any:
        """
        Return the task once it has ended; `each` is told of it at every look before.

        Raises:
            NoAnswer: It has not ended in time.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            task = self.get(f"/tasks/{task_uid}")
            if task["status"] in _ENDED:
                return task
            if each:
                each(task)
            if time.monotonic() > deadline_s:
                raise NoAnswer(f"task {task_uid} is still {task['status']} after {timeout_s:g} s")
            time.sleep(_POLL_S)


def _decoded(content: bytes) -> Any:
    if not content:
        return None
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")
