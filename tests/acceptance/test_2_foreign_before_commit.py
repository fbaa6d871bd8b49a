"""
Acceptance (2), and somebody else in the middle: what is committed is what the nodes show then.

The read-back of one node is held up while another, read already, is changed directly. Its settings
were verified, and are no longer what it shows.
"""

from miroir.cli.layout import Shape
from tests.support.live_cluster import until

SHAPE = Shape(2, 1)
SETTINGS = {"settings_drift_check": {"interval_s": 300, "feed_interval_s": 300}}
WANTED, FOREIGN = {"boat": ["ferry"]}, {"boat": ["submarine"]}


def test_a_node_changed_after_it_was_verified_is_not_committed_so(cluster, uid):
    """The version would be proved on a node that shows something else, and nobody would look."""
    before = cluster.create(uid)
    slow = {"fault": "latency", "ms": 4000, "method": "GET", "path": f"{uid}/settings$", "skip": 1}
    cluster.faults("n1", slow)
    accepted = cluster.change(uid, {"synonyms": WANTED})

    def verified():
        intent = cluster.look(uid)["intent"] or {"nodes": {}}
        return intent["nodes"].get("n0", {}).get("state") == "verified"

    until(verified, "n0 verified, n1 still read")
    node = cluster.on_node("n0")
    task = node.request("PATCH", f"/indexes/{uid}/settings", {"synonyms": FOREIGN}).ok()
    assert node.wait_task(task["taskUid"], timeout_s=30)["status"] == "succeeded"
    assert cluster.look(uid)["phase"] == "verifying", "in time"

    cluster.faults("n1")
    assert cluster.ended(accepted)["status"] == "succeeded"
    assert cluster.version(uid) == before + 1
    assert cluster.proved(uid) == cluster.everywhere(before + 1)
    assert cluster.shown(uid, "synonyms") == cluster.everywhere(WANTED)
    (doubted,) = [event for event in cluster.log() if event["event"] == "commit_doubted"]
    assert doubted["node"] == "n0"
    assert doubted["task"] == task["taskUid"]
