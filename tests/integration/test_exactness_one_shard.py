"""With one shard there is nothing to be inexact about."""

import pytest

from miroir.cli.cluster import LocalCluster
from miroir.cli.layout import Engine, Shape, lay_out

pytestmark = pytest.mark.slow
FILMS = [{"id": number, "title": f"red shoe {number}", "size": number % 3} for number in range(9)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Return Miroir in front of one node."""
    layout = lay_out(tmp_path_factory.mktemp("c") / "data", Shape(1, 1), Engine("embedded"))
    with LocalCluster(layout) as running:
        client = running.client()
        for method, path, body in (
            ("PATCH", "/indexes/films/settings", {"filterableAttributes": ["size"]}),
            ("POST", "/indexes/films/documents", FILMS),
        ):
            accepted = client.request(method, path, body).ok()
            assert client.wait_task(accepted["taskUid"], timeout_s=60)["status"] == "succeeded"
        yield running


@pytest.mark.parametrize(
    "body",
    [
        {"q": "shoe", "facets": ["size"], "showPerformanceDetails": True},
        {"q": "red", "matchingStrategy": "frequency", "page": 2, "hitsPerPage": 3},
        {"q": "red", "distinct": "size", "showRankingScoreDetails": True},
        {"q": "red", "limt": 1},
        {"q": "red", "filter": "colour = red"},
    ],
    ids=",".join,
)
def test_one_shard_answers_as_the_node_does(cluster, body):
    """Also what is refused or dropped over several shards, and the order of all members."""
    path = "/indexes/films/search"
    direct = cluster.client("n0").request("POST", path, body)
    through = cluster.client().request("POST", path, body)
    assert through.status == direct.status
    for answer in (direct.body, through.body):
        for name in ("processingTimeMs", "requestUid", "performanceDetails"):
            if name in answer:
                answer[name] = "another each time"
    assert list(through.body.items()) == list(direct.body.items())
