"""
ADOPT: what every node shows of an index already becomes version 1. Nothing is sent to any node.

Read back like any other change, so that nodes which differ after all end it without a trace.
"""

from miroir.core import settings as rules
from miroir.core.broadcast_types import Broadcast
from miroir.core.features import class_shown
from miroir.core.fingerprint import digest, fingerprint
from miroir.core.topology import NodeId
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl, Settings
from miroir.ports.records import CommitRecord, Intent
from miroir.services.carriers.base import (
    ReadBack,
    by_engine,
    first_shown,
    left_behind,
    proofs,
    unfinished,
)


class AdoptionCarrier:
    """ADOPT of an index."""

    def __init__(self, intent: Intent, *, control: NodeControl, clock: Clock) -> None:
        self._intent = intent
        self._control = control
        self._clock = clock
        self._shown: dict[NodeId, Settings] = {}
        self._documents: int | None = None

    async def send(self, node_id: NodeId, engine: str, state: Broadcast) -> int | None:  # noqa: ARG002
        """Wait for what is queued; ask for nothing."""
        return await unfinished(self._control, node_id, self._intent.index_uid)

    async def read(self, node_id: NodeId, engine: str, state: Broadcast) -> ReadBack:  # noqa: ARG002
        """Compare with what was found when it was decided to take the index over."""
        uid = self._intent.index_uid
        found = await self._control.index(node_id, uid)
        if found is None:
            return ReadBack(digest({"exists": False}), ("index: missing",))
        seen = await self._control.read_settings(node_id, uid)
        documents = await self._control.document_count(node_id, uid)
        self._shown[node_id] = seen
        faults = [f"{key}: not as found" for key in rules.differences(self._intent.target, seen)]
        if found.get("primaryKey") != self._intent.primary_key:
            faults.append("primaryKey: not as found")
        if self._documents not in {None, documents}:
            faults.append("documents: not as many as elsewhere")
        self._documents = documents if self._documents is None else self._documents
        return ReadBack(fingerprint(seen), tuple(faults), class_shown(engine, seen))

    def commit(self, state: Broadcast) -> CommitRecord:
        """The index begins at version 1, as its nodes show it."""
        return CommitRecord(
            settings=dict(first_shown(state, self._shown)),
            fingerprints=by_engine(state),
            proved=proofs(state),
            unproved=left_behind(state),
            raise_version=True,
            diff={},
            primary_key=self._intent.primary_key,
            deleted=False,
            task_details={"primaryKey": self._intent.primary_key},
            at_ms=self._clock.wall_ms(),
        )
