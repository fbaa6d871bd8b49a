"""
What every carrier is, and what several of them need to say what a commit makes true.

Nothing here knows a kind of intent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import quote

import orjson

from miroir.core.broadcast_types import Broadcast, NodeState
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeUnreachable
from miroir.ports.node import NodeControl, NodeRequest, Settings
from miroir.ports.records import CommitRecord, SwapRecord


@dataclass(frozen=True)
class ReadBack:
    """
    What a node shows.

    Attributes:
        fingerprint: Of what it shows.
        faults: In words, what is not as it should be; empty if all is.
        engine: The engine class that the read-back itself tells; None: it tells none.
    """

    fingerprint: str
    faults: tuple[str, ...]
    engine: str | None = None


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

    def commit(self, state: Broadcast) -> CommitRecord | SwapRecord:
        """Say what becomes true when the verified nodes of `state` are committed."""
        ...


INDEX_TYPES: Final = "settingsUpdate,indexCreation,indexUpdate,indexDeletion,indexSwap"
DOCUMENT_TYPES: Final = "documentAdditionOrUpdate,documentEdition,documentDeletion"


async def unfinished(
    control: NodeControl, node_id: NodeId, index_uid: IndexUid, *, types: str = INDEX_TYPES
) -> int | None:
    """
    Return the newest task of these types that a node has not ended for an index, or None.

    What a node shows is no evidence while such a task is queued: a request whose answer was lost,
    or that of a dead leader, may be waiting behind others.
    """
    query = f"indexUids={quote(index_uid)}&types={types}&statuses=enqueued,processing&limit=1"
    reply = await control.forward(node_id, NodeRequest("GET", f"/tasks?{query}"))
    try:
        tasks: list[Mapping[str, Any]] = orjson.loads(reply.body)["results"]
        return int(tasks[0]["uid"]) if tasks else None
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise NodeUnreachable(f"node {node_id}: an unexpected list of tasks") from error


def first_shown(state: Broadcast, shown: Mapping[NodeId, Settings]) -> Settings:
    """Return the settings of the first verified node that was read in this run."""
    for node_id in state.verified:
        if node_id in shown:
            return shown[node_id]
    raise AssertionError("a commit needs a verified node that was read in this run")


def by_engine(state: Broadcast) -> dict[str, str]:
    """Return engine -> fingerprint, as the verified nodes show it."""
    progress = (state.nodes[n] for n in state.verified)
    return {p.engine or "": p.fingerprint or "" for p in progress}


def proofs(state: Broadcast) -> dict[NodeId, str]:
    """Return node -> fingerprint for the verified nodes."""
    return {n: state.nodes[n].fingerprint or "" for n in state.verified}


def left_behind(state: Broadcast) -> tuple[NodeId, ...]:
    """Nodes of the waves before the commit that are not verified: quarantined until repaired."""
    waves = {n for wave in state.waves[: state.commit_after] for n in wave}
    return tuple(
        n
        for n, p in state.nodes.items()
        if n in waves and p.state not in {NodeState.VERIFIED, NodeState.UNTOUCHED}
    )
