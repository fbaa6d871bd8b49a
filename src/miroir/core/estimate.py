"""
How long a change will probably take, learnt from what this cluster has done before.

Two bases, the better one first: past changes of the same class on the same index (else on any),
and the rate at which documents were indexed. Never a promise: each estimate carries its basis in
words. A change that is read at query time is never estimated from those that are not. Pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from miroir.core.settings import Cost

_SAMPLES_MAX: Final = 20
_MARGIN: Final = 2.0
"""A rate of indexing says little of a re-index; the estimate is this much wide both ways."""

_MOVED_MIN: Final = 10.0
"""Per cent. An engine stands at 34 % while it works on most of the text, and then leaps."""


@dataclass(frozen=True)
class PastChange:
    """
    A settings change that succeeded.

    Attributes:
        seconds: From its start to its end on the last node.
    """

    index: str
    cost: Cost
    seconds: float


@dataclass(frozen=True)
class PastIndexing:
    """A document write that succeeded: documents indexed, and seconds on one node."""

    documents: int
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """
    A range.

    Attributes:
        basis: What it was learnt from.
    """

    low_s: float
    high_s: float
    basis: str


@dataclass(frozen=True)
class Pace:
    """
    How the percentage of one batch moves: the first look at it, and the newest.

    Attributes:
        batch: Uid of the batch.
        first_s: When it was first looked at, on any clock that does not go back.
        now_s: When it was last looked at.
    """

    batch: int
    first_s: float
    first_percent: float
    now_s: float
    percent: float

    @property
    def left_s(self) -> float | None:
        """Seconds left if it goes on like that; None: it has moved too little to say."""
        moved = self.percent - self.first_percent
        if moved < _MOVED_MIN:
            return None
        return (self.now_s - self.first_s) * (100 - self.percent) / moved


def paced(known: Pace | None, batch: int, percent: float, now_s: float) -> Pace:
    """Return what a further look tells, given what was known of this or another batch."""
    if known is None or known.batch != batch:
        return Pace(batch, now_s, percent, now_s, percent)
    return replace(known, now_s=now_s, percent=percent)


def estimate(
    index: str,
    cost: Cost,
    documents: int | None,
    changes: Iterable[PastChange],
    writes: Sequence[PastIndexing],
    *,
    halves: int = 1,
) -> Estimate | None:
    """
    Return an estimate, None where nothing is known to learn from.

    Args:
        index: Whose settings change.
        cost: The dearest class among its changes.
        documents: On the fullest node; None: not known.
        changes: Newest first.
        writes: Likewise.
        halves: How many parts of the nodes are changed one after the other.
    """
    alike = [c for c in changes if c.cost is cost]
    here = [c for c in alike if c.index == index][:_SAMPLES_MAX]
    if here:
        return _of_changes(here, _told(len(here), cost, "this index"))
    if cost in {Cost.INSTANT, Cost.FACETS} and alike:
        found = alike[:_SAMPLES_MAX]
        return _of_changes(found, _told(len(found), cost, "other indexes"))
    if cost is Cost.INSTANT or cost is Cost.REEMBED or not documents:
        return None  # Embedding hangs on somebody else's server: no rate of ours says anything.
    return _of_rate(documents * halves, writes)


def _of_changes(samples: Sequence[PastChange], basis: str) -> Estimate:
    seconds = [s.seconds for s in samples]
    return Estimate(min(seconds), max(seconds), f"{basis} (median {median(seconds):.2g} s)")


def _of_rate(documents: int, writes: Sequence[PastIndexing]) -> Estimate | None:
    useful = [w for w in writes if w.documents > 0 and w.seconds > 0][:_SAMPLES_MAX]
    seconds = sum(w.seconds for w in useful)
    if not seconds:
        return None
    rate = sum(w.documents for w in useful) / seconds
    expected = documents / rate
    basis = f"{len(useful)} past document write{'s'[: len(useful) != 1]} ({rate:,.0f} documents/s)"
    return Estimate(expected / _MARGIN, expected * _MARGIN, basis)


def _told(number: int, cost: Cost, where: str) -> str:
    return f"{number} past {cost} change{'s'[: number != 1]} on {where}"
