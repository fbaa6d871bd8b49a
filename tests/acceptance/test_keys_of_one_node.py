"""Miroir in front of one node that has keys already: the first step of whoever tries it."""

from miroir.cli.layout import Shape
from tests.support.live_cluster import until

SHAPE = Shape(1, 1)
SETTINGS = {"settings_drift_check": {"interval_s": 1}}


def keys_of(cluster):
    return {key["uid"]: key for key in cluster.on_node("n0").get("/keys?limit=100")["results"]}


def test_the_keys_of_a_single_node_stay_what_they_were(cluster, uid):
    """Clients keep the keys that they have; nobody has to roll out new ones."""
    cluster.create(uid, [{"id": 1}])
    own = keys_of(cluster)

    listed = until(lambda: cluster.client.get("/keys")["results"], "the keys were taken over")

    ours = ("name", "description", "key", "uid", "actions", "indexes", "expiresAt")
    assert {key["uid"]: {n: key[n] for n in ours} for key in listed} == {
        uid: {n: key[n] for n in ours} for uid, key in own.items()
    }
    search = next(key for key in listed if key["name"] == "Default Search API Key")["key"]
    assert cluster.send("POST", f"/indexes/{uid}/search", {}, key=search).status == 200
    assert cluster.send("GET", "/indexes", key=search).status == 403
    assert cluster.local.admin().get("/_miroir/keys")["unmanaged"] == {"n0": []}


def test_a_key_made_through_miroir_opens_the_node(cluster, uid):
    """One node or many: it is the same product."""
    cluster.create(uid, [{"id": 1}])
    body = {"actions": ["search"], "indexes": [f"{uid[:5]}*"], "expiresAt": None}

    key = cluster.send("POST", "/keys", body).ok()

    assert keys_of(cluster)[key["uid"]]["key"] == key["key"]
    assert cluster.send("POST", f"/indexes/{uid}/search", {}, key=key["key"]).status == 200
    cluster.send("DELETE", f"/keys/{key['key']}").ok()
    assert key["uid"] not in keys_of(cluster)
