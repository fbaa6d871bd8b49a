"""
API keys made through Miroir, over real processes: one value everywhere, and a dead key is dead.

The nodes are asked directly: what Miroir says about itself is no evidence here.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import threading
import time

import pytest

from miroir.cli.admin_client import AdminClient, NoAnswer
from tests.support.live_cluster import until

DOCUMENTS = [{"id": n, "title": f"boat {n}"} for n in range(6)]
DEFAULTS = [
    "Default Search API Key",
    "Default Admin API Key",
    "Default Read-Only Admin API Key",
    "Default Chat API Key",
]
QUICK_SWEEP = {"settings_drift_check": {"interval_s": 1}}
SETTINGS = QUICK_SWEEP


def made(cluster, **fields):
    """Make a key through Miroir."""
    body = {"actions": ["search"], "indexes": ["*"], "expiresAt": None, **fields}
    return cluster.send("POST", "/keys", body).ok()


def with_key(cluster, name, value):
    """A client straight for one node, with this key."""
    return AdminClient(cluster.local.nodes[name].url, value)


def opens(cluster, name, value, uid):
    """Whether a node lets a search through."""
    reply = with_key(cluster, name, value).request("POST", f"/indexes/{uid}/search", {"q": ""})
    return reply.status == 200


def opening(cluster, value, uid):
    return {name: opens(cluster, name, value, uid) for name in cluster.nodes}


def keys_of(cluster, name):
    return {key["uid"]: key for key in cluster.on_node(name).get("/keys?limit=1000")["results"]}


def searched(cluster, uid, value):
    return cluster.send("POST", f"/indexes/{uid}/search", {"q": "boat"}, key=value)


def named(cluster, node, name):
    return [key for key in keys_of(cluster, node).values() if key["name"] == name]


def named_here(cluster, name):
    return [k for k in cluster.client.get("/keys?limit=100")["results"] if k["name"] == name]


def tenant_token(key, rules, **claims):
    """Sign as any JWT library would: HS256 with the value of the key."""
    said = {"apiKeyUid": key["uid"], "searchRules": rules, **claims}
    parts = [coded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, said)]
    signed = ".".join(parts)
    signature = hmac.new(key["key"].encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{coded(signature)}"


def coded(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _ask_and_lose(cluster, body):
    with contextlib.suppress(NoAnswer):
        cluster.send("POST", "/keys", body)


def test_a_key_has_the_same_value_on_every_node(cluster, uid):
    """A client of one key talks to whatever node answers."""
    cluster.create(uid, DOCUMENTS)

    key = made(cluster, name="shop")

    assert {keys_of(cluster, n)[key["uid"]]["key"] for n in cluster.nodes} == {key["key"]}
    assert opening(cluster, key["key"], uid) == cluster.everywhere(True)
    assert searched(cluster, uid, key["key"]).ok()["estimatedTotalHits"] == len(DOCUMENTS)


def test_a_key_is_confined_to_its_indexes_and_actions(cluster, uid):
    """In the engine's words, which clients already know."""
    cluster.create(uid, DOCUMENTS)
    cluster.create(f"{uid}-other", DOCUMENTS)
    key = made(cluster, indexes=[uid])["key"]

    assert searched(cluster, uid, key).status == 200
    refused = searched(cluster, f"{uid}-other", key)
    node = with_key(cluster, "n0", key).request("POST", f"/indexes/{uid}-other/search", {"q": ""})
    assert (refused.status, refused.body) == (node.status, node.body)
    assert refused.body["code"] == "invalid_api_key"
    added = cluster.send("POST", f"/indexes/{uid}/documents", DOCUMENTS, key=key)
    assert (added.status, added.body["code"]) == (403, "invalid_api_key")
    listed = cluster.send(
        "GET", "/indexes", key=made(cluster, indexes=[uid], actions=["indexes.get"])["key"]
    )
    assert [index["uid"] for index in listed.ok()["results"]] == [uid]


def test_a_key_that_may_write_writes(cluster, uid):
    """Rights hold for what Miroir accepts itself, too, not only for reads."""
    cluster.create(uid)
    key = made(cluster, actions=["documents.add", "tasks.get"], indexes=[uid])["key"]

    added = cluster.send("POST", f"/indexes/{uid}/documents", DOCUMENTS, key=key)

    assert added.status == 202
    assert cluster.ended(added)["status"] == "succeeded"
    other = cluster.do("POST", "/indexes", {"uid": f"{uid}-other"})
    seen = cluster.send("GET", "/tasks?limit=1000", key=key).ok()["results"]
    assert {task["indexUid"] for task in seen} == {uid}
    assert cluster.send("GET", f"/tasks/{seen[0]['uid']}", key=key).status == 200
    assert cluster.send("GET", f"/tasks/{other['uid']}", key=key).status == 404
    unknown = cluster.send("POST", f"/indexes/{uid}-new/documents", DOCUMENTS, key=key)
    assert unknown.status == 403


def test_a_key_that_makes_no_indexes_fills_one_that_is_on_its_way(cluster, uid):
    """Creation and documents are sent one after the other, not one after the other's end."""
    key = made(cluster, actions=["documents.*"], indexes=[uid])["key"]
    cluster.faults("n0", {"fault": "latency", "ms": 600, "method": "POST", "path": "^/indexes$"})

    creation = cluster.send("POST", "/indexes", {"uid": uid, "primaryKey": "id"})
    filling = cluster.send("POST", f"/indexes/{uid}/documents", DOCUMENTS, key=key)

    assert (creation.status, filling.status) == (202, 202)
    assert cluster.ended(filling)["status"] == "succeeded"
    cluster.heal()


def test_a_deleted_key_opens_nothing_any_more(cluster, uid):
    """The answer to a deletion is a promise: every node has forgotten the key."""
    cluster.create(uid, DOCUMENTS)
    key = made(cluster)
    assert opening(cluster, key["key"], uid) == cluster.everywhere(True)

    assert cluster.send("DELETE", f"/keys/{key['uid']}").status == 204

    assert opening(cluster, key["key"], uid) == cluster.everywhere(False)
    assert searched(cluster, uid, key["key"]).status == 403
    assert cluster.send("GET", f"/keys/{key['uid']}").status == 404


def test_a_node_that_was_down_knows_the_keys_when_it_serves_again(cluster, uid):
    """Neither may it refuse a new client, nor let one in whose key was deleted meanwhile."""
    cluster.create(uid, DOCUMENTS)
    old = made(cluster, name="old")
    cluster.kill("n1")
    new = made(cluster, name="new")
    assert cluster.send("DELETE", f"/keys/{old['uid']}").status == 204
    assert searched(cluster, uid, old["key"]).status == 403

    cluster.revive("n1")

    found = keys_of(cluster, "n1")
    assert old["uid"] not in found
    assert found[new["uid"]]["key"] == new["key"]


def test_a_key_that_was_deleted_or_made_behind_our_back_is_set_right(cluster, uid):
    """Somebody with the master key at one node must not lock clients out of it."""
    key = made(cluster, name="kept")
    gone = made(cluster, name="gone")
    cluster.send("DELETE", f"/keys/{gone['uid']}").ok()
    node = cluster.on_node("n2")

    node.request("DELETE", f"/keys/{key['uid']}").ok()
    again = {"uid": gone["uid"], "actions": ["*"], "indexes": ["*"], "expiresAt": None}
    node.request("POST", "/keys", again).ok()

    until(lambda: key["uid"] in keys_of(cluster, "n2"), "the key is back")
    until(lambda: gone["uid"] not in keys_of(cluster, "n2"), "the dead key is gone")


def test_a_new_cluster_has_the_default_keys_on_every_node(cluster):
    """What the guides of Meilisearch tell users to look for, with one value each."""

    def listed():
        page = cluster.client.get("/keys")
        found = [key for key in page["results"] if key["name"] in DEFAULTS]
        return found if len(found) == len(DEFAULTS) else None

    keys = until(listed, "the default keys")

    assert sorted(key["name"] for key in keys) == sorted(DEFAULTS)
    for name in cluster.nodes:
        shown = keys_of(cluster, name)
        assert {key["uid"]: key["key"] for key in keys} == {
            key["uid"]: shown[key["uid"]]["key"] for key in keys
        }


def test_a_name_is_changed_on_every_node(cluster):
    """PATCH is the only change that a key knows."""
    key = made(cluster, name="before")

    changed = cluster.send("PATCH", f"/keys/{key['uid']}", {"name": "after"}).ok()

    assert (changed["name"], changed["key"]) == ("after", key["key"])
    assert cluster.client.get(f"/keys/{key['key']}")["name"] == "after"
    assert {keys_of(cluster, n)[key["uid"]]["name"] for n in cluster.nodes} == {"after"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/keys", {"actions": ["search"], "indexes": ["*"]}),
        ("POST", "/keys", {"actions": ["nope"], "indexes": ["*"], "expiresAt": None}),
        ("POST", "/keys", {"actions": ["search"], "indexes": ["a b"], "expiresAt": None}),
        ("POST", "/keys", {"actions": ["search"], "indexes": ["*"], "expiresAt": "2000-01-01"}),
        ("POST", "/keys", {"actions": [], "indexes": [], "expiresAt": None, "uid": "nope"}),
        ("POST", "/keys", {"actions": ["version"], "indexes": ["a"], "expiresAt": None}),
        ("POST", "/keys", []),
        ("PATCH", "/keys/nope", {"name": 3}),
        ("PATCH", "/keys/nope", {"name": "x"}),
        ("PATCH", "/keys/nope", {"actions": ["*"]}),
        ("GET", "/keys/nope", None),
        ("DELETE", "/keys/nope", None),
        ("GET", "/keys?limit=x", None),
        ("GET", "/keys?nope=1", None),
    ],
)
def test_a_bad_request_is_refused_as_a_node_refuses_it(cluster, method, path, body):
    """Word for word, and without a trace on any node."""
    before = {name: set(keys_of(cluster, name)) for name in cluster.nodes}
    there = cluster.on_node("n0").request(method, path, body)

    here = cluster.send(method, path, body)

    assert (here.status, here.body) == (there.status, there.body)
    assert {name: set(keys_of(cluster, name)) for name in cluster.nodes} == before


def test_keys_outlive_a_restart_of_miroir(cluster, uid):
    """Desired state is durable."""
    cluster.create(uid, DOCUMENTS)
    key = made(cluster, name="durable")

    cluster.kill_miroir()
    cluster.start_miroir()

    until(lambda: searched(cluster, uid, key["key"]).status == 200, "the key opens again")
    assert cluster.client.get(f"/keys/{key['uid']}")["key"] == key["key"]


def test_a_tenant_token_sees_what_its_rules_let_through(cluster, uid):
    """Made by somebody else's program; the nodes apply its filter, whatever node is asked."""
    cluster.create(uid, DOCUMENTS)
    cluster.do("PATCH", f"/indexes/{uid}/settings", {"filterableAttributes": ["id"]})
    key = made(cluster, indexes=[uid])

    token = tenant_token(key, {uid: {"filter": "id < 2"}})
    assert searched(cluster, uid, token).ok()["estimatedTotalHits"] == 2
    forged = tenant_token({**key, "key": key["key"][::-1]}, [uid])
    assert searched(cluster, uid, forged).status == 403
    late = tenant_token(key, [uid], exp=12)
    assert "Tenant token expired" in searched(cluster, uid, late).body["message"]
    other = tenant_token(key, ["other"])
    assert "cannot acces the index" in searched(cluster, uid, other).body["message"]

    cluster.send("DELETE", f"/keys/{key['uid']}").ok()
    assert searched(cluster, uid, token).status == 403


def test_a_key_that_one_node_refuses_is_on_none(cluster):
    """Half a key would open by chance; the client gets the node's own words."""
    said = {"fault": "status", "status": 400, "code": "invalid_api_key_name", "message": "no"}
    cluster.faults("n4", {**said, "method": "POST", "path": "^/keys$"})
    before = {name: set(keys_of(cluster, name)) for name in cluster.nodes}

    refused = cluster.send(
        "POST", "/keys", {"actions": ["search"], "indexes": ["*"], "expiresAt": None}
    )

    assert (refused.status, refused.body["code"]) == (400, "invalid_api_key_name")
    assert {name: set(keys_of(cluster, name)) for name in cluster.nodes} == before


def test_a_key_is_finished_by_the_next_miroir(cluster):
    """Accepted is durable: it ends on every node or on none, whatever dies in between."""
    slow = {"fault": "latency", "ms": 4000, "method": "POST", "path": "^/keys$", "skip": 0}
    cluster.faults("n5", slow)
    body = {"name": "crash", "actions": ["search"], "indexes": ["*"], "expiresAt": None}
    asking = threading.Thread(target=_ask_and_lose, args=(cluster, body))
    asking.start()
    until(lambda: named(cluster, "n0", "crash"), "made on the first node")

    cluster.kill_miroir()
    asking.join()
    cluster.faults("n5")
    cluster.start_miroir()

    until(lambda: all(named(cluster, n, "crash") for n in cluster.nodes), "made on every node")
    until(lambda: named_here(cluster, "crash"), "known to Miroir")
    uids = {key["uid"] for n in cluster.nodes for key in named(cluster, n, "crash")}
    assert len(uids) == 1


def test_a_deletion_goes_on_past_a_node_that_does_not_answer(cluster, uid):
    """A key that is dead here must die there as soon as that is possible."""
    cluster.create(uid, DOCUMENTS)
    key = made(cluster, name="doomed")
    cluster.faults("n3", {"fault": "status", "status": 503, "method": "DELETE", "path": "/keys"})

    asking = threading.Thread(target=cluster.send, args=("DELETE", f"/keys/{key['uid']}"))
    asking.start()
    until(lambda: searched(cluster, uid, key["key"]).status == 403, "dead here at once")
    cluster.faults("n3")
    asking.join()

    until(lambda: not [n for n in cluster.nodes if key["uid"] in keys_of(cluster, n)], "dead")


def test_keys_that_are_not_the_clusters_are_shown_and_left_alone(cluster):
    """Each node has made default keys of its own, with uids of its own."""
    admin = cluster.local.admin()
    made(cluster, name="ours")

    seen = until(lambda: admin.get("/_miroir/keys"), "keys")

    values = {key["key"] for name in cluster.nodes for key in keys_of(cluster, name).values()}
    assert {node["state"] for node in seen["nodes"].values()} == {"synced"}
    for name in cluster.nodes:
        own = {key["uid"] for key in seen["unmanaged"][name]}
        assert own == keys_of(cluster, name).keys() - {key["uid"] for key in seen["keys"]}
        assert own
    assert not [value for value in values if value in str(seen)]


def test_no_value_of_a_key_comes_into_the_log(cluster, uid):
    """Logs are kept, shipped and read by many."""
    cluster.create(uid, DOCUMENTS)
    key = made(cluster, name="quiet")
    searched(cluster, uid, key["key"])
    cluster.send("GET", f"/keys/{key['key']}").ok()
    cluster.send("DELETE", f"/keys/{key['key']}").ok()
    cluster.send("GET", f"/keys/{key['key']}")

    said = cluster.local.miroir.command.log.read_text()
    assert key["uid"] in said or "_miroir_keys" in said
    assert key["key"] not in said


def test_a_key_works_until_it_expires_and_not_after(cluster, uid):
    """Expiry is judged at the edge, for every route."""
    cluster.create(uid, DOCUMENTS)
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
    key = made(cluster, expiresAt=end)["key"]
    assert searched(cluster, uid, key).status == 200

    until(lambda: searched(cluster, uid, key).status == 403, "the key has expired")
