"""
Posts to any URL: one connection, one request, one status line.

For webhooks, which are few and slow; nodes have a client of their own. No redirect is followed, no
proxy is used, and of the answer only the status is read.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from miroir import __version__

_HEAD_BYTES_MAX: Final = 64 * 1024
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True)
class ReceiversHttp:
    """
    Implements `Receivers`.

    Attributes:
        timeout_s: For the whole call, connecting included.
    """

    timeout_s: float = 30.0

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> str | None:
        """See `Receivers.post`."""
        try:
            async with asyncio.timeout(self.timeout_s):
                status = await _status(urlsplit(url), headers, body)
        except TimeoutError:
            return f"no answer within {self.timeout_s:g} s"
        except asyncio.IncompleteReadError:
            return "the connection was closed without an answer"
        except (OSError, ValueError, asyncio.LimitOverrunError) as error:
            return f"not reached ({type(error).__name__})"
        return None if 200 <= status < 300 else f"answered with status {status}"


async def _status(url: SplitResult, headers: Mapping[str, str], body: bytes) -> int:
    if url.scheme not in _PORTS or not url.hostname:
        raise ValueError("neither http nor https")
    host = url.hostname.encode("idna").decode() if ":" not in url.hostname else url.hostname
    reader, writer = await asyncio.open_connection(
        host,
        url.port or _PORTS[url.scheme],
        ssl=ssl.create_default_context() if url.scheme == "https" else None,
        limit=_HEAD_BYTES_MAX,
    )
    try:
        writer.write(_head(url, host, headers, len(body)) + body)
        await writer.drain()
        status = 100
        while status < 200:  # Interim answers come before the one that counts.
            line = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n", 1)[0].split(b" ")
            if len(line) < 2 or not line[0].startswith(b"HTTP/1."):
                raise ValueError("no HTTP")
            status = int(line[1])
        return status
    finally:
        writer.close()


def _head(url: SplitResult, host: str, headers: Mapping[str, str], length: int) -> bytes:
    shown = f"[{host}]" if ":" in host else host
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    fields = {
        "Host": shown if url.port is None else f"{shown}:{url.port}",
        "User-Agent": f"Miroir/{__version__}",
        "Connection": "close",
        **headers,
        "Content-Length": str(length),
    }
    lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    text = "\r\n".join((*lines, "", ""))
    # What registration lets through cannot hold a line break; a URL of the configuration might.
    if text.count("\r\n") != len(lines) + 1 or "\n" in text.replace("\r\n", "") or " " in target:
        raise ValueError("not a request")
    return text.encode("latin-1")
