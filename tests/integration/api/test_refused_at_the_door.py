"""
Requests refused at the door: keys, bodies that are too large, floors, routes.

What only Miroir can refuse; nothing is changed anywhere, and no secret comes back.
"""

import gzip
import json

import pytest
from tests.integration.api.asking import (
    INDEX,
    JSON,
    ask,
    assert_error,
    everything,
    key_of,
    send,
)
from tests.integration.api.conftest import BODY_BYTES_MAX

from miroir.api.public_system import UNSUPPORTED

GUARDED = [
    ("GET", "/indexes"),
    ("POST", "/indexes"),
    ("GET", INDEX),
    ("DELETE", INDEX),
    ("GET", f"{INDEX}/documents"),
    ("POST", f"{INDEX}/documents"),
    ("DELETE", f"{INDEX}/documents"),
    ("POST", f"{INDEX}/search"),
    ("GET", f"{INDEX}/settings"),
    ("PATCH", f"{INDEX}/settings"),
    ("PUT", f"{INDEX}/settings/stop-words"),
    ("GET", f"{INDEX}/stats"),
    ("GET", "/stats"),
    ("GET", "/tasks"),
    ("GET", "/version"),
    ("GET", "/_miroir/topology"),
]


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_nothing_is_done_without_a_key_or_with_a_wrong_one(cluster, method, path):
    """A wrong key must be told from a missing one, and neither may learn what exists."""
    before = everything(cluster)
    content, headers = (b"[]", JSON) if method in {"POST", "PUT", "PATCH"} else (None, None)

    missing = send(cluster.local.url, None, method, path, content=content, headers=headers)
    wrong = send(cluster.local.url, "wrong", method, path, content=content, headers=headers)
    basic = {**(headers or {}), "Authorization": f"Basic {key_of(cluster)}"}
    other = send(cluster.local.url, None, method, path, content=content, headers=basic)

    assert_error(missing, 401, "missing_authorization_header")
    assert_error(wrong, 403, "invalid_api_key")
    assert_error(other, 401, "missing_authorization_header")
    assert missing.json()["type"] == wrong.json()["type"] == "auth"
    assert everything(cluster) == before


def test_health_needs_no_key(cluster):
    """Load balancers have none."""
    assert send(cluster.local.url, None, "GET", "/health").json() == {"status": "available"}


def pieces(size):
    yield b'[{"id": 8, "name": "'
    for _ in range(size // 1024):
        yield b"x" * 1024
    yield b'"}]'


@pytest.mark.parametrize("way", ["announced", "in pieces", "compressed"])
def test_a_body_that_is_too_large_is_refused(cluster, way):
    """The limit is on what must be held in memory, however the client sends it."""
    before = everything(cluster)
    whole = b"".join(pieces(BODY_BYTES_MAX + 1024))
    content, headers = {
        "announced": (whole, JSON),
        "in pieces": (pieces(BODY_BYTES_MAX + 1024), JSON),
        "compressed": (gzip.compress(whole), {**JSON, "Content-Encoding": "gzip"}),
    }[way]

    answer = ask(cluster, "POST", f"{INDEX}/documents", content=content, headers=headers)

    assert_error(answer, 413, "payload_too_large")
    assert "64 KiB" in answer.json()["message"]
    assert everything(cluster) == before


def test_a_body_of_the_largest_size_is_taken(cluster):
    """The limit itself is not beyond the limit."""
    head, tail = b'[{"id": 8, "name": "', b'"}]'
    body = head + b"x" * (BODY_BYTES_MAX - len(head) - len(tail)) + tail
    reply = cluster.client.request("POST", "/indexes/large/documents", body)
    assert cluster.ended(reply)["status"] == "succeeded"
    cluster.do("DELETE", "/indexes/large")


@pytest.mark.parametrize(
    ("content", "coding", "code"),
    [
        (b"no gzip at all", "gzip", "bad_request"),
        (gzip.compress(b"[]" * 99, mtime=0)[:-9], "gzip", "bad_request"),
        (gzip.compress(b"[]", mtime=0) + b"more", "gzip", "bad_request"),
        (b"no deflate", "deflate", "bad_request"),
        (b"\x28\xb5\x2f\xfd\x04\x00", "zstd", "malformed_payload"),
        (gzip.compress(b"[]", mtime=0), "gzip, gzip", "malformed_payload"),
    ],
)
def test_a_broken_content_coding_is_refused(cluster, content, coding, code):
    """What cannot be undone cannot be checked, and must not be passed on. Codes as of a node."""
    before = everything(cluster)
    headers = {**JSON, "Content-Encoding": coding}
    answer = ask(cluster, "POST", f"{INDEX}/documents", content=content, headers=headers)
    assert_error(answer, 400, code)
    assert everything(cluster) == before


@pytest.mark.parametrize(
    "floor", ["abc", "-1", "1.5", "", "movies", "movies=", "=3", "movies=x", "movies=1,", "٣"]
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", f"{INDEX}/search"), ("GET", f"{INDEX}/documents")]
)
def test_a_floor_that_is_no_number_is_refused(cluster, floor, method, path):
    """Ignoring it would answer a pinned client from any version."""
    content = b"{}" if method == "POST" else None
    headers = {**JSON, "X-Miroir-Min-Settings-Version": floor.encode()}
    answer = ask(cluster, method, path, content=content, headers=headers)
    assert_error(answer, 400, "miroir_invalid_settings_version")


@pytest.mark.parametrize("path", ["/nope", "/indexes/movies/nope", "/_miroir/nope"])
def test_an_unknown_route_is_not_found(cluster, path):
    """A typing error must not look like an empty answer."""
    assert_error(ask(cluster, "GET", path), 404, "miroir_route_not_found")


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/indexes"), ("POST", "/version"), ("PATCH", f"{INDEX}/search")]
)
def test_a_method_that_a_route_does_not_take_is_refused(cluster, method, path):
    """And the answer says which it takes."""
    answer = ask(cluster, method, path, content=b"{}", headers=JSON)
    assert_error(answer, 405, "miroir_method_not_allowed")


@pytest.mark.parametrize(("method", "path"), [(m, p) for m, p, _ in UNSUPPORTED])
def test_a_route_that_is_not_offered_says_so_by_name(cluster, method, path):
    """Never a wrong result: a clear no that names the route."""
    concrete = "/".join("x" if part.startswith("{") else part for part in path.split("/"))
    before = cluster.all_tasks()

    answer = ask(cluster, method, concrete, content=b"{}", headers=JSON)

    wrong = send(cluster.local.url, "wrong", method, concrete, content=b"{}", headers=JSON)

    assert_error(answer, 501, "miroir_route_not_supported")
    assert_error(wrong, 403, "invalid_api_key")
    assert f"`{method} {path}`" in answer.json()["message"]
    assert cluster.all_tasks() == before


def test_a_key_never_comes_back_in_an_error(cluster):
    """Errors are copied into tickets."""
    key = "a-secret-that-was-mistyped"
    answer = send(cluster.local.url, key, "GET", "/indexes")
    assert key not in answer.text + json.dumps(dict(answer.headers))
    assert key not in cluster.local.miroir.command.log.read_text()
