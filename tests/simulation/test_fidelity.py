"""
A simulated node does what a node does: without that, a simulation proves nothing.

Scripts written by hand for what is easily got wrong, and random ones of the patches with which the
simulation works, go to the simulated node, to the embedded one and, where MIROIR_MEILISEARCH_BIN
names a binary, to Meilisearch itself. What is compared, and what not: `sim_fidelity.py`.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.node_process import BINARY, embedded_node, real_node
from tests.support.sim_fidelity import INDEXES, HttpNode, Step, play_simulated
from tests.support.sim_patches import invalid_patch, rotated_key, valid_patch

_RANDOM_SEEDS = (1, 2, 3, 4)
_STEPS = 40
_KEY = {"source": "openAi", "apiKey": "sk-0123456789abcdef", "documentTemplate": "{{doc.a}}"}
_OWN = {"source": "userProvided", "dimensions": 3}
_BROKEN = {"embedders": {"broken": {"source": "ollama", "model": "m", "url": "http://a/b"}}}

SCRIPTS: dict[str, list[Step]] = {
    "an index begins and ends": [
        Step("create", "movies", "id"),
        Step("create", "movies", "id"),
        Step("update", "movies", "key"),
        Step("update", "books", "key"),
        Step("delete", "books"),
        Step("delete", "movies"),
        Step("delete", "movies"),
        Step("create", "movies"),
    ],
    "a patch makes an index, a reset does not": [
        Step("reset", "movies"),
        Step("patch", "movies", {"stopWords": ["the", "a"]}),
        Step("reset", "movies"),
        Step("patch", "books", {}),
    ],
    "what is refused at once, and what only by its task": [
        Step("create", "movies"),
        Step("patch", "movies", {"rankingRules": ["no such rule"]}),
        Step("patch", "movies", {"unknownKey": 1}),
        Step("patch", "movies", {"pagination": {"maxTotalHits": 0}}),
        Step("patch", "movies", _BROKEN),
        Step("patch", "movies", {**_BROKEN, "stopWords": ["lost"]}),
        Step("patch", "movies", {"embedders": {"e": {**_OWN, "url": "http://a/"}}}),
    ],
    "secrets are masked, merged and removed": [
        Step("patch", "movies", {"embedders": {"a": _KEY, "b": _OWN}}),
        Step("patch", "movies", {"embedders": {"a": {"documentTemplate": "{{doc.b}}"}}}),
        Step("patch", "movies", {"embedders": {"a": {"apiKey": "sk-0123456789abcdeX"}}}),
        Step("patch", "movies", {"embedders": {"b": None}}),
        Step("patch", "movies", {"embedders": {"a": {"source": "userProvided", "dimensions": 2}}}),
        Step("patch", "movies", {"embedders": None}),
    ],
    "indexes are swapped": [
        Step("create", "movies", "id"),
        Step("swap", "movies", "books"),
        Step("create", "books"),
        Step("patch", "movies", {"stopWords": ["the"]}),
        Step("swap", "movies", "books"),
        Step("swap", "movies", "books"),
    ],
}


NEIGHBOURS = [
    Step("create", "movies"),
    Step(
        "burst",
        body=[
            Step("patch", "movies", {"stopWords": ["the"]}),
            Step("patch", "movies", {"synonyms": {"a": ["b"]}}),
        ],
    ),
    Step(
        "burst",
        body=[
            Step("patch", "movies", {"stopWords": ["lost"]}),
            Step("patch", "movies", _BROKEN),
            Step("patch", "movies", {"synonyms": {}}),
        ],
    ),
    Step(
        "burst",
        body=[
            Step("patch", "movies", {"embedders": {"a": _OWN}}),
            Step("patch", "movies", {"embedders": {"b": {**_OWN, "dimensions": 2}}}),
        ],
    ),
    Step(
        "burst",
        body=[
            Step("patch", "movies", {"typoTolerance": {"enabled": False}}),
            Step("patch", "books", {"stopWords": ["x"]}),
            Step("patch", "movies", {"typoTolerance": {"disableOnNumbers": True}}),
        ],
    ),
]


def random_script(seed: int) -> list[Step]:
    """Return what comes to a client's mind."""
    chance = random.Random(f"fidelity {seed}")
    steps: list[Step] = []
    for _ in range(_STEPS):
        index = chance.choice(INDEXES)
        kind = chance.random()
        if kind < 0.05:
            steps.append(Step("create", index, chance.choice((None, "id"))))
        elif kind < 0.10:
            steps.append(Step("delete", index))
        elif kind < 0.14:
            steps.append(Step("swap", *INDEXES))
        elif kind < 0.19:
            steps.append(Step("update", index, chance.choice(("id", "key"))))
        elif kind < 0.25:
            steps.append(Step("reset", index))
        elif kind < 0.33:
            steps.append(Step("patch", index, invalid_patch(chance)))
        elif kind < 0.40:
            steps.append(Step("patch", index, rotated_key(chance)))
        else:
            steps.append(Step("patch", index, valid_patch(chance)))
    return steps


@pytest.fixture(scope="module", params=["embedded", "real"])
def node(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """A node behind HTTP, emptied by `_play`."""
    if request.param == "real" and not BINARY:
        pytest.skip("MIROIR_MEILISEARCH_BIN names no binary")
    directory: Path = tmp_path_factory.mktemp(request.param)
    with (real_node if request.param == "real" else embedded_node)(directory) as running:
        yield HttpNode(running.url, running.master_key, batches=request.param == "real")


def _compare(node: HttpNode, script: list[Step]) -> None:
    clean = [Step("delete", index) for index in INDEXES]
    played = node.play([*clean, *script])[len(clean) :]
    for number, (step, here, there) in enumerate(
        zip(script, play_simulated(script), played, strict=True)
    ):
        assert here == there, f"step {number}, {step}"


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_simulated_node_follows_the_script(name: str, node: HttpNode) -> None:
    """Each of these has been a trap."""
    _compare(node, SCRIPTS[name])


def test_neighbours_in_a_queue_share_their_fate(node: HttpNode) -> None:
    """Somebody's bad settings fail ours; of two patches of embedders one may be lost."""
    if not node.batches:
        pytest.skip("the embedded node works on one task at a time")
    _compare(node, NEIGHBOURS)


@pytest.mark.parametrize("seed", _RANDOM_SEEDS)
def test_a_simulated_node_does_what_a_node_does(seed: int, node: HttpNode) -> None:
    """What nobody thought of, with the very patches that the simulation uses."""
    _compare(node, random_script(seed))


def test_the_comparison_sees_a_difference(node: HttpNode) -> None:
    """A comparison that cannot fail would keep a simulated node of any kind."""
    here = play_simulated([Step("patch", "movies", {"stopWords": ["here"]})])
    there = node.play([Step("patch", "movies", {"stopWords": ["there"]})])
    assert here[-1]["indexes"]["movies"] != there[-1]["indexes"]["movies"]
