"""Languages: å, ä and ö are letters of their own where a text is Swedish, and nowhere else."""

import pytest
from tests.unit.node.engine.world import found, index_of

from miroir.node.engine.languages import Languages
from miroir.node.engine.tokenize import normalize, normalize_swedish

PRODUCTS = [
    {"id": "1", "name": "trä", "other": "trä"},
    {"id": "2", "name": "traktor", "other": "x"},
    {"id": "3", "name": "träbjälke", "other": "x"},
    {"id": "4", "name": "trafiksignal café", "other": "x"},
]
SWEDISH = [{"attributePatterns": ["na*"], "locales": ["swe"]}]


@pytest.mark.parametrize(
    ("word", "swedish", "plain"),
    [
        ("ÅÄÖ", "åäö", "aao"),
        ("Café", "cafe", "cafe"),
        ("träbjälke", "träbjälke", "trabjalke"),
        ("smörgåsé", "smörgåse", "smorgase"),
        ("ÜBER", "uber", "uber"),
        ("Ä́", "ä", "a"),
    ],
)
def test_swedish_keeps_three_letters_and_no_other_accents(word: str, swedish: str, plain: str):
    """For a Swede `ä` is no `a` with dots, but `é` is an `e`."""
    assert (normalize_swedish(word), normalize(word)) == (swedish, plain)
    assert normalize_swedish("a\u0308") == "ä"


def test_a_swedish_field_is_searched_by_its_own_letters():
    """`tra` finds tractors and `trä` finds wood, in both ways of saying that it is Swedish."""
    index = index_of(PRODUCTS, localizedAttributes=SWEDISH, searchableAttributes=["name"])
    for locales in (None, ["swe"], ["sv"]):
        asked = {} if locales is None else {"locales": locales}
        assert found(index, q="trä", **asked) == ["1", "3"]
        assert found(index, q="tra", **asked) == ["2", "4"]
    assert found(index, q="cafe") == ["4"]
    assert found(index, q="trä", locales=["fra"]) == ["2", "4"]


def test_without_a_language_accents_do_not_count():
    """Whoever says nothing of languages gets what everybody got."""
    index = index_of(PRODUCTS, searchableAttributes=["name"])
    assert sorted(found(index, q="trä")) == ["1", "2", "3", "4"]


def test_languages_follow_the_first_rule_and_the_searched_fields():
    """Two languages beside each other are none that this engine knows."""
    rules = [
        {"attributePatterns": ["a"], "locales": ["swe", "fra"]},
        {"attributePatterns": ["a", "b*"], "locales": ["swe"]},
    ]
    languages = Languages({"localizedAttributes": rules})
    assert [languages.is_swedish(path) for path in ("a", "b", "b.c", "c")] == [
        False, True, True, False,
    ]  # fmt: skip
    assert languages.query_is_swedish(None, ["b", "c"])
    assert not languages.query_is_swedish(None, ["a", "b"])
    assert not languages.query_is_swedish(["swe", "fra"], ["b"])
    assert languages.query_is_swedish(["sv"], [])
    assert languages.is_swedish("b", ["swe"])
    assert not languages.is_swedish("b", ["fra"])
