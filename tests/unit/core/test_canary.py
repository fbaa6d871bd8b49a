"""Golden queries: a change that breaks what customers search for must not get through."""

import pytest

from miroir.core.canary import Canary, Outcome, Query, judge, overlap, read
from miroir.errors import InvalidCanary


def canary(**query):
    """Return a canary of one query."""
    return Canary((Query("brand", {"q": "iphone"}, **query),))


def test_a_canary_is_read_as_it_is_written():
    """Operators keep these files for years."""
    written = {
        "queries": [
            {
                "name": "brand",
                "search": {"q": "iphone", "filter": "stock > 0"},
                "expectedIds": ["12", 7],
                "top": 3,
                "minOverlap": 0.5,
                "maxMs": 20,
            },
            {"search": {"q": "tv"}},
        ],
        "maxZeroHitRate": 0,
    }

    assert read(written) == Canary(
        (
            Query("brand", {"q": "iphone", "filter": "stock > 0"}, ("12", "7"), 3, 0.5, 20.0),
            Query("tv", {"q": "tv"}),
        ),
        0.0,
    )


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        ([], ".canary`"),
        ({"queries": []}, ".canary.queries`"),
        ({"queries": [{"q": "tv"}]}, ".canary.queries[0].q`"),
        ({"queries": [{"search": {"q": "tv", "limit": 3}}]}, ".queries[0].search.limit`"),
        ({"queries": [{"search": {}, "top": 0}]}, ".queries[0].top`"),
        ({"queries": [{"search": {}, "top": True}]}, ".queries[0].top`"),
        ({"queries": [{"search": {}, "expectedIds": [1.5]}]}, ".queries[0].expectedIds`"),
        ({"queries": [{"search": {}, "minOverlap": 2}]}, ".queries[0].minOverlap`"),
        ({"queries": [{"search": {}, "maxMs": 0}]}, ".queries[0].maxMs`"),
        ({"queries": [{"search": {}, "name": 3}]}, ".queries[0].name`"),
        ({"queries": [{"search": {}}], "maxZeroHitRate": "no"}, ".canary.maxZeroHitRate`"),
    ],
)
def test_a_mistake_is_named_by_its_place(spec, place):
    """A key that is misspelt must not be a check that never fails."""
    with pytest.raises(InvalidCanary) as refused:
        read(spec)

    assert place in refused.value.message


def test_an_expected_document_must_be_among_the_first():
    """The bestseller that a new ranking rule hides."""
    asked = canary(expected_ids=("12",), top=2)

    assert judge(asked, [Outcome((), ("1", "12"))]) == ()
    assert judge(asked, [Outcome((), ("1", "2"))]) == ("`brand`: 12 not among the first 2",)


def test_too_many_other_hits_fail():
    """A synonym that pulls in half of the catalogue."""
    asked = canary(min_overlap=0.5)

    assert judge(asked, [Outcome(("1", "2"), ("2", "3"))]) == ()
    (fault,) = judge(asked, [Outcome(("1", "2", "3"), ("3", "4", "5"))])
    assert fault == "`brand`: 33% of the hits stay, at least 50% should"


def test_a_slow_answer_fails():
    """Precision has its price, and customers pay it."""
    assert judge(canary(max_ms=20), [Outcome((), ("1",), took_ms=20.0)]) == ()
    (fault,) = judge(canary(max_ms=20), [Outcome((), ("1",), took_ms=21.0)])
    assert "21 ms" in fault


def test_a_refused_search_fails_in_the_words_of_the_node():
    """An attribute that is no longer filterable."""
    refused = Outcome(("1",), None, refusal="Attribute `year` is not filterable.")

    assert judge(canary(), [refused]) == ("`brand`: refused: Attribute `year` is not filterable.",)


def test_too_many_queries_without_a_hit_fail():
    """One alone may be bad luck; a share is a broken index."""
    two = Canary((Query("a", {}), Query("b", {})), 0.5)

    assert judge(two, [Outcome((), ()), Outcome((), ("1",))]) == ()
    assert judge(two, [Outcome((), ()), Outcome((), ())]) == (
        "2 of 2 queries find nothing, at most 50% may",
    )


def test_overlap_counts_what_both_have():
    """Nothing and nothing are alike; a shorter answer has lost something."""
    assert overlap((), ()) == 1.0
    assert overlap(("1",), ()) == 0.0
    assert overlap(("1", "2"), ("2",)) == 0.5
