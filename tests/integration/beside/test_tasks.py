"""Tasks, batches and webhooks: asked of Miroir, and of one node, in the same words."""

import json
import re
import time

import pytest

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FILTERS = [
    "uids=doggo",
    "uids=1,doggo",
    "uids=-1",
    "uids=4294967296",
    "batchUids=doggo",
    "canceledBy=doggo",
    "types=doggo",
    "types=indexCreation,doggo",
    "statuses=doggo",
    "indexUids=do ggo",
    "indexUids=a,b!",
    "beforeEnqueuedAt=doggo",
    "afterEnqueuedAt=2021",
    "beforeStartedAt=2021-13-01",
    "afterStartedAt=2021-01-01T00:00:00",
    "afterFinishedAt=",
    "bernese=1",
    "uid=1",
]
PAGES = ["limit=doggo", "limit=-1", "from=doggo", "reverse=doggo", "reverse=1"]


def both(pair, method, path, body=None, **more):
    """Return status and body of both, without uuids."""
    answers = []
    for ask in (pair.one_node, pair.through):
        answer = ask(method, path, body, **more)
        answers.append((answer.status_code, UUID.sub("UUID", answer.text)))
    return answers


def same(pair, method, path, body=None, **more):
    """Assert that both say the same; return what."""
    whole, found = both(pair, method, path, body, **more)
    assert found == whole, path
    return found


@pytest.mark.parametrize("query", FILTERS + PAGES)
def test_a_bad_filter_of_a_list_is_refused_in_the_words_of_a_node(pair, query):
    """Clients show the message to people and look at the code."""
    for path in ("/tasks", "/batches"):
        assert same(pair, "GET", f"{path}?{query}")[0] == 400


@pytest.mark.parametrize("query", ["", *FILTERS, *PAGES])
def test_a_bad_filter_of_a_change_is_refused_in_the_words_of_a_node(pair, query):
    """And nothing is cancelled or deleted: least of all everything, where no filter is given."""
    for method, path in (("POST", "/tasks/cancel"), ("DELETE", "/tasks")):
        assert same(pair, method, f"{path}?{query}")[0] == 400


@pytest.mark.parametrize(
    "path", ["/tasks/doggo", "/tasks/-1", "/tasks/99999", "/batches/doggo", "/batches/99999"]
)
def test_one_that_is_not_there_is_missing_in_the_words_of_a_node(pair, path):
    """A number that is none is another mistake than one that nobody has given out."""
    assert same(pair, "GET", path)[0] in {400, 404}


def told(pair, ask, query):
    """Return what a list says of each task, but for numbers and times."""
    page = ask("GET", query).json()
    results = [
        {k: task[k] for k in ("indexUid", "status", "type", "details", "error") if k in task}
        for task in page["results"]
    ]
    return results, page["total"]


def test_lists_narrow_as_on_one_node(pair):
    """The same history on both; every filter leaves the same of it."""
    uid = pair.load([{"id": 1}], {"stopWords": ["the"]})
    other = pair.load([{"id": 1}], {})
    for ask in (pair.one_node, pair.through):
        done(ask, ask("POST", "/indexes", {"uid": uid}))
        done(ask, ask("POST", "/swap-indexes", [{"indexes": [uid, other]}]))
    # The embedded node lists a swap under its indexes; Meilisearch and Miroir do not.
    kinds = "documentAdditionOrUpdate,settingsUpdate,indexCreation"
    everything = "types=*" if pair.engine.kind == "meilisearch" else f"types={kinds}"
    narrow = f"indexUids={uid},{other}"
    for query in (
        "statuses=failed",
        "statuses=failed,succeeded&types=indexCreation",
        "types=documentAdditionOrUpdate,settingsUpdate",
        everything,
        "statuses=*,failed&types=indexcreation",
        f"limit=2&{everything}",
        "limit=0&statuses=failed",
        f"reverse=true&limit=3&{everything}",
        "afterEnqueuedAt=2030-01-01",
        "beforeEnqueuedAt=2030-01-01&types=indexCreation",
        "uids=",
        "canceledBy=1",
    ):
        whole, found = (
            told(pair, ask, f"/tasks?{narrow}&{query}") for ask in (pair.one_node, pair.through)
        )
        assert found[0] == whole[0], query


def done(ask, accepted):
    """Wait for a task; return it."""
    uid = accepted.json()["taskUid"]
    deadline = time.monotonic() + 60
    while (task := ask("GET", f"/tasks/{uid}").json())["status"] in {"enqueued", "processing"}:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return task


def test_a_change_of_settings_is_told_to_the_letter_when_it_has_ended(pair):
    """In the table's order and sorted, whatever order the client wrote it in."""
    uid = pair.load([{"id": 1}], {})
    patch = {
        "synonyms": {"b": ["y"], "a": ["z"]},
        "stopWords": ["z", "b"],
        "rankingRules": ["typo"],
    }
    whole, found = (
        done(ask, ask("PATCH", f"/indexes/{uid}/settings", patch))
        for ask in (pair.one_node, pair.through)
    )
    assert json.dumps(found["details"]) == json.dumps(whole["details"])


def test_changes_tell_the_same_story(pair):
    """What was matched and what was done of it; an empty list matches nothing."""
    uid = pair.load([{"id": 1}], {})
    for path in (
        f"/tasks/cancel?indexUids={uid}",
        "/tasks/cancel?uids=",
        "/tasks/cancel?uids=99999",
    ):
        whole, found = (done(ask, ask("POST", path)) for ask in (pair.one_node, pair.through))
        for name in ("type", "status", "indexUid", "details", "error", "canceledBy"):
            assert found[name] == whole[name]
    whole, found = (
        done(ask, ask("DELETE", f"/tasks?indexUids={uid}&types=indexCreation"))
        for ask in (pair.one_node, pair.through)
    )
    assert found["details"] == whole["details"]
    assert found["details"]["deletedTasks"] == 1
    for ask in (pair.one_node, pair.through):
        left = ask("GET", f"/tasks?indexUids={uid}").json()["results"]
        assert "indexCreation" not in {task["type"] for task in left}


def test_a_batch_is_told_like_a_batch_of_one_node(pair):
    """Of one task at a time, there is no difference but numbers, times and the engine's trace."""
    views = []
    for ask in (pair.one_node, pair.through):
        task = done(ask, ask("POST", "/indexes", {"uid": "batched", "primaryKey": "id"}))
        view = ask("GET", f"/batches/{task['batchUid']}").json()
        assert view["uid"] == task["batchUid"]
        view["batchStrategy"] = view["batchStrategy"].replace(str(task["uid"]), "X")
        view["stats"].pop("progressTrace", None)
        for name in ("uid", "duration", "startedAt", "finishedAt"):
            assert view.pop(name) is not None
        assert ask("GET", f"/tasks?batchUids={task['batchUid']}").json()["total"] == 1
        found = ask("GET", f"/batches?uids={task['uid']}").json()
        assert [b["uid"] for b in found["results"]] == [task["batchUid"]]
        views.append(view)
    assert views[1] == views[0]


def test_a_key_sees_the_tasks_of_its_indexes_alone(pair):
    """Lists, single ones, batches and cancelations; the total of Miroir gives nothing away."""
    mine = pair.load([{"id": 1}], {})
    pair.load([{"id": 1}], {})
    key = {"actions": ["tasks.*"], "indexes": [f"{mine}*"], "expiresAt": None}
    for ask in (pair.one_node, pair.through):
        value = ask("POST", "/keys", key).json()["key"]
        headers = {"Authorization": f"Bearer {value}"}
        everything = ask("GET", "/tasks?limit=1000").json()["results"]
        deadline = time.monotonic() + 20
        while ask("GET", "/tasks", headers=headers).status_code != 200:
            assert time.monotonic() < deadline
        page = ask("GET", "/tasks?limit=1000", headers=headers).json()
        assert {task["indexUid"] for task in page["results"]} == {mine}
        if ask == pair.through:
            assert page["total"] == len(page["results"])
        batches = ask("GET", "/batches?limit=1000", headers=headers).json()["results"]
        assert {uid for b in batches for uid in b["stats"]["indexUids"]} == {mine}
        foreign = next(task for task in everything if task["indexUid"] not in {mine, None})
        assert ask("GET", f"/tasks/{foreign['uid']}", headers=headers).status_code == 404
        canceled = done(ask, ask("POST", "/tasks/cancel?statuses=*", headers=headers))
        assert canceled["details"]["matchedTasks"] == len(page["results"])


WEBHOOKS = [
    ({}, 400),
    ({"url": None}, 400),
    ({"url": ""}, 400),
    ({"url": "foo"}, 400),
    ({"url": 3}, 400),
    ({"url": "http://"}, 400),
    ({"url": "http://a:99999/"}, 400),
    ({"url": "http://a/", "headers": 3}, 400),
    ({"url": "http://a/", "headers": {"a": 3}}, 400),
    ({"url": "http://a/", "headers": {"a b": "c"}}, 400),
    ({"url": "http://a/", "headers": {"a": "c\n"}}, 400),
    ({"url": "http://a/", "uuid": "x"}, 400),
    ({"url": "http://a/", "isEditable": True}, 400),
    ({"url": "http://a/", "doggo": 1}, 400),
    ([1], 400),
    ({"url": "http://127.0.0.1:1/", "headers": {"b": None, "authorization": "Bearer 0123"}}, 201),
]


@pytest.mark.parametrize(("body", "status"), WEBHOOKS)
def test_webhooks_are_judged_in_the_words_of_a_node(pair, body, status):
    """The same client talks to both."""
    assert same(pair, "POST", "/webhooks", body)[0] == status


def test_webhooks_are_changed_as_on_one_node(pair):
    """Headers merge, null takes one out, nothing else can be changed."""
    views = []
    for ask in (pair.one_node, pair.through):
        body = {"url": "http://127.0.0.1:1/", "headers": {"a": "1", "Authorization": "x" * 40}}
        made = ask("POST", "/webhooks", body).json()["uuid"]
        path = f"/webhooks/{made}"
        steps = [
            ask("GET", path),
            ask("PATCH", path, {"headers": {"a": None, "b": "2"}}),
            ask("PATCH", path, {"url": "http://127.0.0.1:2/"}),
            ask("PATCH", path, {"url": None}),
            ask("PATCH", path, {"headers": None}),
            ask("PATCH", path, {"uuid": "x"}),
            ask("DELETE", path),
            ask("DELETE", path),
            ask("GET", path),
            ask("PATCH", path, {"url": "http://a/"}),
            ask("GET", "/webhooks/foo"),
            ask("DELETE", "/webhooks/00000000-0000-0000-0000-000000000000"),
            ask("GET", "/webhooks/00000000-0000-0000-0000-000000000000"),
        ]
        views.append([(step.status_code, step.text.replace(made, "UUID")) for step in steps])
    assert views[1] == views[0]
