"""
One running cluster for consecutive modules that want the same, one fresh index for each test.

A module may say `SHAPE = Shape(2, 1)` and `SETTINGS = {...}` (further keys of miroir.yaml).
"""

import re
from contextlib import ExitStack

import pytest

from miroir.cli.layout import Shape
from tests.support.live_cluster import live_cluster


class Stage:
    """Runs one cluster at a time; a start costs seconds."""

    def __init__(self, factory):
        self._factory = factory
        self._stack = ExitStack()
        self._wanted = None
        self._cluster = None

    def cluster(self, shape, settings):
        if self._wanted != (shape, settings):
            self.close()
            folder = self._factory.mktemp("cluster") / "c"
            self._cluster = self._stack.enter_context(live_cluster(folder, shape, settings))
            self._wanted = (shape, settings)
        return self._cluster

    def close(self):
        self._wanted = None
        self._stack.close()


@pytest.fixture(scope="session")
def stage(tmp_path_factory):
    stage = Stage(tmp_path_factory)
    yield stage
    stage.close()


@pytest.fixture
def cluster(stage, request):
    """The module's cluster, in health; healed and emptied again afterwards."""
    shape = getattr(request.module, "SHAPE", Shape(3, 2))
    settings = getattr(request.module, "SETTINGS", {})
    cluster = stage.cluster(shape, settings)
    yield cluster
    cluster.wipe()


@pytest.fixture
def uid(request):
    """An index name of the test's own: versions outlive the deletion of an index."""
    return re.sub(r"\W+", "-", request.node.name)[-80:].strip("-")
