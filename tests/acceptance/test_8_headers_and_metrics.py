"""
Acceptance (8): headers and metrics tell the truth in each phase of a change.

One replica group, so that while nodes may differ there is no second half to answer in their place.
A fault holds the change in a phase; everything that is told is compared with the nodes themselves.
"""

import pytest

from miroir.cli.admin_client import AdminClient
from miroir.cli.layout import Shape
from tests.support.live_cluster import until

SHAPE = Shape(2, 1)
SETTINGS = {"settings_broadcast": {"max_repair_retries": 30, "probe_wait_s": 25}}
SYNONYMS = {"boat": ["ferry"]}
IDLE, PROPOSE, VERIFY, ABORT = 0, 1, 2, 4
PHASE, VERSION = "miroir_settings_broadcast_phase", "miroir_settings_version"


def rule(fault, uid, **more):
    return {"fault": fault, "index": uid, "type": "settingsUpdate", **more}


def wait_for_phase(cluster, uid, phase):
    until(lambda: cluster.look(uid)["phase"] == phase, f"phase {phase}")


def assert_told(cluster, uid, *, phase, version, mixed):
    """Compare gauges and headers of the moment; `mixed`: whether nodes may differ."""
    assert cluster.metric(PHASE, index=uid) == phase
    assert cluster.metric(VERSION, index=uid) == version
    unproved = cluster.metric("miroir_unproved_nodes", index=uid)
    assert (unproved > 0) == mixed
    answer = cluster.search(uid)
    assert answer.status == 200
    assert answer.headers["x-miroir-settings-version"] == str(version)
    assert answer.headers.get("x-miroir-settings-inconsistent") == ("true" if mixed else None)
    pinned = cluster.search(uid, floor=version)
    assert pinned.status == (503 if mixed else 200)
    shown = cluster.send("GET", f"/indexes/{uid}/settings")
    assert shown.headers["x-miroir-settings-version"] == str(version)
    assert shown.body["synonyms"] == {}, "settings are those of the version that is named"


def release(cluster, accepted):
    for name in cluster.nodes:
        cluster.faults(name)
    return cluster.ended(accepted)


def assert_committed(cluster, uid, accepted, version):
    assert release(cluster, accepted)["status"] == "succeeded"
    assert cluster.metric(VERSION, index=uid) == version
    assert cluster.metric("miroir_unproved_nodes", index=uid) == 0
    answer = cluster.search(uid, floor=version)
    assert answer.headers["x-miroir-settings-version"] == str(version)
    assert "x-miroir-settings-inconsistent" not in answer.headers
    shown = cluster.send("GET", f"/indexes/{uid}/settings")
    assert shown.headers["x-miroir-settings-version"] == str(version)
    assert shown.body["synonyms"] == SYNONYMS
    until(lambda: cluster.metric(PHASE, index=uid) == IDLE, "phase idle")


def test_while_nothing_is_changed(cluster, uid):
    """The quiet state is what dashboards and clients see nearly all the time."""
    before = cluster.create(uid)
    assert_told(cluster, uid, phase=IDLE, version=before, mixed=False)
    assert cluster.metric("miroir_frozen_indexes") == 0


def test_while_validity_is_asked_of_the_probe(cluster, uid):
    """No live node has been touched: nothing may be flagged, and pinned clients are served."""
    before = cluster.create(uid)
    cluster.faults("n0", rule("task_stall", "_miroir_probe"))

    accepted = cluster.change(uid, {"synonyms": SYNONYMS})

    wait_for_phase(cluster, uid, "probing")
    assert cluster.settings_tasks(uid) == cluster.everywhere(0)
    assert_told(cluster, uid, phase=PROPOSE, version=before, mixed=False)
    assert_committed(cluster, uid, accepted, before + 1)


def test_while_one_node_still_works_on_the_change(cluster, uid):
    """The others show the new settings already: an unflagged answer would be a lie."""
    before = cluster.create(uid)
    cluster.faults("n1", rule("task_stall", uid))

    accepted = cluster.change(uid, {"synonyms": SYNONYMS})

    until(lambda: cluster.shown(uid, "synonyms")["n0"], "n0 changed")
    assert cluster.shown(uid, "synonyms") == {"n0": SYNONYMS, "n1": {}}
    assert cluster.look(uid)["phase"] == "proposing"
    assert_told(cluster, uid, phase=PROPOSE, version=before, mixed=True)
    assert cluster.client.get(f"/tasks/{accepted.body['taskUid']}")["status"] == "processing"
    assert_committed(cluster, uid, accepted, before + 1)


def test_while_the_nodes_are_read_back(cluster, uid):
    """All nodes show the change, but nobody knows: the number must not be told before."""
    before = cluster.create(uid)
    slow = {"fault": "latency", "ms": 4000, "method": "GET", "path": f"{uid}/settings$", "skip": 1}
    cluster.faults("n1", slow)

    accepted = cluster.change(uid, {"synonyms": SYNONYMS})

    wait_for_phase(cluster, uid, "verifying")
    assert_told(cluster, uid, phase=VERIFY, version=before, mixed=True)
    assert_committed(cluster, uid, accepted, before + 1)


def test_while_a_node_that_differs_is_waited_for(cluster, uid):
    """A backoff may last: it counts as verifying, and answers stay flagged."""
    before = cluster.create(uid)
    mismatches = cluster.metric("miroir_settings_hash_mismatch_total")
    cluster.faults("n1", rule("setting_ignored", uid, keys=["synonyms"]))

    accepted = cluster.change(uid, {"synonyms": SYNONYMS})

    until(lambda: (cluster.look(uid)["intent"] or {}).get("retries", 0) >= 3, "a few rounds")
    wait_for_phase(cluster, uid, "waiting")
    assert_told(cluster, uid, phase=VERIFY, version=before, mixed=True)
    assert cluster.metric("miroir_settings_hash_mismatch_total") >= mismatches + 3
    assert_committed(cluster, uid, accepted, before + 1)


def test_while_a_change_is_taken_back(cluster, uid):
    """The new settings are on their way out; their number never existed."""
    before = cluster.create(uid)
    refusal = {"fault": "status", "status": 400, "method": "PATCH", "path": f"{uid}/settings$"}
    cluster.faults("n0", {**refusal, "message": "not on this node"})
    cluster.faults("n1", rule("task_stall", uid, skip=1))

    accepted = cluster.change(uid, {"synonyms": SYNONYMS})

    until(lambda: (cluster.look(uid)["intent"] or {}).get("decision") == "abort", "the abort")
    until(lambda: cluster.matches("n1") == 2, "the undoing in work, and held up")
    assert cluster.shown(uid, "synonyms") == {"n0": {}, "n1": SYNONYMS}
    assert_told(cluster, uid, phase=ABORT, version=before, mixed=True)
    task = release(cluster, accepted)
    assert (task["status"], task["error"]["message"]) == ("failed", "not on this node")
    until(lambda: cluster.metric("miroir_unproved_nodes", index=uid) == 0, "all in use again")
    wait_for_phase(cluster, uid, "idle")
    assert_told(cluster, uid, phase=IDLE, version=before, mixed=False)


def test_while_a_node_shows_foreign_settings(cluster, uid):
    """The only node of its shard goes on serving, but says that versions may mix."""
    before = cluster.create(uid)
    cluster.faults("n1", rule("task_stall", uid, skip=1))
    client = cluster.on_node("n1")
    client.request("PATCH", f"/indexes/{uid}/settings", {"synonyms": SYNONYMS}).ok()

    until(lambda: cluster.matches("n1") == 2, "the repair in work, and held up")

    assert cluster.metric("miroir_unproved_nodes", index=uid) == 1
    answer = cluster.search(uid)
    assert answer.headers["x-miroir-settings-version"] == str(before)
    assert answer.headers["x-miroir-settings-inconsistent"] == "true"
    cluster.faults("n1")
    until(lambda: cluster.metric("miroir_unproved_nodes", index=uid) == 0, "repaired")
    wait_for_phase(cluster, uid, "idle")
    assert_told(cluster, uid, phase=IDLE, version=before, mixed=False)


def test_while_a_node_is_down(cluster, uid):
    """With one replica group a dead node means no complete answer: that is said, not hidden."""
    cluster.create(uid)
    assert cluster.metric("miroir_node_up", node="n1") == 1
    cluster.kill("n1")

    answer = cluster.search(uid)

    assert cluster.metric("miroir_node_up", node="n1") == 0
    assert (answer.status, answer.body["code"]) == (503, "miroir_no_covering_set")
    assert int(answer.headers["retry-after"]) >= 1
    cluster.revive("n1")
    assert cluster.metric("miroir_node_up", node="n1") == 1


def test_open_and_ended_changes_are_counted(cluster, uid):
    """An operator sees from the metrics alone that changes wait, and how long they took."""
    cluster.create(uid)
    took = cluster.metric("miroir_settings_time_to_consistent_seconds_count")
    cluster.faults("n1", rule("task_stall", uid))
    first = cluster.change(uid, {"synonyms": SYNONYMS})
    second = cluster.change(uid, {"stopWords": ["the"]})

    wait_for_phase(cluster, uid, "proposing")
    assert cluster.metric("miroir_intents", state="proposing") == 1
    assert cluster.metric("miroir_intents", state="queued") == 1
    assert cluster.search(uid).status == 200
    release(cluster, first)
    cluster.ended(second)

    assert cluster.metric("miroir_intents", state="queued") in {None, 0}
    assert cluster.metric("miroir_settings_time_to_consistent_seconds_count") == took + 2
    assert cluster.metric("miroir_requests_total", route="/indexes/{uid}/search", status="200")


@pytest.mark.parametrize("path", ["/_miroir/metrics", "/_miroir/topology", "/_miroir/intents"])
def test_the_admin_side_needs_its_own_key(cluster, path):
    """Metrics name every index: they are not for whoever may search."""
    assert cluster.send("GET", path).status == 403
    without = AdminClient(cluster.local.miroir.url)
    assert without.request("GET", path).status == 401
