"""CHANGE and REPAIR: settings patched and read back."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from miroir.core import settings as rules
from miroir.core.broadcast_types import Broadcast
from miroir.core.features import class_shown
from miroir.core.fingerprint import fingerprint
from miroir.core.settings_told import told
from miroir.core.topology import NodeId
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl, Settings
from miroir.ports.records import CommitRecord, Intent, IntentKind, Unconfirmed
from miroir.services.carriers.base import (
    ReadBack,
    by_engine,
    first_shown,
    left_behind,
    proofs,
    unfinished,
)


class SettingsCarrier:
    """
    CHANGE and REPAIR: settings patched and read back.

    Attributes of the index in force go in as `base_fingerprints`: what its last committed
    read-back was per engine, which an undo has to lead back to exactly; and as `base_form`, which
    returns what nodes of an engine class show at that version.
    """

    def __init__(
        self,
        intent: Intent,
        *,
        control: NodeControl,
        clock: Clock,
        base_fingerprints: Mapping[str, str],
        base_form: Callable[[str], Awaitable[Settings]],
    ) -> None:
        self._intent = intent
        self._control = control
        self._clock = clock
        self._base_fingerprints = base_fingerprints
        self._base_form = base_form
        self._shown: dict[NodeId, Settings] = {}
        # Sent even where a node seems to show it already: a mask hides another secret, and a
        # field that was reset hides behind what cannot be foretold.
        changed = intent.target.get(rules.EMBEDDERS) != intent.undo.get(rules.EMBEDDERS)
        self._forced = changed or intent.state.blind

    async def send(self, node_id: NodeId, engine: str, state: Broadcast) -> int | None:
        """
        Send what differs between node and target, in whole values.

        Reading first costs a round trip and buys two things: a node that lost the index says so
        before a PATCH could create it anew, and a node that is already right is left alone.
        """
        seen = await self._control.read_settings(node_id, self._intent.index_uid)
        engine = class_shown(engine, seen)
        wanted = await self._wanted(engine, state)
        touched = self._touched(state)
        patch = rules.wire_patch(seen, wanted, touched=touched, forced=self._forced)
        if not rules.wire_patch(seen, wanted, touched=touched):
            # No key that is compared by its meaning differs: the letters may.
            if self._expected(engine, state) not in {None, fingerprint(seen)}:
                patch = {**rules.exact_patch(seen, wanted), **patch}
            else:
                patch = {**self._untouched(seen, engine, state), **patch}
        if not patch:
            return await unfinished(self._control, node_id, self._intent.index_uid)
        return await self._control.patch_settings(node_id, self._intent.index_uid, patch)

    async def read(self, node_id: NodeId, engine: str, state: Broadcast) -> ReadBack:
        """GET the settings and compare every key."""
        seen = await self._control.read_settings(node_id, self._intent.index_uid)
        engine = class_shown(engine, seen)
        wanted = await self._wanted(engine, state)
        self._shown[node_id] = seen
        shown = fingerprint(seen)
        differing = rules.differences(wanted, seen)
        if self._expected(engine, state) == shown:
            # The very form that the engine was seen to give it; masks are no part of that.
            differing = tuple(key for key in differing if key == rules.EMBEDDERS)
        faults = [f"{key}: not as wanted" for key in differing]
        faults += [f"{key}: not as before" for key in self._untouched(seen, engine, state)]
        faults += [f"{key}: not shown" for key in self._touched(state) if key not in seen]
        if state.undoing and self._expected(engine, state) not in {None, shown}:
            faults.append("fingerprint: not the committed one")
        return ReadBack(shown, tuple(faults), engine)

    async def _wanted(self, engine: str, state: Broadcast) -> Settings:
        """Return where nodes of a class are led: ahead, or to the version in force."""
        if state.undoing or self._intent.kind is IntentKind.REPAIR:
            return await self._base_form(engine)
        return self._intent.target

    def _touched(self, state: Broadcast) -> tuple[str, ...]:
        """Keys of the client's own that a node must know, whatever it shows."""
        return () if state.undoing else rules.asked_of_nodes(self._intent.patch)

    def _untouched(self, seen: Settings, engine: str, state: Broadcast) -> dict[str, Any]:
        """
        Return what leads keys that nobody asked to change back to the committed read-back.

        Without a probe this is what keeps a foreign change from being committed by accident. Only
        where one engine has given the committed form: others have letters of their own.
        """
        unknown = not state.undoing and self._expected(engine, state) is None
        if not unknown or set(self._base_fingerprints) != {engine}:
            return {}
        target = {k: v for k, v in self._intent.target.items() if k not in self._intent.patch}
        return rules.exact_patch(seen, target)

    def _expected(self, engine: str, state: Broadcast) -> str | None:
        known = self._base_fingerprints if state.undoing else state.expected
        return known.get(engine)

    def commit(self, state: Broadcast) -> CommitRecord:
        """Adopt the observed form as the desired one: later drift is measured against it."""
        change = self._intent.kind.changes_settings
        desired = self._intent.target
        if change:  # A repair leaves them as they are; its node may even have gone away meanwhile.
            desired = rules.adopted(first_shown(state, self._shown), desired)
        return CommitRecord(
            settings=desired if change else None,
            # Also of engines whose nodes follow later: what the probe showed binds them.
            fingerprints={**state.expected, **by_engine(state)},
            proved=proofs(state),
            unproved=left_behind(state),
            raise_version=change,
            diff=rules.diff(self._intent.undo, desired) if change else {},
            primary_key=None,
            deleted=False,
            task_details=told(self._intent.patch),
            at_ms=self._clock.wall_ms(),
            unconfirmed=self._unconfirmed(),
        )

    def _unconfirmed(self) -> Unconfirmed | None:
        within_ms = self._intent.care.confirm_within_ms
        if within_ms is None:
            return None
        return Unconfirmed(self._intent.base_version, self._clock.wall_ms() + within_ms)
