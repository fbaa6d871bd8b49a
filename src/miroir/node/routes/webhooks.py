"""Routes of webhooks: list, create, get, change, delete. They answer at once, without a task."""

from typing import Final

from miroir.node.http import Response, answer
from miroir.node.routes.base import Call, Route
from miroir.node.webhooks import check_change, read_uuid


def _list(call: Call) -> Response:
    every = call.node.webhooks.all()
    return answer({"results": [hook.shown(id_) for id_, hook in every.items()]})


def _create(call: Call) -> Response:
    return answer(call.node.webhooks.create(call.request.json()), 201)


def _get(call: Call) -> Response:
    id_ = read_uuid(call.request.arguments["webhook"])
    return answer(call.node.webhooks.get(id_).shown(id_))


def _change(call: Call) -> Response:
    body = call.request.json()
    check_change(body)  # Meilisearch reads the body first, then whose it is
    return answer(call.node.webhooks.change(read_uuid(call.request.arguments["webhook"]), body))


def _delete(call: Call) -> Response:
    call.node.webhooks.delete(read_uuid(call.request.arguments["webhook"]))
    return Response(204)


ROUTES: Final = (
    Route("GET", "/webhooks", "webhooks.get", _list),
    Route("POST", "/webhooks", "webhooks.create", _create, "write"),
    Route("GET", "/webhooks/{webhook}", "webhooks.get", _get),
    Route("PATCH", "/webhooks/{webhook}", "webhooks.update", _change, "write"),
    Route("DELETE", "/webhooks/{webhook}", "webhooks.delete", _delete, "write"),
)
