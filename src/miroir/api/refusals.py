"""Errors of the tree as replies, in Meilisearch's form."""

from miroir.api.http import Reply, reply_json
from miroir.errors import LeaseLost, MethodNotAllowed, MiroirError, NodeError, Unavailable
from miroir.services.registrar import RefusedByNode


def refusal(error: MiroirError) -> Reply:
    """Return what a client is told of an error; a node's own no goes through as it is."""
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
