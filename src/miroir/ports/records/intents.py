"""Wanted changes, what their commits make true, and the versions that came of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from miroir.core.broadcast_types import Broadcast
from miroir.core.swaps import Swap, uids_of
from miroir.core.topology import IndexUid, NodeId
from miroir.ports.records.indexes import IndexRecord, Unconfirmed


class IntentKind(StrEnum):
    """What an intent wants. The values are stored: never rename one."""

    CHANGE = "change"
    ROLLBACK = "rollback"
    REPAIR = "repair"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    SWAP = "swap"
    RENAME = "rename"
    ADOPT = "adopt"
    """What the nodes show already becomes what is wanted: there is nothing to undo."""

    @property
    def moves_indexes(self) -> bool:
        """Whether uids change their content; such an intent holds its place in several queues."""
        return self in {IntentKind.SWAP, IntentKind.RENAME}

    @property
    def changes_settings(self) -> bool:
        """Whether its commit is a new version of the settings of an index that is there."""
        return self in {IntentKind.CHANGE, IntentKind.ROLLBACK}

    @property
    def leaves_settings(self) -> bool:
        """Whether nodes show the same settings all the time: what was proved stays proved."""
        return self is IntentKind.UPDATE


@dataclass(frozen=True)
class Care:
    """
    How carefully a change is made.

    Attributes:
        canary: Golden queries as the client wrote them (`core/canary.py`), or None.
        confirm_within_ms: Undone unless confirmed within this time from its commit on; None: not.
    """

    canary: Mapping[str, Any] | None = None
    confirm_within_ms: int | None = None


@dataclass(frozen=True)
class NewIntent:
    """
    One wanted change of one index, as it is first written.

    Attributes:
        index_uid: The index; of several, the first in the order of their uids.
        kind: See `IntentKind`.
        patch: As the client sent it, by setting key; resolved again when the intent starts.
        target: Complete settings it should lead to, as resolved last; empty for lifecycle kinds.
        undo: Complete settings to go back to on abort.
        primary_key: For CREATE and UPDATE.
        by: Who wants it: `client`, `reconciler`, ...
        reason: Why, in words.
        state: The machine before its first event.
        at_ms: When.
        swaps: Of SWAP and RENAME: the pairs, all or none.
        care: How carefully it is made.
    """

    index_uid: IndexUid
    kind: IntentKind
    patch: Mapping[str, Any]
    target: Mapping[str, Any]
    undo: Mapping[str, Any]
    primary_key: str | None
    by: str
    reason: str
    state: Broadcast
    at_ms: int
    swaps: tuple[Swap, ...] = field(default=(), kw_only=True)
    care: Care = field(default=Care(), kw_only=True)

    @property
    def index_uids(self) -> tuple[IndexUid, ...]:
        """Every index concerned, sorted."""
        return uids_of(self.swaps) or (self.index_uid,)


@dataclass(frozen=True)
class Intent(NewIntent):
    """
    A stored intent.

    Attributes:
        intent_id: Grows; the order of the queue of its index.
        base_version: Committed version when it started.
        task_uid: Miroir's task, or None (a repair, or not yet accepted).
        revision: Grows with every save; the expected value of the next compare-and-set.
        committed_version: Set by the commit itself, so that a crash right after it is seen.
        started_at_ms: When it was taken out of the queue, or None.
        closed_at_ms: When nothing more was to be done, or None.
    """

    intent_id: int
    base_version: int
    task_uid: int | None
    revision: int
    committed_version: int | None
    started_at_ms: int | None = None
    closed_at_ms: int | None = None


@dataclass(frozen=True)
class IntentQuery:
    """
    Which intents to list, newest first; an empty tuple is no restriction.

    Attributes:
        limit: At most so many.
        from_id: Start at this id, included.
        phases: As `Phase` spells them.
    """

    limit: int = 20
    from_id: int | None = None
    ids: tuple[int, ...] = ()
    index_uids: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()


@dataclass(frozen=True)
class IntentTask:
    """
    One ended node task of an intent; a node has several where a proposal was repeated or undone.

    Attributes:
        task_uid: Of the node.
        status: succeeded, failed or canceled.
        error: Meilisearch error object of a failed one.
        started_at_ms: By the node's own clock; None where it does not say.
        finished_at_ms: Likewise.
    """

    node_id: NodeId
    task_uid: int
    status: str
    error: Mapping[str, Any] | None = None
    started_at_ms: int | None = None
    finished_at_ms: int | None = None


@dataclass(frozen=True)
class CommitRecord:
    """
    What a commit makes true, in one transaction.

    Attributes:
        settings: New desired settings with true secrets, or None to leave them.
        fingerprints: Engine version -> fingerprint read back.
        proved: Node -> fingerprint, for every node verified; they serve the committed version.
        unproved: Nodes that are proved at nothing from now on; after a creation out of sync, too.
        raise_version: Whether the settings version grows by one (a repair's does not).
        diff: Setting key -> [old, new], secrets masked, for the history.
        primary_key: New primary key, or None to leave it.
        deleted: Whether the index ends here.
        task_details: Details of the succeeded task, secrets masked.
        unconfirmed: Whether and until when the new version waits to be confirmed.
    """

    settings: Mapping[str, Any] | None
    fingerprints: Mapping[str, str]
    proved: Mapping[NodeId, str]
    unproved: tuple[NodeId, ...]
    raise_version: bool
    diff: Mapping[str, Any]
    primary_key: str | None
    deleted: bool
    task_details: Mapping[str, Any]
    at_ms: int
    unconfirmed: Unconfirmed | None = None


@dataclass(frozen=True)
class MovedIndex:
    """
    One uid as a swap leaves it.

    Attributes:
        record: The whole row: what another uid held before, under the next version of this one;
            or a tombstone with the last version.
        proved: Node -> fingerprint, for nodes that show these settings; all others are proved at
            nothing.
        out_of_sync: Node -> why; every mark that there is from now on.
        diff: Setting key -> [old, new] of this uid, secrets masked, for the history.
    """

    record: IndexRecord
    proved: Mapping[NodeId, str]
    out_of_sync: Mapping[NodeId, str]
    diff: Mapping[str, Any]


@dataclass(frozen=True)
class SwapRecord:
    """What the commit of a swap makes true for all its uids, in one transaction."""

    indexes: tuple[MovedIndex, ...]
    task_details: Mapping[str, Any]
    at_ms: int


@dataclass(frozen=True)
class NodeVersion:
    """What a node is proved to serve for one index; `version` None after a demotion."""

    index_uid: IndexUid
    node_id: NodeId
    version: int | None
    fingerprint: str | None
    verified_at_ms: int


@dataclass(frozen=True)
class HistoryEntry:
    """One committed settings version."""

    index_uid: IndexUid
    version: int
    fingerprints: Mapping[str, str]
    diff: Mapping[str, Any]
    kind: str
    by: str
    reason: str
    intent_id: int
    at_ms: int
