"""
Cross-origin requests, as a node allows them: any page may ask, with a key of its own.

The admin side is not opened to pages: without an admin key any page in a browser on the same
machine could read it.
"""

from typing import Final

from msgspec.structs import replace

from miroir.api.http import Reply, Request

_METHODS: Final = "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS"
_MAX_AGE_S: Final = 86_400
_EXPOSED: Final = (
    "ETag, X-Miroir-Settings-Version, X-Miroir-Settings-Inconsistent, X-Miroir-Degraded, "
    "Retry-After"
)


def preflight(request: Request) -> Reply | None:
    """Return the answer to a browser that asks whether it may ask; None for any other request."""
    if request.method != "OPTIONS" or not _is_from_a_page(request):
        return None
    if request.header("access-control-request-method") is None:
        return None
    headers = {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Max-Age": str(_MAX_AGE_S),
    }
    wanted = request.header("access-control-request-headers")
    if wanted is not None:
        headers["Access-Control-Allow-Headers"] = wanted
    return Reply(200, headers=headers)


def allowed(request: Request, reply: Reply) -> Reply:
    """Return the reply as a page of another origin may read it."""
    if not _is_from_a_page(request):
        return reply
    ours = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": _EXPOSED}
    return replace(reply, headers={**reply.headers, **ours})


def _is_from_a_page(request: Request) -> bool:
    return request.header("origin") is not None and not request.path.startswith("/_miroir")
