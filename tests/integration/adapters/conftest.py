"""Fixtures of the adapters' tests: both event loops, and every kind of server."""

import pytest
from tests.integration.adapters.servers import REAL, started


@pytest.fixture(
    params=[
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
    ]
)
def anyio_backend(request):
    """Return the loop to run on."""
    return request.param


@pytest.fixture(scope="module", params=["embedded", REAL])
def node(request, tmp_path_factory):
    """Return the url of a Meilisearch node with `KEY`, of each kind that is at hand."""
    yield from started(request.param, tmp_path_factory)


@pytest.fixture(scope="module", params=["uvicorn", "embedded", REAL])
def server(request, tmp_path_factory):
    """Return the url of a server that speaks HTTP as such servers do, and knows `KEY`."""
    yield from started(request.param, tmp_path_factory)
