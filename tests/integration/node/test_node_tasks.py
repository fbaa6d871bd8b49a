"""The task queue: order, cancelation, deletion, and what searches see meanwhile."""

from tests.integration.node.running import RunningNode


def test_a_task_goes_through_its_states_with_its_times(node: RunningNode, uid: str):
    """Clients show progress and durations from these fields."""
    node.faults({"fault": "task_stall", "index": uid, "times": 1})
    answer = node.ask("POST", f"/indexes/{uid}/documents", [{"id": 1}])
    assert answer.status_code == 202
    summary = answer.json()
    assert list(summary) == ["taskUid", "indexUid", "status", "type", "enqueuedAt"]
    assert summary["status"] == "enqueued"
    running = node.until(summary["taskUid"], "processing")
    assert running["batchUid"] is not None
    assert (running["startedAt"] is None, running["finishedAt"], running["duration"]) == (
        False, None, None,
    )  # fmt: skip
    assert running["details"] == {"receivedDocuments": 1, "indexedDocuments": None}
    batch = node.ask("GET", f"/batches/{running['batchUid']}").json()
    assert batch["stats"]["status"] == {"processing": 1}
    assert batch["progress"] is not None
    node.faults()
    ended = node.ended(summary["taskUid"])
    assert ended["enqueuedAt"] <= ended["startedAt"] <= ended["finishedAt"]
    assert ended["duration"].startswith("PT")


def test_tasks_are_done_in_the_order_of_their_uids(node: RunningNode, uid: str):
    """A later write must win over an earlier one."""
    path = f"/indexes/{uid}/documents"
    uids = [node.ask("POST", path, [{"id": 1, "n": n}]).json()["taskUid"] for n in range(20)]
    node.ended(uids[-1])
    finished = [node.task(number)["finishedAt"] for number in uids]
    assert finished == sorted(finished)
    assert node.ask("GET", f"{path}/1").json() == {"id": 1, "n": 19}


def test_canceled_tasks_have_no_effect_not_even_a_running_one(node: RunningNode, uid: str):
    """A canceled import that goes on in secret would be the worst of both."""
    node.do("POST", "/indexes", {"uid": uid})
    node.faults({"fault": "task_stall", "index": uid, "times": 1})
    path = f"/indexes/{uid}/documents"
    running = node.ask("POST", path, [{"id": 1}]).json()["taskUid"]
    waiting = node.ask("POST", path, [{"id": 2}]).json()["taskUid"]
    node.until(running, "processing")
    canceling = node.do("POST", f"/tasks/cancel?uids={running},{waiting}")
    assert canceling["status"] == "succeeded"
    assert canceling["details"] == {
        "matchedTasks": 2,
        "canceledTasks": 2,
        "originalFilter": f"?uids={running},{waiting}",
    }
    for number in (running, waiting):
        task = node.task(number)
        assert (task["status"], task["canceledBy"]) == ("canceled", canceling["uid"])
        assert task["details"] == {"receivedDocuments": 1, "indexedDocuments": 0}
    assert node.ask("GET", path).json()["total"] == 0
    assert node.ask("GET", f"/tasks?canceledBy={canceling['uid']}").json()["total"] == 2


def test_deleting_tasks_spares_those_that_have_not_ended_and_frees_no_uid(
    node: RunningNode, uid: str
):
    """A uid that came back would make a client take another task for its own."""
    done = node.do("POST", "/indexes", {"uid": uid})["uid"]
    node.faults({"fault": "task_stall", "index": uid, "times": 1})
    path = f"/indexes/{uid}/settings"
    running = node.ask("PATCH", path, {}).json()["taskUid"]
    waiting = node.ask("PATCH", path, {"stopWords": ["x"]}).json()["taskUid"]
    node.until(running, "processing")
    # A deletion goes before the tasks that wait.
    deleting = node.ask("DELETE", f"/tasks?uids={done},{waiting}").json()["taskUid"]
    node.faults()
    details = node.ended(deleting)["details"]
    assert (details["matchedTasks"], details["deletedTasks"]) == (2, 1)
    assert node.ask("GET", f"/tasks/{done}").json()["code"] == "task_not_found"
    assert node.ended(waiting)["status"] == "succeeded"
    assert node.ask("GET", path).json()["stopWords"] == ["x"]
    assert node.do("DELETE", f"/indexes/{uid}")["uid"] > deleting


def test_paging_walks_over_every_task_once_in_both_directions(node: RunningNode, uid: str):
    """The feed of Miroir reads node tasks this way."""
    made = [node.do("PATCH", f"/indexes/{uid}/settings", {})["uid"] for _ in range(5)]
    for reverse, expected in (("false", made[::-1]), ("true", made)):
        seen, start = [], ""
        while True:
            query = f"indexUids={uid}&limit=2&reverse={reverse}{start}"
            page = node.ask("GET", f"/tasks?{query}").json()
            assert page["total"] == 5
            seen += [task["uid"] for task in page["results"]]
            if page["next"] is None:
                break
            start = f"&from={page['next']}"
        assert seen == expected


def test_searches_and_documents_show_a_write_when_its_task_has_succeeded(
    node: RunningNode, uid: str
):
    """Read your writes: whoever waited for the task finds its effect, everywhere."""
    for number in range(30):
        word = f"word{number}"
        node.do("POST", f"/indexes/{uid}/documents", [{"id": 1, "title": word}])
        hits = node.ask("POST", f"/indexes/{uid}/search", {"q": word}).json()["hits"]
        assert [hit["title"] for hit in hits] == [word]
        assert node.ask("GET", f"/indexes/{uid}/documents/1").json()["title"] == word


def test_custom_metadata_comes_back_with_the_task(node: RunningNode, uid: str):
    """Miroir recognises its own writes by it after a lost answer."""
    path = f"/indexes/{uid}/documents?customMetadata=intent-7"
    answer = node.ask("POST", path, [{"id": 1}]).json()
    assert answer["customMetadata"] == "intent-7"
    assert node.ended(answer["taskUid"])["customMetadata"] == "intent-7"
