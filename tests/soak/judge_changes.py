"""
Judges what became of accepted writes: none is lost, none comes back, and versions form one chain.

A write whose answer was lost, or that was answered with 5xx, has an unknown outcome: it may have
come about, once.
"""

from collections import Counter
from collections.abc import Iterator, Sequence, Set
from itertools import pairwise
from typing import Final

from tests.soak.book import Book
from tests.soak.history import (
    ENDED,
    Change,
    History,
    NodeTask,
    Put,
    Quiet,
    SideIndex,
    Version,
)
from tests.soak.verdict import Finding

CONSTANT: Final = frozenset({"typoTolerance", "pagination", "filterableAttributes"})
"""Settings that the load asks for again and again, and never changes."""


def judge(book: Book, history: History) -> Iterator[Finding]:
    """Yield every finding about changes and tasks."""
    changes = history.of(Change)
    yield from _judge_tasks(book, [*changes, *history.of(Put), *history.of(SideIndex)])
    told = {change.task for change in changes if change.task is not None}
    for change in changes:
        versions = book.versions[change.index]
        made = [v for v in versions.values() if _is_of(change, v, told)]
        yield from _judge_change(book, change, made)
    yield from _judge_order(book, changes)
    for index, versions in book.versions.items():
        mine = [change for change in changes if change.index == index]
        yield from _judge_chain(book, index, sorted(versions.values(), key=_number), mine)
    yield from _judge_noops(history)


def _judge_tasks(book: Book, accepted: Sequence[Change | Put | SideIndex]) -> Iterator[Finding]:
    for write in accepted:
        if write.task is None:
            continue
        looks = book.endings.get(write.task, [])
        if not looks or looks[-1].status not in ENDED:
            last = looks[-1].status if looks else "never seen to end"
            yield Finding("lost", f"task {write.task} is {last}: {write}")
        if len({look.status for look in looks}) > 1:
            yield Finding("ended twice", f"task {write.task}: {looks}")


def _judge_change(book: Book, change: Change, made: Sequence[Version]) -> Iterator[Finding]:
    if book.came_to_nothing(change):
        for version in made:
            yield Finding("zombie", f"{change} made {version}")
        return
    if len(made) > 1:
        yield Finding("once", f"{change} made {made}")
    succeeded = book.status(change.task) == "succeeded"
    if succeeded and not made and change.aim == "change":
        yield Finding("once", f"{change} has succeeded and made no version")
    for version in made:
        if change.marker is not None and version.marker != change.marker:
            yield Finding("once", f"{change} made another version: {version}")
        if change.base is not None and version.version != change.base + 1:
            yield Finding("base", f"{change} made {version}")


def _is_of(change: Change, version: Version, told: Set[int]) -> bool:
    """Whether a version is that of a change; by its marker if nobody was told its task."""
    if change.task is not None:
        return change.task == version.task
    return change.marker is not None and _unclaimed(version, told, change.marker)


def _unclaimed(version: Version, told: Set[int], marker: int) -> bool:
    return version.task not in told and version.marker == marker and version.kind == "change"


def _judge_order(book: Book, changes: Sequence[Change]) -> Iterator[Finding]:
    """Who was accepted before another was sent is committed before it."""
    for index in book.versions:
        made = [
            (change, book.by_task[change.task].version)
            for change in changes
            if change.index == index and change.task in book.by_task
        ]
        by_sending = sorted(made, key=lambda pair: pair[0].sent_s)
        by_receipt = sorted(made, key=lambda pair: pair[0].received_s)
        place, newest = 0, 0
        for change, version in by_sending:
            while by_receipt[place][0].received_s < change.sent_s:
                newest = max(newest, by_receipt[place][1])
                place += 1
            if version < newest:
                yield Finding("order", f"{change} is version {version}, after {newest}")


def _judge_chain(
    book: Book, index: str, versions: Sequence[Version], changes: Sequence[Change]
) -> Iterator[Finding]:
    """Versions follow each other, and each was asked for by somebody."""
    numbers = [version.version for version in versions]
    if numbers != list(range(1, len(numbers) + 1)):
        yield Finding("chain", f"{index}: the versions are {numbers}")
    aims = {change.task: change.aim for change in changes if change.task is not None}
    unsure = Counter(change.aim for change in changes if change.task is None)
    unsure_markers = {change.marker for change in changes if change.task is None}
    for before, version in pairwise(versions):
        if version.version <= book.setup.setup_version[index]:
            continue
        aim = aims.get(version.task or -1)
        if aim is None and version.marker in unsure_markers:
            aim = "change"
        elif aim is None:
            aim = "noop" if version.marker == before.marker and unsure["noop"] else "rollback"
            unsure[aim] -= 1
        if unsure[aim] < 0 or not _fits(version, aim, versions):
            yield Finding("chain", f"nobody asked for {version}")


def _fits(version: Version, aim: str, versions: Sequence[Version]) -> bool:
    """Whether a version shows what was asked for, where it brings no marker of its own."""
    if aim == "noop":  # It was queued behind another change, and is a version without news.
        return version.marker == versions[version.version - 2].marker
    if aim == "rollback":
        return version.marker in {v.marker for v in versions if v.version < version.version}
    return version.marker is not None


def _judge_noops(history: History) -> Iterator[Finding]:
    for quiet in history.of(Quiet):
        if quiet.node_tasks:
            yield Finding("noop", f"{quiet}")
    for task in history.of(NodeTask):
        if task.enqueued_s > 0 and CONSTANT & set(task.keys):
            yield Finding("noop", f"{task}")


def _number(version: Version) -> int:
    return version.version
