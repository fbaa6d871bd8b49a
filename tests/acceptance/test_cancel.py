"""
Tasks are cancelled and deleted through Miroir: the same end on every replica, and nothing else.

The nodes are held up by a task that stalls; what waits behind it can be cancelled.
"""

import pytest

from miroir.cli.layout import Shape
from tests.support.live_cluster import until

SHAPE = Shape(2, 2)
STALL = {"fault": "task_stall", "type": "documentAdditionOrUpdate"}


def rows(start, count=12):
    return [{"id": n, "name": f"name {n}"} for n in range(start, start + count)]


def add(cluster, uid, start):
    """Accept documents; return the task uid."""
    reply = cluster.send("POST", f"/indexes/{uid}/documents", rows(start))
    assert reply.status == 202, reply
    return reply.body["taskUid"]


def wait(cluster, uid):
    return cluster.client.wait_task(uid, timeout_s=30)


def ask(cluster, query):
    """Ask for a cancelation; return its uid."""
    reply = cluster.send("POST", f"/tasks/cancel?{query}")
    assert reply.status == 200, reply
    assert reply.body["type"] == "taskCancelation"
    return reply.body["taskUid"]


def cancel(cluster, query):
    """Cancel; return the ended cancelation."""
    return wait(cluster, ask(cluster, query))


def let_the_nodes_know(cluster, uid):
    """Wait until a cancelation is queued on every node: it comes next there, whatever waits."""
    waits = {"enqueued", "processing"}
    until(
        lambda: all(
            any(t["status"] in waits for t in cluster.node_tasks(name, kind="taskCancelation"))
            for name in cluster.nodes
        ),
        f"{uid} is to be cancelled everywhere",
    )


def hold(cluster, *names):
    for name in names or cluster.nodes:
        cluster.faults(name, STALL)


def release(cluster):
    for name in cluster.nodes:
        cluster.faults(name)


def ids(cluster, uid):
    """Return the ids on each node."""
    return {name: set(cluster.documents(name, uid)) for name in cluster.nodes}


def assert_replicas_equal(cluster, uid):
    held = ids(cluster, uid)
    for shard in range(2):
        one, other = cluster.column(shard)
        assert held[one] == held[other]
    return {document for documents in held.values() for document in documents}


def test_a_write_that_waits_on_the_nodes_is_cancelled_on_all_of_them(cluster, uid):
    """One replica that goes through with it would answer otherwise than its sibling, for ever."""
    cluster.create(uid, rows(0))
    hold(cluster)
    first = add(cluster, uid, 100)
    second = add(cluster, uid, 200)

    asked = ask(cluster, f"uids={second}")
    let_the_nodes_know(cluster, second)
    release(cluster)

    ended = wait(cluster, asked)
    assert ended["status"] == "succeeded"
    assert ended["details"] == {
        "matchedTasks": 1,
        "canceledTasks": 1,
        "originalFilter": f"?uids={second}",
    }
    task = cluster.client.get(f"/tasks/{second}")
    assert (task["status"], task["canceledBy"]) == ("canceled", ended["uid"])
    assert task["batchUid"] == ended["uid"]
    assert task["details"] == {"receivedDocuments": 12, "indexedDocuments": 0}
    assert wait(cluster, first)["status"] == "succeeded"
    assert assert_replicas_equal(cluster, uid) == {*range(12), *range(100, 112)}
    for name in cluster.nodes:
        statuses = {t["status"] for t in cluster.node_tasks(name, uid, STALL["type"])}
        assert statuses == {"succeeded", "canceled"}


def test_what_runs_on_the_nodes_is_stopped_and_rolled_back(cluster, uid):
    """As on one node: whoever cancels a wrong import does not want half of it."""
    cluster.create(uid, rows(0))
    hold(cluster)
    running = add(cluster, uid, 100)
    until(
        lambda: all(
            cluster.node_tasks(name, uid, STALL["type"])[0]["status"] == "processing"
            for name in cluster.nodes
        ),
        "every node at work on it",
    )

    ended = cancel(cluster, "statuses=processing,enqueued")

    release(cluster)
    assert ended["details"]["canceledTasks"] == 1
    assert cluster.client.get(f"/tasks/{running}")["status"] == "canceled"
    assert assert_replicas_equal(cluster, uid) == set(range(12))


def test_a_replica_that_was_done_before_brings_its_sibling_along(cluster, uid):
    """It has happened: the task has succeeded, and nobody is left with less."""
    cluster.create(uid, rows(0))
    done = cluster.column(0)[0]
    held = [name for name in cluster.nodes if name != done]
    hold(cluster, *held)
    task = add(cluster, uid, 100)
    until(
        lambda: cluster.node_tasks(done, uid, STALL["type"])[0]["status"] == "succeeded",
        "one replica done",
    )

    ended = cancel(cluster, f"uids={task}")

    assert ended["details"] == {
        "matchedTasks": 1,
        "canceledTasks": 0,
        "originalFilter": f"?uids={task}",
    }
    release(cluster)
    assert wait(cluster, task)["status"] == "succeeded"
    assert assert_replicas_equal(cluster, uid) == {*range(12), *range(100, 112)}


def test_a_write_that_no_node_has_heard_of_never_reaches_one(cluster, uid):
    """It waits behind a settings change that it depends on: nothing has to be undone."""
    cluster.create(uid, rows(0))
    hold(cluster)
    first = add(cluster, uid, 100)
    change = cluster.change(
        uid, {"embedders": {"mine": {"source": "userProvided", "dimensions": 1}}}
    )
    waiting = add(cluster, uid, 200)
    before = {name: len(cluster.node_tasks(name, uid)) for name in cluster.nodes}

    ended = cancel(cluster, f"uids={waiting}")

    assert ended["details"]["canceledTasks"] == 1
    assert cluster.client.get(f"/tasks/{waiting}")["canceledBy"] == ended["uid"]
    assert {name: len(cluster.node_tasks(name, uid)) for name in cluster.nodes} == before
    release(cluster)
    assert wait(cluster, first)["status"] == "succeeded"
    wait(cluster, change.body["taskUid"])  # It fails: there are documents without vectors.
    after = add(cluster, uid, 300)
    assert wait(cluster, after)["status"] == "succeeded"
    assert assert_replicas_equal(cluster, uid) == {*range(12), *range(100, 112), *range(300, 312)}


def test_a_change_that_waits_is_cancelled_and_one_that_runs_is_not(cluster, uid):
    """Nodes may show what runs already: only an abort could bring them back (docs/adr/0009)."""
    cluster.create(uid, rows(0))
    for name in cluster.nodes:
        cluster.faults(name, {"fault": "task_stall", "type": "settingsUpdate", "index": uid})
    running = cluster.change(uid, {"stopWords": ["the"]}).body["taskUid"]
    until(lambda: cluster.client.get(f"/tasks/{running}")["status"] == "processing", "it runs")
    waiting = cluster.change(uid, {"stopWords": ["a"]}).body["taskUid"]
    last = cluster.change(uid, {"synonyms": {"a": ["b"]}}).body["taskUid"]

    ended = cancel(cluster, f"indexUids={uid}&types=settingsUpdate&uids={running},{waiting}")

    assert ended["details"]["matchedTasks"] == 2
    assert ended["details"]["canceledTasks"] == 1
    assert cluster.client.get(f"/tasks/{waiting}")["status"] == "canceled"
    assert cluster.intents(uid)[1]["phase"] == "canceled"
    release(cluster)
    assert wait(cluster, running)["status"] == wait(cluster, last)["status"] == "succeeded"
    cluster.settle(uid)
    assert cluster.shown(uid, "stopWords") == cluster.everywhere(["the"])
    assert cluster.shown(uid, "synonyms") == cluster.everywhere({"a": ["b"]})


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_cancelation_outlives_miroir(cluster, uid, when):
    """Whoever was told that it is taken finds it carried out, whatever dies."""
    cluster.create(uid, rows(0))
    hold(cluster)
    add(cluster, uid, 100)
    second = add(cluster, uid, 200)
    if when == "before":
        cluster.kill_miroir()
        cluster.start_miroir()
        reply = cluster.send("POST", f"/tasks/cancel?uids={second}")
    else:
        reply = cluster.send("POST", f"/tasks/cancel?uids={second}")
        cluster.kill_miroir()
        cluster.start_miroir()
    let_the_nodes_know(cluster, second)
    release(cluster)

    ended = wait(cluster, reply.body["taskUid"])
    assert ended["details"]["canceledTasks"] == 1
    assert wait(cluster, second)["status"] == "canceled"
    cluster.ended(cluster.send("POST", f"/indexes/{uid}/documents", rows(300, 1)))
    assert assert_replicas_equal(cluster, uid) == {*range(12), *range(100, 112), 300}


def test_ended_tasks_are_deleted_here_and_the_history_stays(cluster, uid):
    """Old tasks are tidied away; what became of the settings is nobody's to lose."""
    cluster.create(uid, rows(0))
    cluster.do("PATCH", f"/indexes/{uid}/settings", {"stopWords": ["the"]})
    hold(cluster)
    unfinished = add(cluster, uid, 100)
    page = cluster.client.get(f"/tasks?indexUids={uid}")
    history = cluster.admin("GET", f"/_miroir/settings/{uid}/history").body
    on_nodes = {name: len(cluster.node_tasks(name, uid)) for name in cluster.nodes}

    reply = cluster.send("DELETE", f"/tasks?indexUids={uid}")

    assert (reply.status, reply.body["type"]) == (200, "taskDeletion")
    ended = wait(cluster, reply.body["taskUid"])
    assert ended["details"] == {
        "matchedTasks": page["total"],
        "deletedTasks": page["total"] - 1,
        "originalFilter": f"?indexUids={uid}",
    }
    left = cluster.client.get(f"/tasks?indexUids={uid}")
    assert [task["uid"] for task in left["results"]] == [unfinished]
    assert cluster.send("GET", f"/tasks/{page['results'][1]['uid']}").status == 404
    assert cluster.admin("GET", f"/_miroir/settings/{uid}/history").body == history
    assert {name: len(cluster.node_tasks(name, uid)) for name in cluster.nodes} == on_nodes
    release(cluster)
    assert wait(cluster, unfinished)["status"] == "succeeded"
