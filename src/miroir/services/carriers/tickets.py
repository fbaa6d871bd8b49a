"""
Tickets: hidden empty indexes that let a swap take place once on a node, and show that it did.

A swap that is repeated is undone; nothing in a swap request says which one it is; and a node that
crashes between swapping and noting it swaps again. So every swap of Miroir renames a ticket in the
same task. A node takes all pairs of a task or none: who comes second finds the ticket used.

    go_<n>  ─ forth, with all pairs ─▶  gone         back_<n>  ─ back, with all pairs ─▶  undone

A ticket is issued under a name of its own in each attempt (`n`), by one request: if it is there,
no request can issue it again. All tickets of one direction end in one name, which stays for as
long as the change is open. So whatever arrives late, or twice, finds its ticket missing or its end
taken. To make sure that a swap never takes place, the unused tickets are withdrawn.

Names only; what is sent when is in `swap.py`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from miroir.core.topology import IndexUid
from miroir.ports.records import Intent

PREFIX: Final = "_miroir_ticket_"
_NAME: Final = re.compile(rf"{PREFIX}([0-9]+-[0-9]+)_((go|back)_[0-9]+|gone|undone)")


@dataclass(frozen=True)
class Tickets:
    """
    What a node holds of one change.

    Attributes:
        go: Unused tickets forth.
        gone: Whether one was used: the pairs are swapped, unless `undone`.
        back: Unused tickets back.
        undone: Whether one was used: the pairs are as they were.
    """

    go: tuple[IndexUid, ...] = ()
    gone: bool = False
    back: tuple[IndexUid, ...] = ()
    undone: bool = False

    @property
    def never(self) -> bool:
        """Whether nothing has been swapped, and nothing can be any more."""
        return not self.gone and not self.go


def key_of(intent: Intent) -> str:
    """Return what its tickets are known by: also against another store, which counts anew."""
    return f"{intent.intent_id}-{intent.at_ms}"


def issue(key: str, direction: str, attempt: int) -> IndexUid:
    """Return the name of a fresh ticket; direction `go` or `back`."""
    return IndexUid(f"{PREFIX}{key}_{direction}_{attempt}")


def used(key: str, direction: str) -> IndexUid:
    """Return the name that a ticket has when it is used."""
    return IndexUid(f"{PREFIX}{key}_{'gone' if direction == 'go' else 'undone'}")


def held(uids: Iterable[str], key: str) -> Tickets:
    """Find the tickets of one change among the indexes of a node."""
    mine = sorted(uid for uid in uids if owner(uid) == key)
    start = f"{PREFIX}{key}_"
    return Tickets(
        go=tuple(IndexUid(uid) for uid in mine if uid.startswith(start + "go_")),
        gone=start + "gone" in mine,
        back=tuple(IndexUid(uid) for uid in mine if uid.startswith(start + "back_")),
        undone=start + "undone" in mine,
    )


def owner(uid: str) -> str | None:
    """Return the key of the change that a ticket belongs to; None for any other index."""
    match = _NAME.fullmatch(uid)
    return match[1] if match else None


def intent_id(key: str) -> int:
    """Return the number of the intent in a key."""
    return int(key.split("-", maxsplit=1)[0])


def is_unused(uid: str) -> bool:
    """Whether this ticket could still let a swap take place."""
    return not uid.endswith(("_gone", "_undone"))
