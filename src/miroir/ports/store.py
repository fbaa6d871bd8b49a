"""
What must survive a restart, as the services see it.

Contract: every method is one transaction, durable when it returns (also against kill -9). Methods
that take a `Lease` are guarded: they raise `LeaseLost` and change nothing when the store knows a
higher epoch of that scope. `save_intent`, `commit` and `freeze` also compare `revision` and raise
`LeaseLost` when someone else has saved meanwhile: for the caller both mean "deposed, stop". Lists
are ordered as stated. A repeated `commit` of one intent returns the same version and changes
nothing. `Unavailable` means that the disk or the database failed and nothing was changed. Settings
that hold a secret which the store has no key for are refused (`RequestRefused`) before anything is
written. Whatever else a caller can only get wrong by a bug fails an assertion.

Opening a store whose former process is proved dead takes every lease from it: the next
`take_lease` succeeds at once, under the next epoch. A caller that is cancelled cannot know whether
the transaction took place.
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
    IntentQuery,
    IntentTask,
    Lease,
    NewIntent,
    NewTask,
    NodeTaskRecord,
    NodeVersion,
    SwapRecord,
    TaskRecord,
    WritePart,
)
from miroir.ports.task_store import TaskStore


class Store(TaskStore, Protocol):
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

        Free or expired, also after `holder` itself: the epoch grows by one. Still held by
        `holder`: extended, epoch kept. Held by another: None.
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
        """Demote nodes: proved at no version of this index; who never was stays unlisted."""
        ...

    async def prove(
        self, index_uid: IndexUid, proved: Mapping[NodeId, str], *, version: int, at_ms: int
    ) -> bool:
        """
        Record nodes read back (node -> fingerprint) at `version`.

        False, and nothing changed, if `version` is not the committed one or an intent is open.
        """
        ...

    async def learn(
        self,
        index_uid: IndexUid,
        *,
        version: int,
        engine: str,
        fingerprint: str,
        settings: Mapping[str, Any],
    ) -> IndexRecord | None:
        """
        Add what a further engine class shows for the committed version.

        Keys of `settings` that the desired settings lack are added to them; others stay. None, and
        nothing changed, if `version` is not the committed one, an intent is open, or the version
        has a fingerprint of this class already.
        """
        ...

    async def history(
        self, index_uid: IndexUid, *, limit: int | None = None, from_version: int | None = None
    ) -> tuple[HistoryEntry, ...]:
        """
        Return committed versions, newest first, those from before a deletion included.

        At most `limit` (None: all), beginning with `from_version` or the next older one.
        """
        ...

    async def settings_of(self, index_uid: IndexUid, version: int) -> Mapping[str, Any] | None:
        """
        Return the complete settings of a committed version, with true secrets.

        None if there is no such version, or it was committed by a release that did not keep them.
        """
        ...

    async def confirm(self, index_uid: IndexUid, version: int) -> bool:
        """Keep a committed version for good; False if it is not the last, or does not wait."""
        ...

    async def thaw(self, index_uid: IndexUid) -> None:
        """Let document writes through again; an unknown index is nothing to thaw."""
        ...

    async def expected(self, target_hash: str, engine: str) -> Mapping[str, Any] | None:
        """Return what a probe of this engine showed for a target once: its read-back."""
        ...

    async def keep_expected(
        self, target_hash: str, engine: str, read_back: Mapping[str, Any]
    ) -> None:
        """Keep what a probe showed, for ever; the first one stays."""
        ...

    # ---- intents

    async def open_intent(self, intent: NewIntent) -> Intent:
        """
        Write a wanted change; it queues behind older open ones of its index.

        `base_version` is what is committed now, until the start says better.
        """
        ...

    async def accept_intent(self, intent: NewIntent, task: NewTask) -> tuple[Intent, TaskRecord]:
        """
        Open an intent that a client is promised: together with its task, enqueued.

        One transaction: no crash leaves a change that is carried out and has no task.
        """
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

    async def find_intents(self, query: IntentQuery) -> tuple[Intent, ...]:
        """List intents, open or closed, newest first."""
        ...

    async def intent_tasks(
        self, intent_ids: tuple[int, ...]
    ) -> Mapping[int, tuple[IntentTask, ...]]:
        """Return the ended node tasks of intents, by node and task uid; no tasks: no entry."""
        ...

    async def start_intent(self, intent: Intent, lease: Lease) -> Intent:
        """
        Save target, undo, base_version and state as given; guarded.

        Also marks the task as processing. At most one open intent of an index is ever started (of
        each, where it moves several), and its `base_version` is the committed version: anything
        else is a bug. Compares `revision`; returns the intent with its new one.
        """
        ...

    async def save_intent(
        self,
        intent: Intent,
        state: Broadcast,
        lease: Lease,
        *,
        ended: tuple[IntentTask, ...] = (),
    ) -> Intent:
        """
        Advance the machine; guarded.

        Keeps the node tasks that have `ended` since the last save; a repeated one replaces itself.

        In the same transaction every node that `state` has touched is unproved (unless the kind
        of intent leaves settings alone), but for those
        verified in the direction of the decision: after the commit they are proved at the
        committed version, in an abort at `base_version` again (if there is a way back, or the
        intent is a repair: without one the verified nodes show the target). Only the save that
        brings verification or decision proves: whoever was unproved since stays so. A closed
        state that was not committed fails the task with `state.error`. A decision to commit is
        saved only after `commit`, one to abort never after it.

        Of an intent that moves indexes this holds for all of them, but that nothing is proved here
        (`commit_swap` does, or who reads the nodes afterwards). When it is aborted, nodes that may
        have done what was asked, and were not brought back, are out of sync for all of them.
        """
        ...

    async def commit(self, intent: Intent, record: CommitRecord, lease: Lease) -> int:
        """
        Make the change true and its task succeeded; guarded; exactly once per intent.

        Returns the committed version. The version number grows by exactly one if
        `record.raise_version`, and is bound to these fingerprints for ever, also if the index is
        deleted and created again; a commit that does not raise it may add engines only. Ends a
        freeze. `record.deleted` leaves a tombstone with the version, and proves no node any more;
        no replica misses anything of it. A creation begins with the nodes in `record.unproved`
        out of sync, and no other: they do not have the index, and will miss what is written.
        """
        ...

    async def commit_swap(self, intent: Intent, record: SwapRecord, lease: Lease) -> int:
        """
        Exchange what uids hold, and make the task succeeded; guarded; exactly once per intent.

        Rows, proofs and marks of every uid of the intent become those given. The version of each
        uid that lives on grows by one; a tombstone keeps it. Tasks from before are found under the
        uid that their index has now. Returns the version of `intent.index_uid`.
        """
        ...

    async def freeze(self, intent: Intent, reason: str, lease: Lease) -> None:
        """
        Refuse document writes to the index until `thaw` or the next commit; guarded.

        An index that was never committed has no writes to refuse: nothing changes.
        """
        ...

    # ---- tasks and document writes

    async def open_task(
        self,
        task: NewTask,
        *,
        status: str = "enqueued",
        error: Mapping[str, Any] | None = None,
    ) -> TaskRecord:
        """
        Give out the next uid.

        `succeeded` for what needs no work, `failed` with an `error` for what cannot be done: both
        are started and finished now.
        """
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

        When no share of the write is unsent any more, its parts are deleted. The first reason of a
        node stays.
        """
        ...

    async def unfinished_writes(
        self,
    ) -> tuple[tuple[TaskRecord, tuple[WritePart, ...], tuple[NodeTaskRecord, ...]], ...]:
        """
        Return document writes whose task has not ended, oldest first, with all their shares.

        Of the parts, those that still have an unsent share.
        """
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
        """
        End a task that has not ended; repetition changes nothing.

        One that was never started is taken as started now. One that ends as `canceled` and was
        recalled was cancelled by whoever recalled it.
        """
        ...

    async def unfinished_tasks(self) -> Mapping[str, int]:
        """Return how many tasks have not ended, by status (a status without any is left out)."""
        ...

    # ---- replicas

    async def out_of_sync(self) -> Mapping[tuple[IndexUid, NodeId], str]:
        """Return the replicas that miss writes, with the reason."""
        ...

    async def set_in_sync(self, index_uid: IndexUid, node_id: NodeId) -> None:
        """A replica has been brought up from a sibling."""
        ...

    async def set_out_of_sync(self, index_uid: IndexUid, node_id: NodeId, reason: str) -> None:
        """A replica misses something and serves nothing of this index; the first reason stays."""
        ...
