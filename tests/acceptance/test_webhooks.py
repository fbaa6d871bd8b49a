"""
Webhooks: every task of Miroir's is told, once, as it ended; whatever fails in between.

The receiver is a server of the test's own. The nodes know of no webhook.
"""

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from miroir.cli.layout import Shape
from tests.support.live_cluster import until

SHAPE = Shape(2, 2)
TOKEN = "Bearer a-very-secret-token-of-mine"


class Receiver:
    """Takes notices; `answers` are the statuses of the next ones, then 200."""

    def __init__(self):
        self.requests = []
        self.answers = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = outer.answers.pop(0) if outer.answers else 200
                outer.requests.append((status, dict(self.headers), self.path, body))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_):
                """Be quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/told?here=1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    @property
    def told(self):
        """Every task of every request that was taken, in order."""
        return [
            json.loads(line)
            for status, _, _, body in self.requests
            if status == 200
            for line in gzip.decompress(body).splitlines()
        ]


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def hook(cluster, receiver):
    """A webhook to the receiver; deleted afterwards."""
    made = cluster.send(
        "POST", "/webhooks", {"url": receiver.url, "headers": {"Authorization": TOKEN}}
    )
    assert made.status == 201, made
    yield made.body
    cluster.send("DELETE", f"/webhooks/{made.body['uuid']}")


def told_of(receiver, uids):
    """Wait until these tasks were told; return how often each task was."""
    until(lambda: {t["uid"] for t in receiver.told} >= set(uids), f"{uids} told")
    counts = {}
    for task in receiver.told:
        counts[task["uid"]] = counts.get(task["uid"], 0) + 1
    return counts


def test_every_task_is_told_once_as_it_ended(cluster, uid, receiver, hook):
    """One write reaches four nodes; its client is told one thing, with Miroir's number."""
    write = [{"id": n} for n in range(20)]
    tasks = [
        cluster.do("POST", "/indexes", {"uid": uid, "primaryKey": "id"}),
        cluster.do("POST", f"/indexes/{uid}/documents?customMetadata=mine", write),
        cluster.do("PATCH", f"/indexes/{uid}/settings", {"stopWords": ["the"]}),
        cluster.ended(cluster.send("DELETE", "/indexes/nobody-knows-it")),
    ]

    counts = told_of(receiver, [task["uid"] for task in tasks])

    assert set(counts.values()) == {1}
    by_uid = {task["uid"]: task for task in receiver.told}
    assert [by_uid[task["uid"]] for task in tasks] == tasks
    _, headers, path, _ = receiver.requests[0]
    assert path == "/told?here=1"
    assert headers["Authorization"] == TOKEN
    assert headers["Content-Type"] == "application/x-ndjson"
    assert headers["Content-Encoding"] == "gzip"
    for name in cluster.nodes:
        assert cluster.on_node(name).get("/webhooks") == {"results": []}


def test_a_receiver_that_refuses_is_told_again_until_it_takes_it(cluster, uid, receiver, hook):
    """It was being deployed just then; tasks that end meanwhile come with the next try."""
    receiver.answers = [503, 500]
    first = cluster.do("POST", "/indexes", {"uid": uid, "primaryKey": "id"})
    second = cluster.do("POST", f"/indexes/{uid}/documents", [{"id": 1}])

    counts = told_of(receiver, [first["uid"], second["uid"]])

    assert set(counts.values()) == {1}
    assert [status for status, *_ in receiver.requests[:2]] == [503, 500]
    assert [task["uid"] for task in receiver.told] == sorted(counts)


def test_what_was_not_told_is_told_after_a_crash(cluster, uid, receiver, hook):
    """The task had ended, and the client relies on hearing of it."""
    receiver.answers = [503] * 1000
    task = cluster.do("POST", "/indexes", {"uid": uid, "primaryKey": "id"})
    until(lambda: receiver.requests, "a first try")
    cluster.kill_miroir()
    receiver.answers = []
    cluster.start_miroir()

    assert told_of(receiver, [task["uid"]])[task["uid"]] == 1


def test_no_secret_is_in_the_log_or_on_the_disk(cluster, uid, receiver, hook):
    """The token opens somebody else's door."""
    receiver.answers = [500]
    cluster.do("POST", "/indexes", {"uid": uid})
    until(lambda: len(receiver.requests) > 1, "told again")

    assert hook["headers"] == {"Authorization": "Bearer a-vXXXXX..."}
    assert cluster.client.get(f"/webhooks/{hook['uuid']}") == hook
    failed = [event for event in cluster.log() if event["event"] == "webhook_not_told"]
    assert failed
    assert "secret" not in json.dumps(failed)
    assert "told?here" not in json.dumps(cluster.log())
    data = cluster.local.layout.folder
    kept = b"".join(p.read_bytes() for p in data.rglob("miroir.db*"))
    assert kept
    assert b"a-very-secret" not in kept


def test_a_deleted_webhook_is_told_nothing_more(cluster, uid, receiver, hook):
    """Not even what it has missed so far."""
    receiver.answers = [500] * 1000
    cluster.do("POST", "/indexes", {"uid": uid, "primaryKey": "id"})
    until(lambda: receiver.requests, "a first try")
    assert cluster.send("DELETE", f"/webhooks/{hook['uuid']}").status == 204
    other = Receiver()
    made = cluster.send("POST", "/webhooks", {"url": other.url}).body
    before = len(receiver.requests)

    last = cluster.do("POST", f"/indexes/{uid}/documents", [{"id": 1}])

    assert list(told_of(other, [last["uid"]])) == [last["uid"]]
    assert len(receiver.requests) == before
    cluster.send("DELETE", f"/webhooks/{made['uuid']}")
    other.close()
