"""What can be told without a node is told in the pull request."""

import pytest

from miroir.core import settings as rules
from miroir.core.setting_values import check_value


def findings(key, value):
    return [(f.place, f.rule, f.warning) for f in check_value(key, value)]


@pytest.mark.parametrize("setting", rules.TABLE, ids=lambda s: s.key)
def test_defaults_and_null_are_right(setting):
    """A rule that refuses what an engine has itself refuses everything."""
    assert findings(setting.key, setting.default) == []
    assert findings(setting.key, None) == []


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("stopWords", "the", [("", "type", False)]),
        ("stopWords", ["a", True, None], [("[1]", "type", False), ("[2]", "type", False)]),
        ("stopWords", ["a", "a"], [("[1]", "duplicate", True)]),
        ("searchableAttributes", ["title", "*"], [("", "star", True)]),
        ("rankingRules", ["wrods"], [("[0]", "ranking-rule", False)]),
        ("rankingRules", ["words", "year:desc"], []),
        ("rankingRules", ["attribute", "wordPosition"], [("", "ranking-rule", False)]),
        ("synonyms", {True: ["x"]}, [(".true", "type", False)]),
        ("synonyms", {"a": "b"}, [(".a", "type", False)]),
        ("pagination", {"maxTotalHits": 0}, [(".maxTotalHits", "type", False)]),
        ("proximityPrecision", "byword", [("", "choice", False)]),
        ("facetSearch", 1, [("", "choice", False)]),
        ("faceting", [], [("", "type", False)]),
        ("typoTolerance", [], [("", "type", False)]),
        ("typoTolerance", {"enabled": "maybe"}, [(".enabled", "type", False)]),
        ("typoTolerance", {"enabled": None, "disableOnNumbers": True}, []),
        ("typoTolerance", {"disableOnWords": [1]}, [(".disableOnWords[0]", "type", False)]),
        (
            "typoTolerance",
            {"minWordSizeForTypos": {"oneTypo": 300, "twoTypos": None}},
            [(".minWordSizeForTypos.oneTypo", "type", False)],
        ),
        ("typoTolerance", {"minWordSizeForTypos": None}, []),
        ("searchCutoffMs", -1, [("", "type", False)]),
        ("distinctAttribute", ["sku"], [("", "type", False)]),
        ("filterableAttributes", ["a", {"features": {}}], [("[1]", "shape", False)]),
        ("embedders", {"e": {"source": "openai"}}, [(".e.source", "choice", False)]),
        ("embedders", {"e": {"apiKey": "planted"}}, [(".e.apiKey", "secret", False)]),
        ("embedders", {"e": {"apiKey": "env:X"}, "gone": None}, []),
        ("aKeyOfNextYear", {"what": "ever"}, []),
    ],
)
def test_what_no_engine_takes_is_a_fault_and_what_is_hardly_meant_a_warning(key, value, found):
    """Engines have the last word on everything else."""
    assert findings(key, value) == found


def test_a_word_that_yaml_takes_for_something_else_is_named_with_its_cure():
    """`[true, null]` in a list of stop words is meant as words."""
    (found,) = check_value("stopWords", [True])
    assert found.says == 'expected a string; write `"true"` if the word is meant'


def test_no_finding_repeats_a_secret():
    """Findings go into CI logs."""
    said = [f.says for f in check_value("embedders", {"e": {"apiKey": "planted"}})]
    assert said
    assert "planted" not in str(said)
