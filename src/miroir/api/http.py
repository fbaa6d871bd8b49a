"""
Requests and replies of the public side, over bare ASGI.

A request's body is read here and nowhere else: limited, and undone of its content coding, before a
route sees it. Nothing here knows Meilisearch or Miroir.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import cached_property
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
import orjson

from miroir.codings import CodingBroken, CodingTooLarge, known, undone
from miroir.core.documents.json_faults import json_fault
from miroir.errors import (
    InvalidContentType,
    MalformedPayload,
    MissingContentType,
    MissingPayload,
    PayloadTooLarge,
    RequestRefused,
)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON_TYPE: Final = "application/json"
_LOOP_BYTES_MAX: Final = 64 * 1024
"""Larger coded bodies are undone in a thread: the loop has others to serve."""


class Reply(msgspec.Struct, frozen=True):
    """
    What goes back.

    Attributes:
        status: HTTP status.
        body: The bytes; empty for none.
        headers: By name; content type and length are added.
        content_type: Of the body.
        length: Of the body that another method would get, where this has none; None: its own.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}
    content_type: str = JSON_TYPE
    length: int | None = None


def reply_json(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Reply:
    """Return a JSON reply."""
    return Reply(status, orjson.dumps(value), headers or {})


class Request:
    """
    One request.

    Attributes:
        scope: As the server has it.
        body: Empty until it is read, which is after the token was looked at.
        confined: Patterns of the indexes that the key opens; None: all of them.
        may_create: Whether the key may make an index that is not there.
        by_cluster: Whether nodes are asked with the cluster's own key: the client's was judged.
    """

    confined: tuple[str, ...] | None = None
    may_create: bool = True
    by_cluster: bool = False

    def __init__(self, scope: Scope, body: bytes = b"") -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["raw_path"].decode("latin-1")
        self.query_string: str = scope["query_string"].decode("latin-1")
        self.body = body
        self._raw_headers: list[tuple[bytes, bytes]] = scope["headers"]
        self._first = dict(reversed(self._raw_headers))

    def header(self, name: str) -> str | None:
        """Return a header by its lower-case name; of a repeated one the first."""
        value = self._first.get(name.encode())
        return None if value is None else value.decode("latin-1")

    def header_list(self, name: str) -> str | None:
        """Return a header whose value is a list, by its lower-case name; repeated ones joined."""
        wanted = name.encode()
        found = [value.decode("latin-1") for key, value in self._raw_headers if key == wanted]
        return ", ".join(found) if found else None

    @cached_property
    def query(self) -> dict[str, str]:
        """The query parameters; of a repeated one the last."""
        return dict(parse_qsl(self.query_string, keep_blank_values=True))

    @property
    def content_type(self) -> str | None:
        """The content type without its parameters, lower case."""
        value = self.header("content-type")
        return value.split(";", 1)[0].strip().lower() if value is not None else None

    def json(self) -> Any:
        """
        Return the decoded JSON body.

        Raises:
            MissingContentType, InvalidContentType: Not announced as JSON.
            MissingPayload, MalformedPayload: No body, or not JSON.
        """
        announced = self.content_type
        if announced is None:
            raise MissingContentType(
                "A Content-Type header is missing. Accepted values for the Content-Type header "
                f"are: `{JSON_TYPE}`"
            )
        if announced != JSON_TYPE:
            raise InvalidContentType(
                f"The Content-Type `{announced}` is invalid. Accepted values for the "
                f"Content-Type header are: `{JSON_TYPE}`"
            )
        if not self.body:
            raise MissingPayload("A json payload is missing.")
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            what = json_fault(self.body, "object") or error
            raise MalformedPayload(f"The json payload provided is malformed. `{what}`.") from None


async def read_body(
    scope: Scope, receive: Receive, *, bytes_max: int, hold: Callable[[int], None] | None = None
) -> bytes:
    """
    Read a body whole, undone of its content coding.

    Args:
        scope: The request.
        receive: Where its body comes from.
        bytes_max: More is refused.
        hold: Told of bytes before they are kept; raises if that is too much.

    Raises:
        PayloadTooLarge: More than `bytes_max`, announced, sent, or after decoding.
        RequestRefused: The coding is broken.
    """
    body = await read_raw(scope, receive, bytes_max=bytes_max, hold=hold)
    coding = _header(scope, b"content-encoding")
    if not coding:
        return body
    plain = await _decoded(body, coding.decode("latin-1").strip().lower(), bytes_max)
    if hold is not None and len(plain) > len(body):
        hold(len(plain) - len(body))
    return plain


async def read_raw(
    scope: Scope, receive: Receive, *, bytes_max: int, hold: Callable[[int], None] | None = None
) -> bytes:
    """
    Read a body whole, as it came; see `read_body`.

    Raises:
        PayloadTooLarge: More than `bytes_max`, announced or sent.
    """
    announced = _header(scope, b"content-length")
    if announced.isdigit() and int(announced) > bytes_max:
        raise _too_large(bytes_max)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("the client went away")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > bytes_max:
            raise _too_large(bytes_max)
        if chunk:
            if hold is not None:
                hold(len(chunk))
            chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _header(scope: Scope, wanted: bytes) -> bytes:
    """Return a header; of a repeated one the last."""
    for name, value in reversed(scope["headers"]):
        if name == wanted:
            return bytes(value)
    return b""


async def _decoded(body: bytes, coding: str, bytes_max: int) -> bytes:
    if not known(coding) or not body:
        return body  # As a node does: `zstd`, `utf-8` and the like are taken for no coding at all.
    try:
        if len(body) <= _LOOP_BYTES_MAX:
            return undone(body, coding, bytes_max=bytes_max)
        return await asyncio.to_thread(undone, body, coding, bytes_max=bytes_max)
    except CodingTooLarge:
        raise _too_large(bytes_max) from None
    except CodingBroken:
        said = "The provided payload is incomplete and cannot be parsed"
        raise RequestRefused(said) from None


def _too_large(bytes_max: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        "The provided payload reached the size limit. "
        f"The maximum accepted payload size is {_size_text(bytes_max)}."
    )


def _size_text(size: int) -> str:
    """Format a size as Meilisearch does: binary units for multiples of 1024, else decimal."""
    base, units = (1024, ("B", "KiB", "MiB", "GiB")) if size % 1024 == 0 else (
        1000, ("B", "KB", "MB", "GB")
    )  # fmt: skip
    value, unit = float(size), units[0]
    for name in units:
        unit = name
        if value < base or name == units[-1]:
            break
        value /= base
    return f"{value:.2f}".rstrip("0").rstrip(".") + f" {unit}"


async def send_reply(reply: Reply, send: Send) -> None:
    """Send a reply whole."""
    # A 304 has no body, and no length of one: that of the 200 would be meant.
    size = len(reply.body) if reply.length is None else reply.length
    headers = [] if reply.status == 304 else [(b"content-length", b"%d" % size)]
    if size:
        headers.append((b"content-type", reply.content_type.encode("latin-1")))
    headers += [(k.lower().encode(), v.encode("latin-1")) for k, v in reply.headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
