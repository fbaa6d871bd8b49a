"""Drift: what a look at a node means, and what is done about it."""

import pytest

from miroir.core import settings as rules
from miroir.core.drift import (
    Action,
    Finding,
    Mode,
    State,
    Watch,
    adoption,
    decide,
    leaving_alone,
    look,
    refunded,
)
from miroir.core.fingerprint import fingerprint

DESIRED = rules.defaults()
COMMITTED = {"1.50.0": fingerprint(DESIRED)}
SYNCED = Finding(State.SYNCED, "f", ())
DRIFTED = Finding(State.DRIFTED, "g", ("stopWords",))
MISSING = Finding(State.MISSING, "", ("index: missing",))


def test_the_committed_read_back_is_in_sync() -> None:
    """The usual case, and the cheapest."""
    assert look(DESIRED, COMMITTED, "1.50.0", DESIRED).state is State.SYNCED


def test_another_setting_is_drift_and_named() -> None:
    """Who reads the alert wants to know what was changed."""
    finding = look(DESIRED, COMMITTED, "1.50.0", {**DESIRED, "stopWords": ["x"]})
    assert (finding.state, finding.faults) == (State.DRIFTED, ("stopWords",))


def test_a_difference_that_cannot_be_named_is_drift_all_the_same() -> None:
    """Nodes decompose accents in stop words, and both spellings are compared as one."""
    desired = {**DESIRED, "stopWords": ["\u00e0"]}
    committed = {"1.50.0": fingerprint(desired)}
    finding = look(desired, committed, "1.50.0", {**desired, "stopWords": ["a\u0300"]})
    assert (finding.state, finding.faults) == (State.DRIFTED, ("fingerprint",))


def test_a_feature_that_was_switched_since_the_last_health_check_is_no_drift() -> None:
    """The node shows one key more: it is of another class now, and skew is not drift."""
    shown = {**DESIRED, "chat": {"description": ""}}
    assert look(DESIRED, COMMITTED, "1.50.0", shown).state is State.SYNCED
    assert look(DESIRED, COMMITTED, "1.50.0", {**shown, "stopWords": ["x"]}).faults == (
        "stopWords",
    )
    known = {**COMMITTED, "1.50.0+chatCompletions": fingerprint({**shown, "chat": {}})}
    assert look(DESIRED, known, "1.50.0", shown).state is State.DRIFTED


def test_another_mask_is_drift_although_the_fingerprint_is_the_same() -> None:
    """Somebody has set another key, and this time the node shows it."""
    embedder = {"source": "openAi", "model": "m", "apiKey": "sk-0123456789"}
    desired = {**DESIRED, "embedders": {"e": embedder}}
    committed = {"1.50.0": fingerprint(desired)}
    ours = {**desired, "embedders": {"e": {**embedder, "apiKey": "skXXXX..."}}}
    other = {**desired, "embedders": {"e": {**embedder, "apiKey": "opXXXX..."}}}
    assert look(desired, committed, "1.50.0", ours).state is State.SYNCED
    assert look(desired, committed, "1.50.0", other).faults == ("embedders",)


def test_another_engine_is_judged_by_the_keys_that_both_know() -> None:
    """Version skew is not drift."""
    older = {k: v for k, v in DESIRED.items() if k != "facetSearch"}
    newer = {**DESIRED, "aNewKey": 1}
    assert look(DESIRED, COMMITTED, "1.11.0", older).state is State.SYNCED
    assert look(DESIRED, COMMITTED, "1.51.0", newer).state is State.SYNCED
    drifted = look(DESIRED, COMMITTED, "1.51.0", {**newer, "stopWords": ["x"]})
    assert drifted.state is State.DRIFTED


def test_what_another_engine_has_by_default_is_no_drift() -> None:
    """From 1.36 on the default ranking rules are others; an older engine refuses these."""
    old = ["words", "typo", "proximity", "attribute", "sort", "exactness"]
    older = {**DESIRED, "rankingRules": old}
    assert look(DESIRED, COMMITTED, "1.35.0", older).state is State.SYNCED
    assert look(older, {"1.35.0": fingerprint(older)}, "1.50.0", DESIRED).state is State.SYNCED
    assert look(DESIRED, COMMITTED, "1.50.0", older).faults == ("rankingRules",)
    other = {**DESIRED, "rankingRules": ["words"]}
    assert look(DESIRED, COMMITTED, "1.35.0", other).faults == ("rankingRules",)


def test_defaults_are_compared_per_engine_as_far_as_they_are_known() -> None:
    """A fresh index that one engine has made is wanted on another with its own defaults."""
    fresh = {"0.9": {**DESIRED, "pagination": {"maxTotalHits": 2000}}, "1.51.0": DESIRED}
    wanted, forms = fresh["0.9"], {"0.9": fingerprint(fresh["0.9"])}
    assert look(wanted, forms, "1.51.0", DESIRED, fresh).state is State.SYNCED
    changed = {**DESIRED, "pagination": {"maxTotalHits": 3000}}
    assert look(wanted, forms, "1.51.0", changed, fresh).faults == ("pagination",)
    set_on_purpose = {**wanted, "pagination": {"maxTotalHits": 4000}}
    assert look(set_on_purpose, forms, "1.51.0", DESIRED, fresh).faults == ("pagination",)


def test_an_index_that_is_not_there_is_missing() -> None:
    """That is not repaired with settings."""
    assert look(DESIRED, COMMITTED, "1.50.0", None).state is State.MISSING


def test_drift_is_repaired() -> None:
    """The default."""
    watch, action = decide(Watch(), DRIFTED, mode=Mode.REPAIR, repairs_max=3)
    assert (watch, action) == (Watch(repairs=1), Action.REPAIR)


@pytest.mark.parametrize(
    ("finding", "watch", "mode"),
    [
        (DRIFTED, Watch(), Mode.ALERT),
        (MISSING, Watch(), Mode.REPAIR),
        (MISSING, Watch(), Mode.ADOPT),
        (DRIFTED, Watch(repairs=3), Mode.REPAIR),
        (DRIFTED, Watch(repairs=3), Mode.ADOPT),
    ],
)
def test_what_is_only_reported(finding: Finding, watch: Watch, mode: Mode) -> None:
    """By configuration, for a lost index, and when repairs do not hold."""
    after, action = decide(watch, finding, mode=mode, repairs_max=3)
    assert (after.repairs, action) == (watch.repairs, Action.ALERT)


def test_repairs_that_do_not_hold_come_to_an_end() -> None:
    """Two tools that fight would reindex for ever."""
    watch, actions = Watch(), []
    for _ in range(6):
        watch, action = decide(watch, DRIFTED, mode=Mode.REPAIR, repairs_max=3)
        actions.append(action)
        watch, _ = decide(watch, SYNCED, mode=Mode.REPAIR, repairs_max=3)
    assert actions == [Action.REPAIR] * 3 + [Action.ALERT] * 3


def test_changes_that_left_a_node_behind_undo_no_repair() -> None:
    """A node that was down in three changes running would never be brought up again."""
    watch = Watch(repairs=3, version=7)
    again, action = decide(watch.at(7), DRIFTED, mode=Mode.REPAIR, repairs_max=3)
    assert (again.repairs, action) == (3, Action.ALERT)
    assert decide(watch.at(8), DRIFTED, mode=Mode.REPAIR, repairs_max=3) == (
        Watch(repairs=1, version=8),
        Action.REPAIR,
    )


def test_a_node_that_stays_right_is_trusted_again() -> None:
    """An old quarrel is forgotten after some time."""
    watch = Watch(repairs=3)
    for _ in range(3):
        watch, action = decide(watch, SYNCED, mode=Mode.REPAIR, repairs_max=3)
        assert action is Action.NOTHING
    assert watch.repairs == 0


def test_what_cannot_be_seen_is_sent_again() -> None:
    """A node that was left behind may hold an old secret behind an equal mask."""
    watch, action = decide(Watch(), SYNCED, mode=Mode.REPAIR, repairs_max=3, sure=False)
    assert (watch, action) == (Watch(repairs=1), Action.REPAIR)
    _, action = decide(Watch(repairs=3), SYNCED, mode=Mode.REPAIR, repairs_max=3, sure=False)
    assert action is Action.ALERT


def test_a_repair_that_never_arrived_is_not_counted() -> None:
    """A node that is down for a day must be repaired when it is back."""
    assert refunded(Watch(repairs=2, steady=1)) == Watch(repairs=1, steady=1)
    assert refunded(Watch()) == Watch()


def test_only_a_foreign_change_is_adopted() -> None:
    """What a node shows that was merely left behind is old: it would undo a committed change."""
    _, action = decide(Watch(), DRIFTED, mode=Mode.ADOPT, repairs_max=3, adoptable=True)
    assert action is Action.ADOPT
    _, action = decide(Watch(), DRIFTED, mode=Mode.ADOPT, repairs_max=3)
    assert action is Action.REPAIR
    _, action = decide(Watch(), DRIFTED, mode=Mode.REPAIR, repairs_max=3, adoptable=True)
    assert action is Action.REPAIR


def test_a_foreign_change_that_cannot_be_read_is_neither_adopted_nor_undone() -> None:
    """Whoever wants direct changes adopted does not want them lost; an operator has to look."""
    _, action = decide(Watch(), DRIFTED, mode=Mode.ADOPT, repairs_max=3, adoptable=False)
    assert action is Action.ALERT


def test_what_was_left_behind_is_brought_up_where_drift_is_not_looked_for() -> None:
    """A node that was silent in a change of ours would else stay out for ever."""
    _, action = decide(Watch(), DRIFTED, mode=Mode.OFF, repairs_max=3)
    assert action is Action.REPAIR


EMBEDDER = {"source": "openAi", "model": "m", "apiKey": "sk-0123456789"}
MASKED = {**EMBEDDER, "apiKey": "skXXXX..."}
WANTED = {**DESIRED, "stopWords": ["the"], "synonyms": {"a": ["b"]}, "embedders": {"e": EMBEDDER}}
SHOWN = {**WANTED, "embedders": {"e": MASKED}}


@pytest.mark.parametrize(
    "changed",
    [
        {"synonyms": {}},
        {"stopWords": ["The"]},
        {"typoTolerance": {**DESIRED["typoTolerance"], "enabled": False}},
        {"embedders": {}},
        {"embedders": {"e": {**MASKED, "model": "n"}}},
        {"embedders": {"e": MASKED, "f": {"source": "userProvided", "dimensions": 3}}},
    ],
)
def test_what_is_adopted_leads_to_what_the_node_shows(changed: dict[str, object]) -> None:
    """To the letter, and with the true secrets: masks never become settings."""
    seen = {**SHOWN, **changed}
    patch = adoption(WANTED, seen)
    target = rules.resolve(WANTED, patch)
    assert fingerprint(target) == fingerprint(seen)
    assert rules.differences(target, seen) == ()
    assert "XX..." not in str(patch)


@pytest.mark.parametrize(
    "embedders",
    [
        {"e": {**MASKED, "apiKey": "opXXXX..."}},
        {"e": MASKED, "f": {"source": "openAi", "apiKey": "XXX..."}},
    ],
)
def test_a_key_that_is_only_known_by_its_mask_is_not_adopted(embedders: dict[str, object]) -> None:
    """Every node would be sent the mask, and none could embed any more."""
    seen = {**SHOWN, "embedders": embedders}
    assert adoption(WANTED, seen) == {}
    assert set(adoption(WANTED, {**seen, "synonyms": {}})) == {"synonyms"}


def test_of_an_engine_with_a_form_of_its_own_only_what_differs_is_adopted() -> None:
    """Its letters are no wishes."""
    seen = {**SHOWN, "synonyms": {}, "stopWords": ["The"]}
    assert set(adoption(WANTED, seen, ("synonyms",))) == {"synonyms"}


def test_a_foreign_value_of_an_ignored_key_is_no_fault_and_is_told() -> None:
    """The editors keep their synonyms by hand, and the node goes on answering."""
    found = Finding(State.DRIFTED, "f", ("stopWords", "synonyms"))
    assert leaving_alone(found, {"synonyms"}) == Finding(
        State.DRIFTED, "f", ("stopWords",), ("synonyms",)
    )
    both = leaving_alone(found, {"synonyms", "stopWords", "typoTolerance"})
    assert (both.state, both.faults) == (State.SYNCED, ())
    assert both.ignored == ("stopWords", "synonyms")


@pytest.mark.parametrize(
    "found", [SYNCED, DRIFTED, MISSING, Finding(State.DRIFTED, "g", ("fingerprint",))]
)
def test_what_is_not_in_an_ignored_key_is_not_passed_over(found: Finding) -> None:
    """Least of all what cannot be named, or an index that is gone."""
    assert leaving_alone(found, {"synonyms", "embedders"}) == found
