"""
Judges the API keys and experimental features of a simulated cluster.

What a version means is worked out from the intents' patches; what a node shows, it tells itself.
Keys that were never made through Miroir belong to somebody else: nobody may touch them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from miroir.core.commons import FEATURES
from tests.support.sim_answers import Violation
from tests.support.sim_events import (
    Closed,
    Committed,
    CommonAnswered,
    CommonChanged,
    Opened,
    Proofs,
)
from tests.support.sim_node_commons import value_of

_PARTS: Final = ("name", "description", "actions", "indexes", "expiresAt")
_LATELY_S: Final = 10.0
"""What a request that is on its way may still bring after a later version was committed."""

Wanted = Mapping[str, Any]


@dataclass
class _Page:
    """One common object of one node."""

    shown: Mapping[str, Any] = field(default_factory=dict)
    foreign_s: float | None = None
    calm_since_s: float | None = None


class CommonsJudge:
    """
    Judges one history.

    Args:
        found_within_s: How long somebody else's change may go unseen.
    """

    def __init__(self, found_within_s: float) -> None:
        self._found_within_s = found_within_s
        self._versions: dict[str, list[tuple[float, int, Wanted]]] = defaultdict(list)
        self._open: dict[str, dict[int, Wanted]] = defaultdict(dict)
        self._pages: dict[tuple[str, str], _Page] = defaultdict(_Page)
        self._ours: set[str] = set()

    def opened(self, event: Opened) -> None:
        """An intent is durable."""
        self._open[event.index][event.intent] = event.patch
        self._ours |= set(event.patch)

    def closed(self, event: Closed) -> None:
        """An intent has ended."""
        self._open[event.index].pop(event.intent, None)

    def committed(self, event: Committed) -> None:
        """A version is in force: the one before, and what the intent wanted."""
        if event.raised:
            wanted = {**self.latest(event.index), **self._open[event.index][event.intent]}
            self._versions[event.index].append((event.at_s, event.version, wanted))

    def latest(self, uid: str) -> Wanted:
        """Return what is in force."""
        return self._versions[uid][-1][2] if self._versions[uid] else {}

    def changed(self, event: CommonChanged) -> None:
        """A node shows something new."""
        page = self._pages[event.node, event.uid]
        before, page.shown = page.shown, event.shown
        if event.origin == "first":
            return
        if event.origin != "own":
            page.foreign_s = event.at_s
            return
        for name in sorted({*before, *event.shown}):
            if before.get(name) != event.shown.get(name):
                self._is_somebodys_wish(event, name)

    def _is_somebodys_wish(self, event: CommonChanged, name: str) -> None:
        if name not in self._ours:
            raise Violation(f"{name} on {event.node} is nobody's of ours, and was touched")
        versions: list[tuple[float, int, Wanted]]
        versions = [(float("-inf"), 0, {}), *self._versions[event.uid]]
        since_s = event.at_s - _LATELY_S
        lately = [w for at_s, _, w in versions[:-2] if at_s >= since_s]
        opened = [patch for patch in self._open[event.uid].values() if name in patch]
        wishes = [w.get(name) for w in (*lately, *(w for _, _, w in versions[-2:]), *opened)]
        seen = event.shown.get(name)
        if not any(fits(event.uid, name, wish, seen) for wish in wishes):
            raise Violation(f"{name} on {event.node} became what nobody wants: {seen}")

    def proofs(self, event: Proofs) -> None:
        """Raise `Violation` where a node is held for proved and shows something else."""
        for (node, uid), page in self._pages.items():
            if uid != event.index:
                continue
            if node not in event.calm:
                page.calm_since_s = None
            elif page.calm_since_s is None:
                page.calm_since_s = event.at_s
            if self._open[uid]:
                continue  # What is right may be another thing in a moment.
            if page.foreign_s is not None and not self.wrong(node, uid):
                page.foreign_s = None
        newest = self._versions[event.index][-1][1] if self._versions[event.index] else 0
        for node, version in event.proved.items():
            if version != newest:
                continue  # It was left behind: nothing rests on that, and it is brought up first.
            wrong = self.wrong(node, event.index, version, ahead=self._open[event.index].values())
            if wrong and not self._excused(self._pages[node, event.index], event.at_s):
                raise Violation(
                    f"{event.index}: the {event.source} holds {node} proved at {version}, but "
                    f"{wrong[0]}"
                )

    def _excused(self, page: _Page, now_s: float) -> bool:
        if page.foreign_s is None:
            return False
        if page.calm_since_s is None:
            return True
        return now_s - max(page.foreign_s, page.calm_since_s) <= self._found_within_s

    def wrong(
        self, node: str, uid: str, version: int | None = None, *, ahead: Iterable[Wanted] = ()
    ) -> list[str]:
        """
        Return in words what a node shows otherwise than a version (None: the newest) has it.

        A node may be `ahead`: admitted while a change is open, it is brought to that at once.
        """
        known = {number: wanted for _, number, wanted in self._versions[uid]}
        wanted = self.latest(uid) if version is None else known.get(version, {})
        shown = self._pages[node, uid].shown
        return [
            f"{name} is {shown.get(name)} instead of {wish}"
            for name, wish in wanted.items()
            if not fits(uid, name, wish, shown.get(name))
            and not any(
                name in patch and fits(uid, name, patch[name], shown.get(name)) for patch in ahead
            )
        ]

    def answered(self, event: CommonAnswered) -> None:
        """Raise `Violation` where a client was told of what is not in force."""
        versions = self._versions[event.uid]
        before = [w for at_s, _, w in versions if at_s <= event.began_s][-1:]
        within = [w for at_s, _, w in versions if event.began_s < at_s <= event.at_s]
        for wanted in (*before, *within):
            if all(
                name in wanted and fits(event.uid, name, wanted[name], _as_shown(told))
                for name, told in event.wanted.items()
            ):
                return
        raise Violation(f"{event.uid}: a client was told of {event.wanted}, which is not so")


def fits(uid: str, name: str, wish: Any, seen: Any) -> bool:
    """Whether what a node shows under a name is what is wished for."""
    if uid == FEATURES:
        return seen is None or seen is wish  # An engine that does not know the flag.
    if wish is None or seen is None:
        # One that ends by itself may be gone.
        return seen is None and (wish is None or wish["expiresAt"] is not None)
    if seen["value"] != value_of(name):
        return False
    return all(_part(part, wish.get(part)) == _part(part, seen.get(part)) for part in _PARTS)


def _part(name: str, value: Any) -> Any:
    if name == "expiresAt" and value is not None:
        return str(value).replace("+00:00", "Z")
    return value


def _as_shown(told: Any) -> Any:
    return {**told, "value": told["key"]} if isinstance(told, dict) else told
