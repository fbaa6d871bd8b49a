"""Laws of the search engine that no example can show: what must not depend on what."""

import json
from typing import Any

from hypothesis import given, settings as effort, strategies as st
from tests.unit.node.engine.world import index_of, query_of, settings

from miroir.node.engine import SearchIndex

WORDS = ["sun", "flower", "sunflower", "new", "york", "newyork", "stone", "stones", "moon", "mono"]
RULES = ["words", "typo", "proximity", "attributeRank", "wordPosition", "exactness"]

texts = st.lists(st.sampled_from(WORDS), min_size=0, max_size=6).map(" ".join)
bodies = st.fixed_dictionaries(
    {"title": texts, "body": texts, "rank": st.integers(0, 3)}, optional={"tags": st.lists(texts)}
)
corpora = st.lists(bodies, min_size=1, max_size=8).map(
    lambda found: [{"id": number, **body} for number, body in enumerate(found)]
)
queries = st.lists(
    st.sampled_from([*WORDS, "ston", "sunn", "flwoer", "yrok", '"new york"', "-moon"]),
    min_size=1,
    max_size=4,
).map(" ".join)
rules = st.permutations(RULES)


def scores(index: SearchIndex, q: str) -> dict[Any, str]:
    """Return the ranking of every hit by id, as it would be shown."""
    result = index.search(query_of({"q": q, "limit": 100, "showRankingScoreDetails": True}))
    return {score.id: json.dumps([score.score, score.details]) for score in result.scores}


@given(corpora, queries, rules)
@effort(max_examples=150)
def test_the_score_of_a_document_does_not_depend_on_the_others(
    documents: list[dict[str, Any]], q: str, ranking_rules: list[str]
):
    """Shards hold different documents; their scores are merged, so they must be comparable."""
    setup = {"rankingRules": ranking_rules, "searchableAttributes": ["title", "body", "tags"]}
    together = scores(index_of(documents, **setup), q)
    alone: dict[Any, str] = {}
    for document in documents:
        alone |= scores(index_of([document], **setup), q)
    assert together == alone


@given(corpora, corpora, queries)
@effort(max_examples=80)
def test_a_removed_document_leaves_no_trace(
    kept: list[dict[str, Any]], removed: list[dict[str, Any]], q: str
):
    """What was deleted must not be found, counted, or change what is found."""
    setup = {"filterableAttributes": ["rank", "tags"], "sortableAttributes": ["rank"]}
    index = index_of(kept, **setup)
    extra = [(f"x{number}", {**document, "id": f"x{number}"}) for number, document in
             enumerate(removed)]  # fmt: skip
    index.put(extra)
    index.remove([id_ for id_, _ in extra])
    fresh = index_of(kept, **setup)
    for body in ({"q": q}, {"q": q, "sort": ["rank:desc"]}, {"filter": "rank > 1"}):
        request = query_of({**body, "facets": ["rank"], "limit": 100})
        one, other = index.search(request), fresh.search(request)
        assert one.hits == other.hits
        assert one.pagination == other.pagination
        assert one.facet_distribution == other.facet_distribution
    assert index.field_distribution() == fresh.field_distribution()


@given(corpora, corpora, queries)
@effort(max_examples=80)
def test_a_replaced_document_is_as_if_it_had_always_been_so(
    before: list[dict[str, Any]], after: list[dict[str, Any]], q: str
):
    """A replacement that left old words behind would find documents that no longer say so."""
    size = min(len(before), len(after))
    index = index_of(before[:size])
    index.put((str(document["id"]), document) for document in after[:size])
    assert scores(index, q) == scores(index_of(after[:size]), q)


changes = st.sampled_from(
    [
        {"searchableAttributes": ["body"]},
        {"stopWords": ["new"]},
        {"typoTolerance": {"enabled": False}},
        {"typoTolerance": {"disableOnAttributes": ["title"]}},
        {"filterableAttributes": ["tags"], "distinctAttribute": "rank"},
        {"rankingRules": ["rank:desc", "words"]},
        {"synonyms": {"moon": ["sun"]}},
        {"separatorTokens": ["o"]},
        {},
    ]
)


@given(corpora, queries, changes, changes)
@effort(max_examples=100)
def test_changed_settings_act_as_if_they_had_always_been_so(
    documents: list[dict[str, Any]], q: str, first: dict[str, Any], second: dict[str, Any]
):
    """The broadcast compares nodes that came to the same settings by different ways."""
    index = index_of(documents, **first)
    changed = index.reconfigured(settings(**second))
    fresh = index_of(documents, **second)
    request = query_of({"q": q, "limit": 100, "showRankingScoreDetails": True})
    one, other = changed.search(request), fresh.search(request)
    assert (one.hits, one.pagination) == (other.hits, other.pagination)
    old = index_of(documents, **first)
    assert index.search(request).hits == old.search(request).hits


@given(corpora, queries, st.integers(0, 9), st.integers(0, 9))
@effort(max_examples=80)
def test_a_page_is_a_slice_of_the_whole_ranking(
    documents: list[dict[str, Any]], q: str, offset: int, limit: int
):
    """Buckets before a page are skipped unranked; that must not move anything."""
    index = index_of(documents)
    whole = index.search(query_of({"q": q, "limit": 100})).hits
    page = index.search(query_of({"q": q, "offset": offset, "limit": limit})).hits
    assert page == whole[offset : offset + limit]
