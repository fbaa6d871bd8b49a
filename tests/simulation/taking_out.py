"""
Takes one guard out of the code that is simulated, and counts the histories until that is noticed.

Which guards there are, and what stands in the place of each: `guards.py`, `guards_around.py` and
`swap_guards.py`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

Patch = tuple[Any, str, Any]
"""Owner, attribute, what stands there instead."""

Guard = Callable[[], list[Patch]]
Guards = Mapping[str, Guard]


class Played(Protocol):
    """A history that was played."""

    @property
    def failure(self) -> str | None:
        """What went wrong, if anything did."""
        ...


@contextmanager
def taken_out(guard: Guard) -> Iterator[None]:
    """Run without one guard."""
    with ExitStack() as stack:
        for owner, attribute, other in guard():
            before = owner.__dict__[attribute]
            stack.callback(setattr, owner, attribute, before)
            setattr(owner, attribute, other)
        yield


def seeds_to_miss(
    guard: Guard, play: Callable[[int], Played], seeds_max: int
) -> tuple[int, str] | None:
    """Return how many seeds it took to miss the guard, and what was seen; None: never."""
    with taken_out(guard):
        for seed in range(seeds_max):
            failure = play(seed).failure
            if failure is not None:
                return seed + 1, failure.strip().splitlines()[-1]
    return None
