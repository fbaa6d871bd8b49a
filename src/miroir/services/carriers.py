"""
What a change means on one node: how it is sent, how it is read back, what its commit makes true.

The broadcaster drives every kind of intent through one machine; a carrier is the part that differs
by kind. A carrier keeps the last read-back of each node in memory for the commit; after a crash
the machine verifies again, so that they are never missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

import orjson

from miroir.core import settings as rules
from miroir.core.broadcast_types import Broadcast, NodeState
from miroir.core.fingerprint import digest, fingerprint
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeRefused, NodeUnreachable
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl, NodeRequest, Settings
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

    async def send(self, node_id: NodeId, engine: str, state: Broadcast) -> int | None:
        """
        Ask the node for the target (or the base, where `state` undoes).

        Returns the uid of the task to await: ours, or one that was queued before and may still
        change the node; None if nothing is to be done.
        """
        ...

    async def read(self, node_id: NodeId, engine: str, state: Broadcast) -> ReadBack:
        """Read the node back and compare with the target (or the base)."""
        ...

    def commit(self, state: Broadcast) -> CommitRecord:
        """Say what becomes true when the verified nodes of `state` are committed."""
        ...


class SettingsCarrier:
    """
    CHANGE and REPAIR: settings patched and read back.

    Attributes of the index in force go in as `base_fingerprints`: what its last committed
    read-back was per engine, which an undo has to lead back to exactly.
    """

    def __init__(
        self,
        intent: Intent,
        *,
        control: NodeControl,
        clock: Clock,
        base_fingerprints: Mapping[str, str],
    ) -> None:
        self._intent = intent
        self._control = control
        self._clock = clock
        self._base_fingerprints = base_fingerprints
        self._shown: dict[NodeId, Settings] = {}
        # Sent even where a node seems to show it already: a mask hides another secret, and a
        # field that was reset hides behind what cannot be foretold.
        changed = intent.target.get(rules.EMBEDDERS) != intent.undo.get(rules.EMBEDDERS)
        repair = intent.kind is IntentKind.REPAIR and rules.has_secrets(intent.target)
        self._forced = changed or repair

    async def send(self, node_id: NodeId, engine: str, state: Broadcast) -> int | None:
        """
        Send what differs between node and target, in whole values.

        Reading first costs a round trip and buys two things: a node that lost the index says so
        before a PATCH could create it anew, and a node that is already right is left alone.
        """
        wanted = self._wanted(state)
        seen = await self._control.read_settings(node_id, self._intent.index_uid)
        patch = rules.wire_patch(seen, wanted, touched=self._touched(state), forced=self._forced)
        if not patch and self._expected(engine, state) not in {None, fingerprint(seen)}:
            patch = rules.exact_patch(seen, wanted)
        patch = patch or self._untouched(seen, engine, state)
        if not patch:
            return await unfinished(self._control, node_id, self._intent.index_uid)
        return await self._control.patch_settings(node_id, self._intent.index_uid, patch)

    async def read(self, node_id: NodeId, engine: str, state: Broadcast) -> ReadBack:
        """GET the settings and compare every key."""
        wanted = self._wanted(state)
        seen = await self._control.read_settings(node_id, self._intent.index_uid)
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
        return ReadBack(shown, tuple(faults))

    def _wanted(self, state: Broadcast) -> Settings:
        return self._intent.undo if state.undoing else self._intent.target

    def _touched(self, state: Broadcast) -> tuple[str, ...]:
        """Keys of the client's own that a node must know, whatever it shows."""
        if state.undoing:
            return ()
        patch = self._intent.patch
        return tuple(k for k in patch if patch[k] is not None or k not in rules.BY_KEY)

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
        change = self._intent.kind is IntentKind.CHANGE
        desired = self._intent.target
        if change:  # A repair leaves them as they are; its node may even have gone away meanwhile.
            desired = rules.adopted(_first_shown(state, self._shown), desired)
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

    async def send(self, node_id: NodeId, engine: str, state: Broadcast) -> int | None:  # noqa: ARG002
        """Create, update or delete; undoing a creation deletes only an index that is empty."""
        uid = await self._asked(node_id, undo=state.undoing)
        if uid is None:
            return await unfinished(self._control, node_id, self._intent.index_uid)
        return uid

    async def _asked(self, node_id: NodeId, *, undo: bool) -> int | None:
        uid, key = self._intent.index_uid, self._intent.primary_key
        found = await self._find(node_id)
        match self._intent.kind:
            case IntentKind.CREATE if undo:
                return await self._delete_if_empty(node_id) if found else None
            case IntentKind.CREATE if found:
                if found.get("primaryKey") == key and not await self._documents(node_id):
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

    async def read(self, node_id: NodeId, engine: str, state: Broadcast) -> ReadBack:
        """Look whether the index is there, with the right key, and how its settings are."""
        undo = state.undoing
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
        elif engine not in state.expected:  # No probe has shown what a fresh index looks like.
            faults += [f"{k}: not fresh" for k in rules.differences(rules.defaults(), seen)]
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
        if await self._documents(node_id):
            raise NodeRefused(409, _exists_elsewhere(uid, node_id))
        return await self._control.delete_index(node_id, uid)

    async def _documents(self, node_id: NodeId) -> int:
        return await self._control.document_count(node_id, self._intent.index_uid)


async def unfinished(control: NodeControl, node_id: NodeId, index_uid: IndexUid) -> int | None:
    """
    Return the newest task of a node that may still change an index or its settings, or None.

    What a node shows is no evidence while such a task is queued: a request whose answer was lost,
    or that of a dead leader, may be waiting behind others.
    """
    types = "settingsUpdate,indexCreation,indexUpdate,indexDeletion,indexSwap"
    query = f"indexUids={quote(index_uid)}&types={types}&statuses=enqueued,processing&limit=1"
    reply = await control.forward(node_id, NodeRequest("GET", f"/tasks?{query}"))
    try:
        tasks: list[Mapping[str, Any]] = orjson.loads(reply.body)["results"]
        return int(tasks[0]["uid"]) if tasks else None
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise NodeUnreachable(f"node {node_id}: an unexpected list of tasks") from error


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
