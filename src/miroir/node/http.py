"""
Requests and responses of the node, between the bare ASGI messages and the routes.

A `Request` has its body read and decompressed; a `Response` is status, headers and bytes. Nothing
here knows a route or an index.
"""

import gzip
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl, quote

from miroir.codings import CodingBroken, CodingTooLarge, known, undone
from miroir.node.errors import ApiError
from miroir.node.json_text import decode_body, encode
from miroir.node.query import Parameter, read_query

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

BODY_BYTES_MAX: Final = 100 * 1024 * 1024
_JSON: Final = (b"content-type", b"application/json")
_NODE: Final = (b"x-miroir-embedded-node", b"1")
_ACCEPTED: Final = "`application/json`"


@dataclass(frozen=True)
class Request:
    """
    One request, its body already in memory.

    Attributes:
        method: Upper-case verb.
        path: Percent-decoded path.
        raw_path: The path as sent, for routing: `%2F` is part of a segment.
        arguments: What the path's `{names}` matched.
        query: The parameters of the query string, in order.
        raw_query: The query string as sent, without `?`.
        headers: Lower-case names.
        body: Decompressed bytes.
    """

    method: str
    path: str
    query: list[tuple[str, str]]
    raw_query: str
    headers: dict[str, str]
    raw_path: str = ""
    body: bytes = b""
    arguments: dict[str, str] = field(default_factory=dict)

    def parameters(self, known: dict[str, Parameter]) -> dict[str, Any]:
        """Return the query parameters, checked against the known ones."""
        return read_query(self.query, known)

    def json(self) -> Any:
        """
        Return the JSON body.

        Raises:
            ApiError: The content type is missing or another one (415), or the text is malformed.
        """
        require_json(self.headers.get("content-type"))
        return decode_body(self.body)


@dataclass(frozen=True)
class Response:
    """One answer. `headers` come on top of the standard ones."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    json: bool = True

    def messages(self) -> tuple[Message, Message]:
        """Return the two ASGI messages of this answer."""
        headers = [_NODE, (b"content-length", str(len(self.body)).encode()), *self.headers]
        if self.body and self.json:
            headers.append(_JSON)
        return (
            {"type": "http.response.start", "status": self.status, "headers": headers},
            {"type": "http.response.body", "body": self.body},
        )


def answer(value: Any, status: int = 200) -> Response:
    """Return a JSON answer."""
    return Response(status, encode(value))


def refusal(error: ApiError) -> Response:
    """Return the answer of an error."""
    retry = ((b"retry-after", b"10"),) if error.status == 503 else ()
    return Response(error.status, encode(error.body()), retry)


def require_json(content_type: str | None) -> None:
    """Refuse a content type other than JSON (`missing_content_type`, `invalid_content_type`)."""
    accepted = f"Accepted values for the Content-Type header are: {_ACCEPTED}"
    if content_type is None:
        raise ApiError("missing_content_type", f"A Content-Type header is missing. {accepted}")
    if media_type(content_type) != "application/json":
        message = f"The Content-Type `{content_type}` is invalid. {accepted}"
        raise ApiError("invalid_content_type", message)


def media_type(content_type: str) -> str:
    """Return the type without its parameters, lower case."""
    return content_type.partition(";")[0].strip().lower()


def read_head(scope: Scope) -> Request:
    """Return the request of an ASGI scope, still without its body."""
    raw_query = scope["query_string"].decode("latin-1")
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=parse_qsl(raw_query, keep_blank_values=True),
        raw_query=raw_query,
        headers={
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        },
        raw_path=scope.get("raw_path", b"").decode("latin-1") or quote(scope["path"]),
    )


async def read_body(receive: Receive, encoding: str, bytes_max: int = BODY_BYTES_MAX) -> bytes:
    """
    Read a request's body and undo its content encoding.

    Raises:
        ApiError: It is larger than `bytes_max` (`payload_too_large`) or cannot be decompressed.
        ConnectionResetError: The client went away.
    """
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        part = message.get("body", b"")
        size += len(part)
        if size > bytes_max:
            raise _too_large(bytes_max)
        parts.append(part)
        if not message.get("more_body", False):
            break
    return _decompressed(b"".join(parts), encoding.strip().lower(), bytes_max)


def _too_large(bytes_max: int) -> ApiError:
    limit = f"{bytes_max / 1024 / 1024:g} MiB"
    return ApiError(
        "payload_too_large",
        "The provided payload reached the size limit. "
        f"The maximum accepted payload size is {limit}.",
    )


def _decompressed(body: bytes, encoding: str, bytes_max: int) -> bytes:
    if not body or not known(encoding):
        return body  # As Meilisearch does: what is no coding that it knows is taken for none.
    try:
        return undone(body, encoding, bytes_max=bytes_max)
    except CodingTooLarge:
        raise _too_large(bytes_max) from None
    except CodingBroken:
        message = "The provided payload is incomplete and cannot be parsed"
        raise ApiError("bad_request", message) from None


def compressed(response: Response, accepted: str) -> Response:
    """Return the response with its body gzipped when the client takes that and it is worth it."""
    if "gzip" not in accepted or len(response.body) < _COMPRESS_FROM_BYTES:
        return response
    headers = (*response.headers, (b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"))
    return Response(response.status, gzip.compress(response.body, 1), headers, response.json)


_COMPRESS_FROM_BYTES: Final = 64 * 1024
