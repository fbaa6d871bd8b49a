"""Routes of API keys: list, create, get, change, delete. They answer at once, without a task."""

from typing import Final

from miroir.node.http import Response, answer
from miroir.node.query import Parameter, count
from miroir.node.routes.base import Call, Route

_PAGE: Final = {
    "offset": Parameter(count, "invalid_api_key_offset"),
    "limit": Parameter(count, "invalid_api_key_limit"),
}


def _list(call: Call) -> Response:
    page = call.request.parameters(_PAGE)
    offset, limit = page.get("offset", 0), page.get("limit", 20)
    keys = call.node.keys.all()
    return answer({
        "results": [call.node.keys.view(key) for key in keys[offset : offset + limit]],
        "offset": offset,
        "limit": limit,
        "total": len(keys),
    })  # fmt: skip


def _create(call: Call) -> Response:
    keys = call.node.keys
    return answer(keys.view(keys.create(call.request.json())), 201)


def _get(call: Call) -> Response:
    keys = call.node.keys
    return answer(keys.view(keys.require(call.request.arguments["key"])))


def _change(call: Call) -> Response:
    keys = call.node.keys
    return answer(keys.view(keys.change(call.request.arguments["key"], call.request.json())))


def _delete(call: Call) -> Response:
    call.node.keys.delete(call.request.arguments["key"])
    return Response(204)


ROUTES: Final = (
    Route("GET", "/keys", "keys.get", _list),
    Route("POST", "/keys", "keys.create", _create, "write"),
    Route("GET", "/keys/{key}", "keys.get", _get),
    Route("PATCH", "/keys/{key}", "keys.update", _change, "write"),
    Route("DELETE", "/keys/{key}", "keys.delete", _delete, "write"),
)
