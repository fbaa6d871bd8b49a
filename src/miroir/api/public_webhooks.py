"""Public routes: webhooks. They are Miroir's own, and told of Miroir's tasks; nodes have none."""

from collections.abc import Mapping
from typing import Any, Final

from miroir.api.edge import Edge
from miroir.api.http import Reply, Request, reply_json
from miroir.api.parameters import body_object, described, text_field
from miroir.api.router import Route
from miroir.errors import BadParameter

_FIELDS: Final = ("url", "headers")
_IMMUTABLE: Final = {
    "uuid": "immutable_webhook_uuid",
    "isEditable": "immutable_webhook_is_editable",
}
_HEADERS: Final = "invalid_webhook_headers"


def routes(edge: Edge) -> tuple[Route, ...]:
    """Return the rows of these routes."""
    webhooks = WebhookRoutes(edge)
    return (
        Route("GET", "/webhooks", webhooks.list),
        Route("POST", "/webhooks", webhooks.create),
        Route("GET", "/webhooks/{webhook}", webhooks.get),
        Route("PATCH", "/webhooks/{webhook}", webhooks.change),
        Route("DELETE", "/webhooks/{webhook}", webhooks.delete),
    )


class WebhookRoutes:
    """Answered from the store."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def list(self, _request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /webhooks`."""
        return reply_json({"results": await self._edge.webhooks.all()})

    async def create(self, request: Request, _named: Mapping[str, str]) -> Reply:
        """`POST /webhooks`."""
        return reply_json(await self._edge.webhooks.create(_asked(request)), 201)

    async def get(self, _request: Request, named: Mapping[str, str]) -> Reply:
        """`GET /webhooks/{uuid}`."""
        return reply_json(await self._edge.webhooks.get(named["webhook"]))

    async def change(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`PATCH /webhooks/{uuid}`: headers merge, null removes one."""
        return reply_json(await self._edge.webhooks.change(named["webhook"], _asked(request)))

    async def delete(self, _request: Request, named: Mapping[str, str]) -> Reply:
        """`DELETE /webhooks/{uuid}`."""
        await self._edge.webhooks.delete(named["webhook"])
        return Reply(204)


def _asked(request: Request) -> dict[str, Any]:
    """Return the fields of a body that were given, null included, of the right types."""
    body = body_object(request.json(), _FIELDS, immutable=_IMMUTABLE)
    text_field(body, "url", "invalid_webhook_url")
    headers = body.get("headers")
    if headers is not None and not isinstance(headers, dict):
        raise BadParameter(
            _HEADERS,
            "Invalid value type at `.headers`: expected an object, but found "
            f"{described(headers)}",
        )
    for name, value in (headers or {}).items():
        if value is not None and not isinstance(value, str):
            raise BadParameter(
                _HEADERS,
                f"Invalid value type at `.headers.{name}`: expected a string, but found "
                f"{described(value)}",
            )
    return body
