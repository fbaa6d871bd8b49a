"""Keys and features while a shard has no node: what was committed is kept up on the others."""

from miroir.cli.admin_client import NoAnswer
from miroir.cli.layout import Shape
from tests.support.live_cluster import until

SHAPE = Shape(2, 1)
SETTINGS = {"settings_drift_check": {"interval_s": 1}}
BODY = {"name": "x", "actions": ["search"], "indexes": ["*"], "expiresAt": None}


def uids(cluster, name):
    return {key["uid"] for key in cluster.on_node(name).get("/keys?limit=100")["results"]}


def _healthy(cluster):
    try:
        return cluster.healthy()
    except NoAnswer:
        return None


def test_a_node_is_set_right_also_after_a_start_without_the_other(cluster):
    """The sweep must not wait for a cover: one shard that is down would blind it for the rest."""
    key = cluster.send("POST", "/keys", BODY).ok()
    cluster.kill("n1")
    cluster.kill_miroir()
    cluster.local.miroir.start()  # It calls itself unhealthy, and does what it can.
    until(lambda: _healthy(cluster) == {"n0"}, "it has found who is there")

    cluster.on_node("n0").request("DELETE", f"/keys/{key['uid']}").ok()

    until(lambda: key["uid"] in uids(cluster, "n0"), "set right")
    cluster.heal()


def test_without_a_cover_a_key_is_made_nowhere(cluster):
    """No shard may be without the key; the client is told, and no node keeps a half."""
    before = uids(cluster, "n0")
    cluster.kill("n1")

    refused = cluster.send("POST", "/keys", BODY)

    assert (refused.status, refused.body["code"]) == (503, "miroir_not_everywhere")
    assert uids(cluster, "n0") == before
    cluster.heal()


def test_a_key_is_deleted_where_it_can_be_and_on_the_others_when_they_return(cluster):
    """Deletion does not need a cover: every node that forgets the key is one door less."""
    key = cluster.send("POST", "/keys", BODY).ok()
    cluster.kill("n1")

    deleted = cluster.send("DELETE", f"/keys/{key['uid']}")

    assert deleted.status == 204
    assert key["uid"] not in uids(cluster, "n0")
    cluster.revive("n1")
    assert key["uid"] not in uids(cluster, "n1")
