"""Bodies in a content coding, both ways, over real sockets."""

import gzip
import json
import zlib

import httpx
import pytest
from tests.integration.api.asking import INDEX, JSON, ask, assert_error, key_of

from miroir.codings import coded, undone

CODINGS = ("gzip", "deflate", "br")
MANY = "/indexes/coded"


@pytest.fixture(scope="module")
def loaded(cluster):
    """An index whose listing is large."""
    cluster.create("coded", [{"id": n, "name": f"boat number {n}" * 9} for n in range(200)])
    yield cluster
    cluster.do("DELETE", MANY)


def raw(cluster, path, accepts):
    """Return status, headers and the bytes as they came."""
    headers = {"Authorization": f"Bearer {key_of(cluster)}", "Accept-Encoding": accepts}
    with (
        httpx.Client(base_url=cluster.local.url, trust_env=False) as client,
        client.stream("GET", path, headers=headers) as answer,
    ):
        return answer.status_code, answer.headers, b"".join(answer.iter_raw())


@pytest.mark.parametrize("coding", CODINGS)
def test_a_coded_payload_is_stored_as_if_it_had_come_plain(loaded, coding):
    """SDKs compress by themselves; nobody looks afterwards whether it arrived."""
    document = {"id": 7000, "name": f"coded by {coding}", "big": 12345678901234567890}
    body = coded(json.dumps([document]).encode(), coding)
    headers = {**JSON, "Content-Encoding": coding.upper()}

    accepted = ask(loaded, "POST", f"{MANY}/documents", content=body, headers=headers)

    assert accepted.status_code == 202
    assert loaded.client.wait_task(accepted.json()["taskUid"], timeout_s=20)["error"] is None
    assert ask(loaded, "GET", f"{MANY}/documents/7000").json() == document
    loaded.do("DELETE", f"{MANY}/documents/7000")


@pytest.mark.parametrize("coding", CODINGS)
def test_a_coded_search_is_answered(cluster, coding):
    """Not only documents come coded."""
    body = coded(b'{"q": "boat"}', coding)
    headers = {**JSON, "Content-Encoding": coding}

    answer = ask(cluster, "POST", f"{INDEX}/search", content=body, headers=headers)

    assert [hit["id"] for hit in answer.json()["hits"]] == [1]


@pytest.mark.parametrize("coding", CODINGS)
def test_a_bomb_is_refused_before_it_is_laid_out(cluster, coding):
    """Forty kilobytes on the wire may be eight megabytes in memory."""
    bomb = coded(b'{"q": "' + b"x" * 8_000_000 + b'"}', coding)
    assert len(bomb) < 64_000
    headers = {**JSON, "Content-Encoding": coding}

    answer = ask(cluster, "POST", f"{INDEX}/search", content=bomb, headers=headers)

    assert_error(answer, 413, "payload_too_large")


@pytest.mark.parametrize(
    ("accepts", "coding"),
    [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate", "gzip"),
        ("gzip, deflate, br", "br"),
        ("identity", None),
        ("gzip;q=0", None),
        ("zstd", None),
    ],
)
def test_large_answers_are_coded_for_clients_that_ask(loaded, accepts, coding):
    """What they cannot read they have not asked for; caches must keep the two apart."""
    path = f"{MANY}/documents?limit=200"
    _, _, plain = raw(loaded, path, "identity")

    status, headers, body = raw(loaded, path, accepts)

    assert (status, headers.get("content-encoding")) == (200, coding)
    assert headers["vary"] == "Accept-Encoding"
    assert int(headers["content-length"]) == len(body)
    if coding is None:
        assert body == plain
    else:
        assert len(body) < len(plain) / 4
        assert undone(body, coding, bytes_max=len(plain)) == plain
    if coding in {"gzip", "deflate"}:
        readers = {"gzip": gzip.decompress, "deflate": zlib.decompress}
        assert readers[coding](body) == plain


def test_small_answers_are_left_as_they_are(cluster):
    """The coding of a hundred bytes costs more than it spares."""
    _, headers, body = raw(cluster, "/health", "gzip, br")

    assert "content-encoding" not in headers
    assert body == b'{"status":"available"}'
