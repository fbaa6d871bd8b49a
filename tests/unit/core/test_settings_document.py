"""Three states of a key, told apart by what is written: a value, null, nothing."""

import pytest

from miroir.core import settings as rules
from miroir.core.settings_document import Declared, Ownership, overlaid, patch_of, read

LIVE = {
    **rules.defaults(),
    "synonyms": {"a": ["b"]},
    "typoTolerance": {**rules.BY_KEY["typoTolerance"].default, "disableOnWords": ["x"]},
    "embedders": {"old": {"source": "userProvided", "dimensions": 3}},
}


def test_a_key_that_is_absent_is_left_alone_under_partial_ownership():
    """Other teams, other files."""
    declared = Declared("m", {"stopWords": ["a"], "pagination": None})
    assert patch_of(declared, LIVE) == {"stopWords": ["a"], "pagination": None}


def test_a_key_that_is_absent_goes_to_its_default_under_full_ownership():
    """What is not in git is not in force."""
    declared = Declared("m", {"stopWords": ["a"]}, Ownership.FULL, frozenset({"embedders"}))
    patch = patch_of(declared, LIVE)
    assert patch["synonyms"] is None
    assert patch["stopWords"] == ["a"]
    assert "embedders" not in patch
    assert set(patch) == set(LIVE) - {"embedders"}


def test_leaves_and_embedders_that_are_absent_go_too_but_not_fields_of_embedders():
    """Which of those a node has filled in by itself, nobody can tell."""
    settings = {
        "typoTolerance": {"minWordSizeForTypos": {"oneTypo": 4}},
        "embedders": {"new": {"source": "ollama", "model": "m"}},
    }
    patch = patch_of(Declared("m", settings, Ownership.FULL), LIVE)
    assert patch["typoTolerance"]["disableOnWords"] is None
    assert patch["typoTolerance"]["minWordSizeForTypos"] == {"oneTypo": 4, "twoTypos": None}
    assert patch["embedders"] == {"old": None, "new": {"source": "ollama", "model": "m"}}


@pytest.mark.parametrize(
    ("raw", "rule", "warning"),
    [
        ([], "shape", False),
        ({"index": "m"}, "no-settings", False),
        ({"settings": {}}, "no-index", False),
        ({"index": "m", "settings": {}, "apiVersion": "miroir/v9"}, "version", False),
        ({"index": "m", "settings": {}, "ownership": "half"}, "ownership", False),
        ({"index": "m", "settings": {}, "setting": {}}, "unknown-field", False),
        ({"index": "m", "settings": {"stopWord": []}}, "unknown-key", True),
        ({"index": "m", "settings": {"stopWords": 5}}, "type", False),
        ({"index": "m", "settings": {"synonyms": {}}, "unmanaged": ["synonyms"]}, "unmanaged",
         False),
        ({"index": "m", "settings": {}, "unmanaged": "synonyms"}, "unmanaged", False),
    ],
)  # fmt: skip
def test_a_fault_has_a_name_that_does_not_change(raw, rule, warning):
    """Machines count them."""
    reading = read(raw)
    assert [(f.rule, f.warning) for f in reading.faults] == [(rule, warning)]
    assert reading.sound == warning


def test_a_slip_of_the_pen_is_answered_with_the_name_that_was_meant():
    """Engines would refuse it, later and elsewhere."""
    (fault,) = read({"index": "m", "settings": {"stopWord": []}}).faults
    assert "did you mean `stopWords`?" in fault.says


def test_an_overlay_merges_objects_and_replaces_all_else():
    """Production has another address and more stop words, not fewer fields."""
    base = {"settings": {"stopWords": ["a"], "embedders": {"e": {"model": "m", "url": "u"}}}}
    over = {"settings": {"stopWords": ["b"], "embedders": {"e": {"url": "v"}}, "synonyms": None}}
    assert overlaid(base, over) == {
        "settings": {
            "stopWords": ["b"],
            "embedders": {"e": {"model": "m", "url": "v"}},
            "synonyms": None,
        }
    }
