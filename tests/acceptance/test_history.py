"""
Every version says who, why, when and what each node did; any of them can be had back.

Also over the deletion and re-creation of the index, and never by guessing: what the engine of
today refuses is refused in its words.
"""

import json
import sqlite3

from miroir.cli.layout import Shape
from tests.support.live_cluster import until

SHAPE = Shape(2, 2)
ADMIN = "/_miroir/settings"
SECRET = "sk-planted-5c1e"
OPEN_AI = {"source": "openAi", "apiKey": SECRET, "model": "text-embedding-3-small"}


def patch(cluster, uid, body, **headers):
    """Change settings, with further headers; the task must succeed."""
    path = f"/indexes/{uid}/settings"
    task = cluster.ended(cluster.client.request("PATCH", path, body, headers=headers))
    assert task["status"] == "succeeded", task
    return cluster.version(uid)


def history(cluster, uid, query=""):
    """Return a page of the history."""
    return cluster.local.admin().get(f"{ADMIN}/{uid}/history{query}")


def ended(cluster, uid):
    """Return the newest version when the last node has followed, too."""
    return until(
        lambda: (v := history(cluster, uid)["results"][0])["endedAt"] and v, "the change has ended"
    )


def rollback(cluster, uid, version, **more):
    """Ask for a former version."""
    headers = more.pop("headers", {})
    body = {"version": version, **more}
    return cluster.local.admin().request("POST", f"{ADMIN}/{uid}/rollback", body, headers=headers)


def test_a_version_tells_who_why_when_and_what_each_node_did(cluster, uid):
    """The first questions after an incident; the answers must be there before anybody asks."""
    cluster.create(uid, [{"id": 1, "name": "the boat"}])
    headers = {"X-Miroir-By": "Zoë", "X-Miroir-Reason": "ticket 42"}
    headers = {name: text.encode() for name, text in headers.items()}  # UTF-8 on the wire.

    version = patch(cluster, uid, {"stopWords": ["the"]}, **headers)

    entry = ended(cluster, uid)
    assert (entry["version"], entry["kind"]) == (version, "change")
    assert (entry["by"], entry["reason"]) == ("Zoë", "ticket 42")
    assert entry["diff"] == {"stopWords": [[], ["the"]]}
    assert entry["createdAt"] <= entry["startedAt"] <= entry["at"] <= entry["endedAt"]
    assert entry["duration"].startswith("PT")
    assert set(entry["nodes"]) == set(cluster.nodes)
    for name, part in entry["nodes"].items():
        (task,) = cluster.node_tasks(name, uid, "settingsUpdate")
        assert (part["state"], part["taskUid"]) == ("verified", task["uid"])
        assert part["engine"] == cluster.on_node(name).get("/version")["pkgVersion"]
        assert part["startedAt"][:23] == task["startedAt"][:23]
        assert part["finishedAt"][:23] == task["finishedAt"][:23]
        assert part["duration"].startswith("PT")
        assert [t["uid"] for t in part["tasks"]] == [task["uid"]]


def test_history_is_read_page_by_page(cluster, uid):
    """Each page leads to the next, and the last one to none."""
    cluster.create(uid)
    newest = [patch(cluster, uid, {"stopWords": [word]}) for word in "abc"][-1]

    first = history(cluster, uid, "?limit=2")
    second = history(cluster, uid, f"?limit=2&from={first['next']}")

    assert [e["version"] for e in first["results"]] == [newest, newest - 1]
    assert [e["version"] for e in second["results"]] == [newest - 2, newest - 3]
    assert second["next"] == (newest - 4 or None)
    one = cluster.local.admin().get(f"{ADMIN}/{uid}/history/{newest - 1}")
    assert one["settings"]["stopWords"] == ["b"]
    missing = cluster.local.admin().request("GET", f"{ADMIN}/{uid}/history/{newest + 1}")
    assert (missing.status, missing.body["code"]) == (404, "miroir_settings_version_not_found")


def test_a_rollback_is_a_new_version_with_the_old_settings(cluster, uid):
    """The way back from a bad change must be as safe as the change."""
    cluster.create(uid)
    wanted = patch(cluster, uid, {"stopWords": ["the"], "synonyms": {"boat": ["ferry"]}})
    before = cluster.client.get(f"/indexes/{uid}/settings")
    bad = patch(cluster, uid, {"stopWords": None, "displayedAttributes": ["id"]})

    task = cluster.ended(rollback(cluster, uid, wanted, reason="too many hits"))

    assert (task["status"], task["type"]) == ("succeeded", "settingsUpdate")
    entry = ended(cluster, uid)
    assert (entry["version"], entry["kind"]) == (bad + 1, "rollback")
    assert entry["reason"] == f"rollback to version {wanted}: too many hits"
    assert cluster.client.get(f"/indexes/{uid}/settings") == before
    assert cluster.shown(uid, "stopWords") == cluster.everywhere(["the"])
    assert cluster.shown(uid, "displayedAttributes") == cluster.everywhere(["*"])


def test_a_rollback_to_what_is_in_force_sends_nothing(cluster, uid):
    """An operator who presses the button twice must not reindex twice."""
    cluster.create(uid)
    version = patch(cluster, uid, {"stopWords": ["the"]})
    ended(cluster, uid)
    tasks = cluster.all_tasks()

    task = cluster.ended(rollback(cluster, uid, version))

    assert task["status"] == "succeeded"
    assert cluster.version(uid) == version
    assert cluster.all_tasks() == tasks


def test_a_version_from_before_the_deletion_comes_back(cluster, uid):
    """Who deleted an index by mistake makes it anew and needs its settings, not just its name."""
    cluster.create(uid)
    wanted = patch(cluster, uid, {"stopWords": ["the"], "searchableAttributes": ["name"]})
    cluster.do("DELETE", f"/indexes/{uid}")
    assert history(cluster, uid)["results"][0]["version"] == wanted
    gone = rollback(cluster, uid, wanted)
    assert (gone.status, gone.body["code"]) == (404, "index_not_found")
    again = cluster.create(uid)

    cluster.ended(rollback(cluster, uid, wanted))
    cluster.settle(uid)

    assert cluster.version(uid) == again + 1
    assert cluster.shown(uid, "stopWords") == cluster.everywhere(["the"])
    assert cluster.shown(uid, "searchableAttributes") == cluster.everywhere(["name"])


def test_embedders_come_back_with_their_secrets_and_nobody_sees_these(cluster, uid):
    """A mask sent back as a key would break semantic search on every node at once."""
    cluster.create(uid)
    wanted = patch(cluster, uid, {"embedders": {"one": OPEN_AI}})
    other = {"one": None, "two": {"source": "userProvided", "dimensions": 3}}
    patch(cluster, uid, {"embedders": other})

    cluster.ended(rollback(cluster, uid, wanted))
    cluster.settle(uid)

    assert {n: set(e) for n, e in cluster.shown(uid, "embedders").items()} == cluster.everywhere(
        {"one"}
    )
    ended(cluster, uid)
    for path in (f"{ADMIN}/{uid}", f"{ADMIN}/{uid}/history", f"{ADMIN}/{uid}/history/{wanted}",
                 f"/_miroir/intents?index={uid}", f"/indexes/{uid}/settings"):  # fmt: skip
        reader = cluster.local.admin() if path.startswith("/_miroir") else cluster.client
        text = json.dumps(reader.get(path))
        assert SECRET not in text
        assert "text-embedding-3-small" in text  # It would have been found.
    patched = {"embedders": {"one": OPEN_AI}}
    tasks = cluster.all_tasks()
    cluster.ended(cluster.change(uid, patched))
    assert cluster.all_tasks() == tasks, "the very secret is in force: nothing is to be sent"


def test_what_the_engine_of_today_refuses_is_refused_in_its_words(cluster, uid):
    """Engines change; a rollback that fails half way is worse than one that is refused."""
    cluster.create(uid)
    wanted = patch(cluster, uid, {"stopWords": ["the"]})
    version = patch(cluster, uid, {"stopWords": ["a"]})
    forget_probes(cluster)  # As after an upgrade: what this engine says is not known.
    words = "No such stop word in this engine."
    no = {"fault": "status", "status": 400, "method": "PATCH", "path": "_miroir_probe/settings$",
          "code": "invalid_settings_stop_words", "message": words}  # fmt: skip
    for name in cluster.nodes:
        cluster.faults(name, no)
    tasks = cluster.all_tasks()

    refused = rollback(cluster, uid, wanted)

    assert (refused.status, refused.body["code"]) == (400, "invalid_settings_stop_words")
    assert refused.body["message"] == words
    assert cluster.version(uid) == version
    assert cluster.all_tasks() == tasks


def forget_probes(cluster):
    """Restart Miroir without what it knows of engines."""
    cluster.kill_miroir()
    (database,) = cluster.local.layout.folder.rglob("miroir.db")
    connection = sqlite3.connect(database)
    connection.execute("DELETE FROM expected_read_back")
    connection.commit()
    connection.close()
    cluster.start_miroir()


def test_a_bad_rollback_request_is_refused(cluster, uid):
    """A wrong number is a typing error, and must not become a settings change."""
    cluster.create(uid)
    version = cluster.version(uid)
    for body, status, code in (
        ({"version": version + 1}, 404, "miroir_settings_version_not_found"),
        ({"version": 0}, 400, "bad_request"),
        ({"version": "1"}, 400, "bad_request"),
        ({"version": True}, 400, "bad_request"),
        ({}, 400, "bad_request"),
        ({"version": 1, "dryRun": True}, 400, "bad_request"),
        ({"version": 1, "reason": 5}, 400, "bad_request"),
        ({"version": 1, "reason": "two\nlines"}, 400, "miroir_invalid_note"),
    ):
        answer = cluster.local.admin().request("POST", f"{ADMIN}/{uid}/rollback", body)
        assert (answer.status, answer.body["code"]) == (status, code), body
        assert set(answer.body) == {"message", "code", "type", "link"}
    assert cluster.version(uid) == version


def test_an_aborted_change_is_found_with_what_each_node_did(cluster, uid):
    """It is no version; who wonders why nothing changed looks among the intents."""
    cluster.create(uid, [{"id": 1}])
    fails = {"fault": "task_fail", "type": "settingsUpdate", "index": f"^{uid}$",
             "code": "internal", "message": "disk full"}  # fmt: skip
    version, admin = cluster.version(uid), cluster.local.admin()
    cluster.faults("n1", fails)

    task = cluster.ended(cluster.change(uid, {"stopWords": ["the"]}))

    assert task["status"] == "failed"
    assert history(cluster, uid)["results"][0]["version"] == version
    query = f"/_miroir/intents?index={uid}&state=aborted"
    (intent,) = until(lambda: admin.get(query)["results"], "the intent is found")
    assert intent["error"]["message"] == "disk full"
    assert intent["taskUid"] == task["uid"]
    first, *_ = intent["nodes"]["n1"]["tasks"]
    assert (first["status"], first["error"]["message"]) == ("failed", "disk full")
    assert admin.get(f"/_miroir/intents/{intent['id']}") == intent
    assert intent not in admin.get(f"/_miroir/intents?index={uid}&state=open")["results"]
    assert intent in admin.get("/_miroir/intents?state=closed")["results"]
    unknown = admin.request("GET", "/_miroir/intents/999999")
    assert (unknown.status, unknown.body["code"]) == (404, "miroir_intent_not_found")
    strange = admin.request("GET", "/_miroir/intents?state=lost")
    assert (strange.status, strange.body["code"]) == (400, "bad_request")
