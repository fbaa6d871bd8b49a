"""
May an index that nodes hold be taken over as version 1? What they show -> what speaks against it.

Conservative: what is not certain stays as it is, listed and untouched. Only settings that can be
read whole are taken over; only documents that every node holds alike: their numbers are compared
here, themselves by who asks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from miroir.core import settings as rules
from miroir.core.fingerprint import fingerprint
from miroir.core.topology import NodeId

ALIKE = "make the nodes alike, or delete it where it is not wanted"
"""The remedy."""


@dataclass(frozen=True)
class Held:
    """
    What one node holds of an index.

    Attributes:
        engine: Engine class; fingerprints are comparable within one.
        settings: As it shows them.
        idle: Whether nothing is queued for it.
    """

    engine: str
    primary_key: str | None
    documents: int
    settings: Mapping[str, Any]
    idle: bool = True


def objection(
    held: Mapping[NodeId, Held | None], *, shard_count: int, by_hand: bool = False
) -> str | None:
    """
    Return what speaks against taking an index over, in words with the remedy; None: nothing.

    Args:
        held: Every node; None: it does not have the index.
        shard_count: Of the cluster.
        by_hand: Whether an operator has asked for it: then an empty index will do.
    """
    if shard_count > 1:
        return (
            f"documents of {shard_count} shards cannot be told apart; "
            "create it through Miroir under another name and add its documents there"
        )
    missing = [n for n, one in held.items() if one is None]
    if missing:
        return f"{', '.join(missing)} does not have it; {ALIKE}"
    copies = {n: one for n, one in held.items() if one is not None}
    return _differing(copies) or _unreadable(copies) or _empty(copies, by_hand=by_hand)


def _differing(copies: Mapping[NodeId, Held]) -> str | None:
    busy = [n for n, one in copies.items() if not one.idle]
    if busy:
        return f"{', '.join(busy)} still works on it; wait"
    keys = {n: one.primary_key for n, one in copies.items()}
    if len(set(keys.values())) > 1:
        return f"the primary keys differ ({_said(keys)}); {ALIKE}"
    counts = {n: one.documents for n, one in copies.items()}
    if len(set(counts.values())) > 1:
        return f"the numbers of documents differ ({_said(counts)}); {ALIKE}"
    faults = _faults(list(copies.values()))
    return f"the settings differ ({', '.join(faults)}); {ALIKE}" if faults else None


def _faults(copies: list[Held]) -> tuple[str, ...]:
    """Return the keys in which nodes differ: to the letter within one engine, else by meaning."""
    first = copies[0]
    found: dict[str, None] = {}
    for one in copies[1:]:
        keys = rules.differences(first.settings, one.settings)
        found.update(dict.fromkeys(keys))
        if not keys and one.engine == first.engine:
            alike = fingerprint(one.settings) == fingerprint(first.settings)
            found.update({} if alike else {"fingerprint": None})
    return tuple(found)


def _unreadable(copies: Mapping[NodeId, Held]) -> str | None:
    if any(rules.has_secrets(one.settings) for one in copies.values()):
        return (
            "nodes do not show the keys of its embedders; remove them on every node, adopt it, "
            "and set them again through Miroir"
        )
    return None


def _empty(copies: Mapping[NodeId, Held], *, by_hand: bool) -> str | None:
    if by_hand or any(one.documents for one in copies.values()):
        return None
    return "it holds no documents; adopt it by hand if it is wanted"


def _said(values: Mapping[NodeId, object]) -> str:
    return ", ".join(f"{n}: {value}" for n, value in values.items())
