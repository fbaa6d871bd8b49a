"""A patch on stored settings, by Meilisearch's rules; all the forms are in the recordings."""

from typing import Any

import pytest
from hypothesis import given, strategies

from miroir.node.errors import ApiError
from miroir.node.settings import SETTINGS, cleared, details, merged, parse_patch, shown
from miroir.node.settings.embedders import hidden
from miroir.node.settings.text import plain, stop_word


def applied(*patches: dict[str, Any]) -> dict[str, Any]:
    """Return the shown settings after some patches."""
    stored: dict[str, Any] = {}
    for patch in patches:
        stored = merged(stored, parse_patch(patch, {}))
    return shown(stored, {})


DEFAULTS = applied()

PATCHES = strategies.sampled_from([
    {"stopWords": ["b", "a", "b"]},
    {"displayedAttributes": ["a", "b", "a"]},
    {"searchableAttributes": ["t", "*"]},
    {"typoTolerance": {"minWordSizeForTypos": {"oneTypo": 4}}},
    {"typoTolerance": {"minWordSizeForTypos": {"twoTypos": 8}, "disableOnWords": ["Été"]}},
    {"faceting": {"sortFacetValuesBy": {"g": "count"}}},
    {"faceting": {"maxValuesPerFacet": 5}},
    {"pagination": {"maxTotalHits": 3}},
    {"synonyms": {"b": ["c"], "a": ["x"]}},
    {"filterableAttributes": ["z", {"attributePatterns": ["a*"]}]},
    {"localizedAttributes": [{"attributePatterns": ["*_ja"], "locales": ["ja"]}]},
    {"embedders": {"e": {"source": "userProvided", "dimensions": 2}}},
    {"rankingRules": ["words", "price:asc"]},
])  # fmt: skip


@given(strategies.lists(PATCHES, max_size=6))
def test_what_is_shown_can_be_sent_back_and_changes_nothing(patches: list[dict[str, Any]]):
    """A repair sends what another node shows; it must be a fixed point."""
    once = applied(*patches)
    assert applied(*patches, once) == once


@given(strategies.lists(PATCHES, max_size=6))
def test_a_reset_of_everything_brings_the_defaults_back(patches: list[dict[str, Any]]):
    """DELETE /settings leaves nothing behind."""
    stored: dict[str, Any] = {}
    for patch in patches:
        stored = merged(stored, parse_patch(patch, {}))
    assert merged(stored, cleared()) == {}
    assert shown({}, {}) == DEFAULTS


@given(PATCHES, PATCHES)
def test_patches_of_different_settings_can_change_places(
    one: dict[str, Any], other: dict[str, Any]
):
    """Only then may a coordinator send them in any order."""
    if one.keys() & other.keys():
        return
    assert applied(one, other) == applied(other, one)


def test_leaves_merge_and_null_resets_them():
    """typoTolerance is five settings in one coat."""
    seen = applied(
        {"typoTolerance": {"enabled": False, "minWordSizeForTypos": {"oneTypo": 3}}},
        {"typoTolerance": {"enabled": None, "disableOnNumbers": True}},
    )["typoTolerance"]
    assert (seen["enabled"], seen["disableOnNumbers"]) == (True, True)
    assert seen["minWordSizeForTypos"] == {"oneTypo": 3, "twoTypos": 9}


def test_a_size_that_contradicts_the_stored_one_fails_in_the_task():
    """Each half is valid alone: only the node that has both can know."""
    parse_patch({"typoTolerance": {"minWordSizeForTypos": {"oneTypo": 9}}}, {})
    with pytest.raises(ApiError, match="`twoTypos` should be greater or equals") as caught:
        applied(
            {"typoTolerance": {"minWordSizeForTypos": {"twoTypos": 6}}},
            {"typoTolerance": {"minWordSizeForTypos": {"oneTypo": 7}}},
        )
    assert caught.value.code == "invalid_settings_typo_tolerance"


def test_the_map_inside_faceting_is_replaced():
    """It does not merge, unlike its parent."""
    seen = applied(
        {"faceting": {"sortFacetValuesBy": {"a": "count"}}},
        {"faceting": {"sortFacetValuesBy": {"b": "count"}}},
    )["faceting"]["sortFacetValuesBy"]
    assert seen == {"*": "alpha", "b": "count"}


SECRET = "sk-a-very-secret-key-of-an-embedding-provider"
REST = {"source": "rest", "url": "http://x/y", "request": {}, "response": {}, "apiKey": SECRET}


def test_a_secret_is_kept_used_and_never_shown():
    """Neither by GET nor by the task."""
    patch = parse_patch({"embedders": {"e": REST}}, {})
    stored = merged({}, patch)
    assert stored["embedders"]["e"]["apiKey"] == SECRET
    for text in (str(shown(stored, {})), str(details(patch))):
        assert SECRET not in text
        assert "sk-a-XXXXXX..." in text
    kept = merged(stored, parse_patch({"embedders": {"e": {"dimensions": 3}}}, {}))
    assert kept["embedders"]["e"]["apiKey"] == SECRET


@pytest.mark.parametrize(
    ("secret", "mask"),
    [
        ("123456789", "XXX..."),
        ("1234567890", "12XXXX..."),
        ("1" * 20, "111XXXXX..."),
        ("1" * 30, "11111XXXXXX..."),
        ("ひらがな6789012345678901234567890", "ひらXXXXXX..."),
    ],
)
def test_masks_depend_on_the_length_and_split_no_character(secret: str, mask: str):
    """Values of Meilisearch's own unit test are among them (settings.rs)."""
    assert hidden(secret) == mask


def test_every_setting_has_a_route_a_code_and_a_default():
    """22 rows; the table is what the routes are made of."""
    assert len(SETTINGS) == 22
    assert SETTINGS["stopWords"].route == "stop-words"
    assert SETTINGS["searchCutoffMs"].code == "invalid_settings_search_cutoff_ms"
    assert {setting.verb for setting in SETTINGS.values()} == {"PUT", "PATCH"}
    assert set(DEFAULTS) == set(SETTINGS) - {"chat", "foreignKeys"}


def test_normal_forms_of_words():
    """Stop words keep case and (decomposed) accents; words without typos lose both."""
    assert stop_word("à\u0001") == "a\u0300"
    assert plain("Été") == "ete"
