"""
Passes on to the main process what a reader does not answer itself.

Method, path, headers and body go as they came, and the answer comes back as it is; only what
belongs to one connection stays behind. Who may do what, and what a request means, is the main
process's to say. A body is held here until it was passed on.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final

from miroir.api.admission import Admission, Guest
from miroir.api.compression import compressed
from miroir.api.departure import Departed, for_client
from miroir.api.http import JSON_TYPE, Receive, Reply, Request, Scope, Send, read_raw, send_reply
from miroir.api.refusals import refusal
from miroir.core.topology import NodeId
from miroir.errors import MalformedPayload, MiroirError, NodeError, Unavailable
from miroir.ports.node import NodeRequest, NodeTransport

MAIN: Final = NodeId("main")
_TIMEOUT_S: Final = 24 * 3600.0
"""The main process has limits of its own, for each thing that it does."""
_OF_A_CONNECTION: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_SET_APART: Final = frozenset({"authorization", "content-type"})


class MainUnreachable(Unavailable):
    """The main process of this server does not answer, or says nothing any more."""


class Forward:
    """
    An ASGI application that is another process.

    Args:
        transport: Knows one node, `MAIN`.
        admission: How much may be in work.
        bytes_max: Largest body taken.
        compress_from_bytes: Smallest answer that is compressed; 0: none is.
    """

    def __init__(
        self,
        transport: NodeTransport,
        *,
        admission: Admission,
        bytes_max: int,
        compress_from_bytes: int,
    ) -> None:
        self._transport = transport
        self._admission = admission
        self._bytes_max = bytes_max
        self._compress_from_bytes = compress_from_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3, http only)."""
        request, guest = Request(scope), Guest(self._admission)
        try:
            request.body = await read_raw(
                scope, receive, bytes_max=self._bytes_max, hold=guest.hold
            )
            if request.method in {"GET", "HEAD"}:
                reply = await for_client(request, receive, partial(self._passed_on, request))
            else:
                reply = await self._passed_on(request)
        except (ConnectionResetError, Departed):
            return  # Nobody is there to be answered.
        except MiroirError as error:
            reply = refusal(error)
        finally:
            guest.leave()
        if (from_bytes := self._compress_from_bytes) and len(reply.body) >= from_bytes:
            reply = await compressed(request, reply)
        await send_reply(reply, send)

    async def _passed_on(self, request: Request) -> Reply:
        question = f"?{request.query_string}" if request.query_string else ""
        try:
            call = self._transport.send(
                MAIN,
                NodeRequest(
                    method=request.method,
                    path=request.path + question,
                    body=request.body,
                    content_type=request.header("content-type"),
                    authorization=request.header("authorization"),
                    headers=_headers(request),
                ),
                timeout_s=_TIMEOUT_S,
            )
        except ValueError as error:
            raise MalformedPayload(f"The request cannot be passed on: {error}.") from None
        try:
            reply = await call
        except NodeError as error:
            raise MainUnreachable(f"The main process did not answer: {error}") from error
        kept = {k: v for k, v in reply.headers.items() if _travels(k)}
        kind = reply.headers.get("content-type", JSON_TYPE)
        length = reply.headers.get("content-length") if request.method == "HEAD" else None
        return Reply(reply.status, reply.body, kept, kind, length=int(length) if length else None)


def _headers(request: Request) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for raw_name, raw_value in request.scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if _travels(name):
            found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _travels(name: str) -> bool:
    return name not in _OF_A_CONNECTION and name not in _SET_APART and name != "date"
