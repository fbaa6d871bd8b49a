"""One small cluster of embedded nodes for the tests of the public side."""

import pytest
from tests.integration.api.asking import DOCUMENTS, INDEX
from tests.support.live_cluster import live_cluster

from miroir.cli.layout import Shape

BODY_BYTES_MAX = 65536


@pytest.fixture(scope="package")
def cluster(tmp_path_factory):
    """A cluster with one index that has documents and settings; no test may change it."""
    settings = {"limits": {"payload_bytes_max": BODY_BYTES_MAX}}
    with live_cluster(tmp_path_factory.mktemp("cluster") / "c", Shape(2, 2), settings) as cluster:
        cluster.create("movies", DOCUMENTS)
        cluster.do("PATCH", f"{INDEX}/settings", {"filterableAttributes": ["name"]})
        yield cluster
