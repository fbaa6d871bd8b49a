"""
Who of the replicas of one shard has lost something, told from what each of them shows.

Replicas that are in sync hold the same documents, so a difference says that somebody has lost
some; it does not say who. What says so is a node that has become another: its index was born
later than the one that it had, or its task uids went down. Without that, only a majority is
believed. Nobody is accused where nobody else has kept what is missing.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final

from miroir.core.topology import NodeId

REBORN: Final = "its index is not the one that it had"
REWOUND: Final = "it has come back as it was earlier"
FEWER: Final = "it holds another number of documents than its siblings"


def changed(
    births: Mapping[NodeId, str], known: Mapping[NodeId, str], rewound: Collection[NodeId]
) -> dict[NodeId, str]:
    """
    Return the replicas that are not what they were, and why.

    Args:
        births: When the index of each in-sync replica came into being, by its own clock.
        known: The same, as it was seen before; absent = not yet seen.
        rewound: Nodes whose task uids have gone down.
    """
    lost = {n: REWOUND for n in births if n in rewound}
    lost |= {n: REBORN for n, birth in births.items() if known.get(n, birth) != birth}
    return lost


def outvoted(counts: Mapping[NodeId, int]) -> frozenset[NodeId] | None:
    """Return who differs from the majority, nobody if all agree; None if there is no majority."""
    if not counts:
        return frozenset()
    common, votes = Counter(counts.values()).most_common(1)[0]
    if votes * 2 <= len(counts):
        return None
    return frozenset(n for n, count in counts.items() if count != common)
