"""Experimental features of the whole cluster, over real processes."""

import pytest

from tests.support.live_cluster import until

SETTINGS = {"settings_drift_check": {"interval_s": 1}}
PATH = "/experimental-features"


@pytest.fixture
def features(cluster):
    """The cluster; every feature is off again afterwards."""
    yield cluster
    cluster.heal()
    on = {name: False for name, flag in cluster.client.get(PATH).items() if flag}
    cluster.send("PATCH", PATH, on).ok()


def flags(cluster, feature):
    return {name: cluster.on_node(name).get(PATH)[feature] for name in cluster.nodes}


def changed(cluster, uid):
    """Change settings, on the half of the nodes that follows after the commit, too."""
    cluster.do("PATCH", f"/indexes/{uid}/settings", {"stopWords": ["the"]})
    version = cluster.version(uid)
    until(lambda: cluster.proved(uid) == cluster.everywhere(version), "on every node")
    return version


def engines(cluster):
    return {node["engine"] for node in cluster.topology()["nodes"]}


def test_a_feature_is_switched_on_every_node(features):
    """One node that lacks it would answer the same request another way."""
    answer = features.send("PATCH", PATH, {"containsFilter": True, "metrics": None}).ok()

    assert answer["containsFilter"] is True
    assert answer == features.client.get(PATH)
    assert answer == features.on_node("n0").get(PATH)
    assert flags(features, "containsFilter") == features.everywhere(True)
    assert flags(features, "metrics") == features.everywhere(False)


def test_a_feature_that_was_switched_on_one_node_by_hand_is_switched_back(features, uid):
    """And the settings of that node, which show one key more meanwhile, are no drift."""
    features.create(uid, [{"id": 1}])
    version, tasks = features.version(uid), features.all_tasks()

    features.on_node("n1").request("PATCH", PATH, {"chatCompletions": True}).ok()

    until(lambda: flags(features, "chatCompletions")["n1"] is False, "switched back")
    until(lambda: len(engines(features)) == 1, "one engine class again")
    assert features.proved(uid) == features.everywhere(version)
    assert features.all_tasks() == tasks
    assert [i for i in features.intents(uid) if i["kind"] == "repair"] == []
    assert features.drift(uid) == []


def test_another_engine_class_of_all_nodes_is_no_drift_either(features, uid):
    """The fingerprint changes with the shape; the version and its proofs do not."""
    features.create(uid, [{"id": 1}])
    version, tasks = changed(features, uid), features.all_tasks()

    features.send("PATCH", PATH, {"chatCompletions": True, "foreignKeys": True}).ok()

    assert {engine.partition("+")[2] for engine in engines(features)} == {
        "chatCompletions,foreignKeys"
    }
    features.do("PATCH", f"/indexes/{uid}/settings", {"synonyms": {"boat": ["ship"]}})
    assert features.version(uid) == version + 1
    until(lambda: features.proved(uid) == features.everywhere(version + 1), "converged")
    assert features.settings_tasks(uid) == features.everywhere(2)
    assert features.drift(uid) == []
    assert sum(features.all_tasks().values()) == sum(tasks.values()) + len(features.nodes)


def test_the_form_of_settings_is_learnt_for_the_new_engine_class(features, uid):
    """Until then a change of the new key behind our back would not be seen."""
    features.create(uid, [{"id": 1}])
    version, tasks = changed(features, uid), features.all_tasks()
    assert "chat" not in features.client.get(f"/indexes/{uid}/settings")

    features.send("PATCH", PATH, {"chatCompletions": True}).ok()

    until(lambda: len(features.look(uid)["fingerprints"]) == 2, "two classes are known")
    shown = features.on_node("n0").get(f"/indexes/{uid}/settings")
    assert features.client.get(f"/indexes/{uid}/settings") == shown
    assert "chat" in shown
    assert (features.version(uid), features.all_tasks()) == (version, tasks)


def test_settings_change_as_before_when_a_feature_is_off_again(features, uid):
    """What was learnt while it was on must not be sent to nodes that refuse it."""
    features.create(uid, [{"id": 1}])
    features.send("PATCH", PATH, {"chatCompletions": True, "foreignKeys": True}).ok()
    chat = {"description": "boats"}
    features.do("PATCH", f"/indexes/{uid}/settings", {"chat": chat, "stopWords": ["the"]})
    features.send("PATCH", PATH, {"chatCompletions": False, "foreignKeys": False}).ok()

    features.do("PATCH", f"/indexes/{uid}/settings", {"synonyms": {"boat": ["ship"]}})
    features.do("PUT", f"/indexes/{uid}/settings/stop-words", ["a"])

    until(lambda: features.shown(uid, "stopWords") == features.everywhere(["a"]), "changed")
    assert "chat" not in features.client.get(f"/indexes/{uid}/settings")
    features.do("DELETE", f"/indexes/{uid}/settings")
    until(lambda: features.shown(uid, "stopWords") == features.everywhere([]), "reset")


def test_a_node_that_was_down_gets_the_features_when_it_returns(features):
    """Left behind by the change, it is brought up before anybody asks."""
    features.kill("n2")
    features.send("PATCH", PATH, {"containsFilter": True}).ok()

    features.revive("n2")

    until(lambda: flags(features, "containsFilter")["n2"] is True, "switched on")


@pytest.mark.parametrize(
    "body", [{"nope": True}, {"metrics": 3}, {"metrics": "yes"}, {"metrics": True, "x": 1}, [], 3]
)
def test_a_bad_request_is_refused_as_a_node_refuses_it(features, body):
    """Word for word, and no node has switched anything."""
    before = {name: features.on_node(name).get(PATH) for name in features.nodes}
    there = features.on_node("n0").request("PATCH", PATH, body)

    here = features.send("PATCH", PATH, body)

    assert (here.status, here.body) == (there.status, there.body)
    assert {name: features.on_node(name).get(PATH) for name in features.nodes} == before


def test_the_commons_are_no_indexes(features, uid):
    """They have rows of their own in the store and must show up in no list."""
    features.create(uid)
    features.send("PATCH", PATH, {"containsFilter": True}).ok()
    features.kill_miroir()
    features.start_miroir()
    until(lambda: features.client.get(PATH)["containsFilter"], "known again")

    assert [index["uid"] for index in features.client.get("/indexes")["results"]] == [uid]
    assert set(features.client.get("/stats")["indexes"]) == {uid}
    admin = features.local.admin()
    assert [index["uid"] for index in admin.get("/_miroir/topology")["indexes"]] == [uid]
    for common in ("_miroir_features", "_miroir_keys"):
        assert features.send("GET", f"/indexes/{common}").status == 400
        assert features.send("POST", "/indexes", {"uid": common}).status == 400
    assert "_miroir_features" not in admin.get("/_miroir/metrics")
