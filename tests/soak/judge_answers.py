"""
Judges the answers to searches: one version each, the one that the header names, floors kept.

The truth is taken from the hits (markers.py); what the header says is only compared with it. What
somebody else has set on a node and nobody has found yet shows in answers: that is no mixing, but
exposure, and is measured (`exposures`).
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.soak import markers
from tests.soak.book import SLACK_S, Book
from tests.soak.history import Read
from tests.soak.verdict import Finding

STATUSES: Final = frozenset({200, 503})
"""What a search may be answered with when nodes are lost."""


def judge(book: Book, reads: list[Read]) -> Iterator[Finding]:
    """Yield every finding about these answers."""
    for read in reads:
        if read.status == 200:
            yield from _judge_headers(book, read)
            if not read.flagged:
                yield from _judge_hits(book, read)
        yield from _judge_status(book, read)
    yield from _judge_readers(reads)


def _judge_headers(book: Book, read: Read) -> Iterator[Finding]:
    known = book.versions[read.index].get(read.version or 0)
    if known is None:
        yield Finding("uncommitted", f"a version that is in no history: {read}")
        return
    if known.at_s > read.received_s + SLACK_S:
        yield Finding("uncommitted", f"committed at {known.at_s}, after it was told: {read}")
    over = book.over_before(read.index, read.sent_s)
    if known.version < over:
        yield Finding("over", f"{over} was everywhere before this was asked: {read}")
    if read.floor is not None and (known.version < read.floor or read.flagged):
        yield Finding("floor", f"{read}")


def _judge_hits(book: Book, read: Read) -> Iterator[Finding]:
    """The hits of an answer without a flag show what its header says."""
    own = {m for shard, m in enumerate(read.shown) if not _is_drift(book, read, shard)}
    if own & {markers.NONE, markers.GARBLED}:
        yield Finding("unreadable", f"a shard shows no marker, or half of one: {read}")
        return
    for marker in own:
        change = book.failed_markers.get((read.index, marker))
        if change is not None:
            yield Finding("aborted", f"{read} shows {change}")
            return
    if len(own) > 1:
        yield Finding("mixed", f"{read}")
        return
    known = book.versions[read.index].get(read.version or 0)
    if known is not None and own - {known.marker}:
        yield Finding("header", f"version {known.version} has the marker {known.marker}: {read}")


def _is_drift(book: Book, read: Read, shard: int) -> bool:
    """Whether a shard shows what somebody else had set on one of its nodes by then."""
    marker = read.shown[shard]
    if not book.is_foreign(read.index, marker):
        return False
    since_s = book.effective_s(read.index, marker, shard)
    return since_s is not None and since_s <= read.received_s + SLACK_S


def _judge_status(book: Book, read: Read) -> Iterator[Finding]:
    if read.status is not None and read.status not in STATUSES:
        yield Finding("status", f"{read}")
    setup = book.setup
    calm = read.received_s < setup.calm_until_s
    healed = setup.healed_s is not None and read.sent_s > setup.healed_s
    if (calm or healed) and (read.status != 200 or read.flagged):
        yield Finding("calm", f"nothing was disturbed, and yet: {read}")


def _judge_readers(reads: list[Read]) -> Iterator[Finding]:
    """Who pins what was seen never goes back."""
    newest: dict[tuple[str, str], int] = {}
    for read in sorted(reads, key=lambda read: read.sent_s):
        if read.floor is None or read.version is None:
            continue
        key = (read.reader, read.index)
        if read.version < newest.get(key, 0):
            yield Finding("went back", f"from {newest[key]}: {read}")
        newest[key] = max(read.version, newest.get(key, 0))


@dataclass(frozen=True)
class Exposure:
    """
    For how long one foreign change showed on one shard in answers without a flag.

    Attributes:
        raw_s: From its coming into force until the last such answer was received.
        heard_s: The same, but from when Miroir and the node could hear of each other.
    """

    index: str
    marker: int
    shard: int
    raw_s: float
    heard_s: float


def exposures(book: Book, reads: list[Read]) -> list[Exposure]:
    """Return every foreign change that showed in answers without a flag."""
    last: dict[tuple[str, int, int], float] = defaultdict(float)
    for read in reads:
        if read.status == 200 and not read.flagged:
            for shard, marker in enumerate(read.shown):
                if _is_drift(book, read, shard):
                    key = (read.index, marker, shard)
                    last[key] = max(last[key], read.received_s)
    return [_exposure(book, *key, until_s) for key, until_s in last.items()]


def _exposure(book: Book, index: str, marker: int, shard: int, until_s: float) -> Exposure:
    since_s = book.effective_s(index, marker, shard)
    assert since_s is not None, "only what was in force is drift"
    nodes = book.changed_by_others(index, marker, shard)
    heard_s = book.heard_since_s(nodes, since_s, until_s)
    return Exposure(index, marker, shard, max(0.0, until_s - since_s), max(0.0, until_s - heard_s))
