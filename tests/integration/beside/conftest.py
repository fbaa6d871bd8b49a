"""A cluster beside one node with everything, of embedded nodes and, where there is one, real."""

from collections.abc import Iterator

import pytest
from tests.support.beside import Beside, beside
from tests.support.node_process import BINARY

from miroir.cli.layout import Engine

_REAL = pytest.mark.skipif(not BINARY, reason="MIROIR_MEILISEARCH_BIN names no binary")


@pytest.fixture(
    scope="package",
    params=["embedded", pytest.param("meilisearch", marks=[_REAL, pytest.mark.meilisearch])],
)
def pair(request, tmp_path_factory) -> Iterator[Beside]:
    """Tests make indexes of their own."""
    folder = tmp_path_factory.mktemp("beside")
    with beside(folder, Engine(request.param, BINARY)) as both:
        yield both
