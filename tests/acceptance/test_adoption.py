"""Indexes that were there before Miroir: taken over where nodes hold them alike, or left alone."""

import pytest

from miroir.cli.layout import Shape
from tests.support.live_cluster import until

SHAPE = Shape(1, 2)
SETTINGS = {"settings_drift_check": {"interval_s": 300, "feed_interval_s": 0.3}}
SYNONYMS = {"boat": ["ferry"]}
BOATS = [{"id": number, "name": f"boat {number}"} for number in range(12)]


def directly(cluster, name, method, path, body=None):
    client = cluster.on_node(name)
    task = client.request(method, path, body).ok()
    assert client.wait_task(task["taskUid"], timeout_s=30)["status"] == "succeeded"


def build(cluster, uid, name, documents=BOATS, **settings):
    directly(cluster, name, "POST", "/indexes", {"uid": uid, "primaryKey": "id"})
    directly(cluster, name, "PATCH", f"/indexes/{uid}/settings", settings)
    if documents:
        directly(cluster, name, "POST", f"/indexes/{uid}/documents", documents)


def unmanaged(cluster, uid):
    found = cluster.local.admin().get("/_miroir/drift")["unmanaged"]
    return {entry["index"]: entry["why"] for entry in found}.get(uid)


def order(cluster, uid):
    return cluster.local.admin().request("POST", f"/_miroir/indexes/{uid}/adopt")


@pytest.fixture
def before(cluster):
    """Build with Miroir down, as it was before there was one; `with before(): ...` starts it."""
    cluster.kill_miroir()
    yield cluster
    cluster.start_miroir()


def clear(cluster, uid):
    for name in cluster.nodes:
        directly(cluster, name, "DELETE", f"/indexes/{uid}")


def test_an_index_that_every_node_holds_alike_is_taken_over(before, uid):
    """Whoever puts Miroir in front of what runs must not have to index everything anew."""
    cluster = before
    for name in cluster.nodes:
        build(cluster, uid, name, synonyms=SYNONYMS)
    tasks = {name: len(cluster.node_tasks(name, uid)) for name in cluster.nodes}
    cluster.start_miroir()

    until(lambda: cluster.send("GET", f"/indexes/{uid}").status == 200, "adopted")
    look = cluster.look(uid)
    assert (look["version"], look["primaryKey"]) == (1, "id")
    assert look["settings"]["synonyms"] == SYNONYMS
    assert cluster.proved(uid) == cluster.everywhere(1)
    answer = cluster.search(uid, {"q": "boat"}, floor=1)
    assert len(answer.body["hits"]) == len(BOATS)
    assert {n: len(cluster.node_tasks(n, uid)) for n in cluster.nodes} == tasks
    (intent,) = cluster.intents(uid)
    assert (intent["kind"], intent["by"]) == ("adopt", "reconciler")
    # From now on it is an index like any other.
    cluster.do("PATCH", f"/indexes/{uid}/settings", {"synonyms": {}})
    cluster.do("POST", f"/indexes/{uid}/documents", [{"id": 99, "name": "raft"}])
    assert cluster.version(uid) == 2


def test_as_many_documents_are_not_the_same_documents(before, uid):
    """One of the replicas is stale: served as in sync, it would answer with what is no more."""
    cluster = before
    stale = [*BOATS[:-1], {**BOATS[-1], "name": "of the past"}]
    for name, documents in zip(cluster.nodes, (BOATS, stale), strict=True):
        build(cluster, uid, name, documents)
    cluster.start_miroir()

    why = until(lambda: unmanaged(cluster, uid), "looked at")

    assert why.startswith("document `11` differs between n0 and n1")
    refused = order(cluster, uid)
    assert (refused.status, refused.body["code"]) == (409, "miroir_not_adoptable")
    assert cluster.send("GET", f"/indexes/{uid}").status == 404
    directly(cluster, "n1", "POST", f"/indexes/{uid}/documents", BOATS[-1:])
    order(cluster, uid).ok()
    until(lambda: cluster.send("GET", f"/indexes/{uid}").status == 200, "adopted")


def test_nodes_that_differ_are_listed_and_left_alone(before, uid):
    """Nobody has said which of them is right; what is overwritten is lost."""
    cluster = before
    build(cluster, uid, "n0", synonyms=SYNONYMS)
    build(cluster, uid, "n1", synonyms={})
    cluster.start_miroir()

    until(lambda: "the settings differ (synonyms)" in (unmanaged(cluster, uid) or ""), "listed")
    tasks = cluster.all_tasks()
    refused = order(cluster, uid)
    assert (refused.status, refused.body["code"]) == (409, "miroir_not_adoptable")
    assert cluster.send("GET", f"/indexes/{uid}").status == 404
    assert cluster.all_tasks() == tasks

    directly(cluster, "n1", "PATCH", f"/indexes/{uid}/settings", {"synonyms": SYNONYMS})
    task = cluster.ended(order(cluster, uid))
    assert (task["status"], task["type"]) == ("succeeded", "indexCreation")
    # The PATCH above may be read in the feed now only: it costs a look.
    until(lambda: cluster.proved(uid) == cluster.everywhere(1), "in use")


def test_hidden_keys_are_never_taken_over(before, uid):
    """Miroir would keep the mask, and send it to every node with the next repair."""
    cluster = before
    embedder = {"source": "openAi", "apiKey": "sk-somebody-s-own-key", "model": "m"}
    for name in cluster.nodes:
        build(cluster, uid, name, documents=[], embedders={"e": embedder})
    cluster.start_miroir()

    until(lambda: "do not show the keys" in (unmanaged(cluster, uid) or ""), "listed")
    assert order(cluster, uid).status == 409
    clear(cluster, uid)


def test_what_was_deleted_through_miroir_is_not_taken_over_again(before, uid):
    """An operator's own copy would bring back what somebody has deleted on purpose."""
    cluster = before
    cluster.start_miroir()
    cluster.create(uid, BOATS)
    cluster.do("DELETE", f"/indexes/{uid}")
    cluster.kill_miroir()
    for name in cluster.nodes:
        build(cluster, uid, name)
    cluster.start_miroir()

    gone = {name: [] for name in cluster.nodes}
    left = lambda: {n: [t for t in cluster.on_node(n).get("/indexes")["results"]  # noqa: E731
                        if t["uid"] == uid] for n in cluster.nodes}  # fmt: skip
    until(lambda: left() == gone, "taken away")
    assert order(cluster, uid).status == 409
    assert cluster.send("GET", f"/indexes/{uid}").status == 404
