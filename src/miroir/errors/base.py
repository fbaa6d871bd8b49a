"""
Every error Miroir raises on purpose, and nothing else.

    MiroirError
    ├── RequestRefused      the caller's fault; 4xx, never retried; nothing was changed
    ├── Unavailable         nobody's fault; 503, the same request may succeed later
    ├── NodeError           what one node did wrong; services turn it into an event
    │   ├── NodeUnreachable     no answer, may have acted
    │   ├── NodeAnswerUnreadable  an answer to another question
    │   └── NodeRefused         answered no, did nothing
    ├── ConfigError         the operator's file or environment; names file, key and remedy
    └── LeaseLost           another holder has taken over; stop, send nothing more

A broken invariant is no member of this tree: it is an `assert`, and it ends the task. Codes that
Meilisearch has are spelt as Meilisearch spells them; ours begin with `miroir_`.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

_MEILISEARCH_LINK: Final = "https://docs.meilisearch.com/errors#"
_MIROIR_LINK: Final = "docs/reference/errors.md#"


class MiroirError(Exception):
    """
    Base of the tree.

    Attributes:
        code: Goes into the response body.
        http_status: Goes onto the response's first line.
        error_type: Meilisearch's `type`: invalid_request, auth, system or internal.
    """

    code: str = "internal"
    http_status: ClassVar[int] = 500
    error_type: ClassVar[str] = "internal"

    @property
    def message(self) -> str:
        """The sentence for the client."""
        return str(self)

    def body(self) -> dict[str, Any]:
        """Return Meilisearch's error object."""
        link = _MIROIR_LINK if self.code.startswith("miroir_") else _MEILISEARCH_LINK
        return {
            "message": self.message,
            "code": self.code,
            "type": self.error_type,
            "link": link + self.code,
        }


class RequestRefused(MiroirError):
    """The request cannot be carried out as it is."""

    code = "bad_request"
    http_status = 400
    error_type = "invalid_request"


class Unavailable(MiroirError):
    """
    The cluster cannot answer just now.

    Attributes:
        retry_after_s: Goes into `Retry-After`.
    """

    code = "miroir_unavailable"
    http_status = 503
    error_type = "system"
    retry_after_s: ClassVar[int] = 1


class NodeError(MiroirError):
    """One node failed one call. Reaches a client only in a wrapped form."""

    code = "miroir_node_error"
    http_status = 502
    error_type = "system"


class NodeUnreachable(NodeError):
    """No usable answer before the deadline; the node may or may not have acted."""

    code = "miroir_node_unreachable"


class NodeAnswerUnreadable(NodeError):
    """
    The node answered 200 with something that is no answer to what it was asked.

    Attributes:
        position: Whose answer: its place among the answers given to be merged.
    """

    code = "miroir_node_answer_unreadable"

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


class NodeRefused(NodeError):
    """
    The node answered, and the answer was no; it did not act.

    Attributes:
        status: The node's HTTP status.
        error: The node's error object, as it sent it.
    """

    code = "miroir_node_refused"

    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        super().__init__(str(error.get("message", f"status {status}")))
        self.status = status
        self.error = dict(error)


class ConfigError(MiroirError):
    """The configuration cannot be used; the message names file, key and remedy."""

    code = "miroir_config"


class LeaseLost(MiroirError):
    """A newer epoch is in the store: this process is no longer the holder."""

    code = "miroir_lease_lost"
    http_status = 503
    error_type = "system"
