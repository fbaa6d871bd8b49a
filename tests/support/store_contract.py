"""
Runs one scene against every implementation of the store, and values for such scenes.

`@contract` turns an async scene (it takes an open store) into a test of each kind. Values are
small and fixed: one index, two nodes, times that can be told apart.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from miroir.adapters.store_seal import AesSeal
from miroir.adapters.store_sqlite import open_store
from miroir.core.broadcast_types import Broadcast, Decision, NodeState, Phase, Progress
from miroir.core.topology import IndexUid, NodeId, ShardId
from miroir.ports.records import (
    CommitRecord,
    Intent,
    IntentKind,
    Lease,
    NewIntent,
    NewTask,
    NodeTaskRecord,
    NodeVersion,
    TaskRecord,
    WritePart,
)
from miroir.ports.store import Store
from tests.support.memory_store import MemoryStore

KINDS: Final = ("memory", "sqlite")
MOVIES: Final = IndexUid("movies")
A: Final = NodeId("a")
B: Final = NodeId("b")
ENGINE: Final = "1.50.0"
NOW_MS: Final = 5_000
"""Wall time of the store in every scene."""


class FixedClock:
    """A clock that stands still until it is set."""

    def __init__(self, now_ms: int = NOW_MS) -> None:
        self.now_ms = now_ms

    def monotonic_s(self) -> float:
        """See `Clock.monotonic_s`."""
        return self.now_ms / 1000

    def wall_ms(self) -> int:
        """See `Clock.wall_ms`."""
        return self.now_ms

    async def sleep(self, duration_s: float) -> None:
        """See `Clock.sleep`: time jumps."""
        self.now_ms += round(duration_s * 1000)


async def open_kind(kind: str, directory: Path, clock: FixedClock) -> Store:
    """Open an empty store of one kind."""
    if kind == "memory":
        return MemoryStore(clock)
    return await open_store(directory, seal=AesSeal("a secret"), clock=clock)


def contract(scene: Callable[[Store], Awaitable[None]]) -> Callable[..., None]:
    """Make a scene a test of every kind of store."""

    async def play(kind: str, directory: Path) -> None:
        store = await open_kind(kind, directory, FixedClock())
        try:
            await scene(store)
        finally:
            await store.aclose()

    @pytest.mark.parametrize("kind", KINDS)
    def test(kind: str, tmp_path: Path) -> None:
        asyncio.run(play(kind, tmp_path))

    test.__name__, test.__doc__ = scene.__name__, scene.__doc__
    return test


# ---- values


def machine(**changes: Any) -> Broadcast:
    """Return a machine over one shard with two nodes, before its first event."""
    state = Broadcast(MOVIES, columns=((A, B),), waves=((A, B),), expected={ENGINE: "f1"})
    return replace(state, **changes)


def verified(seen: str = "f1") -> Progress:
    """Return a node read back as expected."""
    return Progress(NodeState.VERIFIED, 7, seen, ENGINE, proposals=1)


def committing() -> Broadcast:
    """Return a machine that asks for its commit."""
    nodes = {A: verified(), B: verified()}
    return machine(phase=Phase.COMMITTING, round=1, nodes=nodes)


def converged(version: int) -> Broadcast:
    """Return a machine that has committed and ended."""
    return replace(committing(), phase=Phase.CONVERGED, decision=Decision.COMMIT, version=version)


def new_intent(
    index_uid: IndexUid = MOVIES, kind: IntentKind = IntentKind.CHANGE, **changes: Any
) -> NewIntent:
    """Return a wanted change."""
    intent = NewIntent(
        index_uid=index_uid,
        kind=kind,
        patch={"stopWords": ["the"]},
        target={"stopWords": ["the"], "synonyms": {}},
        undo={"stopWords": [], "synonyms": {}},
        primary_key=None,
        by="client",
        reason="a test",
        state=machine(),
        at_ms=1,
    )
    return replace(intent, **changes)


def new_task(index_uid: IndexUid | None = MOVIES, **changes: Any) -> NewTask:
    """Return a task without a uid."""
    task = NewTask(index_uid, "settingsUpdate", {"stopWords": ["the"]}, 2, custom_metadata=None)
    return replace(task, **changes)


def commit_record(**changes: Any) -> CommitRecord:
    """Return what a commit of both nodes makes true."""
    record = CommitRecord(
        settings={"stopWords": ["the"], "synonyms": {}},
        fingerprints={ENGINE: "f1"},
        proved={A: "f1", B: "f1"},
        unproved=(),
        raise_version=True,
        diff={"stopWords": [[], ["the"]]},
        primary_key=None,
        deleted=False,
        task_details={"stopWords": ["the"]},
        at_ms=9,
    )
    return replace(record, **changes)


def share(task: TaskRecord, node_id: NodeId, status: str, **changes: Any) -> NodeTaskRecord:
    """Return a node's share of a write to shard 0."""
    return replace(NodeTaskRecord(task.uid, node_id, ShardId(0), None, status), **changes)


def part(body: bytes = b'[{"id":1}]') -> WritePart:
    """Return one shard's part of a document write."""
    return WritePart(ShardId(0), "POST", "/indexes/movies/documents", "application/json", body)


# ---- steps that most scenes need


async def lead(store: Store, holder: str = "first") -> Lease:
    """Lead the index for a second from moment 0 on."""
    lease = await store.take_lease("index:movies", holder, ttl_ms=1_000, now_ms=0)
    assert lease is not None
    return lease


async def depose(store: Store) -> Lease:
    """Let another process lead, after the first one's lease has run out."""
    lease = await store.take_lease("index:movies", "second", ttl_ms=1_000, now_ms=1_000)
    assert lease is not None
    return lease


async def started(store: Store, lease: Lease, wanted: NewIntent | None = None) -> Intent:
    """Open, accept and start an intent."""
    wanted = wanted or new_intent()
    opened, _ = await store.accept_intent(wanted, new_task(wanted.index_uid))
    return await store.start_intent(opened, lease)


async def commit_once(store: Store, lease: Lease, record: CommitRecord | None = None) -> int:
    """Carry an intent to its end; return the committed version."""
    intent = await started(store, lease)
    intent = await store.save_intent(intent, committing(), lease)
    version = await store.commit(intent, record or commit_record(), lease)
    await store.save_intent(intent, converged(version), lease)
    return version


async def proved(store: Store) -> dict[NodeId, int | None]:
    """Return what each node is proved at."""
    return {known.node_id: known.version for known in await store.node_versions()}


async def version_of(store: Store, node_id: NodeId) -> NodeVersion:
    """Return what is known of one node."""
    (found,) = [known for known in await store.node_versions() if known.node_id == node_id]
    return found
