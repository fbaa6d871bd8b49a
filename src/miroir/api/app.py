"""
The ASGI application: one request in, one reply out, every error in Meilisearch's form.

A bare callable with a path table: no framework and no middleware on the way of a search. Routes
raise errors of the tree; they become replies here and nowhere else. Anything else that is raised
is our bug: it is logged whole and answered as `internal`, without details.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import structlog

from miroir.api import cors
from miroir.api.admission import Admission, Guest
from miroir.api.compression import compressed
from miroir.api.departure import Departed, for_client
from miroir.api.edge import ReadEdge
from miroir.api.http import (
    Receive,
    Reply,
    Request,
    Scope,
    Send,
    read_body,
    send_reply,
)
from miroir.api.refusals import refusal
from miroir.api.router import Access, Route, Router
from miroir.errors import MiroirError
from miroir.services.fence import Fence

_UNROUTED: Final = "unrouted"
_log = structlog.get_logger(__name__)


class App:
    """The application of one process."""

    def __init__(
        self,
        edge: ReadEdge,
        routes: Sequence[Route],
        *,
        admission: Admission,
        fence: Fence | None = None,
    ) -> None:
        """
        Serve these routes.

        Args:
            edge: What they work with.
            routes: The table.
            admission: How much may be in work.
            fence: What has to be settled before anybody is answered.
        """
        self._edge = edge
        self._admission = admission
        self._router = Router(routes)
        self._fence = fence

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3, http only)."""
        if scope["type"] != "http":
            return
        started_s = self._edge.clock.monotonic_s()
        request, route_name = Request(scope), _UNROUTED
        guest = Guest(self._admission)
        try:
            if (preflight := cors.preflight(request)) is not None:
                await send_reply(preflight, send)
                return
            route, named = self._router.find(request.method, request.path)
            route_name = route.pattern
            self._edge.guard.check(route, named, request)
            self._edge.confine(route, named, request)
            await self._let_in(route, request, guest, receive)
            reply = await self._answer(route, request, named, receive)
        except (ConnectionResetError, Departed):
            return  # Nobody is there to be answered.
        except MiroirError as error:
            reply = refusal(error)
        finally:
            guest.leave()
        if self._fence is not None and self._fence.behind:
            await self._fence.synced()
        duration_s = self._edge.clock.monotonic_s() - started_s
        self._edge.metrics.request(route_name, reply.status, duration_s)
        reply = cors.allowed(request, reply)
        if (from_bytes := self._edge.compress_from_bytes) and len(reply.body) >= from_bytes:
            reply = await compressed(request, reply)
        await send_reply(reply, send)

    async def _let_in(
        self, route: Route, request: Request, guest: Guest, receive: Receive
    ) -> None:
        """Read the body, if there is room for it, and count the request in, if there is room."""
        edge, counted = self._edge, route.access in {Access.MASTER, Access.NODES}
        search = route.access is Access.NODES
        if counted:
            self._admission.check(search=search)
        request.body = await read_body(
            request.scope, receive, bytes_max=edge.payload_bytes_max, hold=guest.hold
        )
        if counted:
            guest.enter(search=search)

    async def _answer(
        self, route: Route, request: Request, named: Mapping[str, str], receive: Receive
    ) -> Reply:
        try:
            if route.access is Access.NODES:
                return await for_client(request, receive, partial(route.handler, request, named))
            return await route.handler(request, named)
        except (MiroirError, Departed):
            raise
        except Exception:  # noqa: BLE001 - the last place where our bug can be told from a crash
            _log.exception("request_failed", route=route.pattern)
            return refusal(MiroirError("An internal error has occurred. See Miroir's log."))
