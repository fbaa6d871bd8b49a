"""
A settings change made with care: golden queries before anybody sees it, and a way back by itself.

Over real processes on a grid with a second cover, which golden queries need.
"""

import pytest

from miroir.cli.layout import Shape
from tests.support.live_cluster import until

SHAPE = Shape(2, 2)
DOCUMENTS = [{"id": i, "title": f"boat {i}" if i % 2 else f"ferry {i}"} for i in range(1, 21)]
SYNONYMS = {"boat": ["ferry"]}


@pytest.fixture
def before(cluster, uid):
    """The version of an index with documents."""
    return cluster.create(uid, DOCUMENTS)


def apply(cluster, uid, settings, **more):
    body = {"settings": settings, **more}
    return cluster.admin("POST", f"/_miroir/settings/{uid}/apply", body)


def test_golden_queries_that_hold_let_the_change_through(cluster, uid, before):
    """What an operator wants: the new synonym finds more, and loses nothing."""
    canary = {
        "queries": [
            {"name": "boats", "search": {"q": "boat"}, "expectedIds": [1, 3], "top": 20},
            {"search": {"q": "ferry"}, "minOverlap": 1.0, "maxMs": 10000},
        ],
        "maxZeroHitRate": 0.0,
    }

    task = cluster.ended(apply(cluster, uid, {"synonyms": SYNONYMS}, canary=canary))

    assert task["status"] == "succeeded", task
    assert cluster.version(uid) == before + 1
    intent = cluster.intents(uid)[0]
    assert "checking" in cluster.phases(intent["id"])


def test_golden_queries_that_do_not_hold_end_it_unseen(cluster, uid, before):
    """The bestseller would vanish: the change is undone before a customer could notice."""
    canary = {
        "queries": [
            {"name": "boats", "search": {"q": "boat"}, "minOverlap": 0.9, "top": 20},
            {"name": "all", "search": {"q": ""}, "expectedIds": ["7"], "top": 20},
        ]
    }
    change = {"synonyms": SYNONYMS, "stopWords": ["boat"]}

    task = cluster.ended(apply(cluster, uid, change, canary=canary))

    assert (task["status"], task["error"]["code"]) == ("failed", "miroir_canary_failed")
    assert "`boats`" in task["error"]["message"]
    assert "`all`" not in task["error"]["message"]
    assert cluster.version(uid) == before
    until(lambda: cluster.proved(uid) == cluster.everywhere(before), "all in use again")
    assert cluster.shown(uid, "synonyms") == cluster.everywhere({})


def test_a_filter_that_the_change_takes_away_fails_in_the_words_of_the_engine(
    cluster, uid, before
):
    """Whoever wrote the query learns what they would have lost."""
    cluster.do("PATCH", f"/indexes/{uid}/settings", {"filterableAttributes": ["id"]})
    canary = {"queries": [{"search": {"q": "boat", "filter": "id > 3"}}]}

    refused = cluster.ended(apply(cluster, uid, {"filterableAttributes": []}, canary=canary))

    assert "not filterable" in refused["error"]["message"]
    assert cluster.version(uid) == before + 1


def test_without_a_second_cover_golden_queries_are_refused(cluster, uid, before):
    """They would be put to nodes that serve already; the change would be seen by then."""
    cluster.kill("n3")
    canary = {"queries": [{"search": {"q": "boat"}}]}

    task = cluster.ended(apply(cluster, uid, {"synonyms": SYNONYMS}, canary=canary))

    assert (task["status"], task["error"]["code"]) == ("failed", "miroir_no_second_cover")
    assert cluster.version(uid) == before


def test_a_change_that_nobody_confirms_undoes_itself(cluster, uid, before):
    """The operator has locked themself out, or gone home."""
    cluster.ended(apply(cluster, uid, {"synonyms": SYNONYMS}, confirmWithinS=2))
    assert cluster.look(uid)["unconfirmed"]["baseVersion"] == before

    refused = cluster.change(uid, {"stopWords": ["the"]})
    assert (refused.status, refused.body["code"]) == (409, "miroir_confirmation_pending")
    until(lambda: cluster.version(uid) == before + 2, "undone as a new version")

    until(lambda: cluster.shown(uid, "synonyms") == cluster.everywhere({}), "on every node")
    newest = cluster.intents(uid)[0]
    assert (newest["kind"], newest["by"]) == ("rollback", "miroir")
    assert newest["reason"].endswith(f"version {before + 1} was not confirmed in time")
    assert cluster.look(uid)["unconfirmed"] is None


def test_a_restart_does_not_forget_to_undo(cluster, uid, before):
    """The promise was made by the cluster, not by a process."""
    cluster.ended(apply(cluster, uid, {"synonyms": SYNONYMS}, confirmWithinS=3))
    cluster.kill_miroir()
    cluster.start_miroir()

    until(lambda: cluster.version(uid) == before + 2, "undone after the restart")
    until(lambda: cluster.shown(uid, "synonyms") == cluster.everywhere({}), "on every node")


def test_a_confirmed_change_stays(cluster, uid, before):
    """And the next change may come."""
    cluster.ended(apply(cluster, uid, {"synonyms": SYNONYMS}, confirmWithinS=600))
    path = f"/_miroir/settings/{uid}/confirm"
    wrong = cluster.admin("POST", path, {"version": before})
    assert (wrong.status, wrong.body["code"]) == (404, "miroir_nothing_to_confirm")

    confirmed = cluster.admin("POST", path, {"version": before + 1})

    assert (confirmed.status, confirmed.body["unconfirmed"]) == (200, None)
    until(lambda: cluster.proved(uid) == cluster.everywhere(before + 1), "the second half, too")
    cluster.do("PATCH", f"/indexes/{uid}/settings", {"stopWords": ["the"]})
    assert cluster.version(uid) == before + 2


def test_an_apply_for_another_version_is_refused(cluster, uid, before):
    """A saved plan must not be carried out on settings that it was not made for."""
    stale = apply(cluster, uid, {"synonyms": SYNONYMS}, baseVersion=before - 1)
    assert (stale.status, stale.body["code"]) == (412, "miroir_settings_version_mismatch")

    fresh = apply(cluster, uid, {"synonyms": SYNONYMS}, baseVersion=before, by="me", reason="why")

    assert cluster.ended(fresh)["status"] == "succeeded"
    newest = cluster.intents(uid)[0]
    assert (newest["by"], newest["reason"]) == ("me", "why")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "`.settings`"),
        ({"settings": {}, "confirmWithinS": 0}, "`.confirmWithinS`"),
        ({"settings": {}, "canary": {"queries": []}}, "`.canary.queries`"),
        ({"settings": {}, "baseVersion": "1"}, "`.baseVersion`"),
        ({"settings": {}, "nonsense": 1}, "nonsense"),
    ],
)
def test_a_mistake_is_answered_at_once_and_changes_nothing(cluster, uid, before, body, place):
    """By the name of what is wrong."""
    answer = cluster.admin("POST", f"/_miroir/settings/{uid}/apply", body)

    assert answer.status == 400
    assert place in answer.body["message"]
    assert cluster.version(uid) == before
