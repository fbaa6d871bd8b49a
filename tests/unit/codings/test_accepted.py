"""Which coding an answer gets."""

import pytest

from miroir.codings import chosen

BEST = "br"


@pytest.mark.parametrize(
    ("accepts", "coding"),
    [
        ("gzip", "gzip"),
        ("GZip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate", "gzip"),
        ("gzip, deflate, br", BEST),
        ("br;q=0.1, gzip", "gzip"),
        ("gzip;q=0.2, deflate;q=0.9", "deflate"),
        ("identity, gzip;q=0.5", None),
        ("gzip;q=0", None),
        ("gzip;q=x", None),
        ("*", None),
        ("zstd", None),
        ("x-gzip", None),
        ("identity", None),
        ("", None),
    ],
)
def test_the_client_decides(accepts, coding):
    """A body in a coding that was not asked for cannot be read. Decided as nodes decide."""
    assert chosen(accepts) == coding
