"""
What must survive a restart, as the services see it.

Contract: every method is one transaction, durable when it returns (also against kill -9). Methods
that take a `Lease` are guarded: they raise `LeaseLost` and change nothing when the store knows a
higher epoch of that scope. `save_intent`, `commit` and `freeze` also compare `revision` and raise
`LeaseLost` when someone else has saved meanwhile: for the caller both mean "deposed, stop". Lists
are ordered as stated. A repeated `commit` of one intent returns the same version and changes
nothing.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from miroir.core.broadcast_types import Broadcast
from miroir.core.topology import IndexUid, NodeId
from miroir.ports.records import (
    CommitRecord,
    HistoryEntry,
    IndexRecord,
    Intent,
    Lease,
    NewIntent,
    NewTask,
    NodeTaskRecord,
    NodeVersion,
    TaskPage,
    TaskQuery,
    TaskRecord,
    WritePart,
)


class Store(Protocol):
    """Durable state of the cluster."""

    async def aclose(self) -> None:
        """Release files and connections; the store is not used afterwards."""
        ...

    # ---- leases and facts about the cluster

    async def take_lease(
        self, scope: str, holder: str, *, ttl_ms: int, now_ms: int
    ) -> Lease | None:
        """
        Take or renew the right to lead `scope` until `now_ms + ttl_ms`.

        Free or expired: the epoch grows by one. Held by `holder` itself: extended, epoch kept.
        Held by another: None.
        """
        ...

    async def release_lease(self, lease: Lease) -> None:
        """Let the lease go, if it is still held; the epoch stays."""
        ...

    async def fact(self, name: str) -> str | None:
        """Return a fact about the cluster, e.g. its topology, or None."""
        ...

    async def set_fact(self, name: str, value: str) -> None:
        """Keep a fact."""
        ...

    # ---- indexes, versions, history

    async def indexes(self) -> tuple[IndexRecord, ...]:
        """Return every index ever known, deleted ones too, ordered by uid."""
        ...

    async def index(self, index_uid: IndexUid) -> IndexRecord | None:
        """Return one index, deleted or not; None if it was never known."""
        ...

    async def node_versions(self) -> tuple[NodeVersion, ...]:
        """Return what each node is proved to serve, for all indexes."""
        ...

    async def unprove(self, index_uid: IndexUid, node_ids: tuple[NodeId, ...]) -> None:
        """Demote nodes: proved at no version of this index."""
        ...

    async def prove(
        self, index_uid: IndexUid, proved: Mapping[NodeId, str], *, version: int, at_ms: int
    ) -> bool:
        """
        Record nodes read back (node -> fingerprint) at `version`.

        False, and nothing changed, if `version` is not the committed one or an intent is open.
        """
        ...

    async def history(self, index_uid: IndexUid) -> tuple[HistoryEntry, ...]:
        """Return every committed version, newest first."""
        ...

    async def thaw(self, index_uid: IndexUid) -> None:
        """Let document writes through again."""
        ...

    async def expected(self, target_hash: str, engine: str) -> Mapping[str, Any] | None:
        """Return what a probe of this engine showed for a target once: its read-back."""
        ...

    async def keep_expected(
        self, target_hash: str, engine: str, read_back: Mapping[str, Any]
    ) -> None:
        """Keep what a probe showed, for ever."""
        ...

    # ---- intents

    async def open_intent(self, intent: NewIntent) -> Intent:
        """Write a wanted change; it queues behind older open ones of its index."""
        ...

    async def accept_intent(self, intent_id: int, task: NewTask) -> TaskRecord:
        """Promise the intent to the client: give it an enqueued task."""
        ...

    async def intent(self, intent_id: int) -> Intent:
        """Return one intent as it stands, open or closed; it must exist."""
        ...

    async def open_intents(self) -> tuple[Intent, ...]:
        """Return all that are not closed, in queue order."""
        ...

    async def recent_intents(self, limit: int) -> tuple[Intent, ...]:
        """Return the newest intents, open or closed, newest first."""
        ...

    async def start_intent(self, intent: Intent, lease: Lease) -> Intent:
        """
        Save target, undo, base_version and state as given; guarded.

        Also marks the task as processing. Returns the intent with its new revision.
        """
        ...

    async def save_intent(self, intent: Intent, state: Broadcast, lease: Lease) -> Intent:
        """
        Advance the machine; guarded.

        In the same transaction every node that `state` has touched and not verified is unproved,
        and one verified at the base of an abort is proved at `base_version` again. A closed
        state that was not committed fails the task with `state.error`.
        """
        ...

    async def commit(self, intent: Intent, record: CommitRecord, lease: Lease) -> int:
        """
        Make the change true and its task succeeded; guarded; exactly once per intent.

        Returns the committed version. The version number grows by exactly one if
        `record.raise_version`, and is bound to these fingerprints for ever.
        """
        ...

    async def freeze(self, intent: Intent, reason: str, lease: Lease) -> None:
        """Refuse document writes to the index until `thaw` or the next commit; guarded."""
        ...

    # ---- tasks and document writes

    async def open_task(self, task: NewTask, *, status: str = "enqueued") -> TaskRecord:
        """Give out the next uid; `succeeded` for what needs no work (started and finished now)."""
        ...

    async def open_write(
        self, task: NewTask, parts: tuple[WritePart, ...], targets: tuple[NodeTaskRecord, ...]
    ) -> TaskRecord:
        """
        Give out the next uid and keep the parts and an unsent share for every target node.

        The `task_uid` inside `targets` is ignored and set to the new uid.
        """
        ...

    async def save_shares(
        self, shares: tuple[NodeTaskRecord, ...], *, out_of_sync: Mapping[NodeId, str]
    ) -> None:
        """
        Record shares of one write, and nodes that leave the in-sync set (node -> why), together.

        When no share of the write is unsent any more, its parts are deleted.
        """
        ...

    async def unsent_writes(
        self,
    ) -> tuple[tuple[TaskRecord, tuple[WritePart, ...], tuple[NodeTaskRecord, ...]], ...]:
        """Return writes with an unsent share, oldest first, with all their shares."""
        ...

    async def open_shares(self) -> tuple[NodeTaskRecord, ...]:
        """Return the shares of unfinished tasks that were sent and have not ended."""
        ...

    async def shares(self, task_uid: int) -> tuple[NodeTaskRecord, ...]:
        """Return every share of one write, by shard and node."""
        ...

    async def start_task(self, uid: int, *, at_ms: int) -> None:
        """Mark as processing, if it is enqueued."""
        ...

    async def finish_task(
        self,
        uid: int,
        *,
        status: str,
        details: Mapping[str, Any],
        error: Mapping[str, Any] | None,
        at_ms: int,
    ) -> None:
        """End a task that has not ended; repetition changes nothing."""
        ...

    async def task(self, uid: int) -> TaskRecord | None:
        """Return one task."""
        ...

    async def tasks(self, query: TaskQuery) -> TaskPage:
        """List tasks, newest first unless reversed."""
        ...

    # ---- replicas

    async def out_of_sync(self) -> Mapping[tuple[IndexUid, NodeId], str]:
        """Return the replicas that miss writes, with the reason."""
        ...

    async def set_in_sync(self, index_uid: IndexUid, node_id: NodeId) -> None:
        """A replica has been brought up from a sibling."""
        ...

    async def set_out_of_sync(self, index_uid: IndexUid, node_id: NodeId, reason: str) -> None:
        """A replica misses something; it serves nothing of this index from now on."""
        ...
