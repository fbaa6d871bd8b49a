"""
Nodes that cost next to nothing, so that what is measured is what stands in front of them.

Each stub listens on a port of its own, all in one process. A stub knows just enough of
Meilisearch's API for Miroir to create an index on it: tasks have succeeded at once, settings are
the defaults. Every search gets the same prepared answer; documents are taken and forgotten.
"""

import asyncio
import hmac
import multiprocessing
import multiprocessing.connection
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import httptools
import orjson
import uvloop

from miroir.core.settings import defaults

_SETTINGS = orjson.dumps(defaults())
_MOMENT = "2026-01-01T00:00:00Z"
_SHOWN: dict[str, Any] = {
    "health": {"status": "available"},
    "version": {"pkgVersion": "1.50.0", "commitSha": "stub", "commitDate": "stub"},
    "experimental-features": {},
    "stats": {"databaseSize": 0, "lastUpdate": _MOMENT, "indexes": {}},
}


class Stub:
    """What one stub remembers: its indexes and how many tasks it has had."""

    def __init__(self, search_answer: bytes, key: str) -> None:
        self.search_answer = _framed(200, search_answer)
        self._key = key.encode()
        self._keys: dict[str, dict[str, Any]] = {}
        self._indexes: dict[str, str | None] = {}
        self._task_uid = 0

    def answer(self, method: str, url: str, body: bytes) -> bytes:
        """Return the whole answer, head included."""
        parts = urlsplit(url)
        names = parts.path.strip("/").split("/")
        if names[0] == "keys":
            return _framed(*self._of_keys(method, names[1:], body))
        if method == "GET":
            status, value = self._shown(names, parse_qs(parts.query))
            return _framed(status, value if isinstance(value, bytes) else orjson.dumps(value))
        match method, names:
            case "POST", ["indexes"]:
                wanted = orjson.loads(body)
                self._indexes[wanted["uid"]] = wanted.get("primaryKey")
            case "PATCH", ["indexes", uid, "settings"]:
                self._indexes.setdefault(uid, None)  # whatever was sent: it shows the defaults
        self._task_uid += 1
        summary = {"taskUid": self._task_uid, "status": "enqueued", "enqueuedAt": _MOMENT}
        return _framed(202, orjson.dumps(summary))

    def _of_keys(self, method: str, names: list[str], body: bytes) -> tuple[int, bytes]:
        match method, names:
            case "POST", []:
                wanted = orjson.loads(body)
                value = hmac.new(self._key, wanted["uid"].encode(), "sha256").hexdigest()
                dates = {"createdAt": _MOMENT, "updatedAt": _MOMENT, "expiresAt": None}
                shown = {"name": None, "description": None, **dates, **wanted, "key": value}
                self._keys[wanted["uid"]] = shown
                return 201, orjson.dumps(shown)
            case "DELETE", [uid]:
                self._keys.pop(uid, None)
                return 204, b""
            case _:
                results = list(self._keys.values())
                return 200, orjson.dumps({"results": results, "total": len(results)})

    def _shown(self, names: list[str], query: dict[str, list[str]]) -> tuple[int, Any]:
        match names:
            case [name] if name in _SHOWN:
                return 200, _SHOWN[name]
            case ["tasks"]:
                uids = query.get("uids", [str(self._task_uid)])[0].split(",")
                return 200, {"results": [_task(int(uid)) for uid in uids], "next": None}
            case ["indexes"]:
                return 200, {"results": [_index(*known) for known in self._indexes.items()]}
            case ["indexes", uid, "stats"] if uid in self._indexes:
                return 200, {"numberOfDocuments": 0, "isIndexing": False, "fieldDistribution": {}}
            case ["indexes", uid, *rest] if uid in self._indexes:
                return 200, _SETTINGS if rest else _index(uid, self._indexes[uid])
            case _:
                code = "index_not_found"
                return 404, {"message": "none", "code": code, "type": "invalid_request"}


def _task(uid: int) -> dict[str, Any]:
    moments = dict.fromkeys(("enqueuedAt", "startedAt", "finishedAt"), _MOMENT)
    task = {"uid": uid, "indexUid": None, "type": "documentAdditionOrUpdate", "error": None}
    return {**task, "status": "succeeded", "details": {"indexedDocuments": 1}, **moments}


def _index(uid: str, primary_key: str | None) -> dict[str, Any]:
    return {"uid": uid, "primaryKey": primary_key, "createdAt": _MOMENT, "updatedAt": _MOMENT}


def _framed(status: int, body: bytes) -> bytes:
    head = b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\nvary: Origin\r\n" % status
    head += b"date: Mon, 23 Nov 2026 12:16:35 GMT\r\ncontent-length: %d\r\n\r\n" % len(body)
    return head + body


class _Connection(asyncio.Protocol):
    """One connection to a stub; answers searches after a delay, if there is one."""

    def __init__(self, stub: Stub, delay_s: Callable[[], float] | None) -> None:
        self._stub = stub
        self._delay_s = delay_s
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._parts: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url, self._parts = b"", []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, part: bytes) -> None:
        self._parts.append(part)

    def on_message_complete(self) -> None:
        if not self._url.endswith(b"/search"):
            method = self._parser.get_method().decode()
            body = b"".join(self._parts)
            self._transport.write(self._stub.answer(method, self._url.decode(), body))
        elif self._delay_s is None:
            self._transport.write(self._stub.search_answer)
        else:
            loop = asyncio.get_running_loop()
            loop.call_later(self._delay_s(), self._transport.write, self._stub.search_answer)


@contextmanager
def stubs(
    search_answers: Sequence[bytes], *, key: str = "", delay_ms: tuple[int, int] | None = None
) -> Iterator[list[int]]:
    """
    Run one stub per answer in a process of their own; yield their ports.

    Args:
        search_answers: What each stub says to every search.
        key: The master key, which the values of API keys are made with.
        delay_ms: Least and greatest time of a search; None = at once.
    """
    here, there = multiprocessing.Pipe()
    arguments = (there, search_answers, key, delay_ms)
    process = multiprocessing.Process(target=_serve, args=arguments, daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.kill()
        process.join()


def _serve(
    ready: multiprocessing.connection.Connection,
    search_answers: Sequence[bytes],
    key: str,
    delay_ms: tuple[int, int] | None,
) -> None:
    chance = random.Random(1)
    delay_s = None if delay_ms is None else lambda: chance.uniform(*delay_ms) / 1000

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ports: list[int] = []
        for each in search_answers:
            stub = Stub(each, key)
            server = await loop.create_server(
                lambda stub=stub: _Connection(stub, delay_s), "127.0.0.1", 0
            )
            ports.append(server.sockets[0].getsockname()[1])
        ready.send(ports)
        await loop.create_future()  # until killed

    uvloop.run(main())
