"""
Faults of requests and connections, carried out: delays, resets, lost answers, refusals.

Sits between the sockets and the application, only with `--faults`. The rules themselves, and their
JSON, are in `faults.py`.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeAlias

from miroir.node.errors import ApiError
from miroir.node.faults import Faults, Rule
from miroir.node.http import Receive, Request, Response, Scope, Send, answer, read_body, refusal
from miroir.node.json_text import decode_body, encode

PATH: Final = "/_faults"
_LINGER_OFF: Final = struct.pack("ii", 1, 0)  # closing sends RST instead of FIN
Respond: TypeAlias = Callable[[Request, Receive], Awaitable[Response]]


class Sockets(Protocol):
    """The connections of the server, which ASGI hides."""

    def transport(self, client: tuple[str, int]) -> asyncio.Transport | None:
        """Return the connection of a client, None when it is gone."""

    def refuse_for(self, span_s: float) -> None:
        """Stop accepting connections for some seconds; running ones go on."""


class FaultyDoor:
    """
    Lets requests in and answers out, as the rules say.

    Args:
        faults: The rules.
        sockets: The connections that the rules may break.
    """

    def __init__(self, faults: Faults, sockets: Sockets) -> None:
        self._faults = faults
        self._sockets = sockets

    async def serve(
        self, scope: Scope, request: Request, receive: Receive, send: Send, respond: Respond
    ) -> None:
        """Serve one request, with whatever faults apply to it."""
        if request.path == PATH:
            await _send(send, await self._control(request, receive))
            return
        rules = {rule.kind: rule for rule in self._faults.of_request(request.method, request.path)}
        if "crash" in rules and rules["crash"].given["at"] == "request":
            self._faults.crash()
        if "reset" in rules:
            self._break(scope, abruptly=True)
            return
        if "latency" in rules:
            await asyncio.sleep(rules["latency"].given.get("ms", 0) / 1000)
        if "status" in rules:
            await _send(send, _forced(rules["status"]))
            return
        response = await respond(request, receive)
        if "crash" in rules:
            self._faults.crash()
        if "lost_response" in rules:
            self._break(scope, abruptly=False)
            return
        if "slow_body" in rules:
            await _trickle(send, response, rules["slow_body"])
            return
        await _send(send, response)

    async def _control(self, request: Request, receive: Receive) -> Response:
        try:
            if request.method == "POST":
                self._faults.replace(decode_body(await read_body(receive, "")))
                if span_ms := self._faults.refusal_ms():
                    self._sockets.refuse_for(span_ms / 1000)
            elif request.method == "DELETE":
                self._faults.replace([])
            elif request.method != "GET":
                return Response(405)
        except ApiError as error:
            return refusal(error)
        return answer(self._faults.view())

    def _break(self, scope: Scope, *, abruptly: bool) -> None:
        transport = self._sockets.transport(tuple(scope["client"]))
        if transport is None:
            return  # the client closed first
        raw = transport.get_extra_info("socket")
        if abruptly and raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_OFF)
        transport.abort()


async def _send(send: Send, response: Response) -> None:
    for message in response.messages():
        await send(message)


def _forced(rule: Rule) -> Response:
    given = rule.given
    error = ApiError(given.get("code", "internal"), given.get("message", "a fault was asked for"))
    return Response(given.get("status", 503), encode(error.body()))


async def _trickle(send: Send, response: Response, rule: Rule) -> None:
    """Send the body in pieces, evenly over the rule's time."""
    start, whole = response.messages()
    await send(start)
    body = whole["body"]
    pieces = max(rule.given.get("chunks", 10), 1)
    size = max(-(-len(body) // pieces), 1)
    for position in range(0, len(body), size):
        await asyncio.sleep(rule.given.get("ms", 0) / 1000 / pieces)
        piece = body[position : position + size]
        more = position + size < len(body)
        await send({"type": "http.response.body", "body": piece, "more_body": more})
    if not body:
        await send({"type": "http.response.body", "body": b""})
