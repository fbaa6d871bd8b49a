"""Normal forms: the letters of a value that mean nothing."""

from typing import Any

import pytest

from miroir.core.settings_normal import canonical, masked, normal, says_null


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("stopWords", "not a list"),
        ("stopWords", [1, "a"]),
        ("filterableAttributes", {"a": 1}),
        ("filterableAttributes", [{"attributePatterns": ["a"], "features": [1]}]),
        ("localizedAttributes", [{"locales": "en"}]),
        ("typoTolerance", []),
        ("faceting", {"sortFacetValuesBy": 1}),
        ("embedders", 3),
        ("noSuchKey", {"x": [1]}),
    ],
)
def test_malformed_values_are_left_as_they_are(key: str, value: Any) -> None:
    """Judging them is the node's business; falling over them would be ours."""
    normal(key, value)
    assert canonical({key: value}) == {key: value}


def test_the_canonical_form_hides_keys_and_sorts_sets() -> None:
    """Masks of different keys differ in nothing that could be compared."""
    form = canonical(
        {
            "embedders": {"e": {"source": "openAi", "apiKey": "XXX..."}},
            "stopWords": ["b", "a"],
            "sortableAttributes": ["y", "x"],
            "rankingRules": ["typo", "exactness"],
            "typoTolerance": {"disableOnWords": ["d", "c"], "enabled": True},
        }
    )
    assert form == {
        "embedders": {"e": {"source": "openAi"}},
        "stopWords": ["a", "b"],
        "sortableAttributes": ["x", "y"],
        "rankingRules": ["typo", "exactness"],
        "typoTolerance": {"disableOnWords": ["c", "d"], "enabled": True},
    }


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("", "XXX..."),
        ("123456789", "XXX..."),
        ("1234567890", "12XXXX..."),
        ("1" * 19, "11XXXX..."),
        ("1" * 20, "111XXXXX..."),
        ("1" * 29, "111XXXXX..."),
        ("1" * 30, "11111XXXXXX..."),
    ],
)
def test_masks_are_those_of_a_node(secret: str, shown: str) -> None:
    """A key that a node shows is compared with what we would expect it to show."""
    assert masked(secret) == shown


def test_a_null_is_found_however_deep() -> None:
    """Only then engines have to be asked what null leads to."""
    assert says_null({"pagination": {"maxTotalHits": None}})
    assert says_null({"stopWords": None})
    assert not says_null({"stopWords": [], "chat": {"searchParameters": {"limit": 1}}})
