"""
Messages over a pair of sockets, between the main process and one reader.

Each is four bytes of length, then MessagePack. What comes is handed on in order, as it comes; the
end of the other side is told once. Nothing here knows what a message means.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, cast

import msgspec

_LENGTH_BYTES: Final = 4
Incoming = TypeVar("Incoming")


class ReaderLink(asyncio.Protocol, Generic[Incoming]):
    """One end of the pair."""

    def __init__(
        self, kind: Any, on_message: Callable[[Incoming], None], on_lost: Callable[[], None]
    ) -> None:
        """
        Wait for the transport.

        Args:
            kind: The type of what comes: a union of messages.
            on_message: Called with each.
            on_lost: Called when nothing can come any more.
        """
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._encoder = msgspec.msgpack.Encoder()
        self._on_message = on_message
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._held = bytearray()

    def send(self, message: msgspec.Struct) -> None:
        """Send a message; nothing happens if the other side is gone."""
        if self._transport is None or self._transport.is_closing():
            return
        body = self._encoder.encode(message)
        self._transport.write(len(body).to_bytes(_LENGTH_BYTES) + body)

    def close(self) -> None:
        """Close; `on_lost` is called."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        held = self._held
        held += data
        while len(held) >= _LENGTH_BYTES:
            end = _LENGTH_BYTES + int.from_bytes(held[:_LENGTH_BYTES])
            if len(held) < end:
                return
            message = self._decoder.decode(bytes(held[_LENGTH_BYTES:end]))
            del held[:end]
            self._on_message(message)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - lost is lost
        """See asyncio."""
        self._on_lost()


async def linked(link: ReaderLink[Any], end: socket.socket) -> None:
    """Put a link over its end of the pair."""
    end.settimeout(0)
    await asyncio.get_running_loop().create_connection(lambda: link, sock=end)
