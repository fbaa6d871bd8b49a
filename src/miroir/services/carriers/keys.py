"""
The API keys of a node: made, changed, deleted and read back, without a task.

Only keys that the cluster knows are looked at (`core.keys`). A node that gives a key another value
than the cluster has another master key: that is a fault which no request can remove.
"""

import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from miroir.core import keys as rules
from miroir.core.broadcast_types import Broadcast
from miroir.core.fingerprint import digest
from miroir.core.keys import Keys
from miroir.core.topology import NodeId
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl
from miroir.ports.records import CommitRecord, Intent
from miroir.services.carriers.asking import by_uid, read_keys, take
from miroir.services.carriers.base import ReadBack
from miroir.services.carriers.commons import commit_of

ValueOf = Callable[[str], str]
"""Key uid -> its value."""


class KeysCarrier:
    """
    CHANGE, ADOPT, DELETE and REPAIR of API keys.

    Args:
        base: The keys in force; after the commit of `intent` those that it led to.
    """

    def __init__(
        self,
        intent: Intent,
        base: Keys,
        *,
        control: NodeControl,
        clock: Clock,
        value_of: ValueOf,
    ) -> None:
        self._intent = intent
        self._base = base
        self._control = control
        self._clock = clock
        self._value_of = value_of

    async def send(self, node_id: NodeId, engine: str, state: Broadcast) -> int | None:  # noqa: ARG002
        """Bring the node's keys there; nothing is left to be awaited."""
        await bring(self._control, node_id, self._wanted(state), now_of(self._clock))
        return None

    async def read(self, node_id: NodeId, engine: str, state: Broadcast) -> ReadBack:  # noqa: ARG002
        """Read the keys and compare every one that is ours."""
        shown = await read_keys(self._control, node_id)
        wanted = self._wanted(state)
        version = self._base if state.undoing else wanted
        return look(wanted, shown, self._value_of, now_of(self._clock), version)

    def commit(self, state: Broadcast) -> CommitRecord:
        """The keys as they were wanted; dates are the cluster's, nodes have their own."""
        return commit_of(self._intent, self._base, state, self._clock.wall_ms())

    def _wanted(self, state: Broadcast) -> Keys:
        if not state.undoing:
            return {**self._base, **self._intent.patch}
        # What this intent has made is to be gone again, though it was never known before.
        return {**dict.fromkeys(self._intent.patch), **self._base}


async def bring(control: NodeControl, node_id: NodeId, wanted: Keys, now: datetime) -> None:
    """Make a node's keys what is wanted."""
    shown = by_uid(await read_keys(control, node_id))
    await take(control, node_id, rules.steps(wanted, shown, now))


def look(
    wanted: Keys,
    shown: Mapping[str, Mapping[str, Any]],
    value_of: ValueOf,
    now: datetime,
    version: Keys,
) -> ReadBack:
    """
    Judge the keys that a node shows.

    The fingerprint is that of `version`, the keys of one version, as far as the node shows them;
    where nothing is wrong it is the same for ever, also when a key has expired meanwhile.
    """
    faults = list(rules.faults(wanted, shown, now))
    for uid, definition in wanted.items():
        if definition is None or uid not in shown:
            continue
        if not hmac.compare_digest(str(shown[uid]["key"]), value_of(uid)):
            faults.append(f"key {uid}: another value, so the node has another master key")
    seen = shown if faults else {uid: key for uid, key in version.items() if key is not None}
    return ReadBack(digest(rules.evidence(version, seen)), tuple(faults))


def now_of(clock: Clock) -> datetime:
    """Return the time as keys tell it."""
    return datetime.fromtimestamp(clock.wall_ms() / 1000, tz=UTC)
