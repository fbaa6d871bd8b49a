"""Adoption: what speaks against taking over an index that nodes hold already."""

from dataclasses import replace

import pytest

from miroir.core import settings as rules
from miroir.core.adoption import Held, objection
from miroir.core.topology import NodeId

N0, N1 = NodeId("n0"), NodeId("n1")
FACETING = {"maxValuesPerFacet": 100, "sortFacetValuesBy": {}}
"""The default in fewer words."""
ONE = Held("1.50.0", "id", 3, {**rules.defaults(), "stopWords": ["the"]})


def said(other: Held | None, *, shard_count: int = 1, by_hand: bool = False) -> str | None:
    return objection({N0: ONE, N1: other}, shard_count=shard_count, by_hand=by_hand)


def test_what_every_node_holds_alike_is_taken_over() -> None:
    """Whoever puts Miroir in front of replicas that exist must not have to index them anew."""
    assert said(ONE) is None


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (None, "n1 does not have it"),
        (replace(ONE, primary_key="sku"), "the primary keys differ (n0: id, n1: sku)"),
        (replace(ONE, documents=4), "the numbers of documents differ (n0: 3, n1: 4)"),
        (replace(ONE, settings=rules.defaults()), "the settings differ (stopWords)"),
        (
            replace(ONE, settings={**ONE.settings, "faceting": FACETING}),
            "the settings differ (fingerprint)",
        ),
        (replace(ONE, idle=False), "n1 still works on it"),
    ],
)
def test_nodes_that_differ_are_left_alone(other: Held | None, words: str) -> None:
    """One of them would have to be overwritten, and nobody has said which."""
    assert (said(other) or "").startswith(words)
    assert (said(other, by_hand=True) or "").startswith(words)


def test_with_several_shards_nothing_is_taken_over() -> None:
    """Every node holds every document: each would be found once per shard."""
    assert "2 shards" in (said(ONE, shard_count=2, by_hand=True) or "")


def test_keys_that_nodes_hide_are_not_taken_over() -> None:
    """Miroir would keep a mask, and send it to every node at the next repair."""
    embedder = {"source": "openAi", "apiKey": "XXX..."}
    hiding = replace(ONE, settings={**ONE.settings, "embedders": {"e": embedder}})
    why = objection({N0: hiding, N1: hiding}, shard_count=1, by_hand=True)
    assert "set them again through Miroir" in (why or "")


def test_an_empty_index_is_taken_over_by_hand_only() -> None:
    """It may be what an aborted creation has left behind."""
    empty = replace(ONE, documents=0)
    assert "adopt it by hand" in (objection({N0: empty, N1: empty}, shard_count=1) or "")
    assert objection({N0: empty, N1: empty}, shard_count=1, by_hand=True) is None


def test_engines_of_two_kinds_are_compared_by_meaning() -> None:
    """They spell the same settings differently."""
    other = replace(ONE, engine="1.51.0", settings={**ONE.settings, "aNewKey": 1})
    assert said(other) is None
    assert "stopWords" in (said(replace(other, settings=rules.defaults())) or "")
