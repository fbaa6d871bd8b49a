"""
Two people change the settings of one index: the second one is told, and overwrites nothing.

Optimistic concurrency as RFC 9110 has it: entity tags are settings versions.
"""

import pytest

from miroir.cli.layout import Shape

SHAPE = Shape(2, 2)


def ask(cluster, method, path, body=None, **headers):
    """Send a request; header names with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return cluster.client.request(method, path, body, headers=named)


def tag(version):
    return f'"{version}"'


@pytest.fixture
def path(cluster, uid):
    """The settings of an index that is there."""
    cluster.create(uid)
    return f"/indexes/{uid}/settings"


def assert_moved(answer):
    assert (answer.status, answer.body["code"]) == (412, "miroir_settings_version_mismatch")
    assert set(answer.body) == {"message", "code", "type", "link"}


def test_every_read_of_settings_names_its_version(cluster, uid, path):
    """The whole and its parts have one version, and one tag."""
    version = cluster.version(uid)
    for tail in ("", "/stop-words", "/synonyms", "/embedders", "/typo-tolerance"):
        answer = ask(cluster, "GET", path + tail)
        assert answer.headers["etag"] == tag(version)
        assert answer.headers["x-miroir-settings-version"] == str(version)


def test_what_is_known_is_not_sent_again(cluster, uid, path):
    """Dashboards poll; 304 says all they want to know."""
    version = cluster.version(uid)
    for text in (tag(version), f"W/{tag(version)}", f'"x", {tag(version)}', "*"):
        for tail in ("", "/stop-words"):
            answer = ask(cluster, "GET", path + tail, If_None_Match=text)
            assert (answer.status, answer.body) == (304, None), text
            assert answer.headers["etag"] == tag(version)
            assert "content-length" not in answer.headers
    for text in (tag(version - 1), tag(version + 1), '"x"'):
        assert ask(cluster, "GET", path, If_None_Match=text).status == 200


@pytest.mark.parametrize(
    ("method", "tail", "body"),
    [
        ("PATCH", "", {"stopWords": ["the"]}),
        ("PUT", "/stop-words", ["the"]),
        ("DELETE", "/stop-words", None),
        ("DELETE", "", None),
    ],
)
def test_a_write_for_other_settings_is_refused(cluster, uid, path, method, tail, body):
    """The client has not seen what it would overwrite; nothing may happen."""
    cluster.do("PATCH", path, {"stopWords": ["a"]})
    version, tasks = cluster.version(uid), cluster.client.get("/tasks")["total"]

    for text in (tag(version - 1), f"W/{tag(version)}", '"x", "y"'):
        assert_moved(ask(cluster, method, path + tail, body, If_Match=text))

    assert cluster.version(uid) == version
    assert cluster.client.get("/tasks")["total"] == tasks
    for form in ("{}", '"x" ,{}', "*"):
        text = form.format(tag(cluster.version(uid)))
        cluster.ended(ask(cluster, method, path + tail, body, If_Match=text))


def test_a_change_that_is_accepted_and_has_not_ended_counts(cluster, uid, path):
    """Its writer was promised that it comes; the version alone does not show it yet."""
    version = cluster.version(uid)
    stall = {"fault": "task_stall", "type": "settingsUpdate", "index": f"^{uid}$"}
    for name in cluster.nodes:
        cluster.faults(name, stall)
    first = cluster.change(uid, {"stopWords": ["the"]})

    assert_moved(ask(cluster, "PATCH", path, {"stopWords": ["a"]}, If_Match=tag(version)))
    back = f"/_miroir/settings/{uid}/rollback"
    stale = {"If-Match": tag(version)}
    assert_moved(cluster.local.admin().request("POST", back, {"version": 1}, headers=stale))
    assert cluster.version(uid) == version
    assert ask(cluster, "GET", path).headers["etag"] == tag(version)

    for name in cluster.nodes:
        cluster.faults(name)
    assert cluster.ended(first)["status"] == "succeeded"
    # As soon as the new version is shown it can be built upon, whatever nodes still follow.
    now = ask(cluster, "GET", path).headers["etag"]
    assert now == tag(version + 1)
    assert ask(cluster, "PATCH", path, {"stopWords": ["a"]}, If_Match=now).status == 202


def test_of_two_writers_for_one_version_one_wins(cluster, uid, path):
    """What the whole feature is for."""
    seen = ask(cluster, "GET", path).headers["etag"]

    answers = [
        ask(cluster, "PATCH", path, {"stopWords": [word]}, If_Match=seen) for word in ("a", "b")
    ]

    assert [a.status for a in answers] == [202, 412]
    cluster.ended(answers[0])
    assert cluster.client.get(path)["stopWords"] == ["a"]


def test_settings_that_are_not_there_match_nothing(cluster, uid):
    """`*` means: only if there are settings; without it a write would create the index."""
    for text in ("*", '"1"'):
        assert_moved(
            ask(cluster, "PATCH", f"/indexes/{uid}/settings", {"stopWords": []}, If_Match=text)
        )
    assert ask(cluster, "GET", f"/indexes/{uid}").status == 404


def test_a_tag_without_quotes_is_an_error_and_not_a_mismatch(cluster, uid, path):
    """It could never match, and the client would retry for ever."""
    version = cluster.version(uid)
    for name in ("If_Match", "If_None_Match"):
        method = "PATCH" if name == "If_Match" else "GET"
        for text in (str(version), '"a" "b"', "", ","):
            answer = ask(cluster, method, path, {}, **{name: text})
            assert (answer.status, answer.body["code"]) == (400, "miroir_invalid_precondition")


@pytest.mark.parametrize(
    "note",
    ["x" * 501, "tab\tinside", "turned \u202e round".encode(), b"\xff not UTF-8"],
)
def test_notes_that_would_spoil_a_log_are_refused(cluster, uid, path, note):
    """They are shown to people, in terminals, for as long as the index lives."""
    answer = ask(cluster, "PATCH", path, {"stopWords": ["x"]}, X_Miroir_Reason=note)
    assert (answer.status, answer.body["code"]) == (400, "miroir_invalid_note")
    assert ask(cluster, "PATCH", path, {}, X_Miroir_By="y" * 101).status == 400
    assert ask(cluster, "PATCH", path, {}, X_Miroir_By="y" * 100).status == 202
