"""
Acceptance (3), the feed: what is changed behind Miroir's back is out of answers within seconds.

The sweep comes every five minutes here, so that nothing in these tests is its doing.
"""

import shutil

import pytest

from miroir.cli.layout import Shape
from tests.support.live_cluster import until

SHAPE = Shape(1, 2)
MODES = {"watched": "alert", "followed": "adopt", "ignored": "off"}
SETTINGS = {"settings_drift_check": {"interval_s": 300, "feed_interval_s": 0.3, "modes": MODES}}
NODE, OTHER = "n1", "n0"
COMMITTED = {"boat": ["ferry"]}


@pytest.fixture
def version(cluster, uid):
    """The committed version of an index with synonyms and documents, proved on every node."""
    documents = [{"id": number, "name": f"boat {number}"} for number in range(20)]
    cluster.create(uid, documents)
    cluster.do("PATCH", f"/indexes/{uid}/settings", {"synonyms": COMMITTED})
    version = cluster.version(uid)
    until(lambda: cluster.proved(uid) == cluster.everywhere(version), "all nodes at it")
    return version


def foreign(cluster, name, method, path, body=None):
    client = cluster.on_node(name)
    task = client.request(method, path, body).ok()
    assert client.wait_task(task["taskUid"], timeout_s=30)["status"] == "succeeded"
    return task["taskUid"]


def patch(cluster, name, uid, settings):
    return foreign(cluster, name, "PATCH", f"/indexes/{uid}/settings", settings)


def order(cluster, path):
    return cluster.local.admin().request("POST", path)


def all_right(cluster, uid, version):
    return (
        cluster.shown(uid, "synonyms") == cluster.everywhere(COMMITTED)
        and cluster.proved(uid) == cluster.everywhere(version)
        and not cluster.drift(uid)
    )


def test_a_foreign_change_is_undone_without_a_sweep(cluster, uid, version):
    """Five minutes of wrong answers are five minutes too many; and nobody else is troubled."""
    before = cluster.all_tasks()
    repaired = cluster.metric("miroir_settings_drift_repair_total", result="repaired") or 0

    patch(cluster, NODE, uid, {"synonyms": {}})

    until(lambda: all_right(cluster, uid, version), "found and undone")
    assert cluster.version(uid) == version
    assert cluster.all_tasks() == before | {NODE: before[NODE] + 2}
    after = cluster.metric("miroir_settings_drift_repair_total", result="repaired")
    assert after == repaired + 1
    kinds = [intent["kind"] for intent in cluster.intents(uid)]
    assert kinds.count("repair") == 1


def test_a_node_is_out_while_the_foreign_task_is_still_queued(cluster, uid, version):
    """The node is known to become wrong: who waits until it is has served it too long."""
    cluster.faults(NODE, {"fault": "task_stall", "index": uid})
    cluster.on_node(NODE).request("PATCH", f"/indexes/{uid}/settings", {"synonyms": {}}).ok()

    until(lambda: cluster.proved(uid) == {NODE: None, OTHER: version}, "demoted")
    assert [d["state"] for d in cluster.drift(uid)] == ["suspected"]
    answer = cluster.search(uid, floor=version)
    assert (answer.status, answer.headers["x-miroir-settings-version"]) == (200, str(version))
    assert not [i for i in cluster.intents(uid) if i["kind"] == "repair"]

    cluster.faults(NODE)
    until(lambda: all_right(cluster, uid, version), "undone when it had ended")


def test_a_foreign_task_that_changes_nothing_costs_no_repair(cluster, uid, version):
    """A tool that sends what is in force already must not have nodes reindexed."""
    before = cluster.settings_tasks(uid)
    detected = cluster.metric("miroir_settings_drift_detected_total")

    task = patch(cluster, NODE, uid, {"synonyms": COMMITTED})

    seen = lambda: [e for e in cluster.log() if e["event"] == "foreign_task" and e["uid"] == task]  # noqa: E731
    until(seen, "the feed has seen it")
    until(lambda: all_right(cluster, uid, version), "looked at, and in use again")
    assert cluster.settings_tasks(uid) == before | {NODE: before[NODE] + 1}
    assert cluster.metric("miroir_settings_drift_detected_total") == detected


def test_documents_that_a_foreign_deletion_took_come_back(cluster, uid, version):
    """The index was made anew at once: its settings are repaired, but who fills it?"""
    held = cluster.documents(OTHER, uid)
    foreign(cluster, NODE, "DELETE", f"/indexes/{uid}")
    foreign(cluster, NODE, "POST", "/indexes", {"uid": uid, "primaryKey": "id"})

    until(lambda: cluster.documents(NODE, uid) == held, "filled from its sibling")
    until(lambda: all_right(cluster, uid, version), "and its settings repaired")
    until(lambda: set(cluster.states(uid).values()) == {"synced"}, "in use again")


def test_indexes_swapped_on_one_node_are_put_right(cluster, uid, version):
    """Same settings, other documents: no look at settings could tell."""
    other = f"{uid}-other"
    cluster.create(other, [{"id": 1, "name": "train"}])
    until(lambda: set(cluster.states(other).values()) == {"synced"}, "made everywhere")
    held = {name: cluster.documents(OTHER, name) for name in (uid, other)}

    foreign(cluster, NODE, "POST", "/swap-indexes", [{"indexes": [uid, other]}])

    for name in (uid, other):
        until(lambda name=name: cluster.documents(NODE, name) == held[name], f"{name} refilled")
        until(lambda name=name: set(cluster.states(name).values()) == {"synced"}, f"{name} used")


def test_a_node_that_comes_back_as_another_is_believed_nothing(cluster, uid, version):
    """Its disk was replaced: what it was proved to serve, and to hold, says nothing any more."""
    held = cluster.documents(OTHER, uid)
    cluster.kill(NODE)
    shutil.rmtree(cluster.local.layout.folder / NODE)
    cluster.revive(NODE)

    until(lambda: [e for e in cluster.log() if e["event"] == "node_began_anew"], "noticed")
    until(lambda: cluster.states(uid).get(NODE) == "synced", "brought up")
    assert cluster.documents(NODE, uid) == held
    until(lambda: all_right(cluster, uid, version), "with its settings")


def test_a_deleted_index_is_never_made_again(cluster, uid, version):
    """A PATCH that somebody's tool sends once more makes it anew on its node; nobody follows."""
    cluster.do("DELETE", f"/indexes/{uid}")
    patch(cluster, NODE, uid, {"synonyms": {"car": ["automobile"]}})
    witness = f"{uid}-witness"
    cluster.create(witness)
    until(lambda: set(cluster.states(witness).values()) == {"synced"}, "made everywhere")
    task = patch(cluster, NODE, witness, {"synonyms": {}})
    seen = lambda: [e for e in cluster.log() if e["event"] == "foreign_task" and e["uid"] == task]  # noqa: E731
    until(seen, "the feed has read past it")

    assert cluster.send("GET", f"/indexes/{uid}").status == 404
    assert cluster.on_node(OTHER).request("GET", f"/indexes/{uid}").status == 404
    kinds = [intent["kind"] for intent in cluster.intents(uid)]
    assert kinds[0] == "delete"
    foreign(cluster, NODE, "DELETE", f"/indexes/{uid}")


@pytest.mark.parametrize("uid", ["watched"])
def test_where_only_alerts_are_wanted_an_operator_has_the_word(cluster, uid, version):
    """The node is out all the same; what becomes of the change is decided by hand."""
    patch(cluster, NODE, uid, {"synonyms": {}})
    until(lambda: [d["action"] for d in cluster.drift(uid)] == ["alert"], "reported")
    (drift,) = cluster.drift(uid)
    assert (drift["node"], drift["mode"], drift["breaker"]) == (NODE, "alert", "closed")
    assert cluster.proved(uid) == {OTHER: version, NODE: None}

    order(cluster, f"/_miroir/drift/{uid}/repair").ok()
    until(lambda: all_right(cluster, uid, version), "repaired by order")

    patch(cluster, NODE, uid, {"synonyms": {"car": ["automobile"]}})
    until(lambda: cluster.drift(uid), "reported again")
    order(cluster, f"/_miroir/drift/{uid}/adopt?node={NODE}").ok()
    wanted = cluster.everywhere({"car": ["automobile"]})
    until(lambda: cluster.shown(uid, "synonyms") == wanted, "adopted by order")
    until(lambda: cluster.version(uid) == version + 1, "as a new version")
    assert order(cluster, f"/_miroir/drift/{uid}/adopt?node=nobody").status == 400


@pytest.mark.parametrize("uid", ["followed"])
def test_where_foreign_changes_are_wanted_they_reach_every_node(cluster, uid, version):
    """Somebody goes on with a tool that knows one node only; Miroir makes it a version."""
    patch(cluster, NODE, uid, {"synonyms": {"car": ["automobile"]}})

    wanted = cluster.everywhere({"car": ["automobile"]})
    until(lambda: cluster.shown(uid, "synonyms") == wanted, "adopted")
    until(lambda: cluster.proved(uid) == cluster.everywhere(version + 1), "as a new version")
    assert cluster.look(uid)["version"] == version + 1
    (change,) = [i for i in cluster.intents(uid) if i["reason"] == f"adopted from {NODE}"]
    assert (change["kind"], change["by"]) == ("change", "reconciler")
    until(lambda: not cluster.drift(uid), "nothing drifted any more")


@pytest.mark.parametrize("uid", ["ignored"])
def test_where_it_is_off_nothing_is_looked_for(cluster, uid, version):
    """Whoever changes nodes on purpose can say so; the page says it, too."""
    patch(cluster, NODE, uid, {"synonyms": {}})
    other = f"{uid}-too"
    cluster.create(other)
    patch(cluster, NODE, other, {"synonyms": {}})
    seen = lambda: [e for e in cluster.log() if e["event"] == "foreign_task"]  # noqa: E731
    until(lambda: [e for e in seen() if e["index"] == other], "the feed has read past it")

    assert not [e for e in seen() if e["index"] == uid]
    assert cluster.proved(uid) == cluster.everywhere(version)
    assert cluster.local.admin().get("/_miroir/drift")["modes"][uid] == "off"
