"""The order of hits, rule by rule."""

import json

import pytest

from miroir.core.merge.ranking import Incomparable, Ranking, decode_details


def key(ranking: Ranking, *rules: tuple[str, dict]):
    details = {name: {"order": i, **fields} for i, (name, fields) in enumerate(rules)}
    return ranking.key(decode_details(json.dumps(details).encode()))


NO_MATCH = {"matchType": "noExactMatch", "maxMatchingWords": 3, "score": 0.1}

BETTER_FIRST = [
    ("words", [{"matchingWords": 3}, {"matchingWords": 2}, {"matchingWords": 1}]),
    ("typo", [{"typoCount": 0, "maxTypoCount": 1}, {"typoCount": 1, "maxTypoCount": 9}]),
    ("proximity", [{"score": 1.0}, {"score": 0.25}]),
    ("attributeRank", [{"score": 1.0}, {"score": 0.25}]),
    ("wordPosition", [{"score": 1.0}, {"score": 0.25}]),
    (
        "attribute",
        [
            {"attributeRankingOrderScore": 1.0, "queryWordDistanceScore": 0.1},
            {"attributeRankingOrderScore": 0.5, "queryWordDistanceScore": 0.9},
            {"attributeRankingOrderScore": 0.5, "queryWordDistanceScore": 0.8},
        ],
    ),
    (
        "exactness",
        [
            {"matchType": "exactMatch", "score": 1.0},
            {"matchType": "matchesStart", "score": 0.6},
            {**NO_MATCH, "matchingWords": 2},
            {**NO_MATCH, "matchingWords": 0},
        ],
    ),
    ("vectorSort", [{"similarity": 0.9}, {"similarity": 0.1}, {"similarity": None}]),
    ("a:asc", [{"value": v} for v in (-1.5, 0, 2, 10, "10", "9", "a", "é", None)]),
    ("a:desc", [{"value": v} for v in (10, 2.5, -1, "é", "a", "9", "10", None)]),
    ("_geoPoint(1, 2):asc", [{"value": {}, "distance": d} for d in (0.0, 5.5, 9e6, None)]),
    ("_geoPoint(1, 2):desc", [{"value": {}, "distance": d} for d in (9e6, 5.5, 0.0, None)]),
    ("with:colon:asc", [{"value": 1}, {"value": 2}]),
]


@pytest.mark.parametrize(("name", "entries"), BETTER_FIRST, ids=lambda value: str(value)[:24])
def test_each_rule_puts_the_better_hit_first(name, entries):
    """Fourteen comparisons decide what every user of the cluster sees first."""
    ranking = Ranking()
    keys = [key(ranking, (name, entry)) for entry in entries]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


def test_typos_are_counted_and_not_scored():
    """The maximum depends on the words that a node happens to hold, and so does the score."""
    ranking = Ranking()
    one = key(ranking, ("typo", {"typoCount": 1, "maxTypoCount": 1, "score": 0.5}))
    two = key(ranking, ("typo", {"typoCount": 2, "maxTypoCount": 9, "score": 0.8}))
    assert one < two


def test_an_earlier_rule_outweighs_all_later_ones():
    """Ranking rules are lexicographic; a sum of scores is not."""
    ranking = Ranking()
    first = key(ranking, ("price:asc", {"value": 1}), ("words", {"matchingWords": 1}))
    second = key(ranking, ("price:asc", {"value": 2}), ("words", {"matchingWords": 9}))
    assert first < second


def test_the_order_member_decides_and_not_the_place_in_the_object():
    """JSON objects have no order; another server may write them sorted by name."""
    ranking = Ranking()
    a = b'{"b:asc":{"order":1,"value":1},"z:asc":{"order":0,"value":2}}'
    b = b'{"b:asc":{"order":1,"value":2},"z:asc":{"order":0,"value":1}}'
    assert ranking.key(decode_details(b)) < ranking.key(decode_details(a))


def test_a_rule_that_appears_twice_counts_where_it_stood_first():
    """The second entry overwrites the first in place; its number is then the later one."""
    ranking = Ranking()
    a = b'{"p:asc":{"order":2,"value":1},"words":{"order":1,"matchingWords":1}}'
    b = b'{"p:asc":{"order":2,"value":2},"words":{"order":1,"matchingWords":2}}'
    assert ranking.key(decode_details(a)) < ranking.key(decode_details(b))


@pytest.mark.parametrize("skipped_first", [True, False])
def test_a_hit_whose_rules_were_skipped_is_worse_from_there_on(skipped_first):
    """A node that ran out of time does not win by what it did not look at."""
    ranking = Ranking()
    rules = (
        [("words", {"matchingWords": 2}), ("skipped", {})],
        [("words", {"matchingWords": 2}), ("a:asc", {"value": None}), ("typo", {"typoCount": 9})],
        [("words", {"matchingWords": 1}), ("a:asc", {"value": 1}), ("typo", {"typoCount": 0})],
    )
    order = rules if skipped_first else rules[::-1]
    keys = {json.dumps(rule): key(ranking, *rule) for rule in order}
    skipped, ranked, fewer_words = (keys[json.dumps(rule)] for rule in rules)
    assert ranked < skipped < fewer_words


def test_a_hidden_sort_value_is_refused():
    """Its order cannot be known: the engine hides the value, and so do we."""
    with pytest.raises(Incomparable, match="not displayed"):
        key(Ranking(), ("<hidden-rule-0>", {"value": "<hidden>"}))


def test_an_unknown_rule_is_refused():
    """A rule of a later version must not be ignored silently."""
    for name in ("pin", "novelty", "price:up"):
        with pytest.raises(Incomparable, match=f"`{name}`"):
            key(Ranking(), (name, {"position": 0}))


def test_hits_of_different_rules_are_refused():
    """Keyword and semantic hits of a hybrid search are weighed by a ratio that is not shown."""
    ranking = Ranking()
    key(ranking, ("words", {"matchingWords": 2}))
    with pytest.raises(Incomparable, match="different rules"):
        key(ranking, ("vectorSort", {"similarity": 0.5}))


def test_no_rules_at_all_are_all_equal():
    """A placeholder search without sort: the order is the shards'."""
    ranking = Ranking()
    assert key(ranking) == key(ranking) == ()
