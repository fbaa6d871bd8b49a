"""kill -9 at any moment: every acknowledged task is applied exactly once."""

import contextlib
import signal
from collections.abc import Callable

import httpx
import pytest
from tests.integration.node.running import RunningNode

Start = Callable[..., RunningNode]


@pytest.mark.parametrize("moment", ["task_start", "task_commit", "task_end"])
def test_a_task_interrupted_anywhere_is_applied_exactly_once(start: Start, moment: str):
    """An index creation that ran twice would fail with `index_already_exists`."""
    node = start("--faults")
    before = node.do("POST", "/indexes/kept/documents", [{"id": 1, "n": 1}])
    node.faults({"fault": "crash", "at": moment, "type": "indexCreation"})
    with contextlib.suppress(httpx.TransportError):  # it may die before it has answered
        node.ask("POST", "/indexes", {"uid": "made"})
    assert node.process.wait(30) == 137
    uid = before["uid"] + 1
    with start() as again:
        task = again.ended(uid)
        assert (task["status"], task["error"]) == ("succeeded", None)
        assert again.ask("GET", "/indexes/made").status_code == 200
        assert again.ask("GET", "/indexes/kept/documents/1").json() == {"id": 1, "n": 1}
        assert again.ask("GET", f"/tasks?uids={uid}&statuses=processing").json()["total"] == 0


def test_a_partial_update_is_not_merged_twice_and_search_has_it_after_restart(start: Start):
    """Settings and documents come back from the database, and so does the engine."""
    node = start("--faults")
    node.do("PATCH", "/indexes/m/settings", {"stopWords": ["the"]})
    before = node.do("POST", "/indexes/m/documents", [{"id": 1, "title": "green"}])
    node.faults({"fault": "crash", "at": "task_commit", "type": "documentAdditionOrUpdate"})
    with contextlib.suppress(httpx.TransportError):
        node.ask("PUT", "/indexes/m/documents", [{"id": 1, "year": 3}])
    node.process.wait(30)
    with start() as again:
        assert again.ended(before["uid"] + 1)["status"] == "succeeded"
        assert again.ask("GET", "/indexes/m/documents/1").json() == {
            "id": 1, "title": "green", "year": 3,
        }  # fmt: skip
        assert again.ask("GET", "/indexes/m/settings").json()["stopWords"] == ["the"]
        hits = again.ask("POST", "/indexes/m/search", {"q": "green"}).json()["hits"]
        assert [hit["id"] for hit in hits] == [1]


def test_acknowledged_writes_survive_a_kill_under_load(start: Start):
    """Whoever got a task uid will find that task, and its document, after kill -9."""
    node = start()
    uids = [
        node.ask("POST", "/indexes/m/documents", [{"id": number}]).json()["taskUid"]
        for number in range(40)
    ]
    node.stop(signal.SIGKILL)
    assert uids == list(range(40))
    with start() as again:
        assert {again.ended(uid)["status"] for uid in uids} == {"succeeded"}
        assert again.ask("GET", "/indexes/m/stats").json()["numberOfDocuments"] == 40
        assert again.do("DELETE", "/indexes/m/documents/3")["uid"] == 40


@pytest.mark.parametrize("moment", ["request", "response"])
def test_a_crash_around_a_request_leaves_all_of_it_or_nothing(start: Start, moment: str):
    """Before the work nothing is known of it; after it, the task is there."""
    node = start("--faults")
    node.faults({"fault": "crash", "at": moment, "method": "POST"})
    with pytest.raises(httpx.TransportError):
        node.ask("POST", "/indexes", {"uid": "m"})
    node.process.wait(30)
    with start() as again:
        expected = 1 if moment == "response" else 0
        assert again.ask("GET", "/tasks").json()["total"] == expected
