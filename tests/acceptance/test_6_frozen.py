"""
Acceptance (6): what can be neither changed nor restored freezes document writes, if so configured.

The scenario: of two shards one never takes the target and the other never gives it back.
"""

import pytest

from miroir.cli.layout import Shape
from tests.support.live_cluster import until

SHAPE = Shape(2, 1)
SETTINGS = {
    "settings_broadcast": {"max_repair_retries": 1},
    "settings_drift_check": {"auto_repair": False},
}
DOCUMENT = [{"id": 1, "name": "boat"}]
ALREADY = [{"id": number, "name": "ferry"} for number in range(100, 120)]


def tear_apart(cluster, uid):
    """Let a change end with the two shards at different settings; return the failed task."""
    ignored = {"fault": "setting_ignored", "keys": ["synonyms"], "index": uid}
    cluster.faults("n0", ignored)
    cluster.faults("n1", {**ignored, "skip": 1})
    task = cluster.ended(cluster.change(uid, {"synonyms": {"boat": ["ferry"]}}))
    assert task["status"] == "failed"
    assert cluster.shown(uid, "synonyms") == {"n0": {}, "n1": {"boat": ["ferry"]}}
    return task


@pytest.fixture
def frozen(cluster, uid):
    """The version of an index that is frozen."""
    version = cluster.create(uid, ALREADY)
    tear_apart(cluster, uid)
    return version


def writes(uid):
    documents = f"/indexes/{uid}/documents"
    return [
        ("POST", documents, DOCUMENT),
        ("PUT", documents, DOCUMENT),
        ("DELETE", documents, None),
        ("DELETE", f"{documents}/100", None),
        ("POST", f"{documents}/delete-batch", [100]),
        ("POST", f"{documents}/delete", {"filter": "name = ferry"}),
    ]


def test_document_writes_are_refused_and_nothing_is_written(cluster, uid, frozen):
    """Documents indexed under two different settings could never be brought together again."""
    tasks = cluster.all_tasks()

    for method, path, body in writes(uid)[:5]:
        answer = cluster.send(method, path, body)
        assert answer.status == 503, (method, path, answer)
        assert answer.body["code"] == "miroir_settings_frozen"
        assert int(answer.headers["retry-after"]) >= 1

    assert cluster.all_tasks() == tasks
    assert cluster.version(uid) == frozen
    assert cluster.look(uid)["frozen"]
    assert cluster.intents(uid)[0]["phase"] == "frozen"
    assert cluster.metric("miroir_settings_broadcast_phase", index=uid) == 5
    assert cluster.metric("miroir_frozen_indexes") == 1


def test_reads_go_on_flagged(cluster, uid, frozen):
    """Frozen is about writes; readers are told that versions may mix."""
    answer = cluster.send("GET", f"/indexes/{uid}/documents")
    assert answer.ok()["total"] == len(ALREADY)
    assert answer.headers["x-miroir-settings-inconsistent"] == "true"
    assert answer.headers["x-miroir-settings-version"] == str(frozen)


def test_other_indexes_are_not_frozen(cluster, uid, frozen):
    """One broken index must not stop the cluster."""
    cluster.create(f"{uid}-2", ALREADY)


def test_thawing_lets_writes_through(cluster, uid, frozen):
    """The operator's way out, when documents matter more than settings."""
    cluster.thaw(uid)

    cluster.do("POST", f"/indexes/{uid}/documents", DOCUMENT)

    held = [i for name in cluster.nodes for i in cluster.documents(name, uid)]
    assert sorted(held) == [1, *(d["id"] for d in ALREADY)]
    assert cluster.metric("miroir_frozen_indexes") == 0


def test_a_change_that_succeeds_lets_writes_through(cluster, uid, frozen):
    """The usual way out: repair the cause and send the settings again."""
    for name in cluster.nodes:
        cluster.faults(name)

    cluster.do("PATCH", f"/indexes/{uid}/settings", {"synonyms": {"car": ["auto"]}})

    assert cluster.version(uid) == frozen + 1
    cluster.do("POST", f"/indexes/{uid}/documents", DOCUMENT)
    assert not cluster.look(uid)["frozen"]
    assert cluster.shown(uid, "synonyms") == cluster.everywhere({"car": ["auto"]})


def test_a_restart_does_not_thaw(cluster, uid, frozen):
    """A frozen index that takes writes after a crash would not have been frozen."""
    cluster.kill_miroir()
    cluster.start_miroir()
    until(lambda: cluster.healthy() == set(cluster.nodes), "nodes found")

    answer = cluster.send("POST", f"/indexes/{uid}/documents", DOCUMENT)

    assert (answer.status, answer.body["code"]) == (503, "miroir_settings_frozen")
