"""The first moments of a cluster: who asks for its keys gets them, however early."""

from miroir.cli.layout import Shape
from tests.support.live_cluster import live_cluster

NAMES = [
    "Default Search API Key",
    "Default Admin API Key",
    "Default Read-Only Admin API Key",
    "Default Chat API Key",
]
"""In the order of a node's list."""


def test_the_first_answer_of_a_new_cluster_names_its_default_keys(tmp_path):
    """A script that starts Miroir and looks up the search key must not find an empty list."""
    with live_cluster(tmp_path / "c", Shape(3, 2), {}) as cluster:
        first = cluster.send("GET", "/keys").ok()

        assert [key["name"] for key in first["results"]] == NAMES
        by_uid = cluster.send("GET", f"/keys/{first['results'][0]['uid']}").ok()
        assert by_uid == first["results"][0]
