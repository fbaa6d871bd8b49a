"""
Clients that are slow, silent, greedy or too many, over real sockets, with small limits.

Each is told why, as far as it listens; the others do not notice.
"""

import json
import socket
import threading
from urllib.parse import urlsplit

import httpx
import pytest
from tests.support.live_cluster import live_cluster, until

from miroir.cli.layout import Shape

CONNECTIONS_MAX, REQUESTS_MAX = 24, 3
LIMITS = {
    "payload_bytes_max": 65536,
    "connections_max": CONNECTIONS_MAX,
    "requests_max": REQUESTS_MAX,
    "bodies_bytes_max": 150_000,
    "client_silence_s": 1,
    "keep_alive_s": 1,
}
LOADED = "/indexes/loaded"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """One node behind Miroir, with an index whose listing is larger than socket buffers."""
    with live_cluster(
        tmp_path_factory.mktemp("small") / "c", Shape(1, 1), {"limits": LIMITS}
    ) as c:
        c.create("loaded")
        for start in range(0, 160, 5):
            rows = [{"id": n, "text": "x" * 12_000} for n in range(start, start + 5)]
            c.do("POST", f"{LOADED}/documents", rows)
        yield c


def connect(cluster):
    url = urlsplit(cluster.local.url)
    return socket.create_connection((url.hostname, url.port), timeout=20)


def head(cluster, method, path, *more):
    key = cluster.local.layout.master_key.reveal()
    lines = [f"{method} {path} HTTP/1.1", "Host: miroir", f"Authorization: Bearer {key}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


def rest(connection):
    """Read until the other side closes; a reset is a close, too."""
    parts = []
    try:
        while piece := connection.recv(65536):
            parts.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def answered(raw):
    """Return status and body of an answer as it came."""
    top, _, body = raw.partition(b"\r\n\r\n")
    return int(top.split()[1]), json.loads(body)


def is_well(cluster):
    return httpx.get(f"{cluster.local.url}/health", trust_env=False, timeout=20).status_code == 200


@pytest.mark.parametrize(
    "start",
    [
        b"POST /indexes/loaded/search HT",
        b"GET /health HTTP/1.1\r\nHost: miroir\r\nX-Slow: ",
        b"GET /health HTTP/1.1\r\n",
        b"",
    ],
)
def test_headers_that_do_not_come_are_not_waited_for(small, start):
    """A thousand half requests would be a thousand connections, for as long as somebody likes."""
    with connect(small) as connection:
        connection.sendall(start)
        status, body = answered(rest(connection))

    assert (status, body["code"]) == (408, "miroir_request_timeout")
    assert is_well(small)


def test_a_body_that_trickles_is_not_waited_for(small):
    """A byte now and then is silence, too: it has to come with some speed."""
    request = head(small, "POST", f"{LOADED}/documents", "Content-Length: 60000",
                   "Content-Type: application/json")  # fmt: skip
    with connect(small) as connection:
        connection.sendall(request + b"[")
        closed = threading.Event()

        def drip():
            while not closed.wait(0.2):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        raw = rest(connection)
        closed.set()
        dripping.join()

    status, body = answered(raw)
    assert (status, body["code"]) == (408, "miroir_request_timeout")
    assert is_well(small)


def test_an_answer_that_is_not_read_is_not_kept(small):
    """It would stay in memory for as long as a client likes."""
    with connect(small) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asking = head(small, "GET", f"{LOADED}/documents?limit=160")
        connection.sendall(asking * 8)
        log = small.local.miroir.command.log
        until(lambda: '"unread": null' not in last_slow(log), "closed for it")
        until(lambda: is_reset(connection), "and gone")
    assert is_well(small)


def is_reset(connection):
    try:
        connection.sendall(b"\r\n")
    except OSError:
        return True
    return False


def last_slow(log):
    lines = [line for line in log.read_text().splitlines() if "client_too_slow" in line]
    return lines[-1] if lines else '"unread": null'


def test_a_resting_connection_is_closed_quietly(small):
    """Nothing is wrong with it; it is only in the way."""
    with connect(small) as connection:
        connection.sendall(head(small, "GET", "/health"))
        raw = rest(connection)

    assert raw.startswith(b"HTTP/1.1 200")
    assert raw.count(b"HTTP/1.1") == 1


def test_connections_beyond_the_maximum_are_told(small):
    """And are no trouble any more as soon as others have gone."""
    kept = [connect(small) for _ in range(CONNECTIONS_MAX)]
    try:
        with connect(small) as beyond:
            status, body = answered(rest(beyond))
        assert (status, body["code"]) == (503, "miroir_overloaded")
    finally:
        for connection in kept:
            connection.close()
    until(lambda: is_well(small), "there is room again")


def test_requests_beyond_the_maximum_are_told_to_come_again(small):
    """At once, not from a queue without an end; health is answered all the same."""
    small.faults("n0", {"fault": "latency", "method": "POST", "path": "/search$", "ms": 2500})
    key = small.local.layout.master_key.reveal()
    answers = []

    def search():
        answers.append(
            httpx.post(
                f"{small.local.url}{LOADED}/search",
                json={"limit": 1},
                headers={"Authorization": f"Bearer {key}"},
                trust_env=False,
                timeout=60,
            )
        )

    threads = [threading.Thread(target=search) for _ in range(REQUESTS_MAX * 3)]
    for thread in threads:
        thread.start()
    until(lambda: len(answers) >= REQUESTS_MAX * 2, "some are refused while others are in work")
    assert is_well(small)
    written = small.send("DELETE", f"{LOADED}/documents/9999")
    for thread in threads:
        thread.join()
    small.faults("n0")

    assert sorted({answer.status_code for answer in answers}) == [200, 503]
    for answer in answers:
        if answer.status_code == 503:
            assert answer.json()["code"] == "too_many_search_requests"
            assert int(answer.headers["retry-after"]) > 0
    assert (written.status, written.body["code"]) == (503, "miroir_overloaded")
    assert small.do("DELETE", f"{LOADED}/documents/9999")["status"] == "succeeded"


def test_bodies_beyond_what_memory_may_hold_are_told_to_come_again(small):
    """Many uploads at once must not add up to all the memory there is."""
    announced = ("Content-Length: 64000", "Content-Type: application/json")
    request = head(small, "POST", f"{LOADED}/documents", *announced)
    before = small.client.get("/tasks?limit=0")["total"]
    kept = [connect(small) for _ in range(4)]
    refused = []
    try:
        for connection in kept:
            connection.sendall(request + b"[" + b" " * 60_000)
        for connection in kept:
            refused.append(answered(rest(connection)))
    finally:
        for connection in kept:
            connection.close()

    codes = sorted(body["code"] for _, body in refused)
    assert codes[:2] == ["miroir_overloaded", "miroir_overloaded"]
    assert {"miroir_request_timeout", "miroir_overloaded"} == set(codes)
    assert small.client.get("/tasks?limit=0")["total"] == before
    assert is_well(small)


def test_an_endless_body_is_told_and_cut_off(small):
    """413 by its first bytes; what follows is thrown away, and not for ever."""
    request = head(small, "POST", f"{LOADED}/documents", "Transfer-Encoding: chunked",
                   "Content-Type: application/json")  # fmt: skip
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    sent = 0
    with connect(small) as connection:
        connection.sendall(request)
        try:
            while sent < 400_000_000:
                connection.sendall(chunk)
                sent += len(chunk)
        except OSError:
            pass
    assert 65536 < sent < 400_000_000, "it was cut off"

    key = small.local.layout.master_key.reveal()
    answer = httpx.post(
        f"{small.local.url}{LOADED}/documents",
        content=(b"x" * 8192 for _ in range(100)),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        trust_env=False,
        timeout=30,
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    assert "64 KiB" in answer.json()["message"]


def test_many_slow_clients_do_not_slow_down_others(small):
    """Slow lorises hold connections, not the loop and not the room for requests."""
    kept = []
    try:
        for _ in range(CONNECTIONS_MAX - 4):
            connection = connect(small)
            connection.sendall(b"POST /indexes/loaded/search HTTP/1.1\r\nHost: ")
            kept.append(connection)
        for _ in range(20):
            assert small.search("loaded", {"limit": 1}).status == 200
    finally:
        for connection in kept:
            connection.close()
