"""Engine classes, and what features differ. Shapes as measured with Meilisearch 1.50."""

import pytest

from miroir.core import features as rules

ALL_OFF = {"metrics": False, "chatCompletions": False, "foreignKeys": False}


def test_a_plain_node_is_of_the_class_of_its_version():
    """Stores hold fingerprints under this name since the first release."""
    assert rules.engine_class("1.50.0", ALL_OFF) == "1.50.0"
    assert rules.engine_class("1.2.0", {}) == "1.2.0"


def test_only_features_that_change_the_shape_make_a_class():
    """Otherwise turning on metrics would make every fingerprint unknown."""
    flags = {**ALL_OFF, "metrics": True, "foreignKeys": True, "chatCompletions": True}

    assert rules.engine_class("1.50.0", flags) == "1.50.0+chatCompletions,foreignKeys"
    assert rules.engine_class("1.50.0", {"metrics": True}) == "1.50.0"


def test_a_read_back_tells_its_class_itself():
    """Between two health checks a feature may be switched: that must not look like drift."""
    shown = {"synonyms": {}, "chat": {}}

    assert rules.class_shown("1.50.0", shown) == "1.50.0+chatCompletions"
    assert rules.class_shown("1.50.0+foreignKeys", shown) == "1.50.0+chatCompletions"
    assert rules.class_shown("1.50.0+chatCompletions", {"synonyms": {}}) == "1.50.0"


def test_a_class_says_its_version():
    """Features and keys are compared between nodes of one version, whatever is turned on."""
    assert rules.version_of("1.50.0+chatCompletions,foreignKeys") == "1.50.0"
    assert rules.version_of("1.50.0") == "1.50.0"


def test_settings_hide_what_a_node_would_hide():
    """`GET /settings` through Miroir has the keys that it has on one node."""
    settings = {"synonyms": {}, "chat": {}, "foreignKeys": []}

    assert rules.visible(settings, ALL_OFF) == {"synonyms": {}}
    assert set(rules.visible(settings, {"foreignKeys": True})) == {"synonyms", "foreignKeys"}


def test_only_what_differs_is_sent_and_only_where_it_is_known():
    """An older node refuses a whole request for one flag that it does not know."""
    wanted = {"metrics": True, "network": True, "containsFilter": False}

    assert rules.differing(wanted, {"metrics": True, "containsFilter": True}) == {
        "containsFilter": False
    }
    assert rules.unknown(wanted, {"metrics": True, "containsFilter": True}) == ("network",)


@pytest.mark.parametrize(
    ("shown", "agreed"),
    [
        ([{"a": True}], {"a": True}),
        ([{"a": True}, {"a": True}, {"a": False}], {"a": True}),
        ([{"a": True}, {"a": False}], {"a": False}),
        ([{"a": False}, {"a": True, "b": True}], {"a": False, "b": True}),
    ],
)
def test_what_most_nodes_show_is_taken_over(shown, agreed):
    """Nobody has said yet what is wanted; a tie is off, the engine's default."""
    assert rules.agreed(shown) == agreed


def test_a_flag_that_is_on_is_taken_over_when_every_node_knows_it():
    """In the middle of an upgrade it cannot be on everywhere: each sweep would try in vain."""
    old, new = {"metrics": False}, {"metrics": False, "rerank": True}

    assert rules.news([old, new], {"metrics": False}) == {}
    assert rules.news([new, new], {"metrics": False}) == {"rerank": True}
    assert rules.news([old, {**new, "rerank": False}], {"metrics": False}) == {"rerank": False}
