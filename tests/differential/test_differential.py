"""
The default worlds: thousands of answers of clusters, equal to those of one node with everything.

More by hand: `python -m tests.differential --seeds 100 --shape 3x2`.
"""

import pytest

from miroir.cli.layout import Engine
from tests.differential.run import play
from tests.support.beside import beside
from tests.support.node_process import BINARY

_REAL = pytest.mark.skipif(not BINARY, reason="MIROIR_MEILISEARCH_BIN names no binary")


@pytest.mark.slow
@pytest.mark.parametrize(("shards", "groups", "seeds"), [(1, 3, 2), (3, 1, 8), (3, 2, 4)])
@pytest.mark.parametrize(
    "kind", ["embedded", pytest.param("meilisearch", marks=[_REAL, pytest.mark.meilisearch])]
)
def test_answers_are_those_of_one_node(tmp_path, kind, shards, groups, seeds):
    """Whoever moves from one Meilisearch to a cluster must not find other results."""
    with beside(tmp_path, Engine(kind, BINARY), shards, groups) as both:
        played = play(both, range(seeds), questions=150)

    assert played.faults[:3] == [], played.sentence()
    assert played.questions.total() > seeds * 120, played.refused
    assert min(played.questions[kind] for kind in ("facets", "documents", "several")) > seeds
