"""
Three real nodes merged against one real node that holds everything.

The documents are split by our own code, so this tests splitting, rewriting and merging at once,
against the only judge there is. Needs MIROIR_MEILISEARCH_BIN.

Hits that the engine itself ranks equal may come in any order, so what is compared is the sequence
of score details (equal within such a group) and the set of documents of every whole group.
"""

import json
import random
from contextlib import ExitStack

import httpx
import pytest
from tests.support.node_process import BINARY, KEY, real_node

from miroir.core.documents import check_ids, parse_payload, split
from miroir.core.merge import (
    NodeQuery,
    SearchSettings,
    merge_documents_page,
    merge_facet_search,
    merge_index_stats,
    merge_search,
    rewrite_page,
    rewrite_search,
)
from miroir.core.routing import slot_table

pytestmark = [
    pytest.mark.meilisearch,
    pytest.mark.slow,
    pytest.mark.skipif(not BINARY, reason="MIROIR_MEILISEARCH_BIN names no binary"),
]

SHARDS = 3
WORDS = [
    "red",
    "redish",
    "blue",
    "green",
    "shoe",
    "shoes",
    "hat",
    "coat",
    "scarf",
    "wool",
    "woollen",
]
WORDS += ["cotton", "winter", "summer"]
SETTINGS = {
    "searchableAttributes": ["title", "description"],
    "filterableAttributes": ["price", "tags", "color", "group", "_geo", "nested.level"],
    "sortableAttributes": ["price", "_geo", "color", "nested.level"],
    "faceting": {"sortFacetValuesBy": {"tags": "count"}},
}
KNOWN = SearchSettings(sort_facet_values_by={"*": "alpha", "tags": "count"})


def documents() -> list[dict]:
    chance = random.Random(7)
    return [
        {
            "id": number,
            "title": " ".join(chance.choices(WORDS, k=chance.randint(1, 4))),
            "description": " ".join(chance.choices(WORDS, k=chance.randint(0, 9))),
            "price": chance.choice([None, "Free", "on request", 0, 9.5, 10, 10, 100, 2000]),
            "tags": chance.sample(["New", "sale", "Été", "b", 1, 2, 10], k=chance.randint(0, 3)),
            "color": chance.choice(["Red", "red", "BLUE", None]),
            "group": chance.choice([*range(30), "7", "A", "a ", None]),
            "_geo": chance.choice(
                [None, {"lat": chance.randint(-60, 60), "lng": chance.randint(-90, 90)}]
            ),
            "nested": {"level": chance.randint(1, 4), "other": 1},
        }
        for number in range(400)
    ]


class Node:
    def __init__(self, url: str) -> None:
        self.http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60
        )

    def load(self, body: bytes, settings: dict) -> None:
        self.wait(self.http.patch("/indexes/m/settings", json=settings))
        headers = {"Content-Type": "application/json"}
        self.wait(self.http.post("/indexes/m/documents", content=body, headers=headers))

    def wait(self, response: httpx.Response) -> None:
        uid = response.raise_for_status().json()["taskUid"]
        while (task := self.http.get(f"/tasks/{uid}").json())["status"] in {
            "enqueued",
            "processing",
        }:
            pass
        assert task["status"] == "succeeded", task

    def search(self, query: dict) -> bytes:
        return self.http.post("/indexes/m/search", json=query).raise_for_status().content

    def post(self, path: str, body: dict) -> bytes:
        return self.http.post(f"/indexes/m/{path}", json=body).raise_for_status().content

    def stats(self) -> bytes:
        return self.http.get("/indexes/m/stats").raise_for_status().content


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Return one node with everything, and one node per shard."""
    with ExitStack() as stack:
        nodes = [
            Node(stack.enter_context(real_node(tmp_path_factory.mktemp(name))).url)
            for name in ("whole", "shard0", "shard1", "shard2")
        ]
        for node in nodes:
            stack.enter_context(node.http)
        body = json.dumps(documents()).encode()
        payload = parse_payload(body, "application/json")
        batches = split(payload, check_ids(payload, "id"), slot_table(SHARDS))
        nodes[0].load(body, SETTINGS)
        for shard, node in enumerate(nodes[1:]):
            node.load(batches[shard].body, SETTINGS)
        yield nodes[0], nodes[1:]


def merged(cluster, query: dict, settings: SearchSettings = KNOWN) -> dict:
    rewritten = rewrite_search(query, SHARDS, settings)
    assert isinstance(rewritten, NodeQuery)
    answers = [node.search(rewritten.body) for node in cluster[1]]
    answer = merge_search(answers, rewritten.asked, "a-request")
    assert isinstance(answer, bytes), answer
    return json.loads(answer)


def details(answer: dict) -> list:
    return [hit["_rankingScoreDetails"] for hit in answer["hits"]]


def groups(answer: dict) -> list[set]:
    found: list[tuple[str, set]] = []
    for hit in answer["hits"]:
        key = json.dumps(hit["_rankingScoreDetails"])
        if not found or found[-1][0] != key:
            found.append((key, set()))
        found[-1][1].add(hit["id"])
    return [ids for _, ids in found]


QUERIES = [
    {"q": "red"},
    {"q": "sho"},
    {"q": "wintre"},
    {"q": "cottn hat"},
    {"q": "red shoe winter"},
    {"q": "blue wool coat scarf", "matchingStrategy": "all"},
    {"q": '"winter summer" -hat'},
    {"q": "red", "sort": ["price:asc"]},
    {"q": "red shoe", "sort": ["price:desc", "nested.level:asc"]},
    {"q": "", "sort": ["price:asc", "color:desc"]},
    {"q": "", "sort": ["price:desc"]},
    {"q": "hat", "sort": ["_geoPoint(10, 20):asc"]},
    {"q": "hat", "sort": ["_geoPoint(10, 20):desc", "price:asc"]},
    {"q": "", "sort": ["_geoPoint(-33.5, 0.25):asc"]},
    {"q": "coat", "filter": "price >= 10 AND color = red"},
    {"q": "scarf", "attributesToSearchOn": ["description"]},
    {"q": "wollen", "attributesToRetrieve": ["id", "title"], "attributesToHighlight": ["title"]},
]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: json.dumps(query)[:60])
def test_merged_hits_are_those_of_one_node(cluster, query):
    """The promise of the data plane: one address, one answer."""
    query = {**query, "limit": 1000, "showRankingScoreDetails": True, "showRankingScore": True}
    whole, found = json.loads(cluster[0].search(query)), merged(cluster, query)
    assert whole["hits"], "a query that finds nothing tests nothing"
    assert details(found) == details(whole)
    assert groups(found) == groups(whole)
    by_id = {hit["id"]: hit for hit in whole["hits"]}
    assert all(hit == by_id[hit["id"]] for hit in found["hits"])
    assert found["estimatedTotalHits"] == whole["estimatedTotalHits"]


@pytest.mark.parametrize("window", [(0, 1), (0, 20), (7, 5), (35, 30), (390, 50), (1000, 5)])
@pytest.mark.parametrize("query", [{"q": "red shoe"}, {"q": "", "sort": ["price:asc"]}])
def test_a_window_shows_what_one_node_shows_there(cluster, query, window):
    """Paging over the cluster neither repeats nor loses a hit."""
    offset, limit = window
    query = {**query, "offset": offset, "limit": limit, "showRankingScoreDetails": True}
    whole, found = json.loads(cluster[0].search(query)), merged(cluster, query)
    assert details(found) == details(whole)
    for name in ("limit", "offset", "estimatedTotalHits", "query"):
        assert found[name] == whole[name]


@pytest.mark.parametrize(
    "query",
    [
        {"page": 1},
        {"page": 3, "hitsPerPage": 7},
        {"page": 0},
        {"hitsPerPage": 0},
        {"page": 99},
        {"page": 2, "limit": 3, "offset": 1},
    ],
    ids=json.dumps,
)
def test_pages_are_counted_as_one_node_counts_them(cluster, query):
    """Page mode has its own block of numbers."""
    query = {"q": "red", **query, "showRankingScoreDetails": True}
    whole, found = json.loads(cluster[0].search(query)), merged(cluster, query)
    assert details(found) == details(whole)
    for name in ("hitsPerPage", "page", "totalPages", "totalHits"):
        assert found[name] == whole[name]
    assert [name for name in found if name in whole] == [name for name in whole if name in found]


@pytest.mark.parametrize("query", [{"q": ""}, {"q": "red"}, {"filter": "tags = sale"}])
def test_facets_are_those_of_one_node_in_its_order(cluster, query):
    """Counts add up; the order of values matters to those who show them."""
    # Not `group`: a node that holds 7 and "7" forgets the count of one of them.
    query = {**query, "facets": ["price", "tags", "color", "nested.level"], "limit": 0}
    whole, found = json.loads(cluster[0].search(query)), merged(cluster, query)
    assert {facet: list(values) for facet, values in found["facetDistribution"].items()} == {
        facet: list(values) for facet, values in whole["facetDistribution"].items()
    } or _same_but_for_spelling(found, whole)
    assert found["facetStats"] == whole["facetStats"]


def _same_but_for_spelling(found, whole) -> bool:
    def counts(answer):
        return {
            facet: [(value.lower().strip(), count) for value, count in values.items()]
            for facet, values in answer["facetDistribution"].items()
        }

    return counts(found) == counts(whole)


@pytest.mark.parametrize("retrieve", [["id", "group", "price"], ["id"], ["*"]])
def test_distinct_keeps_one_hit_per_value_over_all_shards(cluster, retrieve):
    """One product per group, also when its variants live on different shards."""
    query = {"q": "", "distinct": "group", "sort": ["price:asc"], "attributesToRetrieve": retrieve}
    query |= {"limit": 60, "showRankingScoreDetails": True}
    whole, found = json.loads(cluster[0].search(query)), merged(cluster, query)
    assert details(found) == details(whole)
    assert all(set(hit) == set(whole["hits"][0]) for hit in found["hits"])


def test_custom_ranking_rules_are_merged_in_their_place(cluster):
    """`field:desc` in rankingRules orders hits like `sort` does, where it stands."""
    rules = ["words", "price:desc", "typo", "attribute", "sort", "exactness", "price:asc"]
    for node in (cluster[0], *cluster[1]):
        node.wait(node.http.patch("/indexes/m/settings", json={"rankingRules": rules}))
    try:
        for extra in ({}, {"sort": ["price:desc"]}, {"sort": ["nested.level:desc"]}):
            query = {"q": "red shoe", "limit": 400, "showRankingScoreDetails": True, **extra}
            whole, found = json.loads(cluster[0].search(query)), merged(cluster, query)
            assert details(found) == details(whole)
            assert groups(found) == groups(whole)
    finally:
        for node in (cluster[0], *cluster[1]):
            node.wait(node.http.delete("/indexes/m/settings/ranking-rules"))


def test_documents_are_listed_once_each(cluster):
    """Walking all pages visits every document."""
    seen: list[int] = []
    for offset in range(0, 410, 90):
        asked = rewrite_page({"offset": offset, "limit": 90, "fields": ["id"]}, SHARDS)
        answers = [node.post("documents/fetch", asked.body) for node in cluster[1]]
        page = json.loads(merge_documents_page(answers, asked))
        assert (page["offset"], page["limit"], page["total"]) == (offset, 90, 400)
        seen += [document["id"] for document in page["results"]]
    assert sorted(seen) == list(range(400))


def test_facet_search_is_that_of_one_node(cluster):
    """Both orders: tags are sorted by count, colours by name."""
    for name, order in (("tags", "count"), ("color", "alpha")):
        body = {"facetName": name, "facetQuery": ""}
        whole = json.loads(cluster[0].post("facet-search", body))
        answers = [node.post("facet-search", body) for node in cluster[1]]
        found = json.loads(merge_facet_search(answers, order=order, values_max=100))
        assert [(h["value"].lower(), h["count"]) for h in found["facetHits"]] == [
            (h["value"].lower(), h["count"]) for h in whole["facetHits"]
        ]
        assert found["facetQuery"] == whole["facetQuery"]
        assert list(found) == list(whole)


def test_index_statistics_add_up(cluster):
    """The same members as one node, and the same counts."""
    whole = json.loads(cluster[0].stats())
    found = json.loads(merge_index_stats([node.stats() for node in cluster[1]]))
    assert list(found) == list(whole)
    for name in ("numberOfDocuments", "fieldDistribution", "isIndexing"):
        assert found[name] == whole[name]
    assert found["avgDocumentSize"] > 0  # pages of three databases are filled differently
