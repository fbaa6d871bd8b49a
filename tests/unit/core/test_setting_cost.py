"""What a change costs is told before it is made; too cheap a word costs somebody an evening."""

import pytest

from miroir.core import settings as rules
from miroir.core.setting_cost import Effect, class_of, effect, worst
from miroir.core.settings import Cost

BASE = {
    **rules.defaults(),
    "searchableAttributes": ["title", "overview"],
    "filterableAttributes": ["genre"],
    "rankingRules": ["words", "year:desc"],
    "embedders": {"small": {"source": "openAi", "model": "a", "url": "http://u"}},
}
PLAIN = {**BASE, "embedders": {}}


def cost_of(key, value, base=PLAIN):
    return effect(key, base, {**base, key: value}).cost


@pytest.mark.parametrize(
    ("key", "value", "cost"),
    [
        ("searchableAttributes", ["overview", "title"], Cost.INSTANT),
        ("searchableAttributes", ["title", "overview", "cast"], Cost.RETOKENISE),
        ("searchableAttributes", ["title"], Cost.RETOKENISE),
        ("searchableAttributes", ["*"], Cost.RETOKENISE),
        ("rankingRules", ["year:desc", "words"], Cost.INSTANT),
        ("rankingRules", ["words"], Cost.INSTANT),
        ("rankingRules", ["words", "price:asc"], Cost.FACETS),
        ("distinctAttribute", "sku", Cost.FACETS),
        ("distinctAttribute", "genre", Cost.INSTANT),
        ("typoTolerance", {**BASE["typoTolerance"], "enabled": False}, Cost.INSTANT),
        ("typoTolerance", {**BASE["typoTolerance"], "disableOnNumbers": True}, Cost.RETOKENISE),
        ("stopWords", ["the"], Cost.RETOKENISE),
        ("synonyms", {"a": ["b"]}, Cost.INSTANT),
        ("filterableAttributes", ["genre", "year"], Cost.FACETS),
        ("facetSearch", False, Cost.FACETS),
        ("aKeyOfNextYear", 1, Cost.RETOKENISE),
    ],
)  # fmt: skip
def test_the_two_values_decide_the_class(key, value, cost):
    """The same key is free or dear; source: the engine's own comparison (facts 1.7)."""
    assert cost_of(key, value) is cost


@pytest.mark.parametrize(
    ("fields", "cost"),
    [
        ({"apiKey": "other"}, Cost.INSTANT),
        ({"url": "http://elsewhere"}, Cost.INSTANT),  # openAi: the same service elsewhere.
        ({"distribution": {"mean": 0.5, "sigma": 0.1}}, Cost.INSTANT),
        ({"model": "b"}, Cost.REEMBED),
        ({"documentTemplate": "x"}, Cost.REEMBED),
    ],
)
def test_only_what_makes_other_vectors_embeds_again(fields, cost):
    """Every document goes to somebody else's server, for money."""
    after = {"small": {**BASE["embedders"]["small"], **fields}}
    assert cost_of("embedders", after, BASE) is cost


def test_a_new_embedder_embeds_and_one_that_goes_does_not():
    """Vectors of the user come with the documents."""
    old = BASE["embedders"]
    assert cost_of("embedders", {**old, "new": {"source": "ollama"}}, BASE) is Cost.REEMBED
    mine = {**old, "mine": {"source": "userProvided", "dimensions": 3}}
    assert cost_of("embedders", mine, BASE) is Cost.INSTANT
    assert cost_of("embedders", {}, BASE) is Cost.INSTANT


def test_searchable_fields_are_in_the_templates_of_embedders():
    """The trap: a change of searched fields may embed every document again."""
    base = {**BASE, "embedders": {"small": {"source": "openAi", "documentTemplate": "{{x}}"}}}
    found = effect("searchableAttributes", base, {**base, "searchableAttributes": ["title"]})
    assert found.cost is Cost.REEMBED
    assert "small" in found.why
    order = {**base, "searchableAttributes": ["overview", "title"]}
    assert effect("searchableAttributes", base, order).cost is Cost.INSTANT


def test_the_dearest_counts():
    """One task does it all."""
    assert worst([]) is Cost.INSTANT
    effects = [Effect(cost, "") for cost in (Cost.FACETS, Cost.REEMBED, Cost.RETOKENISE)]
    assert worst(effects) is Cost.REEMBED


def test_a_patch_alone_is_classed_as_if_all_had_been_at_default():
    """Of a change of the past, or of somebody else's, no more is known."""
    assert class_of({"stopWords": ["a"], "searchCutoffMs": 5}) is Cost.RETOKENISE
    assert class_of({"sortableAttributes": ["a"], "pagination": None}) is Cost.FACETS
    assert class_of({"pagination": {"maxTotalHits": 5}}) is Cost.INSTANT
    assert class_of({}) is Cost.INSTANT
