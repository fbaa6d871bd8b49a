"""An application on its sockets: from the first connection to the end of the last request."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from miroir.api.http import Application
from miroir.config.model import LimitsConfig
from miroir.runtime.listener import Sweeper, make_server


@asynccontextmanager
async def listening(
    app: Application, sockets: Sequence[socket.socket], limits: LimitsConfig
) -> AsyncIterator[None]:
    """Serve meanwhile; at the end take nothing more, and wait for what is in work."""
    server = make_server(app, limits)
    async with asyncio.TaskGroup() as group:
        sweeping = group.create_task(Sweeper(server, limits).run())
        serving = group.create_task(server.serve(sockets=list(sockets)))
        try:
            yield
        finally:
            server.should_exit = True
            await serving
            sweeping.cancel()
