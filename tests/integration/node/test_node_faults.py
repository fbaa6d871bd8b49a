"""Faults on demand: each does what its rule says, exactly as often as it says."""

import time

import httpx
import pytest
from tests.integration.node.running import RunningNode


def test_without_the_flag_there_is_no_fault_route(start):
    """A node that somebody uses must not be breakable by a request."""
    with start() as plain:
        assert plain.ask("POST", "/_faults", []).status_code == 404


def test_a_forced_status_hits_exactly_the_next_n_matches(node: RunningNode):
    """Retry logic is tested by counting: one failure too many tests something else."""
    node.faults({"fault": "status", "status": 503, "path": "^/health$", "times": 2, "skip": 1})
    seen = [node.ask("GET", "/health").status_code for _ in range(5)]
    assert seen == [200, 503, 503, 200, 200]
    assert node.ask("GET", "/version").status_code == 200
    [rule] = node.ask("GET", "/_faults").json()
    assert (rule["matched"], rule["applied"]) == (5, 2)


def test_a_forced_error_has_the_form_of_the_api(node: RunningNode):
    """Clients parse errors; a fault must look like a node's own."""
    node.faults({"fault": "status", "status": 502, "code": "remote_bad_response", "message": "x"})
    answer = node.ask("GET", "/health")
    assert (answer.status_code, answer.json()["code"]) == (502, "remote_bad_response")
    assert answer.headers["X-Miroir-Embedded-Node"] == "1"


def test_chance_is_drawn_from_the_seed(node: RunningNode):
    """A failing test must fail again when it is run again."""
    rule = {"fault": "status", "path": "^/health$", "probability": 0.5, "seed": 3}
    runs = []
    for _ in range(2):
        node.faults(rule)
        runs.append([node.ask("GET", "/health").status_code for _ in range(20)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 503}


def test_a_reset_request_was_not_carried_out(node: RunningNode, uid: str):
    """The caller sees a broken connection and the node must have done nothing."""
    node.faults({"fault": "reset", "method": "POST", "path": "^/indexes$", "times": 1})
    with pytest.raises(httpx.TransportError):
        node.ask("POST", "/indexes", {"uid": uid})
    assert node.ask("GET", f"/indexes/{uid}").status_code == 404
    assert node.ask("GET", f"/tasks?indexUids={uid}").json()["total"] == 0


def test_a_lost_response_was_carried_out(node: RunningNode, uid: str):
    """The hard case for whoever retries: nothing was heard, yet the work is done."""
    node.faults({"fault": "lost_response", "method": "POST", "path": "^/indexes$", "times": 1})
    with pytest.raises(httpx.TransportError):
        node.ask("POST", "/indexes", {"uid": uid})
    [task] = node.ask("GET", f"/tasks?indexUids={uid}").json()["results"]
    assert node.ended(task["uid"])["status"] == "succeeded"


def test_latency_and_a_slow_body_delay_the_answer(node: RunningNode):
    """Timeouts are tested with a node that answers, only late."""
    impatient = httpx.Timeout(0.15)
    node.faults({"fault": "latency", "ms": 5000, "path": "^/health$", "times": 1})
    with pytest.raises(httpx.ReadTimeout):
        node.ask("GET", "/health", timeout=impatient)
    node.faults({"fault": "slow_body", "ms": 5000, "chunks": 5, "path": "^/health$", "times": 1})
    with node.client.stream("GET", "/health", timeout=impatient) as answer:
        assert answer.status_code == 200, "the head comes at once, the body trickles"
        with pytest.raises(httpx.ReadTimeout):
            answer.read()
    node.faults({"fault": "slow_body", "ms": 20, "chunks": 5, "path": "^/health$", "times": 1})
    assert node.ask("GET", "/health").json() == {"status": "available"}


def test_a_refusing_node_takes_no_connection_until_its_time_is_over(start):
    """A machine that is down refuses; then it comes back at the same address."""
    with start("--faults") as node:
        node.faults({"fault": "refuse", "ms": 300})
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{node.url}/health")
        deadline = time.monotonic() + 30
        while True:
            try:
                assert httpx.get(f"{node.url}/health").status_code == 200
                break
            except httpx.ConnectError:
                assert time.monotonic() < deadline
                time.sleep(0.02)


def test_a_stalled_task_holds_the_queue_until_it_is_released(node: RunningNode, uid: str):
    """Settings changes take long on big indexes; readers must see the old state meanwhile."""
    assert node.do("POST", "/indexes", {"uid": uid})["status"] == "succeeded"
    node.faults({"fault": "task_stall", "type": "settingsUpdate", "index": f"^{uid}$"})
    path = f"/indexes/{uid}/settings"
    change = node.ask("PATCH", path, {"stopWords": ["the"]}).json()["taskUid"]
    later = node.ask("PATCH", path, {"dictionary": ["x"]}).json()["taskUid"]
    node.until(change, "processing")
    assert node.ask("GET", path).json()["stopWords"] == []
    assert node.task(later)["status"] == "enqueued"
    assert node.ask("GET", f"/indexes/{uid}/stats").json()["isIndexing"] is True
    assert node.ask("DELETE", "/_faults").json() == []
    assert node.ended(later)["status"] == "succeeded"
    assert node.ask("GET", path).json()["stopWords"] == ["the"]


def test_a_task_that_is_made_to_fail_has_no_effect(node: RunningNode, uid: str):
    """An aborted change must be visible as an error and nowhere else."""
    node.faults({
        "fault": "task_fail", "type": "documentAdditionOrUpdate", "times": 1,
        "code": "no_space_left_on_device", "message": "disk full",
    })  # fmt: skip
    task = node.do("POST", f"/indexes/{uid}/documents", [{"id": 1}])
    assert (task["status"], task["error"]["code"]) == ("failed", "no_space_left_on_device")
    assert task["details"] == {"receivedDocuments": 1, "indexedDocuments": 0}
    assert node.ask("GET", f"/indexes/{uid}").status_code == 404


def test_an_ignored_setting_stays_while_its_task_succeeds(node: RunningNode, uid: str):
    """The lie that only a read-back finds: the reason why Miroir verifies."""
    node.do("PATCH", f"/indexes/{uid}/settings", {"synonyms": {"a": ["b"]}})
    node.faults({"fault": "setting_ignored", "keys": ["synonyms"], "index": uid, "times": 1})
    change = {"synonyms": {"c": ["d"]}, "stopWords": ["x"]}
    task = node.do("PATCH", f"/indexes/{uid}/settings", change)
    assert (task["status"], task["details"]) == ("succeeded", change)
    seen = node.ask("GET", f"/indexes/{uid}/settings").json()
    assert (seen["synonyms"], seen["stopWords"]) == ({"a": ["b"]}, ["x"])


def test_malformed_rules_are_refused_and_the_old_ones_stay(node: RunningNode):
    """A typo in a test must fail the test, not quietly break nothing."""
    node.faults({"fault": "status", "path": "^/health$", "times": 1})
    for body in ([{"fault": "latence"}], [{"ms": 3}], [{"fault": "latency", "mss": 1}], "x"):
        assert node.ask("POST", "/_faults", body).status_code == 400
    assert node.ask("GET", "/health").status_code == 503
