"""
What a route is.

A handler gets a `Call` and returns a `Response`, or raises an `ApiError`. Handlers are
synchronous: `where` says which thread runs them. Rights are checked before the handler, by
`action`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from miroir.node.auth import Access
from miroir.node.http import Request, Response, answer
from miroir.node.index_uids import require_index_uid
from miroir.node.indexes import IndexRow, require_index
from miroir.node.instance import Node
from miroir.node.tasks.model import NewTask
from miroir.node.tasks.views import summary

Where: TypeAlias = Literal["loop", "search", "write"]


@dataclass(frozen=True)
class Call:
    """One request on its way through a route."""

    node: Node
    request: Request
    access: Access

    @property
    def index_uid(self) -> str:
        """Return the index in the path; raises `invalid_index_uid`."""
        return require_index_uid(self.request.arguments["index_uid"])

    def index(self) -> IndexRow:
        """Return the index in the path; raises `index_not_found`."""
        return require_index(self.node.store, self.index_uid)

    def enqueue(  # noqa: PLR0913  a task has that many parts; all are named
        self,
        type_: str,
        *,
        index_uid: str | None,
        details: dict[str, Any] | None,
        request: dict[str, Any],
        payload: bytes | None = None,
        metadata: str | None = None,
        status: int = 202,
    ) -> Response:
        """Register a task and return the answer that names it."""
        new = NewTask(type_, index_uid, details, request, payload, metadata)
        return answer(summary(self.node.queue.register(new)), status)


@dataclass(frozen=True)
class Route:
    """
    One route.

    Attributes:
        path: Segments; `{name}` matches one segment.
        action: The right it needs; None for none.
        where: `loop` for quick reads, `search` for what may wait for the engines, `write` for what
            may wait for the database.
    """

    method: str
    path: str
    action: str | None
    handler: Callable[[Call], Response]
    where: Where = "loop"
