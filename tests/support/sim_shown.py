"""
What every node shows, since when, and by whose doing: the judge's book of the nodes.

The excuse: what somebody else has changed on a node can be found only after a while, so a node may
be held for proved that long. How long depends on what the change leaves behind: one that makes a
task is in the node's task list, anything else waits for the sweep. The clock of an excuse stands
still while the node cannot be read, or while a change of the index is open.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.support.sim_events import NodeChanged, Proofs
from tests.support.sim_meanings import Meanings


@dataclass(frozen=True)
class Bounds:
    """
    How long somebody else's change may go unseen, in seconds.

    Attributes:
        task_s: One that makes a task.
        other_s: Any other.
    """

    task_s: float
    other_s: float


@dataclass
class NodeIndex:
    """
    One (node, index).

    Attributes:
        truth: What it serves; None: it does not have the index.
        foreign_s: When somebody else changed it, if it is not right since.
        found_within_s: The bound of that change.
        cured_s: When it was last found right again after that.
        read_s: When it was last read.
        calm_since_s: Since when nothing hinders that it is read.
        changes: Times at which Miroir changed what it serves.
    """

    truth: bytes | None = None
    foreign_s: float | None = None
    found_within_s: float = 0.0
    cured_s: float = -1.0
    read_s: float = -1.0
    calm_since_s: float | None = None
    changes: list[float] = field(default_factory=list)


class Shown:
    """The book."""

    def __init__(self, meanings: Meanings, bounds: Bounds) -> None:
        self._meanings = meanings
        self._bounds = bounds
        self._nodes: dict[tuple[str, str], NodeIndex] = {}

    def at(self, node: str, uid: str) -> NodeIndex:
        """Return the page of one (node, index)."""
        return self._nodes.setdefault((node, uid), NodeIndex())

    def changed(self, event: NodeChanged) -> None:
        """An index shows something new, came or went."""
        page = self.at(event.node, event.index)
        if event.by == "upgrade":
            page.truth = event.truth  # The same settings, as another version shows them.
            return
        again = page.truth == event.truth and page.foreign_s is not None
        if event.origin == "own" and event.truth != page.truth:
            page.changes.append(event.at_s)
        page.truth = event.truth
        if event.origin != "own" and not again:
            page.foreign_s = event.at_s
            page.found_within_s = self._bound_s(event.by)

    def _bound_s(self, by: str) -> float:
        return self._bounds.other_s if by in _WITHOUT_TASK else self._bounds.task_s

    def looked_at(self, event: Proofs, version: int) -> None:
        """Let clocks of excuses run or stand, and end those of nodes that are right again."""
        for (node, uid), page in self._nodes.items():
            if uid != event.index:
                continue
            if node not in event.calm:
                page.calm_since_s = None
            elif page.calm_since_s is None:
                page.calm_since_s = event.at_s
            right = self._meanings.shows(node, uid, version, page.truth)
            if right and page.foreign_s is not None:
                page.foreign_s, page.cured_s = None, event.at_s

    def excused(self, page: NodeIndex, now_s: float, *, fresh: bool) -> bool:
        """Whether somebody else changed it so lately that nobody could have found out."""
        if page.foreign_s is None:
            return False
        if fresh and page.foreign_s < page.read_s:
            return False  # It was read after that, and should not have been believed.
        if page.calm_since_s is None:
            return True
        return now_s - max(page.foreign_s, page.calm_since_s) <= page.found_within_s

    def pages(self, uid: str) -> Iterable[tuple[str, NodeIndex]]:
        """Return every page of an index."""
        return ((node, page) for (node, index), page in self._nodes.items() if index == uid)


_WITHOUT_TASK = frozenset({"snapshot", "feature", "disk"})
