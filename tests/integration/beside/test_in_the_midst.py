"""
Hits sorted in the midst of the rules of relevancy, as they are by default, over three shards.

Beside one node that holds everything. Nodes tell what such hits are compared by where the
experimental feature `network` is on.
"""

import random

import pytest

pytestmark = pytest.mark.slow
WORDS = ("red", "blue", "shoe", "hat", "coat", "winter", "wool")
SETTINGS = {
    "searchableAttributes": ["title", "text"],
    "sortableAttributes": ["rank", "size", "_geo"],
    "filterableAttributes": ["size"],
    "embedders": {"own": {"source": "userProvided", "dimensions": 2}},
}
SORTS = (["size:asc", "rank:desc"], ["rank:asc"], ["size:desc", "_geoPoint(1, 2):asc", "rank:asc"])


def documents(seed: int) -> list[dict]:
    chance = random.Random(seed)
    ranks = chance.sample(range(10_000), 90)
    return [
        {
            "id": number,
            "title": " ".join(chance.choices(WORDS, k=chance.randint(1, 3))),
            "text": " ".join(chance.choices(WORDS, k=5)),
            "size": chance.choice([1, 2, 3, None]),
            "rank": ranks[number],
            "_geo": {"lat": number, "lng": number / 2},
            "_vectors": {"own": vector(chance)},
        }
        for number in range(90)
    ]


def vector(chance: random.Random) -> list[float]:
    return [round(chance.uniform(-1, 1), 3) for _ in range(2)]


@pytest.fixture(scope="module")
def uids(pair):
    return [pair.load(documents(seed), SETTINGS) for seed in (1, 2)]


@pytest.fixture
def network(pair):
    pair.both("PATCH", "/experimental-features", {"network": True})
    yield
    pair.both("PATCH", "/experimental-features", {"network": False})


def hits_of(answer: dict) -> list[tuple]:
    """Return what tells hits of an answer apart, and their scores."""
    return [
        (hit["id"], hit["_federation"]["indexUid"], hit["_federation"]["queriesPosition"])
        for hit in answer["hits"]
    ]


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("sort", SORTS, ids=str)
@pytest.mark.parametrize("window", [{"limit": 200}, {"page": 2, "hitsPerPage": 15}], ids=str)
def test_federated_hits_of_several_queries_are_those_of_one_node(pair, uids, sort, window):
    """Compared run by run, and nothing of what was told is shown."""
    queries = [
        {"indexUid": uids[0], "q": "red"},
        {"indexUid": uids[1], "q": "hat", "federationOptions": {"weight": 0.9}},
        {"indexUid": uids[0], "q": "coat", "filter": "size = 1"},
    ]
    body = {"queries": [{**q, "sort": sort} for q in queries], "federation": window}
    whole, found = pair.both("POST", "/multi-search", body)
    assert len(whole["hits"]) > 10
    assert hits_of(found) == hits_of(whole)
    assert found == whole


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("seed", range(12))
def test_hybrid_hits_are_those_of_one_node(pair, uids, seed):
    """Both by a body and within a multi-search."""
    chance = random.Random(seed)
    body = {
        "q": chance.choice(WORDS),
        "vector": vector(chance),
        "hybrid": {"embedder": "own", "semanticRatio": chance.choice([0.3, 0.5, 0.7, 0.9])},
        "sort": chance.choice(SORTS),
        "limit": chance.choice([5, 20, 60]),
        "offset": chance.choice([0, 0, 3]),
        "showRankingScore": True,
        **chance.choice([{}, {"filter": "size > 1"}, {"attributesToRetrieve": ["rank"]}]),
    }
    whole, found = pair.both("POST", f"/indexes/{uids[0]}/search", body)
    assert found["hits"] == whole["hits"]
    assert found == whole
    queries = {"queries": [{**body, "indexUid": uids[0]}, {"q": "red", "indexUid": uids[0]}]}
    several = pair.through("POST", "/multi-search", queries).json()["results"][0]
    assert several["hits"] == whole["hits"]


@pytest.mark.usefixtures("network")
def test_a_query_string_asks_the_same(pair, uids):
    """GET has names of its own for it."""
    question = (
        "q=red&vector=0.5,-0.2&hybridEmbedder=own&hybridSemanticRatio=0.7&limit=30"
        "&sort=size:asc,rank:desc&filter=size>1&showRankingScore=true"
    )
    whole, found = pair.both("GET", f"/indexes/{uids[0]}/search?{question}")
    assert whole["semanticHitCount"] > 0
    assert found == whole


def test_without_the_feature_it_is_refused_and_the_feature_named(pair, uids):
    """Whoever reads it knows what to do."""
    sort = {"sort": ["rank:asc"], "indexUid": uids[0]}
    federated = {"queries": [{**sort, "q": "red"}, {**sort, "q": "hat"}], "federation": {}}
    own = {"embedder": "own", "semanticRatio": 0.9}
    hybrid = {"q": "red", "vector": [1, 0], "hybrid": own, "sort": ["rank:asc"]}
    for path, body in (
        ("/multi-search", federated),
        (f"/indexes/{uids[0]}/search", hybrid),
        ("/multi-search", {"queries": [{**hybrid, "indexUid": uids[0]}]}),
    ):
        refused = pair.through("POST", path, body)
        assert (refused.status_code, refused.json()["code"]) == (501, "miroir_cannot_merge")
        assert "feature `network`" in refused.json()["message"]
