"""What tasks of settings changes tell, beside one node."""

import json

import pytest

pytestmark = pytest.mark.slow

CHANGES = [
    ("PUT", "sortable-attributes", ["b", "a"]),
    ("PUT", "stop-words", ["z", "the"]),
    ("PUT", "synonyms", {"z": ["b", "a"], "a": ["c"]}),
    ("PATCH", "typo-tolerance", {"disableOnWords": ["z", "a"], "enabled": False}),
    ("PATCH", "faceting", {"sortFacetValuesBy": {"z": "count", "a": "alpha"}}),
    ("PUT", "filterable-attributes", [{"attributePatterns": ["a"]}, "b"]),
    ("PUT", "separator-tokens", ["|", "&"]),
    ("PATCH", "", {"stopWords": ["a"], "displayedAttributes": ["b", "a"], "dictionary": ["b"]}),
    ("PATCH", "", {"displayedAttributes": None, "rankingRules": None}),
    ("DELETE", "stop-words", None),
    ("DELETE", "searchable-attributes", None),
    ("DELETE", "", None),
]


@pytest.fixture(scope="module")
def uid(pair):
    return pair.load([{"id": 1, "a": 1}], {})


def ended(ask, uid, change):
    """Send a change; return what its task tells in the end."""
    method, segment, body = change
    path = f"/indexes/{uid}/settings" + (f"/{segment}" if segment else "")
    task = ask(method, path, body).json()
    while task.get("status") not in {"succeeded", "failed"}:
        task = ask("GET", f"/tasks/{task.get('taskUid', task.get('uid'))}").json()
    return task["status"], json.dumps(task["details"])


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_change_is_told_as_one_node_tells_it(pair, uid, change):
    """To the letter: clients compare details, and logs are searched for them."""
    assert ended(pair.through, uid, change) == ended(pair.one_node, uid, change)


@pytest.mark.parametrize("segment", ["", "stop-words", "embedders"])
def test_a_reset_of_what_is_not_there_is_told_as_well(pair, segment):
    """The task has failed, and says what it was to do."""
    change = ("DELETE", segment, None)
    whole = ended(pair.one_node, "nowhere", change)
    assert whole[0] == "failed"
    assert ended(pair.through, "nowhere", change) == whole
