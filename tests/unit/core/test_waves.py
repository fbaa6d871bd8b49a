"""Two disjoint covers: whatever half is being changed, the other one answers alone."""

from hypothesis import given, strategies as st

from miroir.core.topology import GroupId, Node, NodeId, ShardId, Topology
from miroir.core.waves import halves


def grid(shards, groups):
    """Return a grid with nodes n<shard><group>."""
    return Topology(
        1,
        shards,
        groups,
        tuple(
            Node(NodeId(f"n{shard}{group}"), ShardId(shard), GroupId(group), "http://n")
            for group in range(groups)
            for shard in range(shards)
        ),
    )


def covers(topology, node_ids):
    return all(set(node_ids) & set(column) for column in topology.columns)


@given(st.integers(1, 4), st.integers(1, 4), st.data())
def test_the_usable_nodes_of_both_halves_cover_every_shard(shards, groups, data):
    """A half that lacks a shard would leave searches without an answer, or with a mixed one."""
    topology = grid(shards, groups)
    usable = data.draw(st.sets(st.sampled_from(topology.node_ids)))

    split = halves(topology, usable)

    several = all(len(usable & set(column)) > 1 for column in topology.columns)
    assert (split is not None) == several
    if split is not None:
        first, second = split
        assert sorted(first + second) == sorted(topology.node_ids)
        assert covers(topology, usable & set(first))
        assert covers(topology, usable & set(second))
        assert set(first) <= usable, "nobody waits for a node that serves nothing"


def test_the_larger_part_of_a_column_goes_first():
    """After the switch the first half carries all searches until the second has followed."""
    topology = grid(1, 3)

    assert halves(topology, topology.node_ids) == (("n00", "n01"), ("n02",))


def test_a_column_with_one_usable_node_has_no_second_cover():
    """One node of three is down in a grid of two groups: the change goes on, flagged."""
    topology = grid(3, 2)

    assert halves(topology, set(topology.node_ids) - {"n10"}) is None
