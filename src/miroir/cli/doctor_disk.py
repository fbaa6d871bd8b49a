"""
What `miroir doctor` finds out about disks and the clocks of nodes, and what nobody tells it.

A node tells the size of its databases and not of its disk, so how much is free cannot be known
from here; that is said, with what a change needs. The clock of a node shows in the times of its
tasks, which have to lie within the change that they were part of.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from miroir.cli.settings.documents import FindingForm
from miroir.cli.settings.plain import PlainTarget
from miroir.cli.settings.proxy import ProxyTarget
from miroir.cli.settings.target import Target

Level = Literal["ok", "note", "warning", "error"]
_SKEW: Final = timedelta(seconds=5)
_INDEXES_MAX: Final = 20
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_SLACK: Final = 3
_SLACK_MIN: Final = 1 << 30


def found(level: Level, check: str, says: str, remedy: str = "") -> FindingForm:
    """Return a finding."""
    return FindingForm(level=level, check=check, says=says, remedy=remedy)


def disk(target: Target) -> Iterator[FindingForm]:
    """Tell how large the databases are, and what cannot be known."""
    assert isinstance(target, ProxyTarget | PlainTarget)
    stats = target.stats()
    if stats is None:
        remedy = "give a key with `stats.get`"
        yield found("note", "disk", "the size of the databases is not told", remedy)
        return
    size, used = int(stats["databaseSize"]), int(stats.get("usedDatabaseSize") or 0)
    where = "the nodes together" if target.kind == "miroir" else "the node"
    yield found(
        "note",
        "disk",
        f"{where}: databases of {_size(size)}, {_size(used)} of it in use; how much disk is free "
        "is not told by any node",
        "watch it on the machines; a change that re-tokenises or re-embeds can need as much again "
        "as its index has",
    )
    if used and size > _SLACK * used and size - used > _SLACK_MIN:
        yield found(
            "note",
            "disk",
            f"{_size(size - used)} of the databases is free space within their files",
            "give it back, index by index, at a quiet time: POST /indexes/INDEX/compact on a node",
        )


def clocks_of_nodes(target: Target) -> Iterator[FindingForm]:
    """Compare the times of node tasks with the changes that they were part of."""
    assert isinstance(target, ProxyTarget)
    astray: dict[str, timedelta] = {}
    seen: set[str] = set()
    for index in target.indexes()[:_INDEXES_MAX]:
        change = target.newest_change(index)
        if change is not None:
            for node, part in change["nodes"].items():
                off = _off(change, part)
                seen |= set() if off is None else {node}
                if off:
                    astray[node] = off
    for node, off in sorted(astray.items()):
        ahead = "ahead" if off > timedelta() else "behind"
        yield found(
            "warning",
            "clocks",
            f"the clock of {node} was {abs(off.total_seconds()):.0f} s {ahead} of Miroir's in its "
            "last change",
            "let all machines follow NTP; expiry of keys and the times of tasks depend on it",
        )
    if seen - set(astray):
        names = ", ".join(sorted(seen - set(astray)))
        yield found("ok", "clocks", f"the clocks of {names} agreed in their last change")


def _off(change: Mapping[str, Any], part: Mapping[str, Any]) -> timedelta | None:
    """Return by how much a node was certainly off; zero: not that one could tell."""
    moments = [change["startedAt"], change["endedAt"], part["startedAt"], part["finishedAt"]]
    if not all(moments):
        return None
    began, ended, started, finished = map(datetime.fromisoformat, moments)
    if finished > ended + _SKEW:
        return finished - ended
    if started < began - _SKEW:
        return started - began
    return timedelta()


def _size(number: int) -> str:
    step = min(max(number.bit_length() - 1, 0) // 10, len(_UNITS) - 1)
    value = number / 1024**step
    digits = 0 if value >= 10 or not step else 1
    return f"{value:.{digits}f} {_UNITS[step]}"
