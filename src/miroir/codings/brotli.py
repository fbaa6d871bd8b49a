"""
Brotli (RFC 7932): undone in bounded steps, so that a small body cannot become a large one unseen.

Nothing here knows HTTP. Reading and writing streams is the library's.
"""

from typing import Final

import brotli as library  # type: ignore[import-untyped]

_STEP_BYTES: Final = 256 * 1024
_QUALITY: Final = 3


class BrotliBroken(Exception):
    """The stream is damaged, cut off, or followed by something else."""


def decompress(body: bytes, bytes_max: int) -> bytes:
    """
    Return what a stream holds; of more than `bytes_max` bytes, only somewhat more than those.

    Raises:
        BrotliBroken: It is no whole stream, or not only one.
    """
    machine = library.Decompressor()
    parts: list[bytes] = []
    size, rest = 0, body
    try:
        while size <= bytes_max and not machine.is_finished():
            parts.append(machine.process(rest, output_buffer_limit=_STEP_BYTES))
            if not parts[-1] and not rest and not machine.is_finished():
                raise BrotliBroken  # It has taken in everything, and waits for more.
            size, rest = size + len(parts[-1]), b""
    except library.error:
        raise BrotliBroken from None
    return b"".join(parts)


def compress(body: bytes) -> bytes:
    """Return the body as one stream."""
    return bytes(library.compress(body, quality=_QUALITY))
