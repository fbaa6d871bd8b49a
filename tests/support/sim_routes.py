"""
The routes of a simulated node that Miroir asks in raw form: a request in, status and body out.

No delay and no loss: that is `sim_calls`.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

from miroir.errors import NodeRefused
from miroir.node.errors import ApiError
from miroir.ports.node import NodeReply, NodeRequest
from tests.support.sim_node import SimNode

_ROUTE = re.compile(r"/indexes/(?P<uid>[^/]+)(?P<rest>/.*)?")


def serve(node: SimNode, request: NodeRequest, origin: str, *, asked_s: float = 0.0) -> NodeReply:
    try:
        status, body = _route(node, request, origin)
    except NodeRefused as refused:
        status, body = refused.status, refused.error
    if body is None:
        return NodeReply(status, {}, b"")
    if "truth" in body:
        body["asked"] = asked_s
    return NodeReply(status, {}, orjson.dumps(body))


def _route(node: SimNode, request: NodeRequest, origin: str) -> tuple[int, Any]:
    url = urlsplit(request.path)
    answer = node.commons.serve(request.method, request.path, request.body, origin)
    if answer is not None:
        return answer
    if url.path == "/tasks":
        return 200, _pending_tasks(node, parse_qs(url.query))
    if url.path == "/stats":  # There are no documents to be counted here,
        return 200, {"indexes": {}}
    if url.path == "/indexes":  # and no births to be compared.
        return 200, {"results": []}
    match = _ROUTE.fullmatch(url.path)
    assert match is not None, request.path
    uid, rest = unquote(match["uid"]), match["rest"] or ""
    if rest == "/search":
        index = node.index(uid)
        me = {"node": node.node_id, "engine": node.engine.version}
        return 200, {"hits": [], "truth": index.truth.decode(), **me}
    if rest == "/settings" and request.method == "DELETE":
        return 202, {"taskUid": node.handle_settings_reset(uid, origin)}
    if rest == "/settings" and request.method == "PATCH":
        try:
            body = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            raise NodeRefused(400, ApiError("malformed_payload", "not JSON").body()) from None
        return 202, {"taskUid": node.handle_settings_patch(uid, body, origin)}
    if rest == "/documents" and request.method == "DELETE":
        node.index(uid)
        return 202, {"taskUid": node.handle_documents(uid, origin)}
    if rest == "/documents/fetch":
        node.index(uid)
        return 200, {"results": [], "total": 0}
    raise AssertionError(f"the simulation does not know {request.method} {request.path}")


def _pending_tasks(node: SimNode, query: Mapping[str, list[str]]) -> dict[str, Any]:
    (uid,) = query.get("indexUids", [None])
    types = set(query["types"][0].split(",")) if "types" in query else None
    tasks = [t for t in node.pending(uid) if types is None or t.type in types]
    rows = [
        {"uid": t.uid, "indexUid": t.index_uid, "type": t.type, "status": t.status} for t in tasks
    ]
    rows = rows[::-1] if "reverse" in query else rows
    return {"results": rows[: int(query["limit"][0])], "total": len(rows)}
