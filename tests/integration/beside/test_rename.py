"""Indexes that are given another uid and a primary key in one request, beside one node."""

import pytest

pytestmark = pytest.mark.slow


def ended(ask, method, path, body):
    """Send a change; return what its task tells in the end."""
    task = ask(method, path, body).json()
    while task.get("status") not in {"succeeded", "failed"}:
        task = ask("GET", f"/tasks/{task.get('taskUid', task.get('uid'))}").json()
    return {name: task[name] for name in ("indexUid", "type", "status", "details", "error")}


def test_an_index_without_a_key_gets_both(pair):
    """One task, as on one node, and documents are taken by that key."""
    told = []
    for ask in (pair.one_node, pair.through):
        ended(ask, "POST", "/indexes", {"uid": "before"})
        body = {"uid": "after", "primaryKey": "sku"}
        told.append(ended(ask, "PATCH", "/indexes/before", body))
        assert ended(ask, "POST", "/indexes/after/documents", [{"id": 1, "sku": "a"}])
    assert told[0]["status"] == "succeeded"
    assert told[1] == told[0]
    whole, found = pair.both("GET", "/indexes/after/documents/a")
    assert whole["status"] == 200
    assert found == whole


def test_a_name_that_is_taken_gives_no_key(pair):
    """The task fails, and the index is as it was."""
    told = []
    for ask in (pair.one_node, pair.through):
        for uid in ("kept", "taken"):
            ended(ask, "POST", "/indexes", {"uid": uid})
        body = {"uid": "taken", "primaryKey": "sku"}
        told.append(ended(ask, "PATCH", "/indexes/kept", body))
    assert told[0]["error"]["code"] == "index_already_exists"
    assert told[1] == told[0]
    assert pair.through("GET", "/indexes/kept").json()["primaryKey"] is None


def test_a_key_that_is_there_is_not_changed_on_the_way(pair):
    """Nodes that refuse the key rename all the same: nothing could be taken back."""
    uid = pair.load([{"id": 1}], {})
    answer = pair.through("PATCH", f"/indexes/{uid}", {"uid": "elsewhere", "primaryKey": "sku"})
    assert answer.status_code == 501
