"""
The verdict on a whole history, from outside. Pure: a history goes in, a verdict comes out.

It believes nodes and clients, and compares what Miroir says with that. The one thing that it has
to take from Miroir is which marker belongs to which version, from the final history; that those
are true is what the nodes show in the end, and what clients were told when they changed them.

| what is proved | where |
|---|---|
| no answer mixes versions, header = truth, floors, who pins never goes back | judge_answers |
| accepted writes end once, no-ops cost nothing, versions form one chain in order | judge_changes |
| everything heals, every node proved and right, no document lost | judge_ends |
| foreign changes are out of the answers in time | here, from judge_answers.exposures |
"""

from dataclasses import dataclass

from tests.soak import judge_answers, judge_changes, judge_ends
from tests.soak.book import Book
from tests.soak.figures import figures, percentile
from tests.soak.history import History, Read
from tests.soak.verdict import Finding, Verdict


@dataclass(frozen=True)
class Bounds:
    """
    What a run may measure.

    Attributes:
        exposure_p99_s: How long a foreign change may show in answers without a flag, counted from
            when Miroir and the node could hear of each other.
    """

    exposure_p99_s: float = 4.0


def check(history: History, bounds: Bounds | None = None) -> Verdict:
    """Judge a finished history."""
    bounds = bounds or Bounds()
    book, reads = Book(history), history.of(Read)
    findings = [
        *judge_answers.judge(book, reads),
        *judge_changes.judge(book, history),
        *judge_ends.judge(book, history),
    ]
    exposures = judge_answers.exposures(book, reads)
    p99_s = percentile([exposure.heard_s for exposure in exposures], 99)
    if p99_s > bounds.exposure_p99_s:
        findings += [
            Finding("exposure", f"{exposure}")
            for exposure in exposures
            if exposure.heard_s > bounds.exposure_p99_s
        ]
    return Verdict(tuple(findings), figures(book, history, exposures))
