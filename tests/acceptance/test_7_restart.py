"""
Acceptance (7): versions per (index, node) survive a restart of Miroir, by kill -9.

One node stays dead over the restart: what is told of it afterwards can only come from the store.
"""

from tests.support.live_cluster import until

DEAD = "n4"
LEFT_BEHIND = "n2"


def restart(cluster):
    cluster.kill_miroir()
    cluster.start_miroir()


def told(cluster, uids):
    """What Miroir says of these indexes, without what a restart may change."""
    return {uid: {k: v for k, v in cluster.look(uid).items() if k != "intent"} for uid in uids}


def test_versions_of_every_index_on_every_node_are_as_before(cluster, uid):
    """A client that is pinned to a version must not be turned away by a restart."""
    first, second = f"{uid}-1", f"{uid}-2"
    cluster.create(first)
    cluster.create(second)
    cluster.do("PATCH", f"/indexes/{first}/settings", {"stopWords": ["the"]})
    cluster.kill(LEFT_BEHIND)
    cluster.do("PATCH", f"/indexes/{second}/settings", {"synonyms": {"boat": ["ferry"]}})
    cluster.kill(DEAD)
    before = told(cluster, [first, second])
    assert before[first]["nodes"][LEFT_BEHIND]["version"] == before[first]["version"]
    assert before[second]["nodes"][LEFT_BEHIND]["version"] is None
    assert before[second]["nodes"][DEAD]["version"] == before[second]["version"]

    restart(cluster)

    assert told(cluster, [first, second]) == before
    for index in (first, second):
        floor = before[index]["version"]
        answer = cluster.search(index, floor=floor)
        assert answer.status == 200
        assert answer.headers["x-miroir-settings-version"] == str(floor)


def test_settings_and_history_are_as_before(cluster, uid):
    """`GET settings` is answered from the store: the nodes are not asked, and need not be up."""
    cluster.create(uid)
    cluster.do("PATCH", f"/indexes/{uid}/settings", {"stopWords": ["the"]})
    cluster.do("PATCH", f"/indexes/{uid}/settings", {"synonyms": {"boat": ["ferry"]}})
    before = cluster.send("GET", f"/indexes/{uid}/settings")
    look = cluster.look(uid)

    restart(cluster)

    after = cluster.send("GET", f"/indexes/{uid}/settings")
    assert after.body == before.body
    assert (
        after.headers["x-miroir-settings-version"] == before.headers["x-miroir-settings-version"]
    )
    assert cluster.look(uid)["history"] == look["history"]
    assert cluster.look(uid)["fingerprints"] == look["fingerprints"]


def test_a_restart_sends_the_nodes_nothing(cluster, uid):
    """Restarts happen at every deployment; a reindex at each of them would be a disaster."""
    cluster.create(uid, [{"id": 1}])
    cluster.do("PATCH", f"/indexes/{uid}/settings", {"stopWords": ["the"]})
    tasks = cluster.all_tasks()
    looked_at = {"fault": "latency", "ms": 0, "path": f"{uid}/settings$"}
    for name in cluster.nodes:
        cluster.faults(name, looked_at)

    restart(cluster)
    for name in cluster.nodes:
        until(lambda n=name: cluster.matches(n), f"{name} looked at")

    assert cluster.all_tasks() == tasks
    assert not [i for i in cluster.intents(uid) if i["kind"] == "repair"]


def test_tasks_are_as_before_and_their_numbers_go_on(cluster, uid):
    """Clients wait for task numbers; one given twice would report somebody else's outcome."""
    cluster.create(uid, [{"id": 1}])
    before = cluster.client.get("/tasks?limit=1000")

    restart(cluster)

    assert cluster.client.get("/tasks?limit=1000") == before
    task = cluster.do("POST", f"/indexes/{uid}/documents", [{"id": 2}])
    assert task["uid"] == before["results"][0]["uid"] + 1


def test_version_numbers_go_on_after_an_index_was_deleted_and_made_again(cluster, uid):
    """A pinned client of the old index must not take the new one's settings for what it knew."""
    cluster.create(uid)
    cluster.do("PATCH", f"/indexes/{uid}/settings", {"stopWords": ["the"]})
    before = cluster.version(uid)
    cluster.do("DELETE", f"/indexes/{uid}")

    restart(cluster)

    assert cluster.create(uid) > before
