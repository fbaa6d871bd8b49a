"""What the task of a settings change tells."""

import json

from miroir.core.settings_told import told


def test_a_change_is_told_in_the_order_in_which_nodes_tell_it() -> None:
    """As Meilisearch 1.50 tells this change: clients compare details as text."""
    patch = {
        "prefixSearch": "disabled",
        "sortableAttributes": ["b", "a", "b"],
        "stopWords": ["z", "é", "b"],
        "synonyms": {"b": ["y", "x"], "a": ["z", "c"]},
        "faceting": {"sortFacetValuesBy": {"z": "count", "a": "alpha"}, "maxValuesPerFacet": 3},
        "typoTolerance": {"disableOnWords": ["z", "a"], "enabled": True},
        "rankingRules": ["typo", "words"],
        "embedders": {"z": None, "a": {"source": "openAi", "apiKey": "sk-0123456789"}},
        "displayedAttributes": ["z", "a"],
    }
    wanted = {
        "displayedAttributes": ["z", "a"],
        "sortableAttributes": ["a", "b"],
        "rankingRules": ["typo", "words"],
        "stopWords": ["b", "z", "é"],
        "synonyms": {"a": ["z", "c"], "b": ["y", "x"]},
        "typoTolerance": {"enabled": True, "disableOnWords": ["a", "z"]},
        "faceting": {"maxValuesPerFacet": 3, "sortFacetValuesBy": {"a": "alpha", "z": "count"}},
        "embedders": {"a": {"source": "openAi", "apiKey": "skXXXX..."}, "z": None},
        "prefixSearch": "disabled",
    }
    assert list(told(patch).items()) == list(wanted.items())
    assert json.dumps(told(patch)) == json.dumps(wanted)


def test_a_rule_of_filters_is_told_with_its_defaults() -> None:
    """As Meilisearch 1.50 tells this change."""
    features = {"filter": {"equality": False}}
    rules = [{"features": features, "attributePatterns": ["a"]}, "x", {"attributePatterns": ["b"]}]
    filled = [
        {
            "attributePatterns": [name],
            "features": {"facetSearch": False, "filter": {"equality": equal, "comparison": False}},
        }
        for name, equal in (("a", False), ("b", True))
    ]
    wanted = {"filterableAttributes": [filled[0], "x", filled[1]]}
    assert json.dumps(told({"filterableAttributes": rules})) == json.dumps(wanted)


def test_a_reset_of_what_is_shown_and_searched_is_told_as_everything() -> None:
    """Of the other keys as null."""
    patch = {"stopWords": None, "searchableAttributes": None, "displayedAttributes": None}
    assert told(patch) == {**patch, "searchableAttributes": ["*"], "displayedAttributes": ["*"]}


def test_what_is_not_of_the_expected_form_is_told_as_it_came() -> None:
    """Newer engines have keys of their own, and a null resets."""
    patch = {"newer": [2, 1], "stopWords": None, "typoTolerance": None, "sortableAttributes": [1]}
    assert told(patch) == patch
    assert list(told(patch)) == ["sortableAttributes", "stopWords", "typoTolerance", "newer"]
