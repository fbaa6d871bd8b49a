"""`chat` is merged deeply by nodes: what shall go has to be named, and a reset is a change."""

from miroir.core import settings as rules
from miroir.core.settings_chat import chat_fits, whole_chat

AT_REST = {
    "description": "",
    "documentTemplate": "{{ doc }}",
    "documentTemplateMaxBytes": 400,
    "searchParameters": {},
}
SHOP = {**AT_REST, "description": "a shop", "searchParameters": {"limit": 3, "sort": ["a:asc"]}}


def test_a_reset_is_a_change_where_something_is_said() -> None:
    """It was taken for nothing to do: the assistant went on with the old words."""
    base = {**rules.defaults(), "chat": SHOP}
    target = rules.resolve(base, {"chat": None})

    assert rules.differences(target, base) == ("chat",)
    assert rules.wire_patch(base, target) == {"chat": None}


def test_a_reset_of_what_is_at_rest_changes_nothing() -> None:
    """Whatever template the engine has by itself."""
    base = {**rules.defaults(), "chat": AT_REST}
    assert rules.wire_patch(base, rules.resolve(base, {"chat": None})) == {}


def test_what_is_set_to_null_in_it_goes_from_the_node() -> None:
    """Sent without its name it would stay, and the change be aborted after all its retries."""
    base = {**rules.defaults(), "chat": SHOP}
    patch = {"chat": {"description": None, "searchParameters": {"sort": None}}}
    target = rules.resolve(base, patch)

    sent = rules.wire_patch(base, target)["chat"]

    assert sent["description"] is None
    assert sent["searchParameters"] == {"limit": 3, "sort": None}
    assert chat_fits(target["chat"], {**SHOP, "description": "", "searchParameters": {"limit": 3}})


def test_what_is_known_of_a_fresh_index_is_what_null_leads_to() -> None:
    """An engine has a default template of its own."""
    fresh = {"chat": AT_REST}
    target = rules.resolve({**rules.defaults(), "chat": SHOP}, {"chat": None}, fresh)
    assert target["chat"] == AT_REST


def test_a_leaf_that_nobody_knows_is_left_to_the_nodes() -> None:
    """They refuse it in their own words."""
    target = rules.resolve(rules.defaults(), {"chat": {"colour": None}})
    assert target["chat"] == {"colour": None}


def test_nothing_wanted_is_sent_as_a_reset() -> None:
    """An empty object changes nothing on a node."""
    assert whole_chat(SHOP, {}) is None
