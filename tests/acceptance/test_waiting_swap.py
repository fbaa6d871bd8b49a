"""A swap that needs a node which is away: what it waits for is told, and it can be taken back."""

from miroir.cli.layout import Shape
from tests.support.live_cluster import until

SHAPE = Shape(1, 1)
ADMIN = "/_miroir/intents"


def test_a_swap_that_waits_for_a_node_is_shown_and_can_be_cancelled(cluster, uid):
    """Else two indexes take no change until somebody finds the machine that is gone."""
    other = f"{uid}-other"
    for each in (uid, other):
        cluster.create(each)
    (node,) = cluster.nodes
    cluster.kill(node)
    until(lambda: not cluster.healthy(), "the node is seen to be away")
    swap = cluster.send("POST", "/swap-indexes", [{"indexes": [uid, other]}])
    assert swap.status == 202, swap
    task = cluster.send("GET", f"/tasks/{swap.body['taskUid']}").body

    waits = until(lambda: [i for i in cluster.intents(uid) if i["waitsFor"]], "the swap waits")[0]
    assert (waits["kind"], waits["waitsFor"], waits["taskUid"]) == ("swap", [node], task["uid"])
    withdrawn = cluster.admin("POST", f"{ADMIN}/{waits['id']}/cancel")
    assert (withdrawn.status, withdrawn.body["waitsFor"]) == (200, []), withdrawn
    assert cluster.send("GET", f"/tasks/{task['uid']}").body["status"] == "canceled"

    again = cluster.admin("POST", f"{ADMIN}/{waits['id']}/cancel")
    assert (again.status, again.body["code"]) == (409, "miroir_intent_not_withdrawable"), again
    assert cluster.admin("POST", f"{ADMIN}/999999/cancel").status == 404
    cluster.revive(node)
