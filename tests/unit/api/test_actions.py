"""Which right a route asks for."""

import pytest

from miroir.api import reference
from miroir.api.actions import action_of, second_action_of
from miroir.api.public_system import UNSUPPORTED
from miroir.api.router import Access
from miroir.core import rights


def public():
    """Every public route that is answered, but for those that are open to all."""
    return [r for r in reference.offered() if r.access in {Access.MASTER, Access.NODES}]


@pytest.mark.parametrize("row", UNSUPPORTED, ids=lambda row: f"{row[0]} {row[1]}")
def test_a_route_that_is_not_offered_asks_for_a_key_first(row):
    """Like any other: who may not use it is told so, as on one node."""
    action = action_of(row[0], row[1])
    assert action is not None
    assert rights.allows({"actions": ["*"]}, action)
    assert not rights.allows({"actions": ["search"]}, action)


@pytest.mark.parametrize("route", public(), ids=lambda r: f"{r.method} {r.pattern}")
def test_every_public_route_asks_for_an_action(route):
    """A route without one opens with the master key alone, which surprises whoever has a key."""
    assert action_of(route.method, route.pattern) is not None


@pytest.mark.parametrize("route", public(), ids=lambda r: f"{r.method} {r.pattern}")
def test_an_action_is_one_that_keys_can_have(route):
    """A misspelt one could be given to nobody; `*` stands for all of them."""
    action = action_of(route.method, route.pattern)
    group = action.partition(".")[0]
    whole = {"version", "search"} if "." not in action else {f"{group}.*", "*.get", action}

    assert any(rights.allows({"actions": [name]}, action) for name in whole)
    assert action.partition(".")[2] in {
        *("", "get", "add", "create", "update", "delete", "swap"),
        *("cancel", "compact", "post", "*"),
    }


def test_reading_needs_less_than_writing():
    """A search key must not change settings."""
    path = "/indexes/{uid}/settings/synonyms"
    assert action_of("GET", path) == "settings.get"
    assert action_of("PUT", path) == action_of("DELETE", path) == "settings.update"
    assert action_of("POST", "/indexes/{uid}/search") == "search"
    assert action_of("POST", "/indexes/{uid}/documents/fetch") == "documents.get"
    assert action_of("POST", "/indexes/{uid}/documents") == "documents.add"
    assert action_of("GET", "/_miroir/keys") is None


def test_a_template_shows_settings_and_documents():
    """A key needs the rights to both; no other route asks for two."""
    assert action_of("POST", "/render-template") == "settings.get"
    second = {(r.method, r.pattern): second_action_of(r.method, r.pattern) for r in public()}
    assert {route: action for route, action in second.items() if action is not None} == {
        ("POST", "/render-template"): "documents.get"
    }
