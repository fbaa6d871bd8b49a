"""Federated searches over three shards and several indexes, beside one node with everything."""

import random

import pytest

pytestmark = pytest.mark.slow
PATH = "/multi-search"
WORDS = ["red", "redish", "blue", "shoe", "shoes", "hat", "coat", "winter", "wool", "summer"]
SETTINGS = {
    "filterableAttributes": ["size", "kind"],
    "sortableAttributes": ["rank"],
    "faceting": {"sortFacetValuesBy": {"kind": "count"}},
}


def documents(seed: int) -> list[dict]:
    chance = random.Random(seed)
    return [
        {
            "id": number,
            "title": " ".join(chance.choices(WORDS, k=chance.randint(1, 5))),
            "size": number % 4,
            "kind": chance.choice(["a", "b", "c"]),
            "rank": round(chance.random(), 9),
        }
        for number in range(80)
    ]


@pytest.fixture(scope="module")
def uids(pair):
    return [pair.load(documents(seed), SETTINGS) for seed in (1, 2)]


def asking(uids: list[str], queries: list[dict], **federation) -> dict:
    """Return a body; a query that names no index is put to the first."""
    filled = [{**query, "indexUid": uids[query.get("indexUid", 0)]} for query in queries]
    return {"queries": filled, "federation": federation}


def groups(answer: dict) -> list[tuple]:
    """Return scores, and whose hits have them: ties come in an order of their own."""
    found: list[tuple[tuple, set]] = []
    for hit in answer["hits"]:
        federation = hit["_federation"]
        tie = (federation["weightedRankingScore"], federation["queriesPosition"])
        if not found or found[-1][0] != tie:
            found.append((tie, set()))
        found[-1][1].add((federation["indexUid"], hit["id"]))
    return found


MANY = [
    [{"q": "red shoe"}],
    [{"q": "red"}, {"q": "shoe"}],
    [{"q": "red"}, {"q": "red", "indexUid": 1}],
    [{"q": "red shoe", "federationOptions": {"weight": 0.9}}, {"q": "winter", "indexUid": 1}],
    [
        {"q": "coat", "indexUid": 1},
        {"q": "hat", "federationOptions": {"weight": 2}},
        {"q": "hat coat", "indexUid": 1},
        {"q": "wintre", "federationOptions": {"weight": 0}},
    ],
    [{"q": "red", "filter": "size = 1"}, {"q": "red", "filter": "size > 1", "indexUid": 1}],
    [{"q": ""}, {"q": "", "indexUid": 1, "federationOptions": {"weight": 0.5}}],
]


@pytest.mark.parametrize("queries", MANY, ids=str)
def test_hits_are_those_of_one_node(pair, uids, queries):
    """With their positions, their weighted scores, each document once."""
    body = asking(uids, queries, limit=1000)
    whole, found = pair.both("POST", PATH, body)
    assert whole["hits"]
    assert groups(found) == groups(whole)
    places = {(h["_federation"]["indexUid"], h["id"]): h for h in whole["hits"]}
    assert all(h == places[h["_federation"]["indexUid"], h["id"]] for h in found["hits"])
    assert found["estimatedTotalHits"] == whole["estimatedTotalHits"]
    assert list(found) == list(whole)


@pytest.mark.parametrize("seed", range(25))
def test_random_requests_are_answered_as_by_one_node(pair, uids, seed):
    """Whatever words, filters and weights."""
    chance = random.Random(seed)
    queries = [
        {
            "indexUid": chance.randrange(2),
            "q": " ".join(chance.choices(WORDS, k=chance.randint(0, 2))),
            "filter": chance.choice([None, "size > 1", "kind = a OR kind = b"]),
            "matchingStrategy": chance.choice(["last", "all"]),
            "federationOptions": {"weight": chance.choice([0.3, 0.5, 1, 1.7])},
            "showRankingScore": chance.random() < 0.5,
        }
        for _ in range(chance.randint(1, 4))
    ]
    body = asking(uids, queries, limit=1000, facetsByIndex={uids[0]: ["size", "kind"]})
    if not any(query["indexUid"] == 0 for query in queries):
        del body["federation"]["facetsByIndex"]
    whole, found = pair.both("POST", PATH, body)
    assert groups(found) == groups(whole)
    for answer in (whole, found):
        del answer["hits"]
    assert found == whole


def test_sorted_hits_of_several_queries_are_those_of_one_node(pair):
    """By values, where `sort` comes before all relevancy or there is none."""
    rules = ["sort", "words", "typo", "proximity", "attribute", "exactness"]
    uids = [pair.load(documents(s), {**SETTINGS, "rankingRules": rules}) for s in (3, 4)]
    for direction in ("asc", "desc"):
        sort = {"sort": [f"rank:{direction}"]}
        for q in ("", "red", "winter coat"):
            queries = [{"q": q, **sort}, {"q": q, "indexUid": 1, **sort}]
            for window in ({}, {"offset": 5, "limit": 11}, {"page": 2, "hitsPerPage": 6}):
                whole, found = pair.both("POST", PATH, asking(uids, queries, **window))
                assert found == whole


@pytest.mark.parametrize(
    "window",
    [
        {},
        {"limit": 0},
        {"offset": 4, "limit": 7},
        {"page": 2, "hitsPerPage": 9},
        {"page": 0},
        {"hitsPerPage": 3},
        {"page": 3},
        {"hitsPerPage": 0},
        {"offset": 9999},
    ],
    ids=str,
)
def test_a_window_is_that_of_one_node(pair, uids, window):
    """Also its totals."""
    queries = [{"q": "red shoe"}, {"q": "winter", "indexUid": 1}]
    whole, found = pair.both("POST", PATH, asking(uids, queries, **window))
    scores = [[tie for tie, _ in groups(answer)] for answer in (found, whole)]
    assert scores[0] == scores[1]
    for answer in (whole, found):
        del answer["hits"]
    assert found == whole


@pytest.mark.parametrize("merge", [None, {}, {"maxValuesPerFacet": 2}], ids=str)
def test_facets_are_those_of_one_node(pair, uids, merge):
    """Index by index, or all added up."""
    queries = [{"q": "red"}, {"q": "shoe"}, {"q": "red", "indexUid": 1}]
    facets = {uids[0]: ["size", "kind"], uids[1]: ["size"]}
    body = asking(uids, queries, facetsByIndex=facets, mergeFacets=merge)
    whole, found = pair.both("POST", PATH, body)
    for answer in (whole, found):
        assert answer.pop("hits")
    assert found == whole
    assert list(found) == list(whole)


def test_what_the_client_asks_to_see_is_shown(pair, uids):
    """Scores, details, formatted attributes; and nothing that it did not ask for."""
    queries = [
        {"q": "red", "showRankingScore": True, "attributesToHighlight": ["title"]},
        {"q": "winter", "indexUid": 1, "showRankingScoreDetails": True},
        {"q": "coat", "indexUid": 1, "attributesToRetrieve": ["id"]},
    ]
    headers = {"Meili-Include-Metadata": "true"}
    body = asking(uids, queries, limit=300)
    whole, found = pair.both("POST", PATH, body, headers=headers)
    by_id = {(h["_federation"]["indexUid"], h["id"]): list(h.items()) for h in whole["hits"]}
    assert {
        (h["_federation"]["indexUid"], h["id"]): list(h.items()) for h in found["hits"]
    } == by_id
    assert found["metadata"] == whole["metadata"]
    assert list(found) == list(whole)


def test_a_distinct_attribute_keeps_one_hit_of_each_value(pair):
    """Of each index; one query for it."""
    rules = ["sort", "words", "typo"]
    settings = {**SETTINGS, "rankingRules": rules, "distinctAttribute": "kind"}
    uids = [pair.load(documents(seed), settings) for seed in (5, 6)]
    sort = {"sort": ["rank:asc"], "attributesToRetrieve": ["id"]}
    queries = [{"q": "", **sort}, {"q": "", "indexUid": 1, **sort}]
    whole, found = pair.both("POST", PATH, asking(uids, queries))
    assert found["hits"] == whole["hits"]
    assert refusal(pair, asking(uids, [{}, {}])).startswith("several federated queries")


@pytest.mark.parametrize(
    ("window", "count"),
    [({}, 3), ({"offset": 1, "limit": 2}, 2), ({"page": 2, "hitsPerPage": 2}, 1)],
)
@pytest.mark.parametrize("shown", [{}, {"attributesToRetrieve": ["title"]}], ids=str)
def test_a_distinct_attribute_of_all_queries_keeps_one_hit_of_each_value(
    pair, window, count, shown
):
    """Over queries and indexes; it takes the place of that of an index."""
    settings = {"rankingRules": ["sort", "words", "typo"], "distinctAttribute": "size"}
    uids = [pair.load(documents(seed), {**SETTINGS, **settings}) for seed in (7, 8)]
    sort = {"sort": ["rank:asc"], **shown}
    queries = [{"q": "red", **sort}, {"q": "hat", **sort}, {"q": "", "indexUid": 1, **sort}]
    whole, found = pair.both("POST", PATH, asking(uids, queries, distinct="kind", **window))
    assert len(whole["hits"]) == count
    assert found["hits"] == whole["hits"]


@pytest.mark.parametrize("seed", range(8))
def test_of_each_distinct_value_the_best_hit_is_kept(pair, uids, seed):
    """Ranked by relevancy, whatever words and weights."""
    chance = random.Random(seed)
    queries = [
        {
            "indexUid": chance.randrange(2),
            "q": " ".join(chance.choices(WORDS, k=2)),
            "matchingStrategy": "all",
            "federationOptions": {"weight": chance.choice([0.5, 1, 1.7])},
        }
        for _ in range(3)
    ]
    attribute = chance.choice(["kind", "size"])
    whole, found = pair.both("POST", PATH, asking(uids, queries, distinct=attribute))
    scores = [
        [hit["_federation"]["weightedRankingScore"] for hit in answer["hits"]]
        for answer in (whole, found)
    ]
    assert scores[0] == scores[1]
    values = [hit[attribute] for hit in found["hits"]]
    assert len(values) == len(set(values))


VECTORS = {"embedders": {"own": {"source": "userProvided", "dimensions": 2}}}


def test_vector_queries_are_merged_by_similarity(pair):
    """Their vectors and their counts, too."""
    chance = random.Random(9)
    loaded = [
        pair.load(
            [
                {"id": n, "title": "red", "_vectors": {"own": [chance.random(), chance.random()]}}
                for n in range(30)
            ],
            VECTORS,
        )
        for _ in range(2)
    ]
    hybrid = {"hybrid": {"embedder": "own", "semanticRatio": 1}, "retrieveVectors": True}
    queries = [
        {"vector": [1, 0.5], **hybrid},
        {"vector": [0, 1], "indexUid": 1, "federationOptions": {"weight": 0.98}, **hybrid},
    ]
    whole, found = pair.both("POST", PATH, asking(loaded, queries, limit=25))
    assert found == whole
    assert list(found) == list(whole)


def refusal(pair, body: dict) -> str:
    answer = pair.through("POST", PATH, body)
    assert (answer.status_code, answer.json()["code"]) == (501, "miroir_cannot_merge"), answer.text
    return answer.json()["message"]


def test_what_cannot_be_merged_is_refused(pair, uids):
    """Rather than guessed."""
    by_rank = {"q": "red", "sort": ["rank:asc"]}
    assert "in the midst" in refusal(pair, asking(uids, [by_rank, {**by_rank, "q": "shoe"}]))


@pytest.mark.parametrize(
    ("queries", "federation"),
    [
        ([{"q": "red"}, {"limit": 1}], {}),
        ([{"facets": ["size"]}], {}),
        ([{"page": None, "hitsPerPage": 2, "indexUid": 1}], {}),
        ([{"showPerformanceDetails": True}], {}),
        ([{"q": "red"}, {"filter": "colour = red", "indexUid": 1}], {}),
        (
            [{"q": "red", "sort": ["rank:asc"]}, {"q": "", "sort": ["rank:desc"], "indexUid": 1}],
            {},
        ),
        ([{}], {"limit": -1}),
        ([{}], {"limit": None}),
        ([{}], {"page": "x"}),
        ([{}], {"offset": "1"}),
        ([{}], {"other": 1}),
        ([{}], {"mergeFacets": 7}),
        ([{}], {"showPerformanceDetails": 7}),
        ([{}], {"facetsByIndex": {"": 7}}),
        ([{"useNetwork": True}], {}),
        ([{}], {"facetsByIndex": 7}),
        ([{}], {"facetsByIndex": {"nowhere": ["a"]}}),
        ([{}, {"indexUid": 1}], {"mergeFacets": {"maxValuesPerFacet": -1}}),
        ([{}], {"distinct": "colour"}),
        ([{"federationOptions": {"weight": -1}}], {}),
        ([{"federationOptions": {"remote": "a"}}], {}),
        ([{"distinct": "kind"}], {"distinct": "kind"}),
    ],
    ids=str,
)
def test_the_first_fault_is_told_as_one_node_tells_it(pair, uids, queries, federation):
    """Also of what concerns several indexes, which no shard sees."""
    whole, found = pair.both("POST", PATH, asking(uids, queries, **federation))
    assert whole["status"] >= 400
    assert found == whole


def test_facets_that_two_indexes_order_otherwise_are_refused_as_one_node_does(pair, uids):
    """Each of them alone would be fine."""
    other = pair.load(documents(7), {"filterableAttributes": ["kind"]})
    body = asking(
        [*uids, other],
        [{"q": "red"}, {"q": "red", "indexUid": 2}],
        facetsByIndex={uids[0]: ["kind"], other: ["kind"]},
        mergeFacets={},
    )
    whole, found = pair.both("POST", PATH, body)
    assert whole["code"] == "invalid_multi_search_facet_order"
    assert found == whole


def vectors(seed: int) -> list[dict]:
    chance = random.Random(seed)
    return [
        {**document, "_vectors": {"own": [chance.uniform(-1, 1), chance.uniform(-1, 1)]}}
        for document in documents(seed)
    ]


@pytest.fixture(scope="module")
def embedded_uids(pair):
    return [pair.load(vectors(seed), {**SETTINGS, **VECTORS}) for seed in (21, 22, 23)]


@pytest.mark.parametrize("seed", range(15))
def test_hybrid_queries_are_merged_as_on_one_node(pair, embedded_uids, seed):
    """One of an index, among others by words or by meaning alone."""
    chance = random.Random(seed)

    def query(place: int, ratio: float | None) -> dict:
        semantic = {
            "vector": [chance.uniform(-1, 1), chance.uniform(-1, 1)],
            "hybrid": {"embedder": "own", "semanticRatio": ratio},
        }
        return {
            "indexUid": place,
            "q": chance.choice(WORDS),
            "federationOptions": {"weight": chance.choice([0.5, 1, 1.3])},
            **chance.choice([{}, {"filter": "size > 0"}, {"attributesToRetrieve": ["id"]}]),
            **({} if ratio is None else semantic),
        }

    ratios = [chance.choice([0.1, 0.4, 0.8]), chance.choice([0.5, 1.0, None])]
    queries = [query(place, ratio) for place, ratio in enumerate(ratios)]
    queries += [query(2, None), query(2, 1.0)]
    window = chance.choice([{}, {"offset": 3, "limit": 12}, {"page": 2, "hitsPerPage": 8}])
    facets = {"facetsByIndex": {uid: ["size"] for uid in embedded_uids[:2]}}
    distinct = chance.choice([{}, {}, {"distinct": "kind"}])
    body = asking(embedded_uids, queries, **window, **facets, **distinct)
    whole, found = pair.both("POST", PATH, body)
    assert whole["hits"] or distinct
    assert groups(found) == groups(whole)
    for answer in (whole, found):
        del answer["hits"]
    assert found == whole or distinct  # Totals: see docs/reference/exactness.md.


def test_what_of_a_hybrid_query_cannot_be_merged_is_refused(pair, embedded_uids):
    """And what a node refuses, in its words."""
    hybrid = {"q": "red", "vector": [1, 0], "hybrid": {"embedder": "own"}}
    assert "beside others of its index" in refusal(pair, asking(embedded_uids, [hybrid, {}]))
    by_rank = {**hybrid, "sort": ["rank:asc"]}
    assert "in the midst" in refusal(pair, asking(embedded_uids, [by_rank, {"indexUid": 1}]))
    for fault in ({"limit": 3}, {"federationOptions": {"weight": -1}}, {"filter": "colour = 1"}):
        for others in ([], [{"indexUid": 1}]):
            body = asking(embedded_uids, [{**hybrid, **fault}, *others])
            whole, found = pair.both("POST", PATH, body)
            assert found == whole
            assert found["status"] == 400
