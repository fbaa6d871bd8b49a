"""Replicas that are to be adopted are compared by their documents, page by page."""

import asyncio
from typing import Any

import orjson
import pytest

from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeUnreachable
from miroir.ports.node import NodeReply, NodeRequest
from miroir.services.likeness import odd_document

A, B = NodeId("a"), NodeId("b")


class Shelves:
    """
    Nodes that hold lists of documents.

    Attributes:
        asked: Offsets of the pages that were read of the first.
    """

    def __init__(self, **held: list[dict[str, Any]]) -> None:
        self._held = held
        self.asked: list[int] = []

    async def forward(self, node_id: NodeId, request: NodeRequest) -> NodeReply:
        asked, documents = orjson.loads(request.body), self._held[node_id]
        if "ids" in asked:
            wanted = set(asked["ids"])
            found = [d for d in reversed(documents) if d["id"] in wanted][: asked["limit"]]
        else:
            self.asked.append(asked["offset"])
            found = documents[asked["offset"] :][: asked["limit"]]
        return NodeReply(200, {}, orjson.dumps({"results": found}))


def said(shelves: Any, count: int) -> str | None:
    work = odd_document(shelves, IndexUid("movies"), (A, B), primary_key="id", count=count)
    return asyncio.run(work)


def boats(count: int, **of_last: Any) -> list[dict[str, Any]]:
    documents: list[dict[str, Any]] = [{"id": n, "name": f"boat {n}"} for n in range(count)]
    documents[-1] |= of_last
    return documents


def test_the_order_in_which_nodes_hold_documents_says_nothing() -> None:
    """Each has taken them in its own order."""
    assert said(Shelves(a=boats(1200), b=list(reversed(boats(1200)))), 1200) is None


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (boats(1200, name="x"), "document `1199` differs between a and b"),
        ([*boats(1199), {"id": 5000}], "document `1199` is on a and not on b"),
    ],
)
def test_the_one_document_that_differs_is_named(theirs, words) -> None:
    """As many documents are not the same documents."""
    assert said(Shelves(a=boats(1200), b=theirs), 1200) == words


def test_of_very_many_documents_pages_are_taken_from_everywhere() -> None:
    """Reading all of them could take hours; the oldest and the newest parts are both looked at."""
    shelves = Shelves(a=boats(100_000), b=boats(100_000))
    assert said(shelves, 100_000) is None
    assert shelves.asked == [n * 2500 for n in range(40)]


def test_a_page_that_is_none_ends_it() -> None:
    """A node that answers something else is asked again later, and nothing is adopted."""

    class Broken:
        async def forward(self, _node_id: NodeId, _request: NodeRequest) -> NodeReply:
            return NodeReply(200, {}, b"[]")

    with pytest.raises(NodeUnreachable):
        said(Broken(), 3)
