"""
Acceptance (4): a floor excludes stale nodes; 503 when no covering set satisfies it.

Nothing is repaired here by itself (`auto_repair: false`), so that a stale node stays stale.
"""

import pytest

from tests.support.live_cluster import until

SETTINGS = {"settings_drift_check": {"auto_repair": False}}
STALE = "n4"
SIBLING = "n1"
SEARCHES_SEEN = {"fault": "latency", "ms": 0, "path": "/search$"}
SYNONYMS = {"boat": ["ferry"]}


@pytest.fixture
def version(cluster, uid):
    """A version that was committed while one node was down: it is back, and stale."""
    cluster.create(uid)
    cluster.kill(STALE)
    cluster.do("PATCH", f"/indexes/{uid}/settings", {"synonyms": SYNONYMS})
    cluster.revive(STALE)
    assert cluster.shown(uid, "synonyms")[STALE] == {}
    for name in cluster.nodes:
        cluster.faults(name, SEARCHES_SEEN)
    return cluster.version(uid)


def assert_stale(answer):
    assert answer.status == 503
    assert answer.body["code"] == "miroir_settings_version_stale"
    assert answer.body["type"] == "system"
    assert int(answer.headers["retry-after"]) >= 1
    assert "x-miroir-settings-version" not in answer.headers


def test_a_pinned_search_is_answered_without_the_stale_node(cluster, uid, version):
    """A client that has seen the new settings must never see the old ones again."""
    for _ in range(12):
        answer = cluster.search(uid, floor=version)
        assert answer.status == 200
        assert answer.headers["x-miroir-settings-version"] == str(version)
        assert "x-miroir-settings-inconsistent" not in answer.headers

    assert cluster.matches(STALE) == 0
    assert cluster.matches(SIBLING) == 12
    assert sum(cluster.matches(name) for name in cluster.nodes) == 36


def test_a_floor_that_no_covering_set_meets_is_refused(cluster, uid, version):
    """Better no answer than one from before what the client has seen."""
    cluster.kill(SIBLING)
    assert_stale(cluster.search(uid, floor=version))
    path = f"/indexes/{uid}/documents"
    assert_stale(cluster.send("GET", path, floor=version))
    assert_stale(cluster.send("POST", f"{path}/fetch", {}, floor=version))

    unpinned = cluster.search(uid)
    assert unpinned.status == 200, "availability is the default for who does not ask for more"
    assert unpinned.headers["x-miroir-settings-version"] == str(version)
    assert unpinned.headers["x-miroir-settings-inconsistent"] == "true"
    assert cluster.matches(STALE) == 1

    cluster.revive(SIBLING)
    assert cluster.search(uid, floor=version).status == 200


def test_a_version_of_the_future_is_refused_until_it_is_committed(cluster, uid, version):
    """A client may know of a version from elsewhere before this process has committed it."""
    assert_stale(cluster.search(uid, floor=version + 1))
    assert_stale(cluster.search(uid, floor=10**9))

    cluster.do("PATCH", f"/indexes/{uid}/settings", {"stopWords": ["the"]})

    answer = cluster.search(uid, floor=version + 1)
    assert answer.status == 200
    assert answer.headers["x-miroir-settings-version"] == str(version + 1)


def test_a_stale_node_serves_again_once_a_change_has_reached_it(cluster, uid, version):
    """The next change brings the whole target, not only what it changes itself."""
    cluster.do("PATCH", f"/indexes/{uid}/settings", {"stopWords": ["the"]})

    assert cluster.shown(uid, "synonyms") == cluster.everywhere(SYNONYMS)
    assert cluster.proved(uid) == cluster.everywhere(version + 1)
    for _ in range(12):
        assert cluster.search(uid, floor=version + 1).status == 200
    assert cluster.matches(STALE) > 0


def test_a_floor_can_name_indexes(cluster, uid, version):
    """One header serves clients of many indexes; the numbers of others do not concern this one."""
    assert cluster.search(uid, floor=f"other=99,{uid}={version}").status == 200
    assert cluster.search(uid, floor="other=99").status == 200
    assert_stale(cluster.search(uid, floor=f"other=1,{uid}={version + 1}"))


def test_a_node_with_foreign_settings_is_left_out_also_when_nothing_repairs_it(cluster, uid):
    """Who turned repairs off wants an alert, not answers from settings that nobody committed."""
    cluster.create(uid)
    cluster.do("PATCH", f"/indexes/{uid}/settings", {"synonyms": SYNONYMS})
    version = cluster.version(uid)
    cluster.faults(STALE, SEARCHES_SEEN)
    foreign = {"synonyms": {"car": ["automobile"]}}
    cluster.on_node(STALE).request("PATCH", f"/indexes/{uid}/settings", foreign).ok()

    until(lambda: cluster.states(uid)[STALE] == "unproved", "demoted")

    before = cluster.matches(STALE)
    for turn in range(12):
        answer = cluster.search(uid, floor=version if turn % 2 else None)
        assert answer.headers["x-miroir-settings-version"] == str(version)
        assert "x-miroir-settings-inconsistent" not in answer.headers
    assert cluster.matches(STALE) == before
    # A foreign task is suspected, and its node left out, before what it left behind has been seen.
    until(lambda: [d["action"] for d in cluster.drift(uid)] == ["alert"], "reported")
    (drift,) = cluster.drift(uid)
    assert (drift["node"], drift["state"]) == (STALE, "drifted")
    assert cluster.shown(uid, "synonyms")[STALE] == foreign["synonyms"]
