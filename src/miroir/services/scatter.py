"""
Asks one covering set: one request, one usable node per shard, all their answers.

One view decides who is asked. A node that does not answer leaves the choice at once and a new
covering set is asked; a node that says "overloaded", or has lost the index, is passed over for
this request. When the answers are there, the view is looked at again: if a node has left the
version that the cover was chosen at, even if it is back by now, the answers may mix versions and
are asked anew, and flagged if that cannot be avoided. That keeps the header true.
"""

import asyncio
from typing import Final, Protocol

import msgspec
import orjson
import structlog

from miroir.core.routing import Candidates, Choices, Cover, WhenNoCover, choices
from miroir.core.topology import IndexUid, NodeId, ShardId, Topology
from miroir.errors import (
    IndexNotFound,
    NoCoveringSet,
    NodeError,
    SettingsVersionStale,
    TimeIsUp,
)
from miroir.ports.node import NodeReply, NodeRequest, NodeTransport
from miroir.services.cluster import Cluster, IndexView, View
from miroir.services.deadline import until
from miroir.services.gate import Gate
from miroir.services.running import Running

_ATTEMPTS_MAX: Final = 3
_KNOWN_MAX: Final = 256
_TICK_S: Final = 0.001
"""A timer may be early by so much."""
_log = structlog.get_logger(__name__)


class Doubter(Protocol):
    """Hears of nodes that did not answer."""

    def suspect(self, node_id: NodeId) -> None:
        """A call to a node has just failed: see `Health.suspect`."""
        ...


class Wish(msgspec.Struct, frozen=True):
    """
    What is to be asked.

    Attributes:
        request: The same for every node.
        timeout_s: For everything, retries included; the client may leave less (`deadline.py`).
        floor: Lowest settings version, or None.
        shard: The only shard concerned; None = all.
        only: Ask these nodes, whatever they are proved at; None = a covering set. Their answers
            are for nobody but whoever changes the settings.
    """

    index_uid: IndexUid
    request: NodeRequest
    timeout_s: float
    floor: int | None = None
    shard: ShardId | None = None
    only: frozenset[NodeId] | None = None


class Gathered(msgspec.Struct, frozen=True):
    """
    The answers of one covering set.

    Attributes:
        replies: One per shard, in shard order, all below 500.
        version: Settings version of the nodes; with `inconsistent` the last committed one.
        inconsistent: One version could not be guaranteed.
    """

    replies: tuple[NodeReply, ...]
    version: int
    inconsistent: bool

    @property
    def refusal(self) -> NodeReply | None:
        """The first answer that says no."""
        return next((reply for reply in self.replies if reply.status >= 400), None)

    @property
    def headers(self) -> dict[str, str]:
        """What the client is told about the settings behind the answer."""
        headers = {"X-Miroir-Settings-Version": str(self.version)}
        if self.inconsistent:
            headers["X-Miroir-Settings-Inconsistent"] = "true"
        return headers


class _Known(msgspec.Struct, frozen=True):
    """What one index's searches may choose from, and all that this depends on."""

    topology: Topology
    index: IndexView
    healthy: frozenset[NodeId]
    floor: int | None
    shard: ShardId | None
    choices: Choices


class Scatter:
    """Asks covering sets."""

    def __init__(
        self,
        *,
        transport: NodeTransport,
        cluster: Cluster,
        health: Doubter,
        running: Running,
        when_no_cover: WhenNoCover,
        gate: Gate,
    ) -> None:
        self._transport = transport
        self._cluster = cluster
        self._health = health
        self._running = running
        self._when_no_cover = when_no_cover
        self._gate = gate
        self._turn = 0
        self._known: dict[IndexUid, _Known] = {}

    async def ask(self, wish: Wish) -> Gathered:
        """
        Ask and gather.

        Raises:
            IndexNotFound: The index is gone.
            NoCoveringSet: Some shard has no node that answers.
            SettingsVersionStale: The floor is not met, or no single version can be had and the
                policy is `consistent`.
            TimeIsUp: Nodes did not answer in time.
        """
        self._turn += 1
        until_s = until(wish.timeout_s)
        passed_over: set[NodeId] = set()
        for attempt in range(_ATTEMPTS_MAX):
            if self._gate.closed:
                await self._gate.passed(wish.index_uid)
            index, cover = self._choose(wish, passed_over)
            asked = self._running.enter(wish.index_uid, cover.nodes)
            try:
                answers = await self._send(cover, wish, until_s, passed_over)
            finally:
                self._running.leave(asked)
            if len(answers) < len(cover.nodes):
                _check_time(until_s)
                continue
            if self._gate.closed:
                await self._gate.passed(wish.index_uid)
            if self._still_true(index, cover):
                return Gathered(answers, cover.version, cover.inconsistent)
            if attempt + 1 == _ATTEMPTS_MAX:
                return self._flagged(wish, answers)
        raise NoCoveringSet("the nodes that were asked did not answer")

    def _choose(self, wish: Wish, passed_over: set[NodeId]) -> tuple[IndexView, Cover]:
        view = self._cluster.view
        index = _live(view, wish.index_uid)
        if wish.only is not None:
            ready = (view.ready(index) & wish.only) - passed_over
            return index, _cover_of(view, index, ready, wish.shard)
        if passed_over:
            found = self._choices(view, index, wish, view.ready(index) - passed_over)
        else:
            found = self._known_choices(view, index, wish)
        return index, found.pick(self._transport.in_flight, self._turn)

    def _known_choices(self, view: View, index: IndexView, wish: Wish) -> Choices:
        """Return what may be chosen from; worked out when something has changed."""
        known = self._known.get(wish.index_uid)
        if (
            known is not None
            and known.index is index
            and known.topology is view.topology
            and known.healthy == view.healthy
            and known.floor == wish.floor
            and known.shard == wish.shard
        ):
            return known.choices
        found = self._choices(view, index, wish, view.ready(index))
        self._known[wish.index_uid] = _Known(
            view.topology, index, view.healthy, wish.floor, wish.shard, found
        )
        if len(self._known) > _KNOWN_MAX:
            self._known.pop(next(iter(self._known)))
        return found

    def _choices(
        self, view: View, index: IndexView, wish: Wish, ready: frozenset[NodeId]
    ) -> Choices:
        candidates = Candidates(
            topology=view.topology,
            proved=index.proved,
            ready=ready,
            committed=index.record.version,
            in_flight=index.in_flight,
            load={},
            when_no_cover=self._when_no_cover,
            given_up=_others(view.topology, wish.shard),
            spared=index.spared,
        )
        return choices(candidates, floor=wish.floor)

    async def _send(
        self, cover: Cover, wish: Wish, until_s: float, passed_over: set[NodeId]
    ) -> tuple[NodeReply, ...]:
        """Write to every node, then await every answer; pass over who gave no usable one."""
        left_s = until_s - asyncio.get_running_loop().time()
        send, request = self._transport.send, wish.request
        calls = [
            asyncio.ensure_future(send(node_id, request, timeout_s=left_s))
            for node_id in cover.nodes
        ]
        replies: list[NodeReply] = []
        try:
            for node_id, call in zip(cover.nodes, calls, strict=True):
                try:
                    reply = await call
                except NodeError as error:
                    _log.info("node_unanswered", node=node_id, why=str(error))
                    passed_over.add(node_id)
                    # One that had less time than is due to it may be slow, and no more.
                    if left_s > wish.timeout_s - _TICK_S or not _over(until_s):
                        self._health.suspect(node_id)
                    continue
                if _usable(reply):
                    replies.append(reply)
                else:
                    _log.info("node_passed_over", node=node_id, status=reply.status)
                    passed_over.add(node_id)
        finally:
            for call in calls:
                if not call.done():
                    call.cancel()  # A client that went away takes its requests along.
                if call.done() and not call.cancelled():
                    call.exception()  # Nobody asks any more: that is no error to complain of.
        return tuple(replies)

    def _still_true(self, before: IndexView, cover: Cover) -> bool:
        """Whether every node was proved at the cover's version from the choice until now."""
        if cover.inconsistent:
            return True  # It says so itself.
        now = _live(self._cluster.view, before.record.uid)
        if now is before:
            return True
        return all(
            now.proved.get(n) == cover.version and now.stirred.get(n) == before.stirred.get(n)
            for n in cover.nodes
        )

    def _flagged(self, wish: Wish, answers: tuple[NodeReply, ...]) -> Gathered:
        if wish.floor is not None or self._when_no_cover == "consistent":
            raise SettingsVersionStale("the settings changed while the nodes answered")
        committed = _live(self._cluster.view, wish.index_uid).record.version
        return Gathered(answers, committed, inconsistent=True)


def _cover_of(
    view: View, index: IndexView, node_ids: frozenset[NodeId], shard: ShardId | None
) -> Cover:
    """Return one of these nodes for each shard; it says of itself that it may mix versions."""
    columns = enumerate(view.topology.columns)
    wanted = [column for number, column in columns if shard in {None, number}]
    chosen = [next((n for n in column if n in node_ids), None) for column in wanted]
    nodes = tuple(n for n in chosen if n is not None)
    if len(nodes) < len(wanted):
        raise NoCoveringSet("the changed nodes do not hold every shard")
    return Cover(nodes, index.record.version, inconsistent=True)


def _over(until_s: float) -> bool:
    return asyncio.get_running_loop().time() >= until_s - _TICK_S


def _check_time(until_s: float) -> None:
    if _over(until_s):
        raise TimeIsUp("The nodes did not answer in the time that there was.")


def _others(topology: Topology, shard: ShardId | None) -> frozenset[ShardId]:
    """Return the shards that are not asked when only one is concerned."""
    if shard is None:
        return frozenset()
    return frozenset(ShardId(s) for s in range(topology.shard_count) if s != shard)


def _live(view: View, index_uid: IndexUid) -> IndexView:
    index = view.live(index_uid)
    if index is None:
        raise IndexNotFound(f"Index `{index_uid}` not found.")
    return index


def _usable(reply: NodeReply) -> bool:
    """Whether the node is neither in trouble nor without the index."""
    if reply.status != 404:
        return reply.status < 500
    try:
        answer = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return False  # That was no Meilisearch.
    return not (isinstance(answer, dict) and answer.get("code") == "index_not_found")
