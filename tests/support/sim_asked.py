"""
Judges whether what clients asked for is what became of it: conditions, ways back, nothing to do.

A client tells the judge what it asked through the reason that it gives (`asked_in`), since that
comes back with the intent, whatever becomes of the client's connection. What Miroir makes of the
request is not looked at.
"""

import re
from collections import defaultdict
from typing import Final

from tests.support.sim_answers import Violation
from tests.support.sim_events import (
    Asked,
    Closed,
    Committed,
    Mismatched,
    Opened,
    Unmoved,
)
from tests.support.sim_meanings import Meanings

_SEEN: Final = re.compile(r"seen=([\d,]+)")
_FORMER: Final = re.compile(r"former=(\d+)")
_STILL: Final = {"repair", "update"}
"""Intents that lead to no other version."""


def reason_of(asked: Asked) -> str:
    """Return what a client says when it asks."""
    seen = ",".join(str(version) for version in sorted(asked.seen))
    parts = [f"seen={seen}"] if seen else []
    parts += [f"former={asked.former}"] if asked.former is not None else []
    return " ".join(parts)


def asked_in(reason: str) -> Asked:
    """Read it again."""
    seen, former = _SEEN.search(reason), _FORMER.search(reason)
    return Asked(
        frozenset(map(int, seen[1].split(","))) if seen else frozenset(),
        int(former[1]) if former else None,
    )


class AskedJudge:
    """
    Judges one history.

    Attributes:
        keys: Index -> primary key that was committed last.
    """

    def __init__(self, meanings: Meanings) -> None:
        self._meanings = meanings
        self._versions: dict[str, list[tuple[float, int]]] = defaultdict(list)
        self._open: dict[str, dict[int, tuple[float, float]]] = defaultdict(dict)
        self.keys: dict[str, str | None] = {}

    def opened(self, event: Opened) -> None:
        """An intent is durable."""
        if event.kind not in _STILL:
            self._open[event.index][event.intent] = (event.at_s, float("inf"))

    def closed(self, event: Closed) -> None:
        """An intent has ended."""
        began_s, _ = self._open[event.index].get(event.intent, (event.at_s, 0.0))
        if event.intent in self._open[event.index]:
            self._open[event.index][event.intent] = (began_s, event.at_s)

    def committed(self, event: Committed, opened: Opened) -> None:
        """Raise `Violation` where it is over a version that the client had not seen."""
        seen = opened.asked.seen
        if seen and event.base not in seen:
            raise Violation(
                f"{event.index}: a write made for version {sorted(seen)} was committed over "
                f"{event.base}"
            )
        self._versions[event.index].append((event.at_s, event.version))
        if event.kind in {"create", "update"}:
            self.keys[event.index] = opened.primary_key

    def mismatched(self, event: Mismatched) -> None:
        """Raise `Violation` where a write was turned away though nothing had moved."""
        spans = self._open[event.index].values()
        moved = any(began_s <= event.at_s and end_s >= event.began_s for began_s, end_s in spans)
        if not moved and self._in_force(event.index, event.began_s, event.at_s) <= event.seen:
            raise Violation(f"{event.index}: {sorted(event.seen)} was in force, and is refused")

    def unmoved(self, event: Unmoved) -> None:
        """Raise `Violation` where a change that is one, or a stale one, was taken for none."""
        in_force = self._in_force(event.index, event.began_s, event.at_s)
        if event.asked.seen and not in_force & event.asked.seen:
            raise Violation(f"{event.index}: nothing to do, but not at {sorted(event.asked.seen)}")
        if not any(
            self._meanings.leads_nowhere(event.index, version, event.patch, event.asked.former)
            for version in in_force
        ):
            raise Violation(f"{event.index}: a change was taken for none at {sorted(in_force)}")

    def _in_force(self, uid: str, since_s: float, until_s: float) -> frozenset[int]:
        """Return the versions that were in force at some moment of a span."""
        before = [v for at_s, v in self._versions[uid] if at_s <= since_s][-1:]
        within = [v for at_s, v in self._versions[uid] if since_s < at_s <= until_s]
        return frozenset((*before, *within))
