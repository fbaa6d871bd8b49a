"""
How many replicas have a write when it is acknowledged, and what is said when some are missing.

Asked of the nodes themselves, at the moment of the acknowledgement.
"""

import json

import httpx
import pytest

from miroir.cli.layout import Shape
from tests.support.live_cluster import until

SHAPE = Shape(2, 3)
SETTINGS = {"writes": {"consistency": "one"}}
ROWS = [{"id": n} for n in range(30)]


def write(cluster, uid, rows, level=None, method="POST", path=""):
    """Send documents at a level; return the answer as it came."""
    headers = {"Authorization": f"Bearer {cluster.local.layout.master_key.reveal()}"}
    if level is not None:
        headers["X-Miroir-Write-Consistency"] = level
    with httpx.Client(base_url=cluster.local.url, trust_env=False, timeout=60) as client:
        return client.request(
            method, f"/indexes/{uid}/documents{path}", json=rows, headers=headers
        )


def takers(cluster, uid, task_uid):
    """Return which nodes have a part of a write, by its tag."""
    return {
        name
        for name in cluster.nodes
        for task in cluster.node_tasks(name, uid)
        if (task.get("customMetadata") or "").startswith(f"miroir:{task_uid}:")
    }


def slowed(cluster, ms):
    """Have one of three replicas take its time for the next write; return it."""
    name = cluster.column(0)[2]
    fault = {"fault": "latency", "method": "POST", "path": "/documents", "ms": ms, "times": 1}
    cluster.faults(name, fault)
    return name


def test_all_have_it_when_a_write_for_all_is_acknowledged(cluster, uid):
    """A slow node is waited for, where the client asks for it."""
    cluster.create(uid, ROWS)
    slow = slowed(cluster, ms=900)

    answer = write(cluster, uid, ROWS, "all")

    assert answer.status_code == 202
    assert takers(cluster, uid, answer.json()["taskUid"]) == set(cluster.nodes)
    assert cluster.matches(slow) == 1
    assert "x-miroir-degraded" not in answer.headers


def test_a_majority_does_not_wait_for_the_slowest(cluster, uid):
    """Two of three have it; the third is still thinking, and gets it later."""
    cluster.create(uid, ROWS)
    slow = slowed(cluster, ms=4000)

    answer = write(cluster, uid, ROWS, "majority")

    assert answer.status_code == 202
    task = answer.json()["taskUid"]
    have = takers(cluster, uid, task)
    assert slow not in have
    assert all(len(have.intersection(cluster.column(shard))) >= 2 for shard in (0, 1))
    until(lambda: slow in takers(cluster, uid, task), "the slow one has it, too")
    assert cluster.client.wait_task(task, timeout_s=20)["status"] == "succeeded"


def test_a_write_is_refused_whole_when_too_few_replicas_are_there(cluster, uid):
    """Half of what is left is no majority; and nothing of it may be found anywhere."""
    cluster.create(uid, ROWS)
    for name in cluster.column(0)[:2]:
        cluster.kill(name)
    before = {name: len(cluster.node_tasks(name)) for name in cluster.healthy()}
    newest = cluster.client.get("/tasks?limit=1")["results"][0]["uid"]

    for level in ("majority", "all"):
        refused = write(cluster, uid, [{"id": n, "more": 1} for n in range(30)], level)
        assert (refused.status_code, refused.json()["code"]) == (503, "miroir_too_few_replicas")
        assert int(refused.headers["retry-after"]) > 0
        by_id = write(cluster, uid, list(range(30)), level, path="/delete-batch")
        assert by_id.json()["code"] == "miroir_too_few_replicas"

    assert {name: len(cluster.node_tasks(name)) for name in cluster.healthy()} == before
    assert cluster.client.get("/tasks?limit=1")["results"][0]["uid"] == newest


def test_only_the_shards_concerned_have_to_be_complete(cluster, uid):
    """One broken corner must not stop every write there is."""
    cluster.create(uid, ROWS)
    cluster.kill(cluster.column(0)[0])
    held = cluster.documents(cluster.column(1)[1], uid)

    answer = write(cluster, uid, [{"id": n, "again": True} for n in held], "all")

    assert answer.status_code == 202
    assert answer.headers["x-miroir-degraded"] == "0=2/3", "which is true, and of another shard"
    assert (
        cluster.client.wait_task(answer.json()["taskUid"], timeout_s=20)["status"] == "succeeded"
    )


def test_what_is_degraded_is_said_until_it_is_no_more(cluster, uid):
    """An acknowledgement that hides a missing copy is trusted with data."""
    cluster.create(uid, ROWS)
    lost = cluster.column(1)[1]

    def degraded():
        answer = write(cluster, uid, ROWS)
        assert answer.status_code == 202
        return answer.headers.get("x-miroir-degraded")

    def health():
        return httpx.get(f"{cluster.local.url}/health", trust_env=False).headers

    assert degraded() is None
    assert "x-miroir-degraded" not in health()
    cluster.kill(lost)
    assert degraded() == "1=2/3"
    assert health()["x-miroir-degraded"] == "1=2/3"
    cluster.revive(lost)
    until(lambda: degraded() is None, "complete again, and said so")
    assert cluster.states(uid)[lost] == "synced"
    until(lambda: "x-miroir-degraded" not in health(), "health says so, too")


def test_a_read_is_whole_or_refused_and_never_degraded(cluster, uid):
    """Whoever searches gets every shard's hits or an error: there is nothing to warn of."""
    cluster.create(uid, ROWS)
    first, second, third = cluster.column(1)

    def searched():
        key = cluster.local.layout.master_key.reveal()
        return httpx.post(
            f"{cluster.local.url}/indexes/{uid}/search",
            json={"limit": 0},
            headers={"Authorization": f"Bearer {key}"},
            trust_env=False,
            timeout=60,
        )

    for lost in (first, second):
        cluster.kill(lost)
        answer = searched()
        assert (answer.status_code, answer.json()["estimatedTotalHits"]) == (200, len(ROWS))
        assert "x-miroir-degraded" not in answer.headers
    cluster.kill(third)
    assert searched().status_code == 503
    for lost in (first, second, third):
        cluster.revive(lost)
    until(lambda: searched().status_code == 200, "whole again")


@pytest.mark.parametrize("level", ["ALL", "Majority"])
def test_a_level_is_read_in_any_case(cluster, uid, level):
    """Headers are typed by hand."""
    cluster.create(uid)
    assert write(cluster, uid, ROWS, level).status_code == 202


@pytest.mark.parametrize("level", ["", "two", "quorum", "1"])
def test_a_level_that_there_is_not_is_refused(cluster, uid, level):
    """Taken for the default, it would promise what nobody keeps."""
    answer = write(cluster, uid, ROWS, level)

    assert answer.status_code == 400
    assert answer.json()["code"] == "miroir_invalid_write_consistency"
    assert json.dumps(level)[1:-1] in answer.json()["message"]
