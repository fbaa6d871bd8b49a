"""
What a judgement is: findings, figures, and whether the run was good.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

RULES: Final[dict[str, str]] = {
    "mixed": "answers without a flag that mix versions",
    "header": "answers that show another version than their header says",
    "unreadable": "answers without a flag in which a shard shows no settings",
    "uncommitted": "answers that name a version not committed by then",
    "over": "answers that name a version that was over when they were asked",
    "floor": "broken floors",
    "went back": "pinning readers that went back",
    "aborted": "answers without a flag that show a change that came to nothing",
    "exposure": "foreign changes that showed too long",
    "status": "searches answered with another error than 503",
    "calm": "searches unanswered or flagged though nothing was disturbed",
    "lost": "accepted writes that never ended, or are unknown",
    "ended twice": "tasks that ended, and then otherwise",
    "once": "changes that succeeded and are not in the history exactly once",
    "zombie": "changes that came to nothing and are in the history",
    "order": "changes committed against the order in which they were accepted",
    "chain": "versions that nobody asked for, or gaps between them",
    "base": "changes with If-Match that were not made from its version",
    "noop": "node tasks for changes that change nothing",
    "rest": "what has not come to rest, or is not proved, or shows other settings",
    "documents": "acknowledged documents that are missing, or replicas that differ",
    "indexes": "side indexes that are where they should not be, or missing",
}


@dataclass(frozen=True)
class Finding:
    """One thing that must not be: the rule that it breaks (of `RULES`), and what it was."""

    rule: str
    what: str

    def __post_init__(self) -> None:
        assert self.rule in RULES, self.rule


@dataclass(frozen=True)
class Verdict:
    """
    The judgement of a history.

    Attributes:
        findings: Everything that must not be.
        figures: What was counted and measured, by name, in the order of the table.
    """

    findings: tuple[Finding, ...]
    figures: dict[str, str] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @property
    def by_rule(self) -> dict[str, int]:
        """The number of findings of each rule, also of those that were kept."""
        counted = Counter(finding.rule for finding in self.findings)
        return {rule: counted[rule] for rule in RULES}
