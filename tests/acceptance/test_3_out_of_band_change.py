"""
Acceptance (3): a PATCH behind Miroir's back is found within the interval and repaired.

`foreign` changes a node directly, as somebody with the key and a wrong URL would.
"""

import pytest

from tests.support.live_cluster import until

SETTINGS = {
    "settings_broadcast": {"max_repair_retries": 1},
    "settings_drift_check": {"repair_attempts_max": 2},
}
NODE = "n4"
COMMITTED = {"boat": ["ferry"]}
SEARCHES_SEEN = {"fault": "latency", "ms": 0, "path": "/search$"}


@pytest.fixture
def version(cluster, uid):
    """The committed version of an index with synonyms, proved on every node."""
    cluster.create(uid)
    cluster.do("PATCH", f"/indexes/{uid}/settings", {"synonyms": COMMITTED})
    version = cluster.version(uid)
    until(lambda: cluster.proved(uid) == cluster.everywhere(version), "the second half, too")
    return version


def foreign(cluster, name, uid, patch):
    client = cluster.on_node(name)
    task = client.request("PATCH", f"/indexes/{uid}/settings", patch).ok()
    assert client.wait_task(task["taskUid"], timeout_s=30)["status"] == "succeeded"


def assert_repaired(cluster, uid, version):
    """Wait until all is as committed, on the nodes themselves, and the version has not moved."""
    until(lambda: cluster.shown(uid, "synonyms") == cluster.everywhere(COMMITTED), "repaired")
    until(lambda: cluster.proved(uid) == cluster.everywhere(version), "every node in use")
    assert cluster.version(uid) == version


@pytest.mark.parametrize(
    "patch",
    [{"synonyms": {"car": ["automobile"]}}, {"synonyms": None}, {"stopWords": ["the"]}],
    ids=["another value", "a reset", "another key"],
)
def test_a_foreign_change_is_found_and_undone(cluster, uid, version, patch):
    """Without this, one stray request makes answers depend on which node is asked."""
    detected = cluster.metric("miroir_settings_drift_detected_total")
    repaired = cluster.metric("miroir_settings_drift_repair_total", result="repaired") or 0

    foreign(cluster, NODE, uid, patch)

    until(lambda: [i for i in cluster.intents(uid) if i["kind"] == "repair"], "a repair")
    assert_repaired(cluster, uid, version)
    assert cluster.shown(uid, "stopWords") == cluster.everywhere([])
    assert cluster.metric("miroir_settings_drift_detected_total") == detected + 1
    until(lambda: not cluster.drift(uid), "nothing drifted any more")
    after = cluster.metric("miroir_settings_drift_repair_total", result="repaired")
    assert after == repaired + 1
    assert cluster.settings_tasks(uid) == cluster.everywhere(1) | {NODE: 3}


def test_no_search_reaches_a_drifted_node_before_it_is_repaired(cluster, uid, version):
    """However long the repair takes, readers must not see the foreign settings meanwhile."""
    stall_the_repair = {"fault": "task_stall", "index": uid, "skip": 1}
    cluster.faults(NODE, SEARCHES_SEEN, stall_the_repair)
    foreign(cluster, NODE, uid, {"synonyms": {}})
    until(lambda: cluster.matches(NODE, 1) == 2, "the repair in work, and held up")
    assert cluster.proved(uid)[NODE] is None
    before = cluster.matches(NODE)

    for turn in range(12):
        answer = cluster.search(uid, floor=version if turn % 2 else None)
        assert answer.status == 200
        assert answer.headers["x-miroir-settings-version"] == str(version)
        assert "x-miroir-settings-inconsistent" not in answer.headers
    assert cluster.matches(NODE) == before

    cluster.faults(NODE, SEARCHES_SEEN)  # The repair goes on.
    assert_repaired(cluster, uid, version)
    until(lambda: cluster.search(uid) and cluster.matches(NODE), f"{NODE} asked again")


def test_the_same_foreign_change_on_every_node_is_still_undone(cluster, uid, version):
    """Agreement among nodes proves nothing: the store says what was committed."""
    for name in cluster.nodes:
        foreign(cluster, name, uid, {"synonyms": {}})

    until(lambda: [i for i in cluster.intents(uid) if i["kind"] == "repair"], "a repair")
    assert_repaired(cluster, uid, version)


def test_a_repair_that_does_not_hold_ends_in_an_alert(cluster, uid, version):
    """Two tools at war over one node would otherwise reindex it for ever."""
    cluster.faults(
        NODE, {"fault": "setting_ignored", "keys": ["synonyms"], "index": uid, "skip": 1}
    )
    foreign(cluster, NODE, uid, {"synonyms": {}})

    until(lambda: [d for d in cluster.drift(uid) if d["action"] == "alert"], "an alert")

    repairs = [i for i in cluster.intents(uid) if i["kind"] == "repair"]
    assert len(repairs) == 2
    assert cluster.version(uid) == version
    assert cluster.proved(uid)[NODE] is None
    assert set(cluster.proved(uid).values()) == {version, None}


def test_an_index_deleted_on_one_node_comes_back_with_its_documents(cluster, uid, version):
    """Made anew by a PATCH alone, it would hold no documents and answer all the same."""
    documents = [{"id": number, "name": f"boat {number}"} for number in range(30)]
    cluster.do("POST", f"/indexes/{uid}/documents", documents)
    held = cluster.documents(NODE, uid)
    client = cluster.on_node(NODE)
    task = client.request("DELETE", f"/indexes/{uid}").ok()
    client.wait_task(task["taskUid"], timeout_s=30)

    until(lambda: cluster.states(uid)[NODE] != "synced", "demoted")
    for _ in range(6):
        pages = cluster.send("GET", f"/indexes/{uid}/documents?limit=100", floor=version).ok()
        assert pages["total"] == len(documents)
    until(lambda: cluster.states(uid)[NODE] == "synced", "filled again")

    assert cluster.documents(NODE, uid) == held
    assert_repaired(cluster, uid, version)
