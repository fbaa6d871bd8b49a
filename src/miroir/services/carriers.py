"""
What a change means on one node: how it is sent, how it is read back, what its commit makes true.

The broadcaster drives every kind of intent through one machine; a carrier is the part that differs
by kind. A carrier keeps the last read-back of each node in memory for the commit; after a crash
the machine verifies again, so that they are never missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from miroir.core import settings as rules
from miroir.core.broadcast_types import Broadcast, NodeState
from miroir.core.fingerprint import digest, fingerprint
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeRefused
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl, Settings
from miroir.ports.records import CommitRecord, Intent, IntentKind


@dataclass(frozen=True)
class ReadBack:
    """
    What a node shows.

    Attributes:
        fingerprint: Of what it shows.
        faults: In words, what is not as it should be; empty if all is.
    """

    fingerprint: str
    faults: tuple[str, ...]


class Carrier(Protocol):
    """One kind of change."""

    async def send(self, node_id: NodeId, *, undo: bool) -> int | None:
        """Ask the node for target (or base, to undo); return its task uid; None: nothing to do."""
        ...

    async def read(self, node_id: NodeId, *, undo: bool) -> ReadBack:
        """Read the node back and compare with target (or base)."""
        ...

    def commit(self, state: Broadcast) -> CommitRecord:
        """Say what becomes true when the verified nodes of `state` are committed."""
        ...


class SettingsCarrier:
    """CHANGE and REPAIR: settings patched and read back."""

    def __init__(self, intent: Intent, *, control: NodeControl, clock: Clock) -> None:
        self._intent = intent
        self._control = control
        self._clock = clock
        self._shown: dict[NodeId, Settings] = {}
        # Sent even where a node seems to show it already: a mask hides another secret.
        self._forced = rules.EMBEDDERS in rules.differences(intent.target, intent.undo)

    async def send(self, node_id: NodeId, *, undo: bool) -> int | None:
        """
        Send what differs between node and target, in whole values.

        Reading first costs a round trip and buys two things: a node that lost the index says so
        before a PATCH could create it anew, and a node that is already right is left alone.
        """
        wanted = self._intent.undo if undo else self._intent.target
        seen = await self._control.read_settings(node_id, self._intent.index_uid)
        patch = rules.wire_patch(seen, wanted)
        if self._forced and rules.EMBEDDERS not in patch:
            patch[rules.EMBEDDERS] = wanted[rules.EMBEDDERS]
        if not patch:
            return None
        return await self._control.patch_settings(node_id, self._intent.index_uid, patch)

    async def read(self, node_id: NodeId, *, undo: bool) -> ReadBack:
        """GET the settings and compare every key."""
        wanted = self._intent.undo if undo else self._intent.target
        seen = await self._control.read_settings(node_id, self._intent.index_uid)
        self._shown[node_id] = seen
        faults = tuple(f"{key}: not as wanted" for key in rules.differences(wanted, seen))
        return ReadBack(fingerprint(seen), faults)

    def commit(self, state: Broadcast) -> CommitRecord:
        """Adopt the observed form as the desired one: later drift is measured against it."""
        shown = _first_shown(state, self._shown)
        desired = rules.adopted(shown, self._intent.target)
        change = self._intent.kind is IntentKind.CHANGE
        return CommitRecord(
            settings=desired if change else None,
            fingerprints=_by_engine(state),
            proved=_proofs(state),
            unproved=_left_behind(state),
            raise_version=change,
            diff=rules.diff(self._intent.undo, desired) if change else {},
            primary_key=None,
            deleted=False,
            task_details=rules.shown(self._intent.patch),
            at_ms=self._clock.wall_ms(),
        )


class LifecycleCarrier:
    """CREATE, UPDATE and DELETE: the index itself and its primary key."""

    def __init__(
        self,
        intent: Intent,
        *,
        control: NodeControl,
        clock: Clock,
        previous_key: str | None,
    ) -> None:
        self._intent = intent
        self._control = control
        self._clock = clock
        self._previous_key = previous_key
        self._shown: dict[NodeId, Settings] = {}

    async def send(self, node_id: NodeId, *, undo: bool) -> int | None:
        """Create, update or delete; undoing a creation deletes only an index that is empty."""
        uid, key = self._intent.index_uid, self._intent.primary_key
        found = await self._find(node_id)
        match self._intent.kind:
            case IntentKind.CREATE if undo:
                return await self._delete_if_empty(node_id) if found else None
            case IntentKind.CREATE if found:
                if found.get("primaryKey") == key:
                    return None  # Ours, from before a crash; or alike: the read-back decides.
                raise NodeRefused(409, _exists_elsewhere(uid, node_id))
            case IntentKind.CREATE:
                return await self._control.create_index(node_id, uid, key)
            case IntentKind.UPDATE:
                wanted = self._previous_key if undo else key
                if not found or found.get("primaryKey") == wanted:
                    return None
                return await self._control.update_index(node_id, uid, wanted)
            case IntentKind.DELETE:
                return await self._control.delete_index(node_id, uid) if found else None
            case _:
                raise AssertionError(self._intent.kind)

    async def read(self, node_id: NodeId, *, undo: bool) -> ReadBack:
        """Look whether the index is there, with the right key, and how its settings are."""
        found = await self._find(node_id)
        gone = self._intent.kind is IntentKind.DELETE or (
            self._intent.kind is IntentKind.CREATE and undo
        )
        if gone:
            return ReadBack(digest({"exists": bool(found)}), ("still there",) if found else ())
        if not found:
            return ReadBack(digest({"exists": False}), ("index: missing",))
        wanted = self._previous_key if undo else self._intent.primary_key
        seen = await self._control.read_settings(node_id, self._intent.index_uid)
        self._shown[node_id] = seen
        faults = [] if found.get("primaryKey") == wanted else ["primaryKey: not as wanted"]
        if self._intent.kind is IntentKind.UPDATE:
            faults += [f"{k}: not as wanted" for k in rules.differences(self._intent.undo, seen)]
        return ReadBack(fingerprint(seen), tuple(faults))

    def commit(self, state: Broadcast) -> CommitRecord:
        """A new index starts at version 1 with the settings that its nodes show."""
        kind = self._intent.kind
        shown = dict(_first_shown(state, self._shown)) if kind is IntentKind.CREATE else None
        deleted = kind is IntentKind.DELETE
        return CommitRecord(
            settings=shown,
            fingerprints={} if deleted else _by_engine(state),
            proved={} if deleted else _proofs(state),
            unproved=_left_behind(state),
            raise_version=kind is IntentKind.CREATE,
            diff={},
            primary_key=self._intent.primary_key,
            deleted=deleted,
            task_details={} if deleted else {"primaryKey": self._intent.primary_key},
            at_ms=self._clock.wall_ms(),
        )

    async def _find(self, node_id: NodeId) -> Mapping[str, Any] | None:
        return await self._control.index(node_id, self._intent.index_uid)

    async def _delete_if_empty(self, node_id: NodeId) -> int | None:
        uid = self._intent.index_uid
        if await self._control.document_count(node_id, uid):
            raise NodeRefused(409, _exists_elsewhere(uid, node_id))
        return await self._control.delete_index(node_id, uid)


def _first_shown(state: Broadcast, shown: Mapping[NodeId, Settings]) -> Settings:
    for node_id in state.verified:
        if node_id in shown:
            return shown[node_id]
    raise AssertionError("a commit needs a verified node that was read in this run")


def _by_engine(state: Broadcast) -> dict[str, str]:
    progress = (state.nodes[n] for n in state.verified)
    return {p.engine or "": p.fingerprint or "" for p in progress}


def _proofs(state: Broadcast) -> dict[NodeId, str]:
    return {n: state.nodes[n].fingerprint or "" for n in state.verified}


def _left_behind(state: Broadcast) -> tuple[NodeId, ...]:
    """Nodes of the waves before the commit that are not verified: quarantined until repaired."""
    waves = {n for wave in state.waves[: state.commit_after] for n in wave}
    return tuple(
        n
        for n, p in state.nodes.items()
        if n in waves and p.state not in {NodeState.VERIFIED, NodeState.UNTOUCHED}
    )


def _exists_elsewhere(index_uid: IndexUid, node_id: NodeId) -> dict[str, Any]:
    return {
        "message": f"Index `{index_uid}` exists on node `{node_id}` and was not made by Miroir.",
        "code": "index_already_exists",
        "type": "invalid_request",
        "link": "https://docs.meilisearch.com/errors#index_already_exists",
    }
