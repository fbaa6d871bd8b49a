"""Points of ranking that the recorded answers touch too seldom to be trusted with them."""

from typing import Any

from tests.unit.node.engine.world import found, index_of, query_of, settings


def texts(*values: str) -> list[dict[str, Any]]:
    return [{"id": number, "text": value} for number, value in enumerate(values)]


def test_equals_are_paged_in_their_order():
    """Many equal documents make one group; a page may begin and end inside it."""
    index = index_of(texts(*["moon"] * 7, *["red moon"] * 5))
    assert found(index, "moon", offset=5, limit=4) == [5, 6, 7, 8]
    assert found(index, "moon", offset=9, limit=9) == [9, 10, 11]


def test_a_glued_word_that_is_dearer_than_the_plain_maximum_gets_the_last_rank():
    """Its maximum is its own cost, so that scores of merged shards keep the order of costs."""
    index = index_of(texts("ab ab ab", "aba bab", "ababab"))
    hits = index.search(query_of({"q": "ab ab ab ", "showRankingScoreDetails": True})).hits
    typos = [(hit["id"], hit["_rankingScoreDetails"]["typo"]) for hit in hits]
    assert [(i, t["typoCount"], t["maxTypoCount"], t["score"]) for i, t in typos] == [
        (0, 0, 3, 1.0),
        (2, 3, 3, 0.25),
        (1, 4, 4, 0.2),
    ]


def test_a_sentence_ends_a_phrase_and_begins_another():
    """`"a. b"` asks for `a` and for `b`, not for the two next to each other."""
    index = index_of(texts("red. moon", "red then far away a moon", "red"))
    assert found(index, '"red. moon"') == [0, 1]
    assert found(index, '"red moon"') == []


def test_matching_strategies_drop_different_words():
    """The last words, or the most frequent ones; ids as Meilisearch 1.50 answered them."""
    index = index_of(texts("a b c", "a b", "a c", "b c", "a", "a", "b", "c"))
    assert found(index, "c a b ", matchingStrategy="frequency") == [0, 3]
    assert found(index, "c a b ", matchingStrategy="last") == [0, 2, 7, 3]
    assert found(index, "c a b ", matchingStrategy="all") == [0]


def test_dropping_a_word_spares_a_more_frequent_one_before_it():
    """Only words after a dropped one must go with it (Meilisearch 1.50 answers the same)."""
    index = index_of(
        texts("beta rare", "alpha rare", "alpha beta", "beta x", "beta", "alpha", "alpha", "alpha")
    )
    result = index.search(
        query_of(
            {
                "q": "alpha beta rare ",
                "matchingStrategy": "frequency",
                "showRankingScoreDetails": 1,
            }
        )
    )
    words = [(h["id"], h["_rankingScoreDetails"]["words"]["matchingWords"]) for h in result.hits]
    assert words == [(1, 2), (0, 2)]


def test_switching_typos_off_for_a_field_takes_effect_at_once():
    """The words stay, but those of the field are no longer found by typo."""
    index = index_of(texts("mountain"))
    assert found(index, "montain ") == [0]
    changed = index.reconfigured(settings(typoTolerance={"disableOnAttributes": ["text"]}))
    assert found(changed, "montain ") == []
    assert found(changed, "mountain ") == [0]


def test_numbers_may_be_kept_from_typos():
    """disableOnNumbers is for part numbers and years, where one digit is another thing."""
    index = index_of(texts("20245", "abcde"))
    assert found(index, "20246 ") == [0]
    exact = index_of(texts("20245", "abcde"), typoTolerance={"disableOnNumbers": True})
    assert found(exact, "20246 ") == []
    assert found(exact, "abcdf ") == [1]


def test_locked_search_fields_hide_the_others():
    """attributesToSearchOn decides what is found, not only what is shown."""
    documents = [{"id": 0, "a": "moon", "b": "sun"}, {"id": 1, "a": "sun", "b": "moon"}]
    index = index_of(documents)
    assert found(index, "moon", attributesToSearchOn=["a"]) == [0]
    assert found(index, "moon", attributesToSearchOn=["a", "*"]) == [0, 1]
