"""
Acceptance (1): a synonym is added, propose and verify succeed, the version rises exactly once.

The nodes are asked directly: what Miroir says about itself is no evidence here.
"""

DOCUMENTS = [
    {"id": 1, "title": "the old ferry"},
    {"id": 2, "title": "a night train"},
    {"id": 3, "title": "boat house"},
]


def test_a_synonym_reaches_every_node_and_raises_the_version_once(cluster, uid):
    """The promise of the product in one sentence."""
    before = cluster.create(uid, DOCUMENTS)
    synonyms = {"boat": ["ferry"]}

    cluster.do("PATCH", f"/indexes/{uid}/settings", {"synonyms": synonyms})

    assert cluster.version(uid) == before + 1
    assert cluster.shown(uid, "synonyms") == cluster.everywhere(synonyms)
    assert cluster.settings_tasks(uid) == cluster.everywhere(1)
    assert cluster.proved(uid) == cluster.everywhere(before + 1)
    assert [entry["version"] for entry in cluster.look(uid)["history"]][:1] == [before + 1]


def test_a_change_is_proposed_once_and_verified_before_it_is_committed(cluster, uid):
    """Verify-before-commit is what a version number means; a second proposal would be a retry."""
    cluster.create(uid)

    task = cluster.do("PATCH", f"/indexes/{uid}/settings", {"stopWords": ["the"]})

    (intent,) = [i for i in cluster.intents(uid) if i["taskUid"] == task["uid"]]
    assert cluster.phases(intent["id"]) == [
        "probing", "draining", "proposing", "verifying", "committing",  # the first half
        "draining", "proposing", "verifying", "converged",  # the second, after the switch
    ]  # fmt: skip
    assert intent["decision"] == "commit"
    assert {name: n["state"] for name, n in intent["nodes"].items()} == cluster.everywhere(
        "verified"
    )
    assert {n["proposals"] for n in intent["nodes"].values()} == {1}
    assert len({n["fingerprint"] for n in intent["nodes"].values()}) == 1


def test_searches_obey_the_new_setting_and_name_its_version(cluster, uid):
    """A change that is committed but not felt by searches would be worthless."""
    cluster.create(uid, DOCUMENTS)
    assert [h["id"] for h in cluster.search(uid, {"q": "boat"}).ok()["hits"]] == [3]

    cluster.do("PUT", f"/indexes/{uid}/settings/synonyms", {"boat": ["ferry"]})

    version = cluster.version(uid)
    answer = cluster.search(uid, {"q": "boat"}, floor=version)
    assert sorted(hit["id"] for hit in answer.ok()["hits"]) == [1, 3]
    assert answer.headers["x-miroir-settings-version"] == str(version)
    assert "x-miroir-settings-inconsistent" not in answer.headers


def test_equal_settings_touch_no_node(cluster, uid):
    """Deployments send the same settings at every start; that must cost nothing."""
    cluster.create(uid)
    patch = {"stopWords": ["b", "a"], "synonyms": {"a": ["b"]}}
    cluster.do("PATCH", f"/indexes/{uid}/settings", patch)
    version, tasks = cluster.version(uid), cluster.all_tasks()
    probes = {name: len(cluster.node_tasks(name, "_miroir_probe")) for name in cluster.nodes}

    again = {"synonyms": {"a": ["b"]}, "stopWords": ["a", "b"]}
    task = cluster.do("PATCH", f"/indexes/{uid}/settings", again)

    assert task["error"] is None
    assert cluster.version(uid) == version
    assert cluster.all_tasks() == tasks
    for name in cluster.nodes:
        assert len(cluster.node_tasks(name, "_miroir_probe")) == probes[name]


def test_changes_sent_together_are_committed_in_order_each_with_a_version_of_its_own(cluster, uid):
    """Two teams deploy at once: neither change may be lost, and none may count twice."""
    before = cluster.create(uid)
    accepted = [cluster.change(uid, {"stopWords": [word]}) for word in ("one", "two", "three")]
    accepted.append(cluster.change(uid, {"dictionary": ["J.R.R."]}))

    assert [cluster.ended(reply)["status"] for reply in accepted] == ["succeeded"] * 4
    cluster.settle(uid)

    assert cluster.version(uid) == before + 4
    assert cluster.shown(uid, "stopWords") == cluster.everywhere(["three"])
    assert cluster.shown(uid, "dictionary") == cluster.everywhere(["J.R.R."])
    assert cluster.settings_tasks(uid) == cluster.everywhere(4)


def test_a_change_of_letter_case_is_a_change(cluster, uid):
    """To Meilisearch `The` and `the` are two stop words: a change accepted must not be lost."""
    before = cluster.create(uid)
    cluster.do("PATCH", f"/indexes/{uid}/settings", {"stopWords": ["the"]})

    cluster.do("PATCH", f"/indexes/{uid}/settings", {"stopWords": ["The"]})

    assert cluster.version(uid) == before + 2
    assert cluster.shown(uid, "stopWords") == cluster.everywhere(["The"])
