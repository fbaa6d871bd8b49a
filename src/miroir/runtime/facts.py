"""
What a data directory knows of the topology it was written under, compared with the one of today.

Documents were cut by the number of shards, and a node's documents are those of its shard: neither
may change under them. A node that was not there yesterday has missed every write until today, so
it is out of sync from the start, and brought up from a sibling. Nodes are known by their names.
"""

import json
from collections.abc import Mapping

import structlog

from miroir.core.commons import is_common
from miroir.core.topology import NodeId, ShardId, Topology
from miroir.errors import ConfigError
from miroir.ports.store import Store

_log = structlog.get_logger(__name__)


async def check_facts(store: Store, topology: Topology) -> None:
    """
    Refuse a topology that the stored data does not fit; note who is new in it.

    Raises:
        ConfigError: Another number of shards, a node at another shard, or a shard of which no
            node was there before.
    """
    known = await store.fact("shards")
    if known is not None and known != str(topology.shard_count):
        raise ConfigError(
            f"topology.shards: is {topology.shard_count}, but the documents in this data "
            f"directory were cut into {known}; set it to {known}, or use another data_dir"
        )
    places = {str(node.node_id): int(node.shard_id) for node in topology.nodes}
    before = await store.fact("places")
    if before is not None:
        await _compare(store, topology, json.loads(before))
    await store.set_fact("shards", str(topology.shard_count))
    await store.set_fact("places", json.dumps(places, sort_keys=True))


async def _compare(store: Store, topology: Topology, before: Mapping[str, int]) -> None:
    for node in topology.nodes:
        shard = before.get(node.node_id, node.shard_id)
        if shard != node.shard_id:
            raise ConfigError(
                f"topology.nodes: {node.node_id} holds the documents of shard {shard} and cannot "
                f"be at shard {node.shard_id}; put it back, or give an empty node another name"
            )
    indexes = [
        record.uid
        for record in await store.indexes()
        if not record.deleted and not is_common(record.uid)
    ]
    new = [node.node_id for node in topology.nodes if node.node_id not in before]
    for shard_id, column in enumerate(topology.columns):
        if indexes and set(column) <= set(new):
            raise _nobody_left(ShardId(shard_id), column)
    for node_id in new:
        for index_uid in indexes:
            await store.set_out_of_sync(index_uid, node_id, "it is new in the topology")
        _log.info("node_is_new", node=node_id, indexes=len(indexes))


def _nobody_left(shard_id: ShardId, column: tuple[NodeId, ...]) -> ConfigError:
    names = ", ".join(column)
    return ConfigError(
        f"topology.nodes: no node of shard {shard_id} ({names}) was there before, so nobody has "
        "its documents; keep the name of one that has, or use another data_dir"
    )
