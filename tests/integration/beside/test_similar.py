"""`similar` over three shards, beside one node that holds everything."""

import random

import pytest
from tests.support.beside import SHARDS

from miroir.core.routing import shard_of, slot_table

pytestmark = pytest.mark.slow
SETTINGS = {
    "embedders": {"own": {"source": "userProvided", "dimensions": 3}},
    "filterableAttributes": ["kind"],
}


def documents() -> list[dict]:
    chance = random.Random(5)
    made = [
        {
            "id": number,
            "kind": f"k{number % 3}",
            "name": f"thing {number}",
            "_vectors": {"own": [round(chance.uniform(-1, 1), 3) for _ in range(3)]},
        }
        for number in range(60)
    ]
    return [*made, {"id": 90, "kind": "k0", "_vectors": {"own": None}}]


@pytest.fixture(scope="module")
def uid(pair):
    return pair.load(documents(), SETTINGS)


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"limit": 100, "showRankingScore": True, "showRankingScoreDetails": True},
        {"offset": 7, "limit": 9, "showRankingScoreDetails": True},
        {"limit": 0},
        {"offset": 500},
        {"filter": "kind = k1", "showRankingScore": True},
        {"filter": ["kind = k1", "kind = k2"]},
        {"attributesToRetrieve": ["name"], "retrieveVectors": True},
        {"rankingScoreThreshold": 0.0},
    ],
    ids=str,
)
@pytest.mark.parametrize("document_id", [1, "17", 42, 90])
def test_neighbours_are_those_of_one_node(pair, uid, extra, document_id):
    """Vectors of the client's own: no two of the documents are equally near."""
    body = {"id": document_id, "embedder": "own", **extra}
    whole, found = pair.both("POST", f"/indexes/{uid}/similar", body)
    assert whole["status"] == 200
    assert found == whole
    assert list(found) == list(whole)


def test_a_query_string_asks_the_same(pair, uid):
    """All parameters are text there."""
    question = "id=5&embedder=own&limit=4&offset=1&filter=kind=k1&showRankingScore=true"
    question += "&attributesToRetrieve=id,name&retrieveVectors=false"
    for extra in ("", "&rankingScoreThreshold=0.1", '&filter=["kind=k0"]'):
        whole, found = pair.both("GET", f"/indexes/{uid}/similar?{question}{extra}")
        assert found == whole


def test_only_hits_above_the_threshold_are_shown(pair, uid):
    """On every shard, so in all; the total tells what each node has looked at."""
    body = {"id": 3, "embedder": "own", "rankingScoreThreshold": 0.8, "limit": 3}
    whole, found = pair.both("POST", f"/indexes/{uid}/similar", body)
    assert found["hits"] == whole["hits"] != []


@pytest.mark.parametrize(
    "body",
    [
        {"id": 777, "embedder": "own"},
        {"id": "no id", "embedder": "own"},
        {"id": 1.5, "embedder": "own"},
        {"id": 1, "embedder": "another"},
        {"id": 1},
        {"embedder": "own"},
        {"id": 1, "embedder": "own", "limit": -1},
        {"id": 1, "embedder": "own", "limit": None},
        {"id": 1, "embedder": "own", "showRankingScore": "yes"},
        {"id": 1, "embedder": "own", "filter": "colour = red"},
        {"id": 1, "embedder": "own", "q": "red"},
        {"id": 1, "embedder": "own", "rankingScoreThreshold": 3},
        b"{",
    ],
    ids=str,
)
def test_what_one_node_refuses_is_refused_in_its_words(pair, uid, body):
    """The document's own shard judges the request."""
    headers = {"Content-Type": "application/json"}
    whole, found = pair.both("POST", f"/indexes/{uid}/similar", body, headers=headers)
    assert whole["status"] >= 400
    assert found == whole


@pytest.mark.parametrize(
    "question", ["", "id=1", "id=1&embedder=own&limit=x", "id=1&embedder=own&retrieveVectors=7"]
)
def test_a_bad_query_string_is_refused_in_a_nodes_words(pair, uid, question):
    """As with bodies."""
    whole, found = pair.both("GET", f"/indexes/{uid}/similar?{question}")
    assert whole["status"] >= 400
    assert found == whole


def shard(number: int) -> int:
    return shard_of(str(number), slot_table(SHARDS))


def refusal(pair, uid: str, **body) -> str:
    answer = pair.through("POST", f"/indexes/{uid}/similar", {"embedder": "own", **body})
    assert (answer.status_code, answer.json()["code"]) == (501, "miroir_cannot_merge")
    return answer.json()["message"]


def test_an_index_that_ranks_by_more_than_relevancy_is_refused(pair):
    """A search would drop or order hits by what `similar` does not look at."""
    distinct = pair.load(documents(), {**SETTINGS, "distinctAttribute": "kind"})
    assert "distinctAttribute" in refusal(pair, distinct, id=1)
    ranked = pair.load(documents(), {**SETTINGS, "rankingRules": ["id:desc", "words"]})
    assert "before relevancy" in refusal(pair, ranked, id=1)


def test_more_neighbours_than_a_search_returns_are_refused(pair):
    """`similar` shows hits beyond `maxTotalHits`; a search does not."""
    uid = pair.load(documents(), {**SETTINGS, "pagination": {"maxTotalHits": 5}})
    body = {"id": 1, "embedder": "own", "limit": 5}
    whole, found = pair.both("POST", f"/indexes/{uid}/similar", body)
    assert found["hits"] == whole["hits"]
    assert found["estimatedTotalHits"] == 5
    assert "maxTotalHits" in refusal(pair, uid, id=1, limit=6)


def test_documents_of_several_vectors(pair):
    """Theirs is the nearest of them here; one node compares the first with the first."""
    several = {"id": 1, "_vectors": {"own": [[1, 0, 0], [0, 1, 0]]}}
    others = [{"id": n, "_vectors": {"own": [0, 1, n / 100]}} for n in range(2, 30)]
    uid = pair.load([several, *others], SETTINGS)
    assert "several vectors" in refusal(pair, uid, id=1)
    far = next(n for n in range(2, 30) if shard(n) != shard(1))
    body = {"id": far, "embedder": "own", "limit": 30, "attributesToRetrieve": ["id"]}
    whole, found = pair.both("POST", f"/indexes/{uid}/similar", body)
    if pair.engine.kind == "meilisearch":
        assert whole["hits"][-1]["id"] == 1
    assert found["hits"][-1]["id"] != 1
