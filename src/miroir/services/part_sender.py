"""
Sends one part of a write to the replicas of its shard at once, and gathers their answers.

    written to all ─▶ each answer: taken | refused | none
                      └▶ found down, while a sibling has taken it ─▶ none, now

A part is waited for longer than a search: a node that only works hard must not lose its place. But
once a sibling has it, a node that does not even answer its health check is not waited for, or
every write behind this one would wait, too.

A part that must not be carried out twice (an edit by function) is looked for on a node before it
is sent there again, by its tag. What an engine that keeps no tags (before 1.26) has done cannot be
looked for: it is sent again. Who is in sync, and what an answer means, is decided elsewhere.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import quote

import orjson
import structlog

from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeError
from miroir.ports.node import NodeReply, NodeRequest, NodeTransport
from miroir.ports.records import WritePart
from miroir.services.arrivals import Arrivals
from miroir.services.cluster import Cluster
from miroir.services.health import Health
from miroir.services.strays import Strays, Tag, keeps_tags

_LOOK_S: Final = 1.0
_log = structlog.get_logger(__name__)

Call = asyncio.Future[NodeReply]
Replies = Mapping[NodeId, NodeReply | None]
"""By node; None for no answer, or one that says nothing about what the node did."""


@dataclass(frozen=True)
class Sending:
    """
    One part on its way.

    Attributes:
        tag: What it is recognized by on nodes; None: nobody is to be asked.
        again: Whether a node may have it already.
    """

    index_uid: IndexUid
    part: WritePart
    tag: Tag | None
    arrivals: Arrivals
    again: bool


def must_not_repeat(part: WritePart) -> bool:
    """Whether it makes a difference how often a node carries a part out."""
    return part.path.split("?", 1)[0].endswith("/documents/edit")


class PartSender:
    """Writes to nodes."""

    def __init__(
        self,
        *,
        transport: NodeTransport,
        cluster: Cluster,
        health: Health,
        strays: Strays,
        timeout_s: float,
    ) -> None:
        self._transport = transport
        self._cluster = cluster
        self._health = health
        self._strays = strays
        self._timeout_s = timeout_s

    async def to_all(self, sending: Sending, node_ids: Sequence[NodeId]) -> Replies:
        """Write to every node, then await every answer."""
        replies: dict[NodeId, NodeReply | None] = {}
        if must_not_repeat(sending.part):
            replies = await self._not_to_be_sent(sending, node_ids)
        calls = {n: self._call(sending, n) for n in node_ids if n not in replies}
        given_up: set[NodeId] = set()
        timer = _Timer(partial(self._give_up, calls, given_up))
        try:
            for node_id, call in calls.items():
                replies[node_id] = await self._reply(node_id, call, given_up)
        finally:
            timer.stop()
            for call in calls.values():
                call.cancel()  # Only at the end of the process are there any left.
        return replies

    async def _not_to_be_sent(
        self, sending: Sending, node_ids: Sequence[NodeId]
    ) -> dict[NodeId, NodeReply | None]:
        """Return the answers of nodes that have the part already, or that nobody knows yet."""
        known = self._cluster.view.engines
        # A node that has not answered since the start may keep tags: without one it is not asked.
        replies: dict[NodeId, NodeReply | None] = dict.fromkeys(
            n for n in node_ids if n not in known
        )
        if sending.again:
            for node_id in [n for n in node_ids if n not in replies]:
                if (reply := await self._had(sending, node_id)) is not _NEW:
                    replies[node_id] = reply
        return replies

    def _call(self, sending: Sending, node_id: NodeId) -> Call:
        request = self._request(node_id, sending.part, sending.tag)
        call = asyncio.ensure_future(
            self._transport.send(node_id, request, timeout_s=self._timeout_s)
        )
        call.add_done_callback(partial(_note, sending, node_id))
        return call

    def _request(self, node_id: NodeId, part: WritePart, tag: Tag | None) -> NodeRequest:
        path = part.path
        if tag is not None and _takes_tags(part) and self._keeps_tags(node_id):
            path += ("&" if "?" in path else "?") + f"customMetadata={quote(str(tag))}"
        return NodeRequest(part.method, path, part.body, part.content_type, lasting=True)

    def _keeps_tags(self, node_id: NodeId) -> bool:
        return keeps_tags(self._cluster.view.engines.get(node_id, ""))

    async def _reply(self, node_id: NodeId, call: Call, given_up: set[NodeId]) -> NodeReply | None:
        try:
            reply = await call
        except NodeError as error:
            _log.info("write_unanswered", node=node_id, why=str(error))
            self._health.suspect(node_id)
            return None
        except asyncio.CancelledError:
            if node_id not in given_up:
                raise
            _log.info("write_given_up", node=node_id)  # It is down, and a sibling has the part.
            return None
        return reply if reply.status < 500 else None

    def _give_up(self, calls: Mapping[NodeId, Call], given_up: set[NodeId]) -> None:
        healthy = self._cluster.view.healthy
        if not any(_is_taken(call) for call in calls.values()):
            return
        for node_id, call in calls.items():
            if node_id not in healthy and not call.done():
                given_up.add(node_id)
                call.cancel()

    async def _had(self, sending: Sending, node_id: NodeId) -> NodeReply | None:
        """Return the answer that a node gave, or would have given, to this part before."""
        if sending.tag is None or not self._keeps_tags(node_id):
            return _NEW
        try:
            uid = await self._strays.find(node_id, sending.index_uid, sending.tag)
        except NodeError as error:
            _log.info("write_not_looked_for", node=node_id, why=str(error))
            return None
        if uid is None:
            return _NEW
        sending.arrivals.note(sending.part.shard_id, node_id)
        return NodeReply(202, {}, orjson.dumps({"taskUid": uid}))


_NEW: Final = NodeReply(0, {}, b"")
"""No answer at all: the node has never seen the part."""


class _Timer:
    """Calls something once a second until it is stopped."""

    __slots__ = ("_call", "_handle", "_loop")

    def __init__(self, call: "partial[None]") -> None:
        self._call = call
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_later(_LOOK_S, self._ring)

    def _ring(self) -> None:
        self._call()
        self._handle = self._loop.call_later(_LOOK_S, self._ring)

    def stop(self) -> None:
        self._handle.cancel()


def _takes_tags(part: WritePart) -> bool:
    """Whether the route has the parameter: those of documents."""
    return "/documents" in part.path


def _is_taken(call: Call) -> bool:
    if not call.done() or call.cancelled() or call.exception() is not None:
        return False
    return call.result().status < 400


def _note(sending: Sending, node_id: NodeId, call: Call) -> None:
    if _is_taken(call):
        sending.arrivals.note(sending.part.shard_id, node_id)
