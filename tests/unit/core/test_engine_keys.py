"""A key that a node does not know is refused by it, in the middle of a change."""

import pytest

from miroir.core import settings as rules
from miroir.core.engine_keys import SINCE, at_default, default_of, shared_defaults, unsupported
from miroir.core.settings import BY_KEY, TABLE


def test_every_key_with_a_date_is_a_setting():
    """A name with a slip of the pen would never match."""
    assert set(SINCE) <= set(BY_KEY)


@pytest.mark.parametrize(
    ("engine", "expected"),
    [("1.11.3", ("facetSearch", "chat")), ("1.12.0", ("chat",)), ("1.50.0", ()), (None, ())],
)
def test_an_engine_knows_what_was_there_when_it_was_made(engine, expected):
    """The plan names the node and the key."""
    assert unsupported(("stopWords", "facetSearch", "chat"), engine) == expected


def test_an_older_engine_has_its_own_default_ranking_rules():
    """Facts 1.2: the list changed with 1.36, on nodes that nobody touched."""
    assert "attribute" in default_of("rankingRules", "1.35.2")
    assert default_of("rankingRules", "1.36.0") == BY_KEY["rankingRules"].default
    assert all(default_of(s.key, "1.50.0") == s.default for s in TABLE)
    assert default_of("aKeyOfNextYear", "1.50.0") is None


def test_a_chat_that_says_something_is_not_at_its_default():
    """Its default template is the engine's own; what is written beside it is somebody's."""
    at_rest = {"description": "", "documentTemplate": "x", "documentTemplateMaxBytes": 400}
    assert at_default("chat", at_rest, None)
    assert not at_default("chat", {**at_rest, "description": "a shop"}, None)
    assert not at_default("chat", {**at_rest, "searchParameters": {"limit": 3}}, None)
    assert at_default("stopWords", [], None)
    assert not at_default("stopWords", ["a"], None)
    assert not at_default("aKeyOfNextYear", None, None)


def test_where_engines_have_different_defaults_null_leads_to_none_for_all():
    """One of them made explicit everywhere would change the ranking of the other's nodes."""
    new = {**rules.defaults(), "rerank": "no"}
    old = {**rules.defaults(), "rankingRules": ["words", "typo"]}
    del old["prefixSearch"]

    shared = shared_defaults([new, old])

    assert "rankingRules" not in shared
    assert (shared["rerank"], shared["prefixSearch"]) == ("no", "indexingTime")
    assert shared_defaults([old])["rankingRules"] == ["words", "typo"]
    assert shared_defaults([]) == {}
