"""
The experimental features of a node: switched and read back in two requests, without a task.

A flag that a node does not know cannot be switched there. That is a fault of a change that wants
it on, and none of a repair: nodes of different versions are skew, not drift.
"""

from miroir.core import features as rules
from miroir.core.broadcast_types import Broadcast
from miroir.core.features import Features
from miroir.core.fingerprint import digest
from miroir.core.topology import NodeId
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl
from miroir.ports.records import CommitRecord, Intent
from miroir.services.carriers.asking import read_features, set_features
from miroir.services.carriers.base import ReadBack
from miroir.services.carriers.commons import commit_of


class FeaturesCarrier:
    """
    CHANGE, ADOPT and REPAIR of the experimental features.

    Args:
        base: The flags in force; after the commit of `intent` those that it led to.
    """

    def __init__(
        self, intent: Intent, base: Features, *, control: NodeControl, clock: Clock
    ) -> None:
        self._intent = intent
        self._base = base
        self._control = control
        self._clock = clock

    async def send(self, node_id: NodeId, engine: str, state: Broadcast) -> int | None:  # noqa: ARG002
        """Switch what differs; nothing is left to be awaited."""
        shown = await read_features(self._control, node_id)
        if patch := rules.differing(self._wanted(state), shown):
            await set_features(self._control, node_id, patch)
        return None

    async def read(self, node_id: NodeId, engine: str, state: Broadcast) -> ReadBack:  # noqa: ARG002
        """Read the features and compare every flag."""
        shown = await read_features(self._control, node_id)
        touched = {} if state.undoing else {k: True for k, on in self._intent.patch.items() if on}
        return look(self._wanted(state), shown, touched)

    def commit(self, state: Broadcast) -> CommitRecord:
        """The flags as they were wanted."""
        return commit_of(self._intent, self._base, state, self._clock.wall_ms())

    def _wanted(self, state: Broadcast) -> Features:
        return self._base if state.undoing else {**self._base, **self._intent.patch}


def look(wanted: Features, shown: Features, touched: Features) -> ReadBack:
    """Judge what a node shows; `touched` are the flags that it has to know."""
    faults = [f"{name}: is not {_word(on)}" for name, on in _differing(wanted, shown)]
    faults += [f"{name}: is not known to it" for name in rules.unknown(touched, shown)]
    return ReadBack(digest({k: shown[k] for k in wanted if k in shown}), tuple(faults))


def _differing(wanted: Features, shown: Features) -> list[tuple[str, bool]]:
    return list(rules.differing(wanted, shown).items())


def _word(on: bool) -> str:  # noqa: FBT001 - a flag is what it is about
    return "on" if on else "off"
