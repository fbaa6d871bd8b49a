"""Nodes for tests: one shared by tests that only ask, and a maker for tests that break things."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.node.running import RunningNode

MASTER_KEY = "a-master-key-of-tests"


@pytest.fixture(scope="session")
def shared_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node for tests that leave it as it was, apart from indexes of their own."""
    with RunningNode(tmp_path_factory.mktemp("shared"), "--faults") as node:
        yield node


@pytest.fixture
def node(shared_node: RunningNode) -> Iterator[RunningNode]:
    """The shared node, without faults before and after."""
    shared_node.faults()
    yield shared_node
    shared_node.faults()


_numbers = itertools.count()


@pytest.fixture
def uid() -> str:
    """The name of an index that no other test uses."""
    return f"index-{next(_numbers)}"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., RunningNode]]:
    """Starts nodes on one folder; all are gone at the end of the test."""
    started: list[RunningNode] = []

    def starter(*options: str, master_key: str | None = None) -> RunningNode:
        started.append(RunningNode(tmp_path / "db", *options, master_key=master_key))
        return started[-1]

    yield starter
    for running in started:
        running.stop()
