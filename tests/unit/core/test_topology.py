"""The cluster as a grid."""

import pytest

from miroir.core.topology import GroupId, Node, NodeId, ShardId, Topology


def grid(shards, groups):
    """Return a topology whose node names tell their places, in an order that tells nothing."""
    nodes = [
        Node(NodeId(f"s{s}g{g}"), ShardId(s), GroupId(g), f"http://s{s}g{g}")
        for s in range(shards)
        for g in range(groups)
    ]
    return Topology(1, shards, groups, tuple(sorted(nodes, key=lambda n: n.node_id[::-1])))


def test_columns_hold_the_replicas_of_each_shard_by_group():
    """A write goes to a whole column; the order must be the same on every machine."""
    assert grid(2, 3).columns == (("s0g0", "s0g1", "s0g2"), ("s1g0", "s1g1", "s1g2"))


def test_nodes_are_named_group_by_group():
    """The first so many form one complete copy of the data."""
    assert grid(2, 2).node_ids == ("s0g0", "s1g0", "s0g1", "s1g1")


def test_a_node_is_found_by_its_name():
    """Names are what configuration, logs and metrics share."""
    assert grid(2, 2).by_id["s1g0"] == Node("s1g0", ShardId(1), GroupId(0), "http://s1g0")
    assert len(grid(2, 2).by_id) == 4


def test_one_node_of_every_shard_covers():
    """From any mix of replica groups, but from every shard."""
    topology = grid(2, 2)

    assert topology.covers(["s0g0", "s1g1"])
    assert topology.covers(topology.node_ids)
    assert not topology.covers(["s0g0", "s0g1"])
    assert not topology.covers([])


def test_one_plain_node_is_a_cluster():
    """The smallest one is nothing special."""
    topology = grid(1, 1)

    assert topology.columns == (("s0g0",),)
    assert topology.covers(["s0g0"])


@pytest.mark.parametrize(
    ("shards", "groups", "nodes"),
    [
        (0, 1, ()),
        (1, 0, ()),
        (1, 2, (("a", 0, 0),)),
        (1, 2, (("a", 0, 0), ("b", 0, 0))),
        (1, 1, (("a", 0, 1),)),
        (2, 1, (("a", 0, 0), ("a", 1, 0))),
        (1, 1, (("a", 0, 0), ("b", 0, 0))),
    ],
    ids=["no shard", "no group", "hole", "place twice", "outside", "name twice", "too many"],
)
def test_a_grid_with_a_hole_or_a_double_is_refused(shards, groups, nodes):
    """A shard without its node would lose every document that belongs there."""
    with pytest.raises(AssertionError):
        Topology(1, shards, groups, tuple(Node(n, s, g, "http://x") for n, s, g in nodes))
