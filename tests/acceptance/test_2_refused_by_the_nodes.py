"""
Acceptance (2), the other end: nodes that refuse a change are in use as soon as it has failed.

The sweep is far away here, so that only what follows from the abort itself can bring them back.
"""

from miroir.cli.layout import Shape
from tests.support.live_cluster import until

SHAPE = Shape(2, 1)
SETTINGS = {"settings_drift_check": {"interval_s": 300}}
REFUSAL = {"fault": "status", "method": "PATCH", "status": 400, "message": "no such rule"}


def test_nodes_that_refused_everything_are_in_use_again_without_a_sweep(cluster, uid):
    """They did nothing: pinned clients must not be turned away for the rest of the interval."""
    before = cluster.create(uid)
    for name in cluster.nodes:
        cluster.faults(name, {**REFUSAL, "path": f"{uid}/settings$"})

    task = cluster.ended(cluster.change(uid, {"stopWords": ["the"]}))

    assert task["status"] == "failed"
    assert "no such rule" in task["error"]["message"]
    until(lambda: cluster.proved(uid) == cluster.everywhere(before), "all in use again")
    assert cluster.search(uid, floor=before).ok()
