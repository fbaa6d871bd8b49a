"""
Errors of the engine. Both kinds are `ApiError`; the difference is who says them in Meilisearch.

What can be refused by reading the request alone (the syntax of a filter) is a plain `ApiError`.
What the index refuses when it is asked (an attribute that is not filterable) is an
`EvaluationError`: Meilisearch puts ``Index `uid`: `` before its message, which only the server
knows how to do.
"""

from miroir.node.errors import ApiError


class EvaluationError(ApiError):
    """The index refused; the server adds the index's name to the message."""
