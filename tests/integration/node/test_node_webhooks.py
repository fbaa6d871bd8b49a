"""A webhook is told what became of tasks."""

import gzip
import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

Notice = tuple[dict[str, str], list[dict[str, Any]]]


@pytest.fixture
def receiver() -> Iterator[tuple[str, "queue.Queue[Notice]"]]:
    """A server that keeps the notices it gets, and its address."""
    notices: queue.Queue[Notice] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            lines = gzip.decompress(body).splitlines()
            notices.put((dict(self.headers), [json.loads(line) for line in lines]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", notices
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_webhook_is_told_of_every_task_that_ends(start, receiver):
    """Pipelines wait for these notices instead of polling; the form is that of Meilisearch."""
    url, notices = receiver
    with start() as node:
        headers = {"Authorization": "Bearer secret-of-the-receiver", "X-Own": "1"}
        made = node.ask("POST", "/webhooks", {"url": url, "headers": headers})
        assert made.json()["headers"]["Authorization"] == "Bearer sec" + "XXXXX..."
        task = node.ended(node.ask("POST", "/indexes", {"uid": "a"}).json()["taskUid"])
        sent, told = notices.get(timeout=30)
        assert told == [task]
        assert sent["Content-Encoding"] == "gzip"
        assert sent["Content-Type"] == "application/x-ndjson"
        assert (sent["Authorization"], sent["X-Own"]) == ("Bearer secret-of-the-receiver", "1")


def test_a_webhook_that_nobody_answers_holds_up_nothing(start):
    """A dead receiver may cost its notices, never the queue."""
    with start() as node:
        node.ask("POST", "/webhooks", {"url": "http://127.0.0.1:1/nobody"})
        for _ in range(3):
            task = node.ended(node.ask("POST", "/indexes", {"uid": "a"}).json()["taskUid"])
            assert task["status"] in {"succeeded", "failed"}
