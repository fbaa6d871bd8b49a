"""
In which order nodes are changed: two disjoint covers, so that one of them always serves alone.

    columns   n0 n3   n1 n4   n2 n5        usable: all
    first     n0      n1      n2           changed and verified while the others serve; then the
    second       n3      n4      n5        commit is the switch, and the others follow

Of a column with several usable nodes the larger part goes first: it serves alone after the commit.
Nodes that serve nothing now (down, drifted, out of sync) go along with the second half, since
nobody should wait for them before the commit. A column with a single usable node has no second
cover: then all nodes change at once, and answers say so.
"""

from collections.abc import Collection

from miroir.core.topology import NodeId, Topology

Waves = tuple[tuple[NodeId, ...], ...]


def halves(topology: Topology, usable: Collection[NodeId]) -> Waves | None:
    """
    Split the nodes into two covers of the usable ones, or None where there are none.

    Args:
        topology: The grid.
        usable: Nodes that can serve the committed settings and every document now.
    """
    first: set[NodeId] = set()
    for column in topology.columns:
        serving = [node_id for node_id in column if node_id in usable]
        if len(serving) < 2:
            return None
        first.update(serving[: (len(serving) + 1) // 2])
    return (
        tuple(n for n in topology.node_ids if n in first),
        tuple(n for n in topology.node_ids if n not in first),
    )
