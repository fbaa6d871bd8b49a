"""
The ASGI application of a node: one request in, one answer out.

```
head -> faults -> route -> rights -> body -> handler (in its thread) -> answer
```
Rights come before the body, as in Meilisearch. Every error leaves in Meilisearch's form, every
answer carries `X-Miroir-Embedded-Node: 1`. Resources live in `routes/`, faults of requests in
`fault_http.py`.
"""

import asyncio
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from miroir.node.auth import Access, authorize
from miroir.node.errors import ApiError
from miroir.node.fault_http import FaultyDoor
from miroir.node.http import (
    Receive,
    Request,
    Response,
    Scope,
    Send,
    compressed,
    read_body,
    read_head,
    refusal,
)
from miroir.node.instance import Node
from miroir.node.routes.base import Call, Route, Where
from miroir.node.routes.table import TABLE

_SEARCH_THREADS: Final = 8
_WRITE_THREADS: Final = 2
_BODILESS: Final = frozenset({"GET", "HEAD"})


class App:
    """
    The application.

    Args:
        node: What it serves.
        door: Where faults of requests happen; None without `--faults`.
    """

    def __init__(self, node: Node, door: FaultyDoor | None = None) -> None:
        self._node = node
        self._door = door
        self._threads: dict[Where, ThreadPoolExecutor] = {
            "search": ThreadPoolExecutor(_SEARCH_THREADS, "search"),
            "write": ThreadPoolExecutor(_WRITE_THREADS, "write"),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI request."""
        assert scope["type"] == "http", scope["type"]
        request = read_head(scope)
        try:
            if self._door is not None:
                await self._door.serve(scope, request, receive, send, self._respond)
                return
            for message in (await self._respond(request, receive)).messages():
                await send(message)
        except ConnectionResetError:
            return  # the client went away while it was sending: nobody to answer

    def close(self) -> None:
        """Let no new work into the threads."""
        for pool in self._threads.values():
            pool.shutdown(wait=False, cancel_futures=True)

    async def _respond(self, request: Request, receive: Receive) -> Response:
        try:
            response = await self._routed(request, receive)
        except ApiError as error:
            response = refusal(error)
        except ConnectionResetError:
            raise
        except Exception as error:  # noqa: BLE001  a bug fails one request, not the server
            traceback.print_exc(file=sys.stderr)
            message = f"An internal error has occurred. `{type(error).__name__}`."
            response = refusal(ApiError("internal", message))
        return compressed(response, request.headers.get("accept-encoding", ""))

    async def _routed(self, request: Request, receive: Receive) -> Response:
        route, arguments, known = TABLE.find(request.method, request.raw_path)
        if route is None:
            return Response(405 if known else 404)
        access = Access()
        if route.action is not None:
            header, uid = request.headers.get("authorization"), arguments.get("index_uid")
            access = authorize(self._node.keys, header, route.action, uid)
        body = b""
        if request.method not in _BODILESS:
            body = await read_body(receive, request.headers.get("content-encoding", ""))
        call = Call(self._node, replace(request, body=body, arguments=arguments), access)
        return await self._handled(route, call)

    async def _handled(self, route: Route, call: Call) -> Response:
        if route.where == "loop":
            return route.handler(call)
        pool = self._threads[route.where]
        return await asyncio.get_running_loop().run_in_executor(pool, route.handler, call)
