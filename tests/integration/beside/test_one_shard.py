"""With one shard the answers of the search routes are a node's own."""

import pytest
from tests.support.beside import Beside, beside

from miroir.cli.layout import Engine

pytestmark = pytest.mark.slow
SETTINGS = {
    "embedders": {"own": {"source": "userProvided", "dimensions": 2}},
    "filterableAttributes": ["kind"],
    "distinctAttribute": "kind",
}
DOCUMENTS = [
    {"id": n, "title": "red shoe", "kind": f"k{n}", "_vectors": {"own": [1, n / 9]}}
    for n in range(9)
]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    with beside(tmp_path_factory.mktemp("alone"), Engine("embedded"), shards=1) as both:
        yield both


@pytest.fixture(scope="module")
def uids(alone: Beside):
    return [alone.load(DOCUMENTS[n:], SETTINGS) for n in (0, 4)]


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("facet-search", {"facetName": "kind", "facetQuery": "k", "q": "red"}),
        ("facet-search", {"facetName": "other"}),
        ("similar", {"id": 5, "embedder": "own", "showRankingScoreDetails": True}),
        ("similar", {"id": 77, "embedder": "own"}),
    ],
    ids=str,
)
def test_one_shard_answers_as_the_node_does(alone, uids, route, body):
    """Also what is refused over several shards."""
    whole, found = alone.both("POST", f"/indexes/{uids[0]}/{route}", body)
    assert list(found.items()) == list(whole.items())


@pytest.mark.parametrize(
    "body",
    [
        {"queries": [0, 1]},
        {"queries": [0], "federation": {"distinct": "title", "showPerformanceDetails": False}},
        {"queries": [0, 0], "federation": {}},
    ],
    ids=str,
)
def test_multi_search_shows_what_the_node_shows(alone, uids, body):
    """Each result is the node's; a federation over one index is answered by it as a whole."""
    queries = [{"indexUid": uids[number], "q": "red"} for number in body["queries"]]
    whole, found = alone.both("POST", "/multi-search", {**body, "queries": queries})
    assert list(found.items()) == list(whole.items())


def test_several_indexes_on_one_shard_are_merged(alone, uids):
    """No one node need be proved at the versions of both."""
    queries = [{"indexUid": uid, "q": "red"} for uid in uids]
    body = {"queries": queries, "federation": {"facetsByIndex": {uids[1]: ["kind"]}}}
    whole, found = alone.both("POST", "/multi-search", body)
    assert found == whole
    assert list(found) == list(whole)


@pytest.mark.parametrize(
    ("query", "federation"),
    [
        ({"q": "red", "vector": [1, 0.3], "hybrid": {"embedder": "own"}}, {}),
        ({"q": "red", "vector": [0, 1], "hybrid": {"embedder": "own"}}, {"distinct": "kind"}),
        ({"q": "red"}, {"distinct": "kind"}),
        ({"q": "", "sort": ["rank:desc"]}, {"limit": 7, "offset": 2}),
    ],
    ids=str,
)
def test_what_several_indexes_hide_and_mean_is_merged_on_one_shard_too(alone, query, federation):
    """By the same steps as over several shards: a node answers for one index at a time."""
    settings = {
        **SETTINGS,
        "distinctAttribute": None,
        "displayedAttributes": ["id", "kind"],
        "sortableAttributes": ["rank"],
    }
    ranked = [{**d, "kind": f"k{d['id'] % 5}", "rank": d["id"] * 7 % 10} for d in DOCUMENTS]
    uids = [alone.load(ranked[start:], settings) for start in (0, 3)]
    queries = [{**query, "indexUid": uid} for uid in uids]
    body = {"queries": queries, "federation": federation}
    whole, found = alone.both("POST", "/multi-search", body)
    assert whole["hits"]
    assert found["hits"] == whole["hits"]
