"""
Do nodes hold the same documents of an index? Read from one, and asked of the others by their ids.

With equal numbers of documents, all of one node's being alike on another means that they hold the
same. Of many documents some pages are looked at, spread over all of them: certain up to
`_ALL_MAX`, else likely. A page at a time is held in memory. Vectors are left out: nodes that
compute them may differ in the last bit.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import orjson

from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeUnreachable
from miroir.ports.node import NodeControl, NodeRequest

_PAGE: Final = 500
_PAGES_MAX: Final = 40
_ALL_MAX: Final = _PAGE * _PAGES_MAX

Document = Mapping[str, Any]


async def odd_document(
    control: NodeControl,
    index_uid: IndexUid,
    node_ids: Sequence[NodeId],
    *,
    primary_key: str,
    count: int,
) -> str | None:
    """
    Return in words a document in which nodes differ; None: none was found.

    Args:
        control: For the nodes.
        index_uid: The index.
        node_ids: Who holds it; the first is read.
        primary_key: Of its documents.
        count: How many there are on each.

    Raises:
        NodeError: A node cannot be asked.
    """
    first, *others = node_ids
    for offset in _offsets(count):
        page = await _fetch(control, first, index_uid, {"offset": offset, "limit": _PAGE})
        ids = [document[primary_key] for document in page]
        for node_id in others:
            asked = {"ids": ids, "limit": max(len(ids), 1)}
            theirs = await _fetch(control, node_id, index_uid, asked)
            known = {str(document[primary_key]): document for document in theirs}
            for document in page:
                name = str(document[primary_key])
                if name not in known:
                    return f"document `{name}` is on {first} and not on {node_id}"
                if known[name] != document:
                    return f"document `{name}` differs between {first} and {node_id}"
    return None


def _offsets(count: int) -> range:
    """Where pages begin: one behind the other, or as many as may be, spread."""
    return range(0, count, _PAGE if count <= _ALL_MAX else -(-count // _PAGES_MAX))


async def _fetch(
    control: NodeControl, node_id: NodeId, index_uid: IndexUid, asked: Mapping[str, Any]
) -> list[Document]:
    path = f"/indexes/{quote(index_uid)}/documents/fetch"
    request = NodeRequest("POST", path, orjson.dumps(asked), "application/json")
    reply = await control.forward(node_id, request)
    try:
        results: list[Document] = orjson.loads(reply.body)["results"]
    except (orjson.JSONDecodeError, LookupError, TypeError) as error:
        raise NodeUnreachable(f"node {node_id}: an unexpected page of documents") from error
    return results
