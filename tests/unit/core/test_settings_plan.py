"""
The plan, against a node in memory that was written apart: what is planned is what happens.

A plan that is not empty where nothing differs costs a task on every node at every run of a CI job;
one that is empty where something differs loses a change.
"""

import random

import pytest
from hypothesis import given, settings, strategies as st
from tests.support.sim_engine import NEW
from tests.support.sim_patches import valid_patch

from miroir.core import settings as rules
from miroir.core.secret_places import referenced
from miroir.core.settings import Cost
from miroir.core.settings_document import Declared, Ownership
from miroir.core.settings_plan import plan

patches = st.integers(0, 2**32).map(lambda seed: valid_patch(random.Random(seed)))
histories = st.lists(patches, max_size=5)
ENGINES = ("1.50.0",)


def nothing(_reference):
    """No secret is at hand."""
    return


def node(history):
    stored = {}
    for patch in history:
        stored = NEW.apply(stored, [NEW.parse(patch)])
    return stored


def planned(settings_, live, ownership=Ownership.PARTIAL, lookup=nothing, engines=ENGINES):
    return plan(Declared("movies", settings_, ownership), live, engines, lookup)


@settings(max_examples=80)
@given(histories, st.sampled_from(Ownership))
def test_what_was_pulled_needs_nothing(history, ownership):
    """For every setting that a node shows, secrets and all (`pull`, then `plan`)."""
    live = NEW.shown(node(history))
    made = planned(referenced(live, "movies"), live, ownership)
    assert made.empty, made.changes
    assert not made.refusals


@settings(max_examples=80)
@given(histories, histories)
def test_what_is_applied_is_what_was_written(history, wanted):
    """`pull(apply(x)) = x` in normal form, from any settings to any other."""
    before, goal = node(history), NEW.shown(node(wanted))
    goal = {key: value for key, value in goal.items() if key != "embedders"}
    made = planned(goal, NEW.shown(before), Ownership.FULL)
    after = NEW.apply(before, [NEW.parse(dict(made.patch))]) if made.patch else before
    shown = NEW.shown(after)
    assert {k: rules.normal(k, shown[k]) for k in goal} == {
        k: rules.normal(k, goal[k]) for k in goal
    }
    assert shown["embedders"] == {}
    assert planned(goal, shown, Ownership.FULL).empty


@settings(max_examples=60)
@given(histories, patches)
def test_a_second_apply_has_nothing_to_do(history, patch):
    """Whatever a client may write, in whatever form."""
    before = node(history)
    wanted = {k: v for k, v in patch.items() if k != "embedders"}
    made = planned(wanted, NEW.shown(before))
    after = NEW.apply(before, [NEW.parse(dict(made.patch))]) if made.patch else before
    assert planned(wanted, NEW.shown(after)).empty


def test_every_setting_can_be_changed_and_reset():
    """None of the 22 is forgotten; each change carries its cost."""
    samples = {
        "displayedAttributes": ["a"], "searchableAttributes": ["a"],
        "filterableAttributes": ["a"], "sortableAttributes": ["a"], "rankingRules": ["words"],
        "stopWords": ["no"], "nonSeparatorTokens": ["@"], "separatorTokens": ["|"],
        "dictionary": ["J.R.R."], "synonyms": {"a": ["b"]}, "distinctAttribute": "sku",
        "proximityPrecision": "byAttribute", "typoTolerance": {"enabled": False},
        "faceting": {"maxValuesPerFacet": 5}, "pagination": {"maxTotalHits": 5},
        "embedders": {"e": {"source": "userProvided", "dimensions": 3}}, "searchCutoffMs": 5,
        "localizedAttributes": [{"attributePatterns": ["*"], "locales": ["eng"]}],
        "facetSearch": False, "prefixSearch": "disabled", "foreignKeys": [{}],
        "chat": {"description": "x"},
    }  # fmt: skip
    assert set(samples) == set(rules.BY_KEY)
    live = {setting.key: setting.default for setting in rules.TABLE}
    for key, value in samples.items():
        (change,) = planned({key: value}, live).changes
        assert (change.key, change.resets, change.named) == (key, False, True)
        set_ = rules.resolve(live, {key: value})
        (back,) = planned({key: None}, set_).changes
        assert (back.resets, back.named, back.after) == (True, True, rules.BY_KEY[key].default)
        assert key in {c.key for c in planned({}, set_, Ownership.FULL).changes}
        assert planned({}, set_).unmanaged == (key,)


EMBEDDER = {"source": "openAi", "model": "m", "apiKey": "skXXXX..."}
WRITTEN = {"source": "openAi", "model": "m", "apiKey": "env:KEY"}


def with_embedder(embedder):
    return {**rules.defaults(), "embedders": {"e": embedder}}


def test_a_secret_behind_a_fitting_mask_is_taken_for_unchanged():
    """Nobody can see more than the mask; sending it each time would be a task each time."""
    secret = {"env:KEY": "sk-aaaaaaaaaaaa"}
    assert planned({"embedders": {"e": WRITTEN}}, with_embedder(EMBEDDER), lookup=secret.get).empty
    other = {"env:KEY": "another-secret-aaaaaaaaaaaaaaaaa"}
    made = planned({"embedders": {"e": WRITTEN}}, with_embedder(EMBEDDER), lookup=other.get)
    assert made.patch == {"embedders": {"e": {**WRITTEN, "apiKey": other["env:KEY"]}}}
    assert made.declared_patch == {"embedders": {"e": WRITTEN}}
    assert made.cost is Cost.INSTANT


def test_a_rotated_secret_behind_the_same_mask_can_be_sent():
    """All keys of a provider begin alike; the mask shows no more than that."""
    secret, written = {"env:KEY": "sk-aaaaaaaaaaaa"}, Declared("m", {"embedders": {"e": WRITTEN}})
    live = with_embedder(EMBEDDER)
    assert plan(written, live, ENGINES, secret.get).masked == ("env:KEY",)
    made = plan(written, live, ENGINES, secret.get, send_secrets=True)
    assert made.patch == {"embedders": {"e": {**WRITTEN, "apiKey": secret["env:KEY"]}}}
    assert (made.cost, made.masked) == (Cost.INSTANT, ())
    assert plan(written, live, ENGINES, nothing, send_secrets=True).empty
    assert plan(Declared("m", {}), live, ENGINES, secret.get, send_secrets=True).empty


def test_a_missing_secret_stays_what_it_is_where_the_engine_keeps_it():
    """A pull request is planned where the secrets are not."""
    changed = {"e": {**WRITTEN, "dimensions": 5}}
    made = planned({"embedders": changed}, with_embedder(EMBEDDER))
    assert made.patch == {"embedders": {"e": {"source": "openAi", "model": "m", "dimensions": 5}}}
    assert not made.refusals
    assert made.missing == {("e", "apiKey"): "env:KEY"}


@pytest.mark.parametrize(
    ("live", "wanted"),
    [
        (rules.defaults(), WRITTEN),
        (with_embedder(EMBEDDER), {**WRITTEN, "source": "ollama"}),
        (with_embedder({"source": "rest", "headers": {"X-Key": "planted"}}),
         {"source": "rest", "headers": {"X-Key": "env:KEY", "B": "c"}}),
    ],
)  # fmt: skip
def test_a_missing_secret_that_would_be_lost_refuses_the_change(live, wanted):
    """An embedder without its key fails at the first search, for everybody."""
    made = planned({"embedders": {"e": wanted}}, live)
    assert len(made.refusals) == 1
    assert "env:KEY" in made.refusals[0]
    assert "planted" not in made.refusals[0]


def test_stop_words_take_the_synonyms_with_them():
    """A node computes synonyms with the stop words of the moment they are written (facts H1)."""
    live = {**rules.defaults(), "synonyms": {"a": ["b"]}}
    made = planned({"stopWords": ["the"]}, live)
    assert made.patch == {"stopWords": ["the"], "synonyms": {"a": ["b"]}}
    assert [c.key for c in made.changes] == ["stopWords"]


def test_null_leads_to_the_default_of_the_engine_that_is_there():
    """Facts 1.2: an older engine has other ranking rules, and nothing has to be sent to it."""
    old = ["words", "typo", "proximity", "attribute", "sort", "exactness"]
    live = {**rules.defaults(), "rankingRules": old}
    assert planned({"rankingRules": None}, live, engines=("1.35.0", "1.50.0")).empty
    assert not planned({"rankingRules": None}, live).empty


def test_an_index_that_is_not_there_is_made_also_by_an_empty_file():
    """The file says that there is one."""
    made = plan(Declared("fresh", {}), None, ENGINES, nothing)
    assert (made.exists, made.empty, made.patch) == (False, False, {})


def test_keys_that_an_engine_does_not_know_are_named():
    """Before the change, not by its failure."""
    made = planned(
        {"facetSearch": False, "stopWords": None}, rules.defaults(), engines=("1.11.0",)
    )
    assert made.unsupported == {"1.11.0": ("facetSearch",)}


def test_what_a_chat_does_not_say_goes_to_its_default_and_then_there_is_peace():
    """A node shows defaults there, not null, and a template of its own that nobody else knows."""
    shown = {"description": "x", "documentTemplate": "T", "documentTemplateMaxBytes": 400}
    live = {**rules.defaults(), "chat": {**shown, "searchParameters": {"limit": 3}}}
    wanted = {"chat": {"description": "y"}}
    made = planned(wanted, live, Ownership.FULL)
    assert made.patch["chat"]["searchParameters"] is None
    assert "documentTemplate" not in made.patch["chat"]
    after = {**live, "chat": {**shown, "description": "y", "searchParameters": {}}}
    assert not rules.contradictions(made.target, after)
    assert planned(wanted, after, Ownership.FULL).empty
    assert planned(wanted, live).patch == wanted
