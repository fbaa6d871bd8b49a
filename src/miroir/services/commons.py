"""
The one way to change the commons: opens an intent and waits for its end, as no task tells of it.

What the commons are is in `core/commons.py`. Their view is a `Cluster` of its own, which holds
nothing else: no list of indexes can show them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

import orjson

from miroir.core.broadcast_types import Phase
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeError, NodeUnreachable, NotEverywhere, Unavailable
from miroir.ports.node import NodeControl, NodeReply, NodeRequest
from miroir.ports.records import Intent, IntentKind
from miroir.services.cluster import Cluster, IndexView
from miroir.services.intake import Intake, Wish
from miroir.services.registrar import RefusedByNode

Result = TypeVar("Result")

_STATUS: Final[Mapping[str, int]] = {"api_key_already_exists": 409, "api_key_not_found": 404}


class Commons:
    """What features and keys share: their view, their lock, and the way to the nodes."""

    def __init__(
        self, *, intake: Intake, cluster: Cluster, control: NodeControl, wait_s: float
    ) -> None:
        self.cluster = cluster
        self.intake = intake
        self._control = control
        self._wait_s = wait_s

    def lock(self, uid: IndexUid) -> asyncio.Lock:
        """Return the lock under which changes of this object are judged and accepted."""
        return self.intake.lock(uid)

    def view(self, uid: IndexUid) -> IndexView | None:
        """Return the object as this process sees it; None before its first change."""
        return self.cluster.view.indexes.get(uid)

    def committed(self, uid: IndexUid) -> Mapping[str, Any] | None:
        """Return what every node should show now; None before the first commit."""
        index = self.view(uid)
        return index.record.settings if index is not None else None

    def wanted(self, uid: IndexUid) -> Mapping[str, Any]:
        """Return what the object will be when everything accepted has been carried out."""
        wanted = dict(self.committed(uid) or {})
        index = self.view(uid)
        for intent in index.accepted if index is not None else ():
            if not intent.state.undoing:
                wanted |= intent.patch
        return wanted

    def at_rest(self, uid: IndexUid) -> bool:
        """Whether nothing is under way and no healthy node is known to differ."""
        index = self.view(uid)
        if index is None or index.accepted or index.record.settings is None:
            return False
        proved = {n for n, v in index.proved.items() if v == index.record.version}
        return self.cluster.view.healthy <= proved

    async def open(
        self, uid: IndexUid, kind: IntentKind, patch: Mapping[str, Any], *, by: str, reason: str
    ) -> Intent:
        """
        Open an intent; to be called under the lock.

        A deletion goes to the nodes that answer, however few: one that returns is brought there
        before it serves. Anything else needs a cover.

        Raises:
            NotEverywhere: Too many nodes are down; nothing was touched.
        """
        topology, healthy = self.cluster.view.topology, self.cluster.view.healthy
        deletes = kind is IntentKind.DELETE
        if not (healthy if deletes else topology.covers(healthy)):
            raise NotEverywhere("Some shard has no node that answers.")
        there = tuple(n for n in topology.node_ids if n in healthy) if deletes else ()
        return await self.intake.open(uid, Wish(kind, by, patch, reason=reason, nodes=there))

    async def repair(self, uid: IndexUid, node_id: NodeId, reason: str) -> Intent:
        """Open an intent that brings one node back to what was committed."""
        wish = Wish(IntentKind.REPAIR, "steward", reason=reason, nodes=(node_id,))
        return await self.intake.open(uid, wish)

    async def carried(self, intent: Intent, what: str) -> None:
        """
        Return when the change has reached every node that could be reached.

        Raises:
            RefusedByNode: A node's own no; every node is as it was.
            NotEverywhere: It was taken back, or is still under way after `wait_s`.
        """
        try:
            async with asyncio.timeout(self._wait_s):
                phase = await self.intake.broadcaster.ended(intent.intent_id)
        except TimeoutError:
            raise NotEverywhere(
                f"{what}: accepted, but not confirmed by every node within {self._wait_s:g} s; "
                "it is still being carried out"
            ) from None
        if phase is Phase.CONVERGED:
            return
        ended = await self.intake.store.intent(intent.intent_id)
        error = ended.state.error or {}
        # A node that refuses our own key has another master key: it says nothing of the client's.
        if error.get("code", "miroir_").startswith("miroir_") or error.get("type") == "auth":
            raise NotEverywhere(f"{what}: could not be brought to every node ({_seen(ended)})")
        status = _STATUS.get(error["code"], 400)
        raise RefusedByNode(NodeReply(status, {}, orjson.dumps(dict(error))))

    async def ask_one(self, request: NodeRequest) -> NodeReply:
        """
        Return the answer of the first healthy node that gives one.

        Raises:
            Unavailable: Nobody answers.
        """
        return await self.on_one(lambda node_id: self.ask(node_id, request))

    async def ask(self, node_id: NodeId, request: NodeRequest) -> NodeReply:
        """
        Return a node's answer.

        Raises:
            NodeUnreachable: It gives none, or none that is meant for the client: it refuses our
                own key, so it has another master key.
        """
        reply = await self._control.forward(node_id, request)
        if reply.status == 403:
            raise NodeUnreachable(f"node {node_id} refuses the master key")
        return reply

    async def on_one(self, work: Callable[[NodeId], Awaitable[Result]]) -> Result:
        """
        Do something with the first healthy node that it can be done with.

        Raises:
            Unavailable: With none of them.
        """
        for node_id in self.cluster.view.topology.node_ids:
            if node_id in self.cluster.view.healthy:
                try:
                    return await work(node_id)
                except NodeError:
                    continue  # The health check will say so; the next node knows as well.
        raise Unavailable("no node answers")


def _seen(intent: Intent) -> str:
    """Say which node stands in the way, and why."""
    return "; ".join(
        f"{node_id}: {', '.join(p.faults) or p.state.value}"
        for node_id, p in intent.state.nodes.items()
        if p.faults or p.error
    )
