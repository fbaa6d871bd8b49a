"""
What is known of drift: findings, breakers, repairs under way, and when each node was last right.

Memory only, of one process; a restart sweeps first and knows again. Nothing here asks a node or
the store.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Final

import structlog

from miroir.core.drift import Action, Finding, Watch
from miroir.core.topology import IndexUid, NodeId
from miroir.telemetry import Metrics

Pair = tuple[IndexUid, NodeId]
_UNWATCHED: Final = Watch()
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Drift:
    """
    A node that shows something else than what was committed.

    Attributes:
        first_seen_ms: Wall time of the first finding since it was last right.
        last_seen_ms: Of the newest.
        action: What was done about it.
        why: What kept another action from being taken, or empty.
    """

    index_uid: IndexUid
    node_id: NodeId
    finding: Finding
    first_seen_ms: int
    last_seen_ms: int
    action: Action
    why: str = ""


@dataclass
class DriftBook:
    """
    One process's book.

    Attributes:
        watches: What is remembered of a pair between looks.
        drifts: What is drifted or missing now.
        left_alone: What differs now only in keys that are to be left alone.
        repairs: Intent on its way to bring a pair back, by its id.
        right_s: When a look last found the pair right.
        doubts: How often a pair was demoted; a look that began before the last one proves nothing.
        passed_over: A look said nothing, most often as a change was open: again when it has ended.
    """

    metrics: Metrics
    watches: dict[Pair, Watch] = field(default_factory=dict)
    drifts: dict[Pair, Drift] = field(default_factory=dict)
    left_alone: dict[Pair, Drift] = field(default_factory=dict)
    repairs: dict[Pair, int] = field(default_factory=dict)
    right_s: dict[Pair, float] = field(default_factory=dict)
    doubts: dict[Pair, int] = field(default_factory=dict)
    passed_over: set[Pair] = field(default_factory=set)

    def watch(self, pair: Pair) -> Watch:
        """Return what is remembered of a pair."""
        return self.watches.get(pair, _UNWATCHED)

    def doubt(self, pair: Pair) -> None:
        """A pair was demoted."""
        self.doubts[pair] = self.doubts.get(pair, 0) + 1

    def note(
        self, pair: Pair, finding: Finding, action: Action, now_ms: int, why: str = ""
    ) -> None:
        """Keep a finding and what is done about it."""
        known = self.drifts.get(pair)
        self.left_alone.pop(pair, None)
        if known is None:
            self.metrics.drift_detected()
        if action is Action.ALERT and known is not None and known.action is Action.REPAIR:
            self.metrics.drift_repair("given_up")
        if known is None or (known.finding, known.why) != (finding, why):
            _log.warning(
                "drift_found",
                index=pair[0],
                node=pair[1],
                state=finding.state.value,
                faults=finding.faults,
                action=action.value,
                why=why,
            )
        fresh = Drift(*pair, finding, now_ms, now_ms, action, why)
        self.drifts[pair] = (
            fresh if known is None else replace(fresh, first_seen_ms=known.first_seen_ms)
        )

    def over(self, pair: Pair, now_s: float) -> None:
        """A look has found the pair right."""
        self.right_s[pair] = now_s
        ended = self.drifts.pop(pair, None)
        if ended is None:
            return
        if ended.action is Action.REPAIR:
            self.metrics.drift_repair("repaired")
        _log.info("drift_over", index=pair[0], node=pair[1], faults=ended.finding.faults)

    def leave_alone(self, pair: Pair, finding: Finding, now_ms: int) -> None:
        """A look has found the pair right but for what is to be left alone, if there is such."""
        known = self.left_alone.pop(pair, None)
        if not finding.ignored:
            return
        first_ms = now_ms if known is None else known.first_seen_ms
        self.left_alone[pair] = Drift(*pair, finding, first_ms, now_ms, Action.NOTHING)
        if known is None or known.finding != finding:
            _log.info("drift_left_alone", index=pair[0], node=pair[1], keys=finding.ignored)

    def forget(self, live: frozenset[IndexUid]) -> None:
        """Drop what is known of indexes that are no more."""
        kept: tuple[dict[Pair, Any], ...] = (
            self.watches, self.drifts, self.left_alone, self.repairs, self.right_s, self.doubts,
        )  # fmt: skip
        for book in kept:
            for pair in [pair for pair in book if pair[0] not in live]:
                del book[pair]
        self.passed_over = {pair for pair in self.passed_over if pair[0] in live}
