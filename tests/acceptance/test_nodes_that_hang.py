"""
Nodes that neither answer nor refuse: stopped in their tracks, connections open.

What was asked of them is asked elsewhere as soon as they are found down, long before the time of
the search is over; afterwards nobody asks them any more.
"""

import threading

import httpx
import pytest

from miroir.cli.layout import Shape
from tests.support.live_cluster import until

SHAPE = Shape(2, 2)
SETTINGS = {
    "health": {"interval_s": 0.3, "timeout_s": 1},
    "limits": {"search_timeout_s": 25, "write_timeout_s": 25, "control_timeout_s": 3},
}
ROWS = [{"id": n, "name": f"boat {n}"} for n in range(40)]


def ask(cluster, method, path, body=None, **headers):
    key = cluster.local.layout.master_key.reveal()
    sent = {"Authorization": f"Bearer {key}", **headers}
    with httpx.Client(base_url=cluster.local.url, trust_env=False, timeout=60) as client:
        return client.request(method, path, json=body, headers=sent)


def unanswered(cluster, name):
    """Return how often a read got no answer from a node."""
    return sum(e["event"] == "node_unanswered" and e.get("node") == name for e in cluster.log())


def test_searches_go_on_when_a_node_stops(cluster, uid):
    """In flight when it stops: asked of its sibling. Afterwards: never asked of it again."""
    cluster.create(uid, ROWS)
    cluster.local.nodes["n0"].pause()

    while "n0" in cluster.healthy():
        answer = ask(cluster, "POST", f"/indexes/{uid}/search", {"q": "boat", "limit": 50})
        assert answer.status_code == 200, "with its own timeout it would have had no time left"
        assert len(answer.json()["hits"]) == len(ROWS)
    found = unanswered(cluster, "n0")
    for _ in range(50):
        assert ask(cluster, "POST", f"/indexes/{uid}/search", {}).status_code == 200

    assert unanswered(cluster, "n0") == found, "a dead node costs nothing after it was found"
    cluster.local.nodes["n0"].resume()
    until(lambda: "n0" in cluster.healthy(), "it is back")


def test_writes_go_on_when_a_node_stops_and_nothing_of_them_is_lost(cluster, uid):
    """A write in flight does not wait for it longer than until it is found down."""
    cluster.create(uid, ROWS)
    cluster.local.nodes["n0"].pause()

    for turn in range(5):
        rows = [{"id": n, "turn": turn} for n in range(40)]
        answer = ask(cluster, "POST", f"/indexes/{uid}/documents", rows)
        assert answer.status_code == 202
        assert (
            cluster.client.wait_task(answer.json()["taskUid"], timeout_s=20)["status"]
            == "succeeded"
        )

    assert cluster.states(uid)["n0"] != "synced"
    cluster.local.nodes["n0"].resume()
    until(lambda: set(cluster.states(uid).values()) == {"synced"}, "every replica complete")
    held = [cluster.documents(name, uid) for name in cluster.column(0)]
    assert held[0] == held[1]
    assert {row["turn"] for row in held[0].values()} == {4}


SLOW = {"fault": "latency", "method": "POST", "path": "/search$", "ms": 3000}


def test_a_client_that_is_in_a_hurry_is_told_in_time(cluster, uid):
    """Its time is the nodes' time, with every retry; and no node is blamed for it."""
    cluster.create(uid, ROWS)
    for name in cluster.nodes:
        cluster.faults(name, SLOW)
    before = unanswered(cluster, "n0")

    answer = ask(cluster, "POST", f"/indexes/{uid}/search", {}, **{"X-Miroir-Timeout-Ms": "300"})

    assert (answer.status_code, answer.json()["code"]) == (504, "miroir_timeout")
    assert cluster.healthy() == set(cluster.nodes)
    patient = ask(
        cluster, "POST", f"/indexes/{uid}/search", {}, **{"X-Miroir-Timeout-Ms": "20000"}
    )
    assert patient.status_code == 200
    assert unanswered(cluster, "n0") <= before + 1


@pytest.mark.parametrize("text", ["0", "-1", "soon", "1.5", ""])
def test_a_time_that_is_none_is_refused(cluster, uid, text):
    """Ignored, it would be a promise broken."""
    cluster.create(uid)

    answer = ask(cluster, "POST", f"/indexes/{uid}/search", {}, **{"X-Miroir-Timeout-Ms": text})

    assert (answer.status_code, answer.json()["code"]) == (400, "miroir_invalid_timeout")
    log = cluster.local.miroir.command.log.read_text()
    assert "never awaited" not in log, "the search was begun all the same"


def cancelled(cluster):
    return sum(
        cluster.metric("miroir_node_requests_total", node=name, outcome="cancelled") or 0
        for name in cluster.nodes
    )


def test_a_client_that_goes_away_takes_its_search_along(cluster, uid):
    """Nodes must not work for somebody who is gone; a reload storm is made of that."""
    cluster.create(uid, ROWS)
    for name in cluster.nodes:
        cluster.faults(name, SLOW)
    before = cancelled(cluster)

    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{cluster.local.url}/indexes/{uid}/search",
            json={},
            headers={"Authorization": f"Bearer {cluster.local.layout.master_key.reveal()}"},
            timeout=0.6,
            trust_env=False,
        )

    until(lambda: cancelled(cluster) >= before + 2, "given up on one node of each shard")


def test_reads_and_writes_of_many_clients_survive_a_node_that_stops(cluster, uid):
    """Not one at a time: while it is found down, whoever waits for it waits together."""
    cluster.create(uid, ROWS)
    answers, over = [], threading.Event()

    def search():
        while not over.is_set():
            answers.append(ask(cluster, "POST", f"/indexes/{uid}/search", {"limit": 50}))

    threads = [threading.Thread(target=search) for _ in range(6)]
    for thread in threads:
        thread.start()
    until(lambda: len(answers) > 30, "all of them search")
    cluster.local.nodes["n3"].pause()
    until(lambda: "n3" not in cluster.healthy(), "found down")
    found = len(answers)
    until(lambda: len(answers) > found + 60, "and they go on")
    over.set()
    for thread in threads:
        thread.join()

    assert {answer.status_code for answer in answers} == {200}
    assert {len(answer.json()["hits"]) for answer in answers} == {len(ROWS)}
