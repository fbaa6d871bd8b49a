"""
Settings under generated patches, against the embedded node's rules as a second opinion.

`core.settings` works out what a patch leads to and what to send; `miroir.node.settings` is what a
node makes of a patch, compared with real Meilisearch elsewhere. They were written apart.
"""

import random
from typing import Any

from hypothesis import given, settings, strategies as st
from tests.support.sim_engine import NEW, Stored
from tests.support.sim_patches import valid_patch

from miroir.core import settings as rules
from miroir.core.fingerprint import fingerprint

patches = st.integers(0, 2**32).map(lambda seed: valid_patch(random.Random(seed)))
histories = st.lists(patches, max_size=6)


def _node(history: list[dict[str, Any]]) -> Stored:
    stored: Stored = {}
    for patch in history:
        stored = NEW.apply(stored, [NEW.parse(patch)])
    return stored


def _brought_to(stored: Stored, target: dict[str, Any]) -> Stored:
    """What Miroir's rounds of sending make of a node."""
    for _ in range(3):
        seen = NEW.shown(stored)
        patch = rules.wire_patch(seen, target, forced=True)
        stored = NEW.apply(stored, [NEW.parse(patch)])
    return stored


def _desired(history: list[dict[str, Any]]) -> dict[str, Any]:
    """Settings in force after these changes through Miroir, secrets included."""
    stored: Stored = {}
    desired = rules.defaults()
    for patch in history:
        target = rules.resolve(desired, patch)
        stored = NEW.apply(stored, [NEW.parse(patch)])
        desired = rules.adopted(NEW.shown(stored), target)
    return desired


@settings(max_examples=60)
@given(histories, patches)
def test_a_patch_leads_where_a_node_would_go(history: list[Any], patch: dict[str, Any]) -> None:
    """The full target is nothing else than what one node makes of the client's patch."""
    stored = NEW.apply(_node(history), [NEW.parse(patch)])
    target = rules.resolve(_desired(history), patch)
    assert rules.differences(target, NEW.shown(stored)) == ()


@settings(max_examples=60)
@given(histories, histories, patches)
def test_any_node_is_brought_to_the_target(
    history: list[Any], elsewhere: list[Any], patch: dict[str, Any]
) -> None:
    """Whatever somebody did to a node, a repair ends with the settings of one never touched."""
    clean = NEW.apply(_node(history), [NEW.parse(patch)])
    desired = rules.adopted(NEW.shown(clean), rules.resolve(_desired(history), patch))
    repaired = _brought_to(_node(elsewhere), desired)
    seen = NEW.shown(repaired)
    repaired = NEW.apply(repaired, [NEW.parse(rules.exact_patch(seen, desired))])
    assert NEW.truth(repaired) == NEW.truth(clean)


@settings(max_examples=40)
@given(histories)
def test_what_is_in_force_needs_no_patch(history: list[Any]) -> None:
    """A settings task costs the node something, also when it changes nothing."""
    shown = NEW.shown(_node(history))
    desired = _desired(history)
    assert rules.wire_patch(shown, desired) == {}
    assert rules.exact_patch(shown, desired) == {}
    assert rules.same(rules.resolve(desired, {}), desired)


@settings(max_examples=40)
@given(histories, patches)
def test_the_same_patch_twice_is_a_no_op(history: list[Any], patch: dict[str, Any]) -> None:
    """Frameworks send all their settings at every start."""
    once = _desired([*history, patch])
    again = rules.resolve(once, patch)
    shown = NEW.shown(_node([*history, patch, patch]))
    assert fingerprint(shown) == fingerprint(NEW.shown(_node([*history, patch])))
    assert rules.wire_patch(shown, again) == {}


@settings(max_examples=40)
@given(histories)
def test_no_secret_is_in_what_is_shown_or_told(history: list[Any]) -> None:
    """Task details, histories and GET go to people who may not know the key."""
    desired = _desired(history)
    told = [rules.shown(desired), rules.diff(rules.defaults(), desired)]
    assert "PLANTED" not in str(told)
