"""
What a document write becomes before it is sent: its path on nodes, its shares, what it waits for.

Decisions only: nothing here stores or sends.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from miroir.core.consistency import Consistency, replicas_needed, shortage_text
from miroir.core.routing import write_targets
from miroir.core.settings import EMBEDDERS
from miroir.core.topology import IndexUid, NodeId, ShardId
from miroir.errors import NoCoveringSet, TooFewReplicas
from miroir.ports.records import Intent, IntentKind, NodeTaskRecord, WritePart
from miroir.services.cluster import IndexView, View


@dataclass(frozen=True)
class Terms:
    """
    Under which terms a write is accepted.

    Attributes:
        custom_metadata: The `customMetadata` parameter, or None.
        level: How many replicas must have it before it is acknowledged.
    """

    custom_metadata: str | None = None
    level: Consistency = "one"


@dataclass(frozen=True)
class DocumentsWrite:
    """
    A request that adds, replaces or updates documents.

    Attributes:
        index_uid: The index.
        method: POST replaces, PUT updates.
        body: Decompressed.
        content_type: As it came.
        primary_key: The `primaryKey` parameter, or None.
        csv_delimiter: The `csvDelimiter` parameter, or None.
        custom_metadata: The `customMetadata` parameter, or None.
        skip_creation: The `skipCreation` parameter, or None.
        level: How many replicas must have it before it is acknowledged.
    """

    index_uid: IndexUid
    method: str
    body: bytes
    content_type: str | None
    primary_key: str | None = None
    csv_delimiter: str | None = None
    custom_metadata: str | None = None
    skip_creation: str | None = None
    level: Consistency = "one"

    @property
    def terms(self) -> "Terms":
        """What it is accepted under."""
        return Terms(self.custom_metadata, self.level)


def documents_path(write: DocumentsWrite, primary_key: str) -> str:
    """Return where nodes are sent documents: with the key that was found, whatever was asked."""
    parameters = {
        "primaryKey": primary_key,
        "csvDelimiter": write.csv_delimiter,
        "skipCreation": write.skip_creation,
    }
    given = urlencode({k: v for k, v in parameters.items() if v is not None})
    return f"/indexes/{quote(write.index_uid)}/documents?{given}"


def is_lifecycle(intent: Intent) -> bool:
    """Whether it decides if the index exists, and what its primary key is."""
    return not (intent.kind.changes_settings or intent.kind is IntentKind.REPAIR)


_JUDGED_BY_SETTINGS: Final = (b"_vectors", b"_geo")
"""Fields for which one settings object takes a document and another refuses it."""


def is_judged_by_settings(body: bytes) -> bool:
    """Whether documents may end differently before and after a change of settings."""
    return any(name in body for name in _JUDGED_BY_SETTINGS)


def always() -> bool:
    """Whatever the body: a filter or a function may look at anything."""
    return True


def never() -> bool:
    """Whatever the body."""
    return False


def changes_meaning(intent: Intent) -> bool:
    """Whether documents written before and after this change end up differently."""
    return intent.kind.changes_settings and EMBEDDERS in intent.patch


def shares_of(
    view: View, index: IndexView, parts: Sequence[WritePart], level: Consistency
) -> tuple[NodeTaskRecord, ...]:
    """
    Every replica of every shard concerned; each shard needs some that are in sync and up.

    Who of them takes writes is decided when the part is sent: a replica may begin to catch up
    between now and then.

    Raises:
        NoCoveringSet: A shard has none.
        TooFewReplicas: A shard has fewer than the level wants.
    """
    needed = replicas_needed(level, view.topology.group_count)
    shares: list[NodeTaskRecord] = []
    for part in parts:
        targets = write_targets(view.topology, part.shard_id)
        ready = len(view.ready(index).intersection(targets))
        if not ready:
            raise NoCoveringSet(
                f"no replica of shard {part.shard_id} can take the write", (part.shard_id,)
            )
        if ready < needed:
            raise TooFewReplicas(
                f"Shard {part.shard_id} has {ready} replicas in sync, and this write has to "
                f"reach {needed} (`{level}`). Nothing was written."
            )
        shares += [_unsent(node_id, part.shard_id) for node_id in targets]
    return tuple(shares)


def shortage(view: View, index: IndexView) -> str:
    """Return which shards have fewer replicas in sync and up than replica groups; see the text."""
    return _shortage(view, view.ready(index))


def _shortage(view: View, ready: frozenset[NodeId]) -> str:
    present = {
        ShardId(shard): len(ready.intersection(column))
        for shard, column in enumerate(view.topology.columns)
    }
    return shortage_text(present, view.topology.group_count)


def any_shortage(view: View) -> str:
    """Return which shards are short of replicas for some index; without any, of nodes."""
    ready = view.healthy
    for index in view.indexes.values():
        ready = ready & view.ready(index)
    return _shortage(view, ready)


def _unsent(node_id: NodeId, shard_id: ShardId) -> NodeTaskRecord:
    return NodeTaskRecord(
        task_uid=0, node_id=node_id, shard_id=shard_id, node_task_uid=None, status="unsent"
    )


_LOOP_BYTES_MAX: Final = 1 << 20


async def off_the_loop(size_bytes: int, function: Any, *arguments: Any) -> Any:
    """Run a pure function; in a thread when the payload is large enough to stall the loop."""
    if size_bytes <= _LOOP_BYTES_MAX:
        return function(*arguments)
    return await asyncio.to_thread(function, *arguments)
