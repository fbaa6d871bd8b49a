"""
Where a document lives, and which nodes may answer a search. Pure choice, nothing is remembered.

    primary key --xxh3_64 mod 4096--> slot --rendezvous, one table per shard count--> shard
    shard --write_targets--> every node of its column
    (proved versions, health, load) --covering_set--> one node per shard

Rules:
- The mapping from key to shard is stored data's address: it never changes (golden tests). Adding a
  shard moves about 1/(n+1) of the slots, all of them to the new shard.
- Integer 42 and string "42" are one primary key, so a key is hashed as text (documents.py makes
  the text).
- All nodes of a cover serve one settings version where that is possible at all; the highest wins,
  then the least load. A floor is met by proved nodes only. (Settings protocol, section 5.)

May not be put here: how versions are proved, what "ready" means, retries, HTTP.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import msgspec
from xxhash import xxh3_64_intdigest

from miroir.core.topology import NodeId, ShardId, Topology
from miroir.errors import NoCoveringSet, SettingsVersionStale

SLOT_COUNT: Final = 4096

WhenNoCover = Literal["available", "consistent"]


def slot_of(key: str) -> int:
    """Return the slot, 0..4095, of a primary key in its canonical text form."""
    return xxh3_64_intdigest(key.encode()) % SLOT_COUNT


@dataclass(frozen=True)
class SlotTable:
    """
    The shard of every slot.

    Attributes:
        shard_count: Shards, numbered from 0.
        shards: One shard per slot, `SLOT_COUNT` long.
    """

    shard_count: int
    shards: tuple[ShardId, ...]


@lru_cache(maxsize=64)
def slot_table(shard_count: int) -> SlotTable:
    """Return the table for this number of shards; computed once, then the same object."""
    assert shard_count > 0
    return SlotTable(
        shard_count, tuple(shard_of_slot(slot, shard_count) for slot in range(SLOT_COUNT))
    )


def shard_of_slot(slot: int, shard_count: int) -> ShardId:
    """Return the shard with the highest weight for this slot (rendezvous hashing)."""
    assert 0 <= slot < SLOT_COUNT
    return ShardId(max(range(shard_count), key=lambda shard: _weight(slot, shard)))


def _weight(slot: int, shard: int) -> int:
    return xxh3_64_intdigest(b"%d/%d" % (slot, shard))


def shard_of(key: str, table: SlotTable) -> ShardId:
    """Return the shard that owns the document of this canonical primary key."""
    return table.shards[slot_of(key)]


def write_targets(topology: Topology, shard: ShardId) -> tuple[NodeId, ...]:
    """Return every node that must hold the documents of a shard, by replica group."""
    return topology.columns[shard]


class Candidates(msgspec.Struct, frozen=True):
    """
    What is known about the nodes for one index at one moment.

    Attributes:
        topology: The snapshot of this request.
        proved: The committed settings version that a node is proved to serve; absent = unproved.
        ready: Nodes that are healthy and in sync.
        committed: The last committed version; no node can be proved at a later one.
        in_flight: A settings change is open (it only words the error).
        load: Requests in flight; absent = none.
        when_no_cover: What to do when no cover of one version exists and no floor was given.
        given_up: Shards the caller has decided to answer without (a degraded answer).
        spared: Nodes that a change waits for: asked only where no other will do.
    """

    topology: Topology
    proved: Mapping[NodeId, int]
    ready: frozenset[NodeId]
    committed: int
    in_flight: bool
    load: Mapping[NodeId, int]
    when_no_cover: WhenNoCover
    given_up: frozenset[ShardId] = frozenset()
    spared: frozenset[NodeId] = frozenset()


class Cover(msgspec.Struct, frozen=True):
    """
    The nodes that answer one request.

    Attributes:
        nodes: One per shard, in shard order; shards that were given up are left out.
        version: The settings version that they serve; with `inconsistent`, the last committed one.
        inconsistent: One version cannot be guaranteed.
    """

    nodes: tuple[NodeId, ...]
    version: int
    inconsistent: bool


class Choices(msgspec.Struct, frozen=True):
    """
    The covers that are as good as one another but for the load.

    Attributes:
        columns: The nodes that may answer, shard by shard; shards that were given up are left out.
        version: See `Cover`.
        inconsistent: See `Cover`.
    """

    columns: list[list[NodeId]]
    version: int
    inconsistent: bool

    def pick(self, load: Callable[[NodeId], int], turn: int) -> Cover:
        """Return the cover of the least loaded nodes; `turn` decides among equals."""
        nodes = tuple([_least_loaded(column, load, turn) for column in self.columns])
        return Cover(nodes, self.version, self.inconsistent)


def covering_set(candidates: Candidates, *, floor: int | None = None, turn: int = 0) -> Cover:
    """
    Choose one usable node per shard, all at one settings version if that can be had.

    Args:
        candidates: The nodes and what is known of them.
        floor: The lowest settings version the caller accepts; None = any.
        turn: Rotates the choice among equally loaded nodes; the same turn chooses the same nodes.

    Raises:
        NoCoveringSet: See `choices`.
        SettingsVersionStale: See `choices`.
    """
    return choices(candidates, floor=floor).pick(lambda n: candidates.load.get(n, 0), turn)


def choices(candidates: Candidates, *, floor: int | None = None) -> Choices:
    """
    Return the nodes that may answer, whatever their load: the same until something changes.

    Raises:
        NoCoveringSet: Some shard has no ready node; `shards` names them. Nobody can answer now.
        SettingsVersionStale: No cover of one version meets the floor, or none exists at all and
            `when_no_cover` is `consistent`. A later request may succeed.
    """
    columns = _ready_columns(candidates)
    proved = candidates.proved
    versions = {proved[node] for column in columns for node in column if node in proved}
    assert max(versions, default=0) <= candidates.committed, "proved beyond the last commit"
    for version in sorted(versions, reverse=True):
        if floor is not None and version < floor:
            break
        at_version = [[n for n in column if proved.get(n) == version] for column in columns]
        if all(at_version):
            chosen = _without_spared(at_version, candidates.spared)
            return Choices(chosen, version, inconsistent=False)
    if floor is not None or candidates.when_no_cover == "consistent":
        raise SettingsVersionStale(_stale_message(candidates, floor))
    newest = [_newest(column, proved) for column in columns]
    return Choices(newest, candidates.committed, inconsistent=True)


def _ready_columns(candidates: Candidates) -> list[list[NodeId]]:
    columns = [
        [node for node in column if node in candidates.ready]
        for shard, column in enumerate(candidates.topology.columns)
        if shard not in candidates.given_up
    ]
    if not all(columns) or not columns:
        raise _no_covering_set(candidates)
    return columns


def _without_spared(columns: list[list[NodeId]], spared: frozenset[NodeId]) -> list[list[NodeId]]:
    """Keep requests away from spared nodes, shard by shard, where another node is there."""
    if not spared:
        return columns
    return [[n for n in column if n not in spared] or column for column in columns]


def _newest(column: list[NodeId], proved: Mapping[NodeId, int]) -> list[NodeId]:
    """Keep the best proved nodes: a drifted one serves only when it is the last of its column."""
    best = max(proved.get(node, -1) for node in column)
    return [node for node in column if proved.get(node, -1) == best]


def _least_loaded(column: list[NodeId], load: Callable[[NodeId], int], turn: int) -> NodeId:
    if len(column) == 1:
        return column[0]
    loads = [load(node) for node in column]
    least = min(loads)
    equals = sorted(node for node, each in zip(column, loads, strict=True) if each == least)
    return equals[turn % len(equals)]


def _no_covering_set(candidates: Candidates) -> NoCoveringSet:
    shards = tuple(
        shard
        for shard, column in enumerate(candidates.topology.columns)
        if not candidates.ready.intersection(column)
    )
    names = ", ".join(str(shard) for shard in shards)
    return NoCoveringSet(f"no node can answer for shard {names}", shards)


def _stale_message(candidates: Candidates, floor: int | None) -> str:
    wanted = "one settings version" if floor is None else f"settings version {floor} or later"
    state = "; a change is in flight" if candidates.in_flight else ""
    return f"no covering set serves {wanted} (last committed: {candidates.committed}{state})"
