"""
The ASGI application: one request in, one reply out, every error in Meilisearch's form.

A bare callable with a path table: no framework and no middleware on the way of a search. Routes
raise errors of the tree; they become replies here and nowhere else. Anything else that is raised
is our bug: it is logged whole and answered as `internal`, without details.
"""

from collections.abc import Mapping
from typing import Final

import structlog

from miroir.api import (
    admin,
    admin_apply,
    admin_commons,
    admin_drift,
    admin_intents,
    admin_settings,
    cors,
    public_batches,
    public_documents,
    public_features,
    public_fields,
    public_indexes,
    public_keys,
    public_multi_search,
    public_render,
    public_search,
    public_settings,
    public_system,
    public_tasks,
    public_webhooks,
)
from miroir.api.admission import Admission, Guest
from miroir.api.compression import compressed
from miroir.api.departure import Departed, for_client
from miroir.api.edge import Edge
from miroir.api.http import (
    Receive,
    Reply,
    Request,
    Scope,
    Send,
    read_body,
    reply_json,
    send_reply,
)
from miroir.api.router import Access, Route, Router
from miroir.errors import LeaseLost, MethodNotAllowed, MiroirError, NodeError, Unavailable
from miroir.services.registrar import RefusedByNode

_UNROUTED: Final = "unrouted"
_log = structlog.get_logger(__name__)


class App:
    """The application of one process."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._admission = Admission(
            requests_max=edge.requests_max, bytes_max=edge.bodies_bytes_max
        )
        self._router = Router(
            (
                *public_search.routes(edge),
                *public_multi_search.routes(edge),
                *public_documents.routes(edge),
                *public_fields.routes(edge),
                *public_render.routes(edge),
                *public_settings.routes(edge),
                *public_indexes.routes(edge),
                *public_keys.routes(edge),
                *public_features.routes(edge),
                *public_tasks.routes(edge),
                *public_batches.routes(edge),
                *public_webhooks.routes(edge),
                *public_system.routes(edge),
                *admin.routes(edge),
                *admin_drift.routes(edge),
                *admin_commons.routes(edge),
                *admin_settings.routes(edge),
                *admin_apply.routes(edge),
                *admin_intents.routes(edge),
            )
        )

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
            reply = _refusal(error)
        finally:
            guest.leave()
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
                return await for_client(request, receive, route.handler(request, named))
            return await route.handler(request, named)
        except (MiroirError, Departed):
            raise
        except Exception:  # noqa: BLE001 - the last place where our bug can be told from a crash
            _log.exception("request_failed", route=route.pattern)
            return _refusal(MiroirError("An internal error has occurred. See Miroir's log."))


def _refusal(error: MiroirError) -> Reply:
    if isinstance(error, RefusedByNode):
        return Reply(error.reply.status, error.reply.body)
    headers: dict[str, str] = {}
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, NodeError | LeaseLost):
        headers["Retry-After"] = "1"
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allowed)
    return reply_json(error.body(), error.http_status, headers)
