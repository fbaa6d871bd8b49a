"""
Brotli (RFC 7932) by the system's own library, where there is one: libbrotlidec and libbrotlienc.

The Python standard library has no Brotli. This binding is to the C interface that has not changed
since its version 1.0; decoding goes on in bounded steps, so that a small body cannot become a
large one before somebody looks. Nothing here knows HTTP.
"""

import ctypes
from ctypes import POINTER, byref, c_int, c_size_t, c_uint8, c_void_p
from typing import Final

_STEP_BYTES: Final = 256 * 1024
_ERROR, _DONE, _MORE_INPUT = 0, 1, 2  # BrotliDecoderResult; 3 is "more room for output"
_QUALITY: Final = 3
_WINDOW_BITS: Final = 22


class BrotliBroken(Exception):
    """The stream is damaged, cut off, or followed by something else."""


def _library(name: str) -> ctypes.CDLL | None:
    for file in (f"lib{name}.so.1", f"lib{name}.1.dylib", f"{name}.dll"):
        try:
            return ctypes.CDLL(file)
        except OSError:
            continue  # Not this system's way to call it, or not installed.
    return None


_decoder: Final = _library("brotlidec")
_encoder: Final = _library("brotlienc")
_bytes_at = POINTER(c_uint8)

if _decoder is not None:
    _decoder.BrotliDecoderCreateInstance.restype = c_void_p
    _decoder.BrotliDecoderCreateInstance.argtypes = [c_void_p, c_void_p, c_void_p]
    _decoder.BrotliDecoderDestroyInstance.restype = None
    _decoder.BrotliDecoderDestroyInstance.argtypes = [c_void_p]
    _decoder.BrotliDecoderDecompressStream.restype = c_int
    _decoder.BrotliDecoderDecompressStream.argtypes = [
        c_void_p, POINTER(c_size_t), POINTER(_bytes_at), POINTER(c_size_t), POINTER(_bytes_at),
        POINTER(c_size_t),
    ]  # fmt: skip
if _encoder is not None:
    _encoder.BrotliEncoderMaxCompressedSize.restype = c_size_t
    _encoder.BrotliEncoderMaxCompressedSize.argtypes = [c_size_t]
    _encoder.BrotliEncoderCompress.restype = c_int
    _encoder.BrotliEncoderCompress.argtypes = [
        c_int, c_int, c_int, c_size_t, ctypes.c_char_p, POINTER(c_size_t), _bytes_at,
    ]  # fmt: skip

DECODES: Final = _decoder is not None
ENCODES: Final = _encoder is not None


def decompress(body: bytes, bytes_max: int) -> bytes:
    """
    Return what a stream holds; of more than `bytes_max` bytes, only somewhat more than those.

    Raises:
        BrotliBroken: It is no whole stream, or not only one.
    """
    assert _decoder is not None, "ask DECODES first"
    state = _decoder.BrotliDecoderCreateInstance(None, None, None)
    try:
        return _streamed(_decoder, state, body, bytes_max)
    finally:
        _decoder.BrotliDecoderDestroyInstance(state)


def _streamed(decoder: ctypes.CDLL, state: int, body: bytes, bytes_max: int) -> bytes:
    source = (c_uint8 * len(body)).from_buffer_copy(body)
    room = (c_uint8 * _STEP_BYTES)()
    left, next_in = c_size_t(len(body)), ctypes.cast(source, _bytes_at)
    parts: list[bytes] = []
    size = 0
    while size <= bytes_max:
        free, next_out = c_size_t(_STEP_BYTES), ctypes.cast(room, _bytes_at)
        result = decoder.BrotliDecoderDecompressStream(
            state, byref(left), byref(next_in), byref(free), byref(next_out), None
        )
        parts.append(ctypes.string_at(room, _STEP_BYTES - free.value))
        size += len(parts[-1])
        if result == _DONE and not left.value:
            return b"".join(parts)
        if result in {_ERROR, _DONE, _MORE_INPUT}:
            raise BrotliBroken
    return b"".join(parts)


def compress(body: bytes) -> bytes:
    """Return the body as one stream."""
    assert _encoder is not None, "ask ENCODES first"
    size = c_size_t(_encoder.BrotliEncoderMaxCompressedSize(len(body)))
    room = (c_uint8 * size.value)()
    done = _encoder.BrotliEncoderCompress(
        _QUALITY, _WINDOW_BITS, 0, len(body), body, byref(size), room
    )
    assert done, "the room was as large as the library said"
    return ctypes.string_at(room, size.value)
