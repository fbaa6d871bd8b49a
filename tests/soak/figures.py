"""
Counts and measures of a history, for the table at the end of a run.
"""

from collections import Counter
from collections.abc import Sequence

from tests.soak.book import Book
from tests.soak.history import (
    Change,
    Disturbance,
    Foreign,
    History,
    NodeTask,
    Put,
    Quiet,
    Read,
    SideIndex,
)
from tests.soak.judge_answers import Exposure


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile; 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


def figures(book: Book, history: History, exposures: Sequence[Exposure]) -> dict[str, str]:
    """Return the table."""
    setup = book.setup
    return {
        "cluster": f"{setup.shape}, {setup.engine}, seed {setup.seed}",
        **_of_searches(history.of(Read)),
        **_of_writes(book, history),
        **_of_foreign(history, exposures),
        **_of_faults(history),
        "healed": "never" if setup.healed_s is None else f"{setup.healed_s:.1f} s after the start",
    }


def _of_searches(reads: Sequence[Read]) -> dict[str, str]:
    good = [read for read in reads if read.status == 200]
    errors = Counter(read.code or "no answer" for read in reads if read.status != 200)
    took_s = [read.received_s - read.sent_s for read in good]
    return {
        "searches": f"{len(reads)}, {sum(r.floor is not None for r in reads)} with a floor",
        "- answered": f"{len(good)} ({_share(len(good), len(reads))})",
        "- of these flagged": f"{sum(read.flagged for read in good)}",
        "- not answered": _counts(errors),
        "- versions seen": f"{len({(read.index, read.version) for read in good})}",
        "- duration": _spread(took_s),
    }


def _of_writes(book: Book, history: History) -> dict[str, str]:
    changes = history.of(Change)
    asked = Counter(change.aim for change in changes)
    ends = Counter(_outcome(book, change) for change in changes if change.aim != "noop")
    took_s = [
        looks[0].at_s - change.sent_s
        for change in changes
        if change.aim != "noop" and (looks := book.endings.get(change.task or -1, []))
        if not looks[0].final
    ]
    quiet = sum(q.changes for q in history.of(Quiet))
    of_quiet = sum(q.node_tasks for q in history.of(Quiet))
    puts = Counter(_outcome(book, put) for put in history.of(Put))
    sides = Counter("made" if side.made else "deleted" for side in history.of(SideIndex))
    return {
        "settings changes": _counts(asked),
        "- outcomes": _counts(ends),
        "- versions": f"{sum(len(versions) for versions in book.versions.values())}",
        "- until the end was seen": _spread(took_s),
        "no-ops in quiet": f"{quiet}, node tasks: {of_quiet}",
        "settings tasks on nodes": f"{sum(t.enqueued_s > 0 for t in history.of(NodeTask))}",
        "document writes": _counts(puts),
        "side indexes": _counts(sides),
    }


def _of_foreign(history: History, exposures: Sequence[Exposure]) -> dict[str, str]:
    foreign = history.of(Foreign)
    heard_s = [exposure.heard_s for exposure in exposures]
    raw_s = [exposure.raw_s for exposure in exposures]
    return {
        "foreign changes": f"{len(foreign)} on {len({f.marker for f in foreign})} occasions",
        "- seen without a flag": f"{len(exposures)}",
        "- exposure": _spread(heard_s),
        "- through other faults too": _spread(raw_s),
    }


def _of_faults(history: History) -> dict[str, str]:
    return {"faults": _counts(Counter(d.fault for d in history.of(Disturbance)))}


def _outcome(book: Book, write: Change | Put) -> str:
    if write.status is None:
        return "unknown"
    if write.status != 202:
        return f"{write.status} {write.code}"
    return book.status(write.task) or "never ended"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(1, whole):.2f} %"


def _counts(counter: "Counter[str]") -> str:
    return ", ".join(f"{count} {what}" for what, count in counter.most_common()) or "none"


def _spread(values: Sequence[float]) -> str:
    p50, p99 = percentile(values, 50), percentile(values, 99)
    return f"p50 {p50:.2f} s, p99 {p99:.2f} s, max {max(values, default=0.0):.2f} s"
