"""
How two values of a setting differ, in the words in which people read it.

Lists: what came, what went, what moved. Objects: leaf by leaf. Sets have no order, so nothing in
them moves. Pure; which leaves must not be shown is `secret_places.py`'s.
"""

import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

SETS: Final = frozenset(
    {"sortableAttributes", "stopWords", "nonSeparatorTokens", "separatorTokens", "dictionary"}
)
"""Keys whose lists have no order."""
Path = tuple[str, ...]


@dataclass(frozen=True)
class ListDiff:
    """
    Two lists compared; positions count from 1.

    Attributes:
        added: Values with their position in the new list.
        removed: Values with their position in the old list.
        moved: Values with both, only those that have to move.
    """

    added: tuple[tuple[Any, int], ...]
    removed: tuple[tuple[Any, int], ...]
    moved: tuple[tuple[Any, int, int], ...] = ()


@dataclass(frozen=True)
class Leaf:
    """
    One place within a value that differs; None: it is not there.

    Attributes:
        path: Names from the setting inwards; empty for the value itself.
    """

    path: Path
    before: Any
    after: Any


def list_diff(before: Sequence[Any], after: Sequence[Any], *, ordered: bool = True) -> ListDiff:
    """Return what came, went and moved; repetitions count once."""
    old, new = _places(before), _places(after)
    moved: tuple[tuple[Any, int, int], ...] = ()
    if ordered:
        common = [name for name in old if name in new]
        ranks = {name: rank for rank, name in enumerate(n for n in new if n in old)}
        staying = _longest_rising([ranks[name] for name in common])
        moved = tuple(
            (new[name][0], old[name][1], new[name][1])
            for name in common
            if ranks[name] not in staying
        )
    return ListDiff(
        tuple(place for name, place in new.items() if name not in old),
        tuple(place for name, place in old.items() if name not in new),
        moved,
    )


def leaves(before: Any, after: Any, path: Path = ()) -> Iterator[Leaf]:
    """Yield every place that differs, objects looked into, lists taken whole."""
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys((*before, *after)):
            yield from leaves(before.get(name), after.get(name), (*path, str(name)))
    elif isinstance(after, Mapping) and before is None and after:
        for name, value in after.items():
            yield from leaves(None, value, (*path, str(name)))
    else:
        yield Leaf(path, before, after)


def _places(values: Sequence[Any]) -> dict[str, tuple[Any, int]]:
    places: dict[str, tuple[Any, int]] = {}
    for position, value in enumerate(values, 1):
        places.setdefault(json.dumps(value, sort_keys=True), (value, position))
    return places


def _longest_rising(numbers: list[int]) -> set[int]:
    """Return the longest subsequence that rises: what can stay where it is."""
    ends: list[int] = []
    before: dict[int, int | None] = {}
    for number in numbers:
        at = bisect_left(ends, number)
        before[number] = ends[at - 1] if at else None
        ends[at : at + 1] = [number]
    staying: set[int] = set()
    last = ends[-1] if ends else None
    while last is not None:
        staying.add(last)
        last = before[last]
    return staying
