"""
One coded body, undone or made; the bomb stops at its limit.

As nodes have it: one gzip member and nothing behind it, deflate with its zlib header.
"""

import zlib
from typing import Final

from miroir.codings import brotli

_WINDOW_BITS: Final = {"gzip": 31, "deflate": 15}
_LEVEL: Final = 1  # Answers are made while somebody waits.


class CodingBroken(Exception):
    """The body is not what its coding says: damaged, cut off, or with something behind it."""


class CodingTooLarge(Exception):
    """There is more in it than may be."""


def known(coding: str) -> bool:
    """Whether a coding can be undone here."""
    return coding in _WINDOW_BITS or coding == "br"


def undone(body: bytes, coding: str, *, bytes_max: int) -> bytes:
    """
    Return what is in a coded body.

    Raises:
        CodingTooLarge: More than `bytes_max` bytes; no more than that and a little is ever held.
        CodingBroken: It cannot be read to its end.
    """
    assert known(coding)
    plain = _unbrotlied(body, bytes_max) if coding == "br" else _inflated(body, coding, bytes_max)
    if len(plain) > bytes_max:
        raise CodingTooLarge
    return plain


def _inflated(body: bytes, coding: str, bytes_max: int) -> bytes:
    machine = zlib.decompressobj(_WINDOW_BITS[coding])
    try:
        plain = machine.decompress(body, bytes_max + 1)
    except zlib.error:
        raise CodingBroken from None
    whole = machine.eof and not machine.unused_data
    if len(plain) <= bytes_max and not whole:
        raise CodingBroken
    return plain


def _unbrotlied(body: bytes, bytes_max: int) -> bytes:
    try:
        return brotli.decompress(body, bytes_max)
    except brotli.BrotliBroken:
        raise CodingBroken from None


def coded(body: bytes, coding: str) -> bytes:
    """Return a body in a coding that `chosen` has named."""
    if coding == "br":
        return brotli.compress(body)
    machine = zlib.compressobj(_LEVEL, wbits=_WINDOW_BITS[coding])
    return machine.compress(body) + machine.flush()
