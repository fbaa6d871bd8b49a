"""
SIGTERM: what is in work is answered, nothing new is taken, nothing acknowledged is lost.

The process must end by itself, well before somebody kills it.
"""

import socket
import threading
from urllib.parse import urlsplit

import httpx

from miroir.cli.layout import Shape
from tests.support.live_cluster import until

SHAPE = Shape(2, 2)
SETTINGS = {"limits": {"shutdown_grace_s": 15}}


def client(cluster):
    key = cluster.local.layout.master_key.reveal()
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.Client(base_url=cluster.local.url, headers=headers, trust_env=False, timeout=60)


def stop(cluster):
    """Ask Miroir to stop, wait until it has, and return how it ended."""
    cluster.local.miroir.ask_to_stop()
    until(lambda: not cluster.local.miroir.running, "ended by itself")
    return cluster.local.miroir.ended


def test_every_acknowledged_document_is_there_after_a_stop_under_load(cluster, uid):
    """Deployments stop processes all day; 202 must mean the same on all of them."""
    cluster.create(uid)
    acknowledged, over = [], threading.Event()

    def write(number):
        with client(cluster) as http:
            for turn in range(100_000):
                if over.is_set():
                    return
                row = {"id": f"{number}-{turn}"}
                try:
                    answer = http.post(f"/indexes/{uid}/documents", json=[row])
                except httpx.HTTPError:
                    continue  # Nobody said yes.
                if answer.status_code == 202:
                    acknowledged.append(row["id"])

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(acknowledged) > 60, "writes are under way")
    how = stop(cluster)
    over.set()
    for thread in threads:
        thread.join()

    assert how == "ended with status 0", how
    cluster.start_miroir()
    until(lambda: not cluster.client.get("/tasks?statuses=enqueued,processing")["total"], "done")
    page = cluster.client.get(f"/indexes/{uid}/documents?limit=100000")
    assert set(acknowledged) <= {row["id"] for row in page["results"]}
    held = [[cluster.documents(name, uid) for name in cluster.column(shard)] for shard in (0, 1)]
    assert all(first == second for first, second in held)


def test_what_is_in_work_is_answered_and_nothing_new_is_taken(cluster, uid):
    """A search that is cut off looks like an outage to somebody."""
    cluster.create(uid, [{"id": n} for n in range(10)])
    for name in cluster.nodes:
        cluster.faults(
            name, {"fault": "latency", "method": "POST", "path": "/search$", "ms": 1500}
        )
    answers = []

    def search():
        with client(cluster) as http:
            answers.append(http.post(f"/indexes/{uid}/search", json={}))

    threads = [threading.Thread(target=search) for _ in range(5)]
    for thread in threads:
        thread.start()
    asked = len(threads) * SHAPE.shards
    until(lambda: sum(map(cluster.matches, cluster.nodes)) == asked, "all are in work")
    cluster.local.miroir.ask_to_stop()
    url = urlsplit(cluster.local.url)
    until(lambda: not takes_connections(url), "nobody new is let in")
    still_there = cluster.local.miroir.running
    for thread in threads:
        thread.join()
    until(lambda: not cluster.local.miroir.running, "ended by itself")

    assert still_there, "it stopped listening before it stopped working"
    assert [answer.status_code for answer in answers] == [200] * 5
    cluster.start_miroir()


def takes_connections(url):
    try:
        with socket.create_connection((url.hostname, url.port), timeout=2):
            return True
    except OSError:
        return False


def test_a_client_that_hangs_does_not_keep_it_alive(cluster, uid):
    """One half request, or an idle pool, must not hold up a deployment."""
    cluster.create(uid)
    url = urlsplit(cluster.local.url)
    half = socket.create_connection((url.hostname, url.port), timeout=20)
    idle = socket.create_connection((url.hostname, url.port), timeout=20)
    half.sendall(b"GET /health HTTP/1.1\r\nHost: ")

    how = stop(cluster)

    assert how == "ended with status 0", how
    half.close()
    idle.close()
    cluster.start_miroir()
