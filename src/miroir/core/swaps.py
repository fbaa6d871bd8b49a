"""
Swaps and renames of indexes: which uid has whose content afterwards, and what speaks against it.

Pairs of one request are disjoint and take place together, all or none. A swap exchanges what two
uids hold; a rename gives what the left uid holds to the right one, which nobody may have, and ends
the left one. As of Meilisearch 1.50: messages are its own.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from miroir.core.topology import IndexUid


@dataclass(frozen=True)
class Swap:
    """
    One pair.

    Attributes:
        left: An index that is there.
        right: Another one; of a rename, a uid that is free.
        rename: Whether only `left` moves.
    """

    left: IndexUid
    right: IndexUid
    rename: bool = False

    @property
    def back(self) -> "Swap":
        """The pair that undoes this one."""
        return Swap(self.right, self.left, rename=True) if self.rename else self

    def shown(self) -> dict[str, Any]:
        """Return the pair as requests and task details spell it."""
        return {"indexes": [self.left, self.right], "rename": self.rename}


Swaps = tuple[Swap, ...]


def uids_of(swaps: Iterable[Swap]) -> tuple[IndexUid, ...]:
    """Return every uid concerned, sorted: the order in which locks are taken."""
    return tuple(sorted({uid for swap in swaps for uid in (swap.left, swap.right)}))


def sources(swaps: Iterable[Swap]) -> Mapping[IndexUid, IndexUid | None]:
    """Return uid -> the uid whose content it has afterwards; None: it has ended."""
    found: dict[IndexUid, IndexUid | None] = {}
    for swap in swaps:
        found[swap.right] = swap.left
        found[swap.left] = None if swap.rename else swap.right
    return found


def new_names(swaps: Iterable[Swap]) -> Mapping[str, str]:
    """Return old uid -> new uid, for the history of tasks; both ways, also of a rename."""
    pairs: list[tuple[str, str]] = [(swap.left, swap.right) for swap in swaps]
    return dict(pairs) | {right: left for left, right in pairs}


def shown(swaps: Iterable[Swap]) -> dict[str, Any]:
    """Return the details of the task."""
    return {"swaps": [swap.shown() for swap in swaps]}


def renamed_in(details: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return the details of an earlier swap, spelt as the indexes are called by now."""
    return {
        **details,
        "swaps": [
            {**pair, "indexes": [names.get(uid, uid) for uid in pair["indexes"]]}
            for pair in details["swaps"]
        ],
    }


def named_twice(swaps: Iterable[Swap]) -> str | None:
    """Return what to say of uids that occur more than once; None if none does."""
    uids = [uid for swap in swaps for uid in (swap.left, swap.right)]
    twice = sorted({uid for uid in uids if uids.count(uid) > 1})
    if not twice:
        return None
    verb = "was" if len(twice) == 1 else "were"
    return (
        f"Indexes must be declared only once during a swap. {_quoted(twice)} {verb} specified "
        "several times."
    )


def fault(swaps: Swaps, exists: Callable[[IndexUid], bool]) -> Mapping[str, Any] | None:
    """Return why a node would fail the task, as its error object; None if it would not."""
    missing = {swap.left for swap in swaps if not exists(swap.left)}
    missing |= {swap.right for swap in swaps if not swap.rename and not exists(swap.right)}
    if missing:
        verb = "Index" if len(missing) == 1 else "Indexes"
        return _error("index_not_found", f"{verb} {_quoted(sorted(missing))} not found.")
    taken = sorted((s.left, s.right) for s in swaps if s.rename and exists(s.right))
    if not taken:
        return None
    rights = [right for _, right in taken]
    message = (
        f"Cannot rename `{taken[0][0]}` to `{rights[0]}` as the index already exists. "
        f"Hint: You can remove `{rights[0]}` first and then do your remove."
        if len(taken) == 1
        else f"The following indexes are being renamed but cannot because their new name "
        f"conflicts with an already existing index: {_quoted(rights)}. Renaming doesn't "
        "overwrite the other index name."
    )
    return _error("index_already_exists", message)


def exists_already(index_uid: str) -> Mapping[str, Any]:
    """Return the error of a task that wants a uid which is taken."""
    return _error("index_already_exists", f"Index `{index_uid}` already exists.")


def _error(code: str, message: str) -> Mapping[str, Any]:
    link = f"https://docs.meilisearch.com/errors#{code}"
    return {"message": message, "code": code, "type": "invalid_request", "link": link}


def _quoted(uids: Collection[str]) -> str:
    return ", ".join(f"`{uid}`" for uid in uids)
