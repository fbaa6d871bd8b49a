"""Keys read in one step, against keys read the general way."""

import json

import pytest

from miroir.core.merge.known_rules import key_reader
from miroir.core.merge.ranking import Incomparable, Ranking, decode_details

RULES = {
    "words": {"matchingWords": 3, "maxMatchingWords": 4, "score": 0.75},
    "typo": {"typoCount": 1, "maxTypoCount": 2, "score": 0.5},
    "proximity": {"score": 0.25},
    "attributeRank": {"score": 1},
    "wordPosition": {"score": 0.9},
    "attribute": {"attributeRankingOrderScore": 1.0, "queryWordDistanceScore": 0.1, "score": 1.0},
    "exactness": {"matchType": "noExactMatch", "matchingWords": 1, "score": 0.2},
}
NAMES = tuple(RULES)


def text(rules: dict[str, dict]) -> bytes:
    return json.dumps({n: {"order": i, **r} for i, (n, r) in enumerate(rules.items())}).encode()


def tail(details: bytes) -> bytes:
    return b'{"_rankingScore":0.5,"_rankingScoreDetails":%b}' % details


@pytest.mark.parametrize(
    "names", [NAMES, tuple(reversed(NAMES)), ("exactness",), ("typo", "words")], ids=str
)
def test_a_key_is_the_one_that_the_general_way_gives(names):
    """Hits read either way stand in one list."""
    details = text({name: RULES[name] for name in names})
    reader = key_reader(names)
    assert reader is not None
    assert reader(tail(details)) == Ranking().key(decode_details(details))


def test_an_exact_match_has_no_count():
    """Nodes leave it out there."""
    details = text({"words": RULES["words"], "exactness": {"matchType": "exactMatch", "score": 1}})
    reader = key_reader(("words", "exactness"))
    assert reader is not None
    assert reader(tail(details)) == Ranking().key(decode_details(details))


@pytest.mark.parametrize(
    "rules",
    [
        {"typo": RULES["typo"], "words": RULES["words"]},
        {"words": RULES["words"]},
        {"words": RULES["words"], "typo": RULES["typo"], "proximity": RULES["proximity"]},
        {"words": RULES["words"], "skipped": {}},
        {"words": RULES["words"], "typo": {"score": 1.0}},
        {"words": RULES["words"], "typo": {"typoCount": "1"}},
    ],
    ids=["other order", "too few", "too many", "skipped", "field missing", "wrong type"],
)
def test_other_details_are_left_to_the_general_way(rules):
    """It judges whether they can be compared at all; here nothing is guessed."""
    reader = key_reader(("words", "typo"))
    assert reader is not None
    assert reader(tail(text(rules))) is None


@pytest.mark.parametrize(
    "around",
    [
        b'{"_rankingScoreDetails":%b}',
        b'{"_rankingScore":0.5,"_rankingScoreDetails":%b}}',
        b'{"_rankingScore":0.5,"_rankingScoreDetails":%b,"_federation":{}}',
        b'{"_rankingScore":"0.5","_rankingScoreDetails":%b}',
    ],
    ids=["no score", "inside of a document", "more behind it", "a score of another kind"],
)
def test_a_tail_of_another_layout_is_left_to_the_general_way(around):
    """The hit is decoded in full then: members of a document may have any name."""
    reader = key_reader(("words",))
    assert reader is not None
    details = text({"words": RULES["words"]})
    assert reader(tail(details)) is not None
    assert reader(around % details) is None


def test_an_unknown_kind_of_match_is_left_to_the_general_way():
    """It counts as the worst."""
    reader = key_reader(("exactness",))
    assert reader is not None
    assert reader(tail(text({"exactness": {"matchType": "new", "matchingWords": 1}}))) is None


@pytest.mark.parametrize("names", [(), ("title:asc",), ("words", "_geoPoint(1, 2):asc")])
def test_words_of_the_client_get_no_reader(names):
    """There is no limit to their number, and readers are kept."""
    assert key_reader(names) is None


def test_hits_with_other_rules_are_still_refused():
    """One node changed its rules: what was read quickly before must not make it pass."""
    ranking = Ranking()
    ranking.key(decode_details(text({"words": RULES["words"], "typo": RULES["typo"]})))
    other = text({"typo": RULES["typo"], "words": RULES["words"]})
    assert ranking.read(tail(other)) is None
    with pytest.raises(Incomparable):
        ranking.key(decode_details(other))


USUAL = text({name: RULES[name] for name in NAMES if name != "attribute"})
SORTED = text({"words": RULES["words"], "title:asc": {"value": "a"}})


@pytest.mark.parametrize(("first", "second"), [(USUAL, SORTED), (SORTED, USUAL)])
def test_the_usual_rules_are_compared_with_no_others(first, second):
    """They are recognised in the first hit without being told, and in no later one."""
    ranking = Ranking()
    if ranking.read(tail(first)) is None:
        ranking.key(decode_details(first))
    assert ranking.read(tail(second)) is None
    with pytest.raises(Incomparable):
        ranking.key(decode_details(second))
