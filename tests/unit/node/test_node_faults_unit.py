"""Rules of faults: which apply, and how often."""

import threading

import pytest

from miroir.node.errors import ApiError
from miroir.node.faults import Faults
from miroir.node.tasks.model import Task


def a_task(**changes) -> Task:
    """Return a settings task of the index `movies`."""
    values = dict.fromkeys(Task.__dataclass_fields__)
    values |= {"uid": 1, "type": "settingsUpdate", "index_uid": "movies", "status": "processing"}
    return Task(**(values | changes))


def test_times_and_skip_count_matches_only():
    """What does not match is not counted: tests count on it."""
    faults = Faults()
    faults.replace([{"fault": "status", "method": "get", "path": "^/a", "skip": 1, "times": 2}])
    seen = [
        len(faults.of_request(method, path))
        for method, path in [("GET", "/a"), ("POST", "/a"), ("GET", "/a/b"), ("GET", "/b/a"),
                             ("GET", "/a"), ("GET", "/a")]
    ]  # fmt: skip
    assert seen == [0, 0, 1, 0, 1, 0]
    assert faults.view()[0]["matched"] == 4


def test_rules_of_tasks_look_at_type_and_index():
    """A stall of one index must not hold another one's tasks."""
    faults = Faults()
    rule = {"fault": "setting_ignored", "keys": ["synonyms"], "index": "^mov", "times": 1}
    faults.replace([rule])
    assert faults.ignored_settings(a_task(index_uid="books")) == set()
    assert faults.ignored_settings(a_task()) == {"synonyms"}
    assert faults.ignored_settings(a_task()) == set()
    faults.replace([{"fault": "task_fail", "type": "indexCreation", "code": "internal"}])
    faults.task_started(a_task(), threading.Event())
    with pytest.raises(ApiError):
        faults.task_started(a_task(type="indexCreation"), threading.Event())


def test_new_rules_release_a_stall():
    """A test that ends must not leave a task hanging."""
    faults = Faults()
    faults.replace([{"fault": "task_stall"}])
    stalled = threading.Thread(target=faults.task_started, args=(a_task(), threading.Event()))
    stalled.start()
    while faults.view()[0]["applied"] == 0:
        pass
    faults.replace([])
    stalled.join(30)
    assert not stalled.is_alive()


def test_crashes_happen_at_their_moment_only():
    """Three moments of a task, two of a request, and now."""
    deaths: list[int] = []
    faults = Faults(die=lambda: deaths.append(1))
    faults.replace([{"fault": "crash", "at": "task_end"}])
    faults.task_started(a_task(), threading.Event())
    faults.task_committing(a_task())
    assert deaths == []
    faults.task_ended(a_task())
    assert deaths == [1]
    faults.replace([{"fault": "crash", "at": "request"}])
    assert len(deaths) == 1
    assert len(faults.of_request("GET", "/")) == 1
    faults.replace([{"fault": "crash", "at": "now"}])
    assert deaths == [1, 1]


def test_malformed_rules_leave_the_old_ones_in_force():
    """All or nothing."""
    faults = Faults()
    faults.replace([{"fault": "latency", "ms": 1}])
    for bad in ([{"fault": "x"}], [{"ms": 1}], [{"fault": "latency", "path": "("}], 3):
        with pytest.raises(ApiError):
            faults.replace(bad)
    assert [rule["fault"] for rule in faults.view()] == ["latency"]
