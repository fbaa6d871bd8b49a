"""
How far nodes are with the tasks of open changes, as they tell themselves (`GET /batches`).

Asked only when somebody looks, and at most once in `_FRESH_S` for each node, whoever looks and
however many changes are open: a node works on one batch at a time. A batch cannot be found by its
tasks before it has ended (queue/batches.rs in the engine), so it is known by its index and kind.
No answer in `_ANSWER_MAX_S` is "not known". The percentage counts steps, and steps are not equally
long, so the time left is a straight line through two looks that lie well apart: an estimate, and
called so wherever it is shown.

Nothing is decided by what is here, and nothing is stored.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from miroir.core.broadcast_types import NodeState
from miroir.core.estimate import Pace, paced
from miroir.core.topology import NodeId
from miroir.errors import NodeError
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl, NodeRequest
from miroir.ports.records import Intent

_FRESH_S: Final = 0.5
_ANSWER_MAX_S: Final = 2.0
_PATH: Final = "/batches?statuses=processing&limit=1"
_KIND: Final = "settingsUpdate"


@dataclass(frozen=True)
class BatchProgress:
    """
    The batch that a node works on.

    Attributes:
        index_uids: Indexes that it is about.
        percentage: 0 to 100.
        step: What is being done, in the engine's words, from the outermost inwards.
        left_s: An estimate; None before two looks have seen it move.
    """

    uid: int
    index_uids: frozenset[str]
    percentage: float
    step: str
    left_s: float | None = None


@dataclass(frozen=True)
class _Seen:
    """One look at one node."""

    at_s: float
    batch: BatchProgress | None = None
    pace: Pace | None = None


class ProgressReader:
    """Asks nodes; remembers the last look at each."""

    def __init__(self, *, control: NodeControl, clock: Clock) -> None:
        self._control = control
        self._clock = clock
        self._seen: dict[NodeId, _Seen] = {}
        self._locks: dict[NodeId, asyncio.Lock] = {}

    async def of(self, intents: Iterable[Intent]) -> Mapping[tuple[int, NodeId], BatchProgress]:
        """Return, by intent id and node, the batches that carry open intents now."""
        wanted = list(_waiting(intents))
        async with asyncio.TaskGroup() as group:
            nodes = {node_id for _, node_id in wanted}
            asked = {node_id: group.create_task(self._look(node_id)) for node_id in nodes}
        found: dict[tuple[int, NodeId], BatchProgress] = {}
        for intent, node_id in wanted:
            batch = asked[node_id].result()
            if batch is not None and intent.index_uid in batch.index_uids:
                found[intent.intent_id, node_id] = batch
        return found

    async def _look(self, node_id: NodeId) -> BatchProgress | None:
        async with self._locks.setdefault(node_id, asyncio.Lock()):
            known, now_s = self._seen.get(node_id), self._clock.monotonic_s()
            if known and now_s < known.at_s + _FRESH_S:
                return known.batch
            batch = await self._ask(node_id)
            at_s = self._clock.monotonic_s()
            seen = _Seen(at_s)
            if batch is not None:
                pace = paced(known.pace if known else None, batch.uid, batch.percentage, at_s)
                seen = _Seen(at_s, replace(batch, left_s=pace.left_s), pace)
            self._seen[node_id] = seen
            return seen.batch

    async def _ask(self, node_id: NodeId) -> BatchProgress | None:
        try:
            async with asyncio.timeout(_ANSWER_MAX_S):
                reply = await self._control.forward(node_id, NodeRequest("GET", _PATH))
        except (NodeError, TimeoutError):
            return None  # Not known; whoever carries the change finds out what is the matter.
        return _read(reply.body) if reply.status == 200 else None  # Before 1.12 there is none.


def _waiting(intents: Iterable[Intent]) -> Iterable[tuple[Intent, NodeId]]:
    for intent in intents:
        if not intent.state.closed:
            for node_id, part in intent.state.nodes.items():
                if part.state is NodeState.SENT:
                    yield intent, node_id


def _read(body: bytes) -> BatchProgress | None:
    """Return what an answer tells; None if nothing is in work, or it has another form."""
    try:
        rows: list[Any] = orjson.loads(body)["results"]
        if not rows or rows[0].get("progress") is None or _KIND not in rows[0]["stats"]["types"]:
            return None  # Idle, or at work on something else.
        row, told = rows[0], rows[0]["progress"]
        steps = " > ".join(str(step["currentStep"]) for step in told["steps"])
        percentage = min(100.0, max(0.0, float(told["percentage"])))
        return BatchProgress(
            int(row["uid"]), frozenset(row["stats"]["indexUids"]), percentage, steps
        )
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError, AttributeError):
        return None  # For people to look at; of an engine that says it otherwise, nothing.
