"""The kinds of servers that the node client is tried on; `conftest.py` makes fixtures of them."""

import hashlib
import threading

import pytest
import uvicorn
from tests.support.node_process import (
    BINARY,
    KEY,
    embedded_node,
    embedded_node_is_usable,
    free_port,
    real_node,
)

BODY_BYTES_MAX = 8_000_000

REAL = pytest.param(
    "meilisearch",
    marks=[
        pytest.mark.meilisearch,
        pytest.mark.skipif(not BINARY, reason="MIROIR_MEILISEARCH_BIN names no binary"),
    ],
)


def started(kind, tmp_path_factory):
    """Yield the url of a running server of one kind, then stop it."""
    if kind == "uvicorn":
        yield from uvicorn_server()
        return
    if kind == "embedded" and not embedded_node_is_usable():
        pytest.skip("this tree has no `miroir node` command")
    start = embedded_node if kind == "embedded" else real_node
    options = () if kind == "embedded" else ("--http-payload-size-limit", f"{BODY_BYTES_MAX}B")
    with start(tmp_path_factory.mktemp(kind), *options) as running:
        yield running.url


def uvicorn_server():
    port = free_port()
    config = uvicorn.Config(app, port=port, log_level="error", lifespan="off", http="httptools")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


async def app(scope, receive, send):
    """Answer as much like Meilisearch as the transport's contract can tell."""
    path = scope["path"]
    headers = dict(scope["headers"])
    known = headers.get(b"authorization") == b"Bearer " + KEY.encode()
    if int(headers.get(b"content-length", 0)) > BODY_BYTES_MAX:
        await respond(send, 413, b'{"code":"payload_too_large"}')
        return
    digest = hashlib.sha256()
    while True:
        event = await receive()
        digest.update(event.get("body", b""))
        if not event.get("more_body"):
            break
    if path == "/health":
        await respond(send, 200, b'{"status":"available"}')
    elif not known:
        await respond(send, 403, b'{"code":"invalid_api_key"}')
    elif path.endswith("/documents"):
        await respond(send, 202, b'{"taskUid":0,"sha256":"%b"}' % digest.hexdigest().encode())
    else:
        await respond(send, 404, b'{"code":"index_not_found"}')


async def respond(send, status, body):
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
