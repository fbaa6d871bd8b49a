"""
Public route: what a template makes of a document (experimental).

A node does it. The document is taken from where it lies: a replica of its shard; a template of an
index, or one that comes with the request, is the same on every node. A key needs `settings.get`,
`documents.get` and both indexes: nodes are asked with the master key.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from miroir.api.edge import Edge
from miroir.api.http import Reply, Request
from miroir.api.router import Route
from miroir.core.rights import covers
from miroir.errors import InvalidApiKey


def routes(edge: Edge) -> tuple[Route, ...]:
    """Return the row of this route."""
    return (Route("POST", "/render-template", Templates(edge).render),)


class Templates:
    """Asks the node that has the document."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def render(self, request: Request, _named: Mapping[str, str]) -> Reply:
        """`POST /render-template`."""
        input_, template = (_member(request.body, name) for name in ("input", "template"))
        for named in (template.get("indexUid"), input_.get("indexUid")):
            if isinstance(named, str) and not _is_open(named, request):
                raise InvalidApiKey("The provided API key is invalid.")
        document_id, uid = input_.get("id"), input_.get("indexUid") or template.get("indexUid")
        index = self._edge.cluster.view.live(uid) if isinstance(uid, str) else None
        known = document_id if isinstance(document_id, str) else None
        answer = await self._edge.catalog.rendered(index, known, request)
        return Reply(answer.status, answer.body, answer.headers)


def _is_open(index_uid: str, request: Request) -> bool:
    return request.confined is None or covers(request.confined, index_uid)


def _member(body: bytes, name: str) -> Mapping[str, Any]:
    """Return an object within the body; of anything else a node says what is wrong with it."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    member = value.get(name) if isinstance(value, dict) else None
    return member if isinstance(member, dict) else {}
