"""
The cluster as one immutable snapshot: a grid of `shards` x `replica_groups` places, one node each.

A replica group is one complete copy of the data (one node per shard); a column is all nodes of
one shard (one per replica group). Nothing here knows which nodes are healthy.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NewType

NodeId = NewType("NodeId", str)
GroupId = NewType("GroupId", int)
ShardId = NewType("ShardId", int)
IndexUid = NewType("IndexUid", str)

RESERVED: Final = "_miroir_"
"""Index uids that begin with this are Miroir's own, e.g. the probe's."""


@dataclass(frozen=True)
class Node:
    """
    One Meilisearch server at its place in the grid.

    Attributes:
        node_id: Its name in configuration, logs and metrics.
        shard_id: Its column, from 0.
        group_id: Its replica group, from 0.
        url: `http://host:port`, without a trailing slash.
    """

    node_id: NodeId
    shard_id: ShardId
    group_id: GroupId
    url: str


@dataclass(frozen=True)
class Topology:
    """
    All nodes at one epoch.

    Attributes:
        epoch: Grows by one with every change of membership. Not a lease epoch.
        shard_count: Columns of the grid.
        group_count: Replica groups of the grid.
        nodes: Every node; each place of the grid is filled exactly once.
    """

    epoch: int
    shard_count: int
    group_count: int
    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        assert self.shard_count > 0
        assert self.group_count > 0
        places = {(node.shard_id, node.group_id) for node in self.nodes}
        grid = {(s, g) for s in range(self.shard_count) for g in range(self.group_count)}
        assert len(self.nodes) == len(grid), "one node per place"
        assert places == grid, "one node per place"
        assert len({node.node_id for node in self.nodes}) == len(self.nodes), "names are unique"

    @cached_property
    def by_id(self) -> Mapping[NodeId, Node]:
        """Every node by its name."""
        return {node.node_id: node for node in self.nodes}

    @cached_property
    def node_ids(self) -> tuple[NodeId, ...]:
        """Every name, ordered by replica group and then shard."""
        ordered = sorted(self.nodes, key=lambda node: (node.group_id, node.shard_id))
        return tuple(node.node_id for node in ordered)

    @cached_property
    def columns(self) -> tuple[tuple[NodeId, ...], ...]:
        """The nodes of each shard, in the order of their replica groups."""
        return tuple(
            tuple(
                node.node_id
                for node in sorted(self.nodes, key=lambda node: node.group_id)
                if node.shard_id == shard_id
            )
            for shard_id in range(self.shard_count)
        )

    def column_of(self, node_id: NodeId) -> tuple[NodeId, ...]:
        """Return the nodes that hold the same shard as this one, itself among them."""
        return self.columns[self.by_id[node_id].shard_id]

    def covers(self, node_ids: Iterable[NodeId]) -> bool:
        """Whether these nodes hold every shard at least once."""
        shards = {self.by_id[node_id].shard_id for node_id in node_ids}
        return len(shards) == self.shard_count
