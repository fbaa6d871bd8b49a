"""Fingerprints: equal for equal settings, different for different ones, the same for ever."""

import hashlib
import json

import pytest

from miroir.core import settings as rules
from miroir.core.fingerprint import digest, fingerprint

SETTINGS = {"stopWords": ["b", "a"], "rankingRules": ["words"], "synonyms": {"ü": ["x"]}}


def test_the_form_is_sorted_json_without_spaces() -> None:
    """Stored fingerprints must mean the same in the next release; golden value by json."""
    canonical = {"rankingRules": ["words"], "stopWords": ["a", "b"], "synonyms": {"ü": ["x"]}}
    text = json.dumps(canonical, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    assert fingerprint(SETTINGS) == hashlib.sha256(text.encode()).hexdigest()


def test_order_of_keys_and_sets_means_nothing() -> None:
    """Nodes answer in an order of their own."""
    other = {"synonyms": {"ü": ["x"]}, "rankingRules": ["words"], "stopWords": ["a", "b"]}
    assert fingerprint(SETTINGS) == fingerprint(other)


@pytest.mark.parametrize(
    "change",
    [
        {"stopWords": ["a"]},
        {"stopWords": ["a", "B"]},
        {"rankingRules": ["words", "typo"]},
        {"synonyms": {"ü": ["y"]}},
        {"another": None},
    ],
)
def test_every_change_shows(change: dict[str, object]) -> None:
    """A fingerprint is the evidence that two nodes serve the same."""
    assert fingerprint({**SETTINGS, **change}) != fingerprint(SETTINGS)


def test_a_masked_key_is_no_part_of_it() -> None:
    """What a mask hides is compared elsewhere, and what it shows depends on the key."""
    one = {"embedders": {"e": {"source": "openAi", "apiKey": "XXX..."}}}
    two = {"embedders": {"e": {"source": "openAi", "apiKey": "sk-abXXXXXX..."}}}
    assert fingerprint(one) == fingerprint(two)


def test_the_defaults_have_a_fingerprint_of_their_own() -> None:
    """Any two of these would otherwise be taken for each other."""
    assert len({fingerprint(rules.defaults()), fingerprint({}), digest([]), digest(None)}) == 4
