"""The ASGI application of a reader: searches are answered here, all else by the main process."""

from collections.abc import Sequence

from miroir.api.app import App
from miroir.api.forward import Forward
from miroir.api.http import Receive, Scope, Send
from miroir.api.router import Route, Router


class ReaderApp:
    """
    Answers, or passes on.

    Args:
        routes: Those of `app`.
        forward: For all others, unknown ones among them.
    """

    def __init__(self, app: App, routes: Sequence[Route], forward: Forward) -> None:
        self._app = app
        self._router = Router(routes)
        self._forward = forward

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3, http only)."""
        if scope["type"] != "http":
            return
        if self._router.has(scope["method"], scope["raw_path"].decode("latin-1")):
            await self._app(scope, receive, send)
        else:
            await self._forward(scope, receive, send)
