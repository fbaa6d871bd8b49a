"""
Content and transfer codings of answers: undone here, for servers that insist on them.

Pure. We ask for none; a proxy in front of a node may send one all the same. Decoded bodies keep
the limit of undecoded ones. Source: RFC 9110 section 8.4, RFC 9112 section 7.
"""

import zlib
from collections.abc import Iterable

from miroir.codings import CodingBroken, CodingTooLarge, undone

_ANY_HEADER = 47
"""zlib's window size that takes gzip and zlib headers alike."""
_NO_HEADER = -15
"""zlib's window size for bare deflate streams, which some servers call `deflate`."""

Fields = Iterable[tuple[bytes, bytes]]


class AnswerBroken(Exception):
    """What the node sent cannot be read; the connection is of no further use."""


def decoded(
    fields: Fields, headers: dict[bytes, bytes], body: bytes, bytes_max: int
) -> tuple[dict[bytes, bytes], bytes]:
    """
    Return headers and body without codings.

    Headers that told of the codings or of the coded length are dropped if there was one. `fields`
    are the headers as they came, repeated ones included.

    Raises:
        AnswerBroken: Unknown coding, broken stream, or more than `bytes_max` bytes.
    """
    content = _codings(fields, b"content-encoding")
    transfer = [coding for coding in _codings(fields, b"transfer-encoding") if coding != "chunked"]
    applied = [coding for coding in content + transfer if coding != "identity"]
    if not applied or not body:
        return headers, body
    for coding in reversed(applied):
        if coding == "br":
            body = _unbrotlied(body, bytes_max)
        elif coding in {"gzip", "x-gzip", "deflate"}:
            body = _inflated(body, bytes_max)
        else:
            raise AnswerBroken(f"the answer has the coding {coding[:20]!r}, which we cannot undo")
    told = {b"content-encoding", b"content-length", b"transfer-encoding"}
    return {name: value for name, value in headers.items() if name not in told}, body


def _codings(fields: Fields, wanted: bytes) -> list[str]:
    values = [value.decode("latin-1") for name, value in fields if name.lower() == wanted]
    return [part.strip().lower() for part in ",".join(values).split(",") if part.strip()]


def _unbrotlied(body: bytes, bytes_max: int) -> bytes:
    try:
        return undone(body, "br", bytes_max=bytes_max)
    except CodingTooLarge:
        raise AnswerBroken(f"the answer is larger than {bytes_max} bytes") from None
    except CodingBroken:
        raise AnswerBroken("the compressed answer is damaged") from None


def _inflated(body: bytes, bytes_max: int) -> bytes:
    try:
        return _streams(body, _ANY_HEADER, bytes_max)
    except zlib.error:
        pass  # perhaps a deflate stream without its header: tried next
    try:
        return _streams(body, _NO_HEADER, bytes_max)
    except zlib.error:
        raise AnswerBroken("the compressed answer is damaged") from None


def _streams(body: bytes, window: int, bytes_max: int) -> bytes:
    """Inflate one stream, or several gzip members in a row."""
    parts: list[bytes] = []
    left = bytes_max
    while body:
        stream = zlib.decompressobj(window)
        parts.append(stream.decompress(body, left + 1))
        left -= len(parts[-1])
        if left < 0:
            raise AnswerBroken(f"the answer is larger than {bytes_max} bytes")
        if not stream.eof:
            raise AnswerBroken("the compressed answer is cut off")
        body = stream.unused_data
    return b"".join(parts)
