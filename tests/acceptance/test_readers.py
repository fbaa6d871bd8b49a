"""
Several processes on one port: whoever answers, it is one Miroir.

Every request here opens a connection of its own, which the kernel gives to one of the processes;
enough of them reach each.
"""

import gzip
import http.client
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest

from miroir.cli.admin_client import NoAnswer
from miroir.cli.layout import Shape
from tests.support.live_cluster import until

SHAPE = Shape(2, 2)
SETTINGS = {"processes": 3}
ENOUGH = 15
CHANGES = 5


def ask(cluster, method, path, body=b"", timeout_s=30, **headers):
    """Send one request on a connection of its own; return status, headers and body."""
    miroir = cluster.local.miroir
    connection = http.client.HTTPConnection("127.0.0.1", miroir.port, timeout=timeout_s)
    key = cluster.local.layout.master_key.reveal()
    given = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, body, {k: v for k, v in given.items() if v})
        answer = connection.getresponse()
        seen = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, seen, answer.read()
    finally:
        connection.close()


def search(cluster, uid, **headers):
    return ask(cluster, "POST", f"/indexes/{uid}/search", b'{"q":"boat"}', **headers)


def readers(cluster):
    """Return the pids of the readers that run."""
    pid = cluster.local.miroir.pid
    return {int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def count(cluster, event):
    return sum(logged["event"] == event for logged in cluster.log())


@pytest.fixture
def all_there(cluster):
    """The cluster, when every process of it answers."""
    until(lambda: cluster.metric("miroir_processes") == 3, "three processes")
    return cluster


def test_no_answer_of_any_process_goes_back(all_there, uid):
    """A page that shows new results and then old ones again is what readers must not bring."""
    cluster = all_there
    cluster.create(uid, [{"id": n, "text": f"boat {n}"} for n in range(20)])
    before = cluster.metric("miroir_requests_total", route="/indexes/{uid}/search", status="200")
    over, answers = threading.Event(), []

    def read():
        while not over.is_set():
            asked_s = time.monotonic()
            status, headers, _ = search(cluster, uid)
            assert status == 200
            assert "x-miroir-settings-inconsistent" not in headers
            version = int(headers["x-miroir-settings-version"])
            answers.append((asked_s, time.monotonic(), version))

    with ThreadPoolExecutor(4) as pool:
        reading = [pool.submit(read) for _ in range(4)]
        for number in range(CHANGES):
            cluster.do("PATCH", f"/indexes/{uid}/settings", {"synonyms": {"a": [f"b{number}"]}})
            told = cluster.version(uid)
            assert int(search(cluster, uid)[1]["x-miroir-settings-version"]) == told
        over.set()
        for each in reading:
            each.result()

    for asked_s, _, version in answers:
        known = max((v for _, ended_s, v in answers if ended_s < asked_s), default=0)
        assert version >= known, "an answer that was given before this was asked for is newer"
    assert {v for _, _, v in answers} > {1, CHANGES}, "the searches ran while settings changed"
    total = len(answers) + CHANGES + (before or 0)
    until(
        lambda: (
            cluster.metric("miroir_requests_total", route="/indexes/{uid}/search", status="200")
            == total
        ),
        "every search counted, whoever answered it",
    )


def test_a_reader_that_hangs_is_replaced_and_changes_go_on(all_there, uid):
    """It may believe what is no longer true: nothing is changed before it is gone."""
    cluster = all_there
    cluster.create(uid, [{"id": 1}])
    before = readers(cluster)
    hung = min(before)
    os.kill(hung, signal.SIGSTOP)

    def changed():
        try:
            return cluster.do("PATCH", f"/indexes/{uid}/settings", {"synonyms": {"a": ["b"]}})
        except NoAnswer:
            return None  # The kernel had given this connection to the one that hangs.

    until(changed, "the change is through")
    assert hung not in readers(cluster)
    until(lambda: cluster.metric("miroir_processes") == 3, "another one in its place")
    for _ in range(ENOUGH):
        assert search(cluster, uid)[1]["x-miroir-settings-version"] == "2"


def test_while_the_main_process_is_silent_nobody_answers_for_long(all_there, uid):
    """Nobody looks for changes behind its back then; what readers know grows old."""
    cluster = all_there
    cluster.create(uid, [{"id": 1}])
    main = cluster.local.miroir
    main.pause()
    try:
        until(lambda: 503 in patient(cluster, uid), "a reader that refuses", patience_s=20)
        assert patient(cluster, uid) <= {503, None}
    finally:
        main.resume()
    until(lambda: patient(cluster, uid) == {200}, "searches again")


def patient(cluster, uid):
    """Return the statuses of some searches; None of those that the process that hangs has got."""
    found = set()
    for _ in range(4):
        try:
            found.add(ask(cluster, "POST", f"/indexes/{uid}/search", b"{}", timeout_s=0.5)[0])
        except TimeoutError:
            found.add(None)
    return found


def test_readers_end_with_the_main_process_and_its_next_start_waits_for_them(all_there, uid):
    """Nobody tells an orphan what is true, so it may not answer, and not share the port."""
    cluster = all_there
    cluster.create(uid, [{"id": 1}])
    orphans = readers(cluster)
    stopped = min(orphans)
    os.kill(stopped, signal.SIGSTOP)  # It cannot notice before it goes on.
    cluster.kill_miroir()
    threading.Timer(0.5, os.kill, (stopped, signal.SIGCONT)).start()
    cluster.start_miroir()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans), "no orphans")
    until(lambda: cluster.metric("miroir_processes") == 3, "three processes")
    assert search(cluster, uid)[0] == 200


REQUESTS = {
    "one index": ("GET", "/indexes/{uid}", b"", {}),
    "no such index": ("POST", "/indexes/nowhere/search", b"{}", {}),
    "no such route": ("GET", "/nowhere", b"", {}),
    "not this method": ("PUT", "/indexes/{uid}/search", b"{}", {}),
    "a wrong key": ("GET", "/indexes", b"", {"Authorization": "Bearer wrong"}),
    "a wrong key to search": ("POST", "/indexes/{uid}/search", b"", {"Authorization": "Bearer x"}),
    "no key": ("POST", "/indexes/{uid}/search", b"{}", {"Authorization": ""}),
    "not JSON": ("POST", "/indexes/{uid}/documents", b"{", {}),
    "no content type": ("POST", "/indexes/{uid}/documents", b"{}", {"Content-Type": ""}),
    "a broken coding": ("POST", "/indexes/{uid}/documents", b"{", {"Content-Encoding": "gzip"}),
    "documents": ("GET", "/indexes/{uid}/documents?limit=3&fields=id", b"", {}),
    "a page asks first": ("OPTIONS", "/indexes", b"", {"Origin": "http://a"}),
    "from a page": ("GET", "/indexes/{uid}/settings", b"", {"Origin": "http://a"}),
    "coded": ("GET", "/indexes/{uid}/documents?limit=900", b"", {"Accept-Encoding": "gzip"}),
    "searched, coded": (
        "POST",
        "/indexes/{uid}/search",
        b'{"limit":900}',
        {"Accept-Encoding": "gzip"},
    ),
    "nothing": ("DELETE", "/webhooks/00000000-0000-4000-8000-000000000000", b"", {}),
    "a task, not changed": ("GET", "/tasks/0", b"", {}),
    "head": ("HEAD", "/health", b"", {}),
}


def plain(answer):
    """Return an answer without what differs from one to the next anyway."""
    status, headers, body = answer
    headers = {k: v for k, v in headers.items() if k != "date"}
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
        del headers["content-length"]
    if body.startswith(b"{") and "processingTimeMs" in (said := orjson.loads(body)):
        body = orjson.dumps(said | {"processingTimeMs": 0, "requestUid": ""})
        headers.pop("content-length", None)
    return status, body, tuple(sorted(headers.items()))


def test_every_process_answers_alike(all_there, uid):
    """Which process the kernel chose is nothing that a client could find out."""
    cluster = all_there
    cluster.create(uid, [{"id": n, "text": "boat " * 20} for n in range(300)])
    for name, (method, path, body, headers) in REQUESTS.items():
        asked = (cluster, method, path.format(uid=uid), body)
        answers = {plain(ask(*asked, **headers)) for _ in range(ENOUGH)}
        assert len(answers) == 1, (name, answers)


def test_documents_go_in_through_every_process(all_there, uid):
    """A batch is taken whole by whoever gets it, coded or not."""
    cluster = all_there
    cluster.create(uid)
    tasks = []
    for n in range(ENOUGH):
        lines = b"\n".join(orjson.dumps({"id": n * 100 + i}) for i in range(100))
        status, _, said = ask(
            cluster,
            "POST",
            f"/indexes/{uid}/documents",
            gzip.compress(lines),
            Content_Type="application/x-ndjson",
            Content_Encoding="gzip",
        )
        assert status == 202, said
        tasks.append(orjson.loads(said)["taskUid"])
    for task in tasks:
        assert cluster.client.wait_task(task, timeout_s=30)["status"] == "succeeded"
    found = {search(cluster, uid)[0] for _ in range(ENOUGH)}
    assert found == {200}
    assert cluster.client.get(f"/indexes/{uid}/stats")["numberOfDocuments"] == ENOUGH * 100


def test_a_deleted_key_opens_nothing_at_any_process(all_there, uid):
    """Somebody who takes a key away wants it to be away."""
    cluster = all_there
    cluster.create(uid, [{"id": 1}])
    wanted = {"actions": ["search"], "indexes": ["*"], "expiresAt": None}
    key = cluster.client.request("POST", "/keys", wanted).ok()
    shown = f"Bearer {key['key']}"
    assert {search(cluster, uid, Authorization=shown)[0] for _ in range(ENOUGH)} == {200}
    assert ask(cluster, "DELETE", f"/keys/{key['uid']}")[0] == 204
    assert {search(cluster, uid, Authorization=shown)[0] for _ in range(ENOUGH)} == {403}


def test_a_node_that_a_reader_finds_down_is_down_for_all(all_there, uid):
    """Searches of every process go to its sibling, and none fails after that."""
    cluster = all_there
    cluster.create(uid, [{"id": n} for n in range(10)])
    cluster.local.nodes["n0"].kill()

    def found_down():
        assert search(cluster, uid)[0] == 200
        return "n0" not in cluster.healthy()

    until(found_down, "n0 found down")
    assert {search(cluster, uid)[0] for _ in range(ENOUGH)} == {200}


def test_a_stop_ends_what_is_in_work_at_every_process(all_there, uid):
    """A deployment must not cost anybody's search."""
    cluster = all_there
    cluster.create(uid, [{"id": n} for n in range(10)])
    slow = {"fault": "latency", "path": f"{uid}/search$", "ms": 1500}
    for name in cluster.nodes:
        cluster.faults(name, slow)
    with ThreadPoolExecutor(ENOUGH) as pool:
        asked = [pool.submit(search, cluster, uid) for _ in range(ENOUGH)]
        until(lambda: sum(cluster.matches(n) for n in cluster.nodes) >= ENOUGH * 2, "in work")
        cluster.local.miroir.stop(time.monotonic() + 20)
        assert {answer.result()[0] for answer in asked} == {200}
    assert cluster.local.miroir.ended == "ended with status 0"


def test_no_process_passes_on_what_a_node_quotes_of_a_secret(all_there, uid):
    """Readers are told the settings in force, and so what nobody may hear of them."""
    cluster, secret = all_there, "PLANTED-0123456789"
    cluster.create(uid)
    embedder = {"source": "openAi", "apiKey": secret, "model": "text-embedding-3-small"}
    cluster.do("PATCH", f"/indexes/{uid}/settings", {"embedders": {"small": embedder}})
    fault = {"fault": "status", "status": 400, "method": "POST", "path": "/search"}
    for name in cluster.nodes:
        cluster.faults(
            name, {**fault, "code": "vector_embedding_error", "message": f"no: {secret}"}
        )

    for _ in range(ENOUGH):
        status, _, body = search(cluster, uid)
        assert (status, orjson.loads(body)["message"]) == (400, "no: ***")
    assert secret not in cluster.local.miroir.command.log.read_text()
