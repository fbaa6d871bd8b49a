"""
What several shards cannot answer as one node does, each shown on a real node.

One node holds the documents three times: all of them in one index, and cut by hand into two
others, which play the shards. Every test pins a difference that docs/reference/exactness.md tells
of: when an engine or a merge of a later day closes one, the test says so and the page is mended.
Needs MIROIR_MEILISEARCH_BIN.
"""

import json
from collections.abc import Iterator

import httpx
import pytest
from tests.support.node_process import BINARY, KEY, real_node

from miroir.core.merge import NodeQuery, SearchSettings, merge_search, rewrite_search

pytestmark = [
    pytest.mark.meilisearch,
    pytest.mark.slow,
    pytest.mark.skipif(not BINARY, reason="MIROIR_MEILISEARCH_BIN names no binary"),
]


class Engine:
    """A real node with one index of everything and one for each shard."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._uids: list[str] = []

    def load(self, shards: list[list[dict]], settings: dict) -> None:
        """Replace what is there."""
        for uid in self._uids:
            self._wait(self._http.delete(f"/indexes/{uid}"))
        self._uids = ["whole", *(f"shard{number}" for number in range(len(shards)))]
        everything = [document for shard in shards for document in shard]
        for uid, documents in zip(self._uids, [everything, *shards], strict=True):
            self._wait(self._http.patch(f"/indexes/{uid}/settings", json=settings))
            path = f"/indexes/{uid}/documents?primaryKey=id"
            self._wait(self._http.post(path, json=documents))

    def one_node(self, query: dict) -> dict:
        """Return what one node with everything answers."""
        return self._search("whole", query)

    def merged(self, query: dict, settings: SearchSettings | None = None) -> dict:
        """Return what the shards answer together."""
        shards = self._uids[1:]
        rewritten = rewrite_search(query, len(shards), settings)
        assert isinstance(rewritten, NodeQuery)
        answers = [json.dumps(self._search(uid, rewritten.body)).encode() for uid in shards]
        answer = merge_search([compact(each) for each in answers], rewritten.asked)
        assert isinstance(answer, bytes), answer
        return json.loads(answer)

    def _search(self, uid: str, query: dict) -> dict:
        return self._http.post(f"/indexes/{uid}/search", json=query).raise_for_status().json()

    def _wait(self, response: httpx.Response) -> None:
        uid = response.raise_for_status().json()["taskUid"]
        while True:
            task = self._http.get(f"/tasks/{uid}").json()
            if task["status"] not in {"enqueued", "processing"}:
                break
        assert task["status"] == "succeeded", task


def compact(answer: bytes) -> bytes:
    return json.dumps(json.loads(answer), separators=(",", ":"), ensure_ascii=False).encode()


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> Iterator[Engine]:
    with real_node(tmp_path_factory.mktemp("node")) as node:
        headers = {"Authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=node.url, headers=headers, timeout=60) as http:
            yield Engine(http)


def texts(first: int, *all_texts: str) -> list[dict]:
    """Return documents with these texts, numbered from `first`."""
    return [{"id": first + place, "text": text} for place, text in enumerate(all_texts)]


def ids(answer: dict) -> list[int]:
    return [hit["id"] for hit in answer["hits"]]


def test_the_most_frequent_word_is_each_shards_own(engine):
    """`matchingStrategy: frequency` drops words by counts that no shard knows of the others."""
    first = texts(1, *["alpha"] * 6, "beta")
    second = texts(11, "alpha", *["beta"] * 3, "alpha beta")
    engine.load([first, second], {})
    query = {"q": "alpha beta", "matchingStrategy": "frequency"}
    assert set(ids(engine.one_node(query))) == {7, 12, 13, 14, 15}
    assert set(ids(engine.merged(query))) == {7, 11, 15}


def test_shards_find_more_variants_of_a_word_than_one_node(engine):
    """A node stops at 150 words with one typo; two nodes stop later."""
    letters = "abdfgjlmopqrsuvwxyz"  # none of the word's own
    words = [f"kitchen{letter}" for letter in letters]
    for place in range(1, 7):
        words += ["kitchen"[:place] + letter + "kitchen"[place:] for letter in letters]
        words += ["kitchen"[:place] + letter + "kitchen"[place + 1 :] for letter in letters]
    documents = texts(1, *words)
    engine.load([documents[::2], documents[1::2]], {})
    query = {"q": "kitchen ", "limit": 1000}
    assert len(engine.one_node(query)["hits"]) < len(engine.merged(query)["hits"])


def test_a_word_is_split_as_most_of_a_shards_documents_have_it(engine):
    """`abcdef` is `ab cdef` where that is frequent, and `abc def` elsewhere; never both."""
    engine.load([texts(1, *["ab cdef"] * 3), texts(11, *["abc def"] * 2)], {})
    query = {"q": "abcdef"}
    assert set(ids(engine.one_node(query))) == {1, 2, 3}
    assert set(ids(engine.merged(query))) == {1, 2, 3, 11, 12}


def scores(answer: dict, rule: str) -> dict[int, dict]:
    """Return what a rule says of each hit."""
    return {hit["id"]: hit["_rankingScoreDetails"][rule] for hit in answer["hits"]}


def test_a_glued_word_on_another_shard_changes_the_typo_score_but_not_the_typos(engine):
    """Which is why typos are counted: the maximum depends on the words that a node holds."""
    shards = [texts(1, "sun fly mountain", "sun fly mountan"), texts(11, "sunfly mountain")]
    engine.load(shards, {})
    query = {"q": "sun fly mountain", "showRankingScoreDetails": True}
    whole, found = (scores(ask(query), "typo") for ask in (engine.one_node, engine.merged))
    assert {i: typo["typoCount"] for i, typo in whole.items()} == {
        i: typo["typoCount"] for i, typo in found.items()
    }
    assert whole[2]["score"] != found[2]["score"]


def test_a_glued_word_changes_the_proximity_of_the_hits_beside_it(engine):
    """Nodes show proximity only as a score, whose maximum depends on the words that they hold."""
    shards = [texts(1, "sun fly high", "sun and fly so high"), texts(11, "sunfly so high")]
    engine.load(shards, {"rankingRules": ["words", "proximity"]})
    query = {"q": "sun fly high", "showRankingScoreDetails": True}
    whole, found = (scores(ask(query), "proximity") for ask in (engine.one_node, engine.merged))
    assert whole[11]["score"] != found[11]["score"]


def test_neighbours_within_a_metre_are_told_apart(engine):
    """One node puts them into one group, which the next rule orders; two shards cannot."""
    near = {"id": 1, "price": 2, "_geo": {"lat": 10.0, "lng": 20.0}}
    nearly = {"id": 2, "price": 1, "_geo": {"lat": 10.000002, "lng": 20.0}}
    sortable = {"sortableAttributes": ["_geo", "price"]}
    engine.load([[near], [nearly]], sortable)
    query = {"sort": ["_geoPoint(10, 20):asc", "price:asc"]}
    assert ids(engine.one_node(query)) == [2, 1]
    assert ids(engine.merged(query)) == [1, 2]


def test_a_threshold_takes_from_the_total_what_a_node_has_looked_at(engine):
    """More shards look at more hits for the same window."""
    good, bad = ["red shoe"] * 3, ["red"] * 8
    engine.load([texts(1, *good, *bad), texts(21, *good, *bad)], {})
    query = {"q": "red shoe", "rankingScoreThreshold": 0.9, "limit": 4}
    whole, found = engine.one_node(query), engine.merged(query)
    assert set(ids(found)) == set(ids(whole))
    assert found["estimatedTotalHits"] != whole["estimatedTotalHits"]


DISTINCT = {"filterableAttributes": ["group"], "sortableAttributes": ["rank"]}


def grouped(number: int, rank: int, group: object) -> dict:
    return {"id": number, "rank": rank, "group": group}


def test_facets_count_what_distinct_has_dropped_here(engine):
    """A value on two shards is shown once and counted twice; the total has met both hits."""
    engine.load([[grouped(1, 1, "a")], [grouped(2, 2, "a"), grouped(3, 3, "b")]], DISTINCT)
    query = {"distinct": "group", "sort": ["rank:asc"], "facets": ["group"]}
    whole, found = engine.one_node(query), engine.merged(query)
    assert ids(found) == ids(whole) == [1, 3]
    assert whole["estimatedTotalHits"] == found["estimatedTotalHits"] == 2
    assert whole["facetDistribution"] == {"group": {"a": 1, "b": 1}}
    assert found["facetDistribution"] == {"group": {"a": 2, "b": 1}}


def test_totals_count_twice_what_lies_behind_the_page_on_two_shards(engine):
    """Each shard has sent one hit; that their second ones are of one value nobody has seen."""
    second = [grouped(2, 2, "b"), grouped(4, 4, "c")]
    engine.load([[grouped(1, 1, "a"), grouped(3, 3, "c")], second], DISTINCT)
    query = {"distinct": "group", "sort": ["rank:asc"], "hitsPerPage": 1}
    assert engine.one_node(query)["totalHits"] == 3
    assert engine.merged(query)["totalHits"] == 4
    assert engine.merged({**query, "hitsPerPage": 2})["totalHits"] == 3


def test_a_node_may_drop_a_hit_for_the_sake_of_one_that_is_dropped_here(engine):
    """With several values per document, distinct is a matter of who comes first."""
    second = [grouped(2, 2, ["a", "b"]), grouped(3, 3, ["b"])]
    engine.load([[grouped(1, 1, ["a"])], second], DISTINCT)
    query = {"distinct": "group", "sort": ["rank:asc"]}
    assert ids(engine.one_node(query)) == [1, 3]
    assert ids(engine.merged(query)) == [1]


def test_of_long_values_distinct_compares_the_first_bytes(engine):
    """A node indexes 468 of them; that may cut a letter in two."""
    same = "x" * 467 + "é"
    engine.load([[grouped(1, 1, same + "a")], [grouped(2, 2, same + "b")]], DISTINCT)
    query = {"distinct": "group", "sort": ["rank:asc"]}
    assert ids(engine.merged(query)) == ids(engine.one_node(query)) == [1]


def test_a_number_and_a_text_of_one_spelling_are_counted_together(engine):
    """One node shows the count of only one of them."""
    engine.load([[grouped(1, 1, 7), grouped(2, 1, 7)], [grouped(3, 1, "7")]], DISTINCT)
    query = {"facets": ["group"]}
    assert engine.one_node(query)["facetDistribution"] == {"group": {"7": 1}}
    assert engine.merged(query)["facetDistribution"] == {"group": {"7": 3}}
