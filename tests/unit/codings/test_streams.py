"""Coded bodies: undone whole or not at all, and never into more memory than is allowed."""

import gzip
import zlib

import pytest

from miroir.codings import CodingBroken, CodingTooLarge, coded, known, undone

BODY = b'[{"id": 1, "name": "boat"}]' * 50
CODINGS = ("gzip", "deflate", "br")


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("body", [b"", b"x", BODY, bytes(range(256)) * 5000])
def test_what_was_coded_comes_back(coding, body):
    """A byte that gets lost here is a document that nobody sent."""
    assert undone(coded(body, coding), coding, bytes_max=len(body)) == body


def test_the_codings_are_those_of_other_programs():
    """What only we can read is no gzip."""
    assert gzip.decompress(coded(BODY, "gzip")) == BODY
    assert zlib.decompress(coded(BODY, "deflate")) == BODY
    assert undone(gzip.compress(BODY), "gzip", bytes_max=10_000) == BODY
    assert undone(zlib.compress(BODY), "deflate", bytes_max=10_000) == BODY


@pytest.mark.parametrize("coding", CODINGS)
def test_a_bomb_stops_at_its_limit(coding):
    """A kilobyte may hold a gigabyte, and it must not be laid out to find that out."""
    bomb = coded(bytes(50_000_000), coding)
    assert len(bomb) < 400_000

    with pytest.raises(CodingTooLarge):
        undone(bomb, coding, bytes_max=1_000_000)
    with pytest.raises(CodingTooLarge):
        undone(coded(BODY, coding), coding, bytes_max=len(BODY) - 1)


@pytest.mark.parametrize("coding", CODINGS)
def test_what_is_damaged_is_refused(coding):
    """Half a payload that is taken for a whole one is a lost half."""
    whole = coded(BODY, coding)

    for wrong in (b"garbage here", whole[:-1], whole[:20], whole + b"more", b"", whole[1:]):
        with pytest.raises(CodingBroken):
            undone(wrong, coding, bytes_max=10_000)


def test_a_wrong_checksum_is_refused():
    """It is there to be looked at."""
    with pytest.raises(CodingBroken):
        undone(gzip.compress(BODY)[:-8] + b"12345678", "gzip", bytes_max=10_000)


def test_what_nodes_do_not_take_is_not_taken():
    """A payload goes through Miroir exactly if it goes into a node."""
    member = gzip.compress(BODY)
    bare = zlib.compressobj(wbits=-15)
    for wrong, coding in (
        (member + member, "gzip"),
        (bare.compress(BODY) + bare.flush(), "deflate"),
    ):
        with pytest.raises(CodingBroken):
            undone(wrong, coding, bytes_max=10_000)
    assert not known("zstd")
