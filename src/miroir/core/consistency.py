"""
How many replicas a write must have reached before it is acknowledged.

Replicas are counted per shard, over all replica groups, whether they are there or not: half of
what is left is no majority.
"""

from typing import Final, Literal, get_args

from miroir.core.topology import ShardId

Consistency = Literal["one", "majority", "all"]
LEVELS: Final[tuple[Consistency, ...]] = get_args(Consistency)


def replicas_needed(level: Consistency, replica_groups: int) -> int:
    """Return how many replicas of a shard have to take a write of this level."""
    return {"one": 1, "majority": replica_groups // 2 + 1, "all": replica_groups}[level]


def shortage_text(present: dict[ShardId, int], replica_groups: int) -> str:
    """Return `1=2/3`, several with commas, for shards with fewer replicas than groups; else ``."""
    short = sorted((s, n) for s, n in present.items() if n < replica_groups)
    return ", ".join(f"{shard}={count}/{replica_groups}" for shard, count in short)
