"""The ASGI application of a reader: searches are answered here, all else by the main process."""

from collections.abc import Callable, Sequence

from miroir.api.app import App
from miroir.api.forward import Forward, MainUnreachable
from miroir.api.http import Receive, Scope, Send, send_reply
from miroir.api.refusals import refusal
from miroir.api.router import Route, Router


class ReaderApp:
    """
    Answers, or passes on.

    Args:
        routes: Those of `app`.
        forward: For all others, unknown ones among them.
        vouched: Whether the main process has spoken lately: nobody else finds out what is changed
            behind its back, so what it said last must not be answered from for long.
    """

    def __init__(
        self, app: App, routes: Sequence[Route], forward: Forward, vouched: Callable[[], bool]
    ) -> None:
        self._app = app
        self._vouched = vouched
        self._router = Router(routes)
        self._forward = forward

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3, http only)."""
        if scope["type"] != "http":
            return
        if not self._router.has(scope["method"], scope["raw_path"].decode("latin-1")):
            await self._forward(scope, receive, send)
        elif self._vouched():
            await self._app(scope, receive, send)
        else:
            await send_reply(refusal(MainUnreachable("The main process is silent.")), send)
