"""
Acceptance (5): `strategy: sequential` works: node by node, reversed on failure.

Same store, same headers, same one commit as the two-phase form; only the order differs.
"""

from itertools import pairwise

import pytest

from tests.support.live_cluster import until

SETTINGS = {"settings_broadcast": {"strategy": "sequential", "max_repair_retries": 1}}
SYNONYMS = {"boat": ["ferry"]}


def test_each_node_is_changed_after_the_one_before_it(cluster, uid):
    """What the strategy is chosen for: never two nodes in change at the same time."""
    before = cluster.create(uid)

    cluster.do("PATCH", f"/indexes/{uid}/settings", {"synonyms": SYNONYMS})

    assert cluster.version(uid) == before + 1
    assert cluster.shown(uid, "synonyms") == cluster.everywhere(SYNONYMS)
    tasks = [task for n in cluster.nodes for task in cluster.node_tasks(n, uid, "settingsUpdate")]
    assert len(tasks) == len(cluster.nodes)
    for earlier, later in pairwise(tasks):
        assert earlier["finishedAt"] < later["enqueuedAt"]  # One machine, one clock, one format.
    answer = cluster.search(uid, floor=before + 1)
    assert answer.headers["x-miroir-settings-version"] == str(before + 1)


REFUSALS = {
    "refuses it": {"fault": "status", "method": "PATCH", "status": 400, "message": "no such rule"},
    "fails as a task": {"fault": "task_fail", "message": "disk on fire"},
    "does not apply it": {"fault": "setting_ignored", "keys": ["synonyms"]},
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_node_that_fails_has_the_nodes_before_it_reversed(cluster, uid, refusal):
    """Nodes after it must never hear of the change, nodes before it must forget it."""
    before = cluster.create(uid)
    rule = REFUSALS[refusal]
    narrowed = {"path": f"{uid}/settings$"} if rule["fault"] == "status" else {"index": uid}
    cluster.faults("n3", {**rule, **narrowed})

    task = cluster.ended(cluster.change(uid, {"synonyms": SYNONYMS}))

    assert task["status"] == "failed"
    assert rule.get("message", "n3") in task["error"]["message"]
    assert cluster.version(uid) == before
    assert cluster.shown(uid, "synonyms") == cluster.everywhere({})
    until(lambda: cluster.proved(uid) == cluster.everywhere(before), "all in use again")
    counts = cluster.settings_tasks(uid)
    assert [counts[name] for name in ("n0", "n1", "n2")] == [2, 2, 2]
    assert [counts[name] for name in ("n4", "n5")] == [0, 0]
    cluster.faults("n3")
    cluster.do("PATCH", f"/indexes/{uid}/settings", {"synonyms": SYNONYMS})
    assert cluster.version(uid) == before + 1
