"""Which engines keep a tag, and how one reads."""

import pytest

from miroir.core.topology import ShardId
from miroir.services.strays import Tag, keeps_tags


@pytest.mark.parametrize(
    ("engine", "keeps"),
    [
        ("1.25.9", False),
        ("1.26.0", True),
        ("1.50.0", True),
        ("2.0.0", True),
        ("1.26.0-rc.1", True),
        ("", False),
        ("nightly", False),
        ("v1.x", False),
    ],
)
def test_only_engines_that_know_the_parameter_are_sent_a_tag(engine, keeps):
    """An older one refuses the whole write because of it."""
    assert keeps_tags(engine) is keeps


def test_a_tag_names_the_write_and_the_shard():
    """It stands in node tasks, where an operator reads it."""
    assert str(Tag(17, ShardId(2))) == "miroir:17:2"
