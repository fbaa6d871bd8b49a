"""Brotli, in bounded steps."""

import pytest

from miroir.codings import brotli


def test_a_stream_of_the_standard_is_read():
    """A stored block, as RFC 7932 has it: not made by what is tested."""
    stream = bytes.fromhex("0b058068656c6c6f20776f726c6403")

    assert brotli.decompress(stream, 100) == b"hello world"


def test_no_more_is_laid_out_than_a_step_beyond_the_limit():
    """The caller sees that it was too much; memory does not."""
    bomb = brotli.compress(bytes(20_000_000))

    assert 1000 < len(brotli.decompress(bomb, 1000)) < 1_000_000


def test_a_cut_stream_is_broken():
    """It waits for more, and no more comes."""
    with pytest.raises(brotli.BrotliBroken):
        brotli.decompress(bytes.fromhex("0b058068656c6c6f"), 100)


def test_what_follows_a_stream_breaks_it():
    """One body is one stream; what else was sent is not read as if it had not been."""
    with pytest.raises(brotli.BrotliBroken):
        brotli.decompress(bytes.fromhex("0b058068656c6c6f20776f726c6403") + b"more", 100)


def test_a_stream_that_was_made_here_is_read_whole():
    """Over more than one step."""
    body = bytes(range(256)) * 4000
    assert brotli.decompress(brotli.compress(body), len(body)) == body
    assert brotli.decompress(brotli.compress(b""), 10) == b""
