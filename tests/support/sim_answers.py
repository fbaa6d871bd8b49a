"""
Judges answers to searches: is the header true, and does an answer come from one settings version?

The truth is taken from the nodes: every simulated node puts into its part of an answer what it
shows at the moment at which it searches, so the judge knows which settings each shard used. What
Miroir says in the headers is only compared with that.
"""

from bisect import bisect_right
from collections import defaultdict

from tests.support.sim_events import Answered, Denied
from tests.support.sim_meanings import Meanings
from tests.support.sim_shown import Shown


class Violation(Exception):
    """An invariant is broken; the text says which and how."""


class AnswerJudge:
    """
    Judges answers.

    Attributes:
        one_version: No answer may be flagged and none may be denied: every node is healthy, and
            there are nodes enough to change one half while the other serves.
    """

    def __init__(self, meanings: Meanings, shown: Shown, *, one_version: bool) -> None:
        self.one_version = one_version
        self._meanings = meanings
        self._shown = shown
        self._ends: dict[str, list[tuple[float, int]]] = defaultdict(list)
        self._known: dict[str, list[tuple[float, int]]] = defaultdict(list)
        self._converged: dict[str, list[tuple[float, int]]] = defaultdict(list)
        self._ending: dict[str, float] = {}

    def committed(self, uid: str, at_s: float, version: int) -> None:
        """The store has taken a version."""
        self._ends[uid].append((at_s, version))

    def switched(self, uid: str, at_s: float, version: int) -> None:
        """Those who answer know a version."""
        self._known[uid].append((at_s, version))

    def converged(self, uid: str, at_s: float, version: int) -> None:
        """A change has ended: nobody serves what was before it."""
        self._converged[uid].append((at_s, version))

    def ends(self, uid: str, at_s: float) -> None:
        """An index is being deleted, or made: its nodes lose or get it one after the other."""
        self._ending[uid] = at_s

    def judge(self, event: Answered) -> None:
        """Raise `Violation` if an answer is not what it says."""
        self._keeps_the_floor(event)
        self._names_a_version_in_force(event)
        if event.flagged:
            self._may_be_flagged(event)
            return
        self._does_not_mix(event)
        self._shows_what_the_header_says(event)
        self._was_not_changed_under_way(event)

    def judge_denied(self, event: Denied) -> None:
        """Raise `Violation` if a search should have been answered."""
        known = _newest(self._known[event.index], event.began_s)
        if event.floor is not None and event.floor > known:
            return
        if not self.one_version or self._is_ending(event.index, event.began_s):
            return
        if event.code != "index_not_found" or known:
            raise Violation(
                f"{event.index}: floor {event.floor} was denied with {event.code} at {known}"
            )

    def _keeps_the_floor(self, event: Answered) -> None:
        if event.floor is not None and (event.version < event.floor or event.flagged):
            raise Violation(f"floor {event.floor} was answered with {event.version}")

    def _names_a_version_in_force(self, event: Answered) -> None:
        """
        Never a number that is not committed, never one that was over when it was asked.

        Between the switch and the end of a change there are two versions: its second half may
        serve again under the old one, if nodes of the first are lost.
        """
        versions = {v for at_s, v in self._ends[event.index] if at_s <= event.at_s}
        known = self._known if self.one_version else self._converged
        newest = _newest(known[event.index], event.began_s)
        if event.version not in versions or event.version < newest:
            raise Violation(f"{event.index}: version {event.version} was not in force")

    def _may_be_flagged(self, event: Answered) -> None:
        if self.one_version and not self._is_ending(event.index, event.began_s):
            raise Violation(f"{event.index}: a flag, though one half could have served")

    def _is_ending(self, uid: str, began_s: float) -> bool:
        return self._ending.get(uid, -1.0) >= began_s

    def _does_not_mix(self, event: Answered) -> None:
        """Of nodes that run one engine, all that nobody else has changed serve the same."""
        truths: dict[str, dict[bytes, str]] = defaultdict(dict)
        for look in event.looks:
            if not self._excused(look.node, event):
                engine = look.engine or self._meanings.engines[look.node].version
                truths[engine][look.truth] = look.node
        for by_truth in truths.values():
            if len(by_truth) > 1:
                nodes = ", ".join(sorted(by_truth.values()))
                raise Violation(
                    f"{event.index}: an answer mixes settings: those of {nodes} differ, "
                    f"the header says {event.version}"
                )

    def _shows_what_the_header_says(self, event: Answered) -> None:
        for look in event.looks:
            right = self._meanings.shows(
                look.node, event.index, event.version, look.truth, engine=look.engine
            )
            if not right and not self._excused(look.node, event):
                raise Violation(
                    f"{event.index}: the header says {event.version}, but on {look.node} "
                    + self._meanings.contrast(look.node, event.index, event.version, look.truth)
                )

    def _was_not_changed_under_way(self, event: Answered) -> None:
        """
        Changed and changed back in between is no proof, even if the answer looks right.

        What a node serves while Miroir has a change on its way to it is proved by nothing.
        """
        for look in event.looks:
            changes = self._shown.at(look.node, event.index).changes
            since = bisect_right(changes, look.asked_s)
            if since < len(changes) and changes[since] < event.at_s:
                raise Violation(
                    f"{event.index}: {look.node} was changed at {changes[since]:.4f}, between "
                    f"{look.asked_s:.4f} and the answer, which has no flag"
                )

    def _excused(self, node: str, event: Answered) -> bool:
        page = self._shown.at(node, event.index)
        excused = self._shown.excused(page, event.at_s, fresh=False)
        return excused or page.cured_s >= event.began_s


def _newest(versions: list[tuple[float, int]], at_s: float) -> int:
    return max((version for since_s, version in versions if since_s <= at_s), default=0)
