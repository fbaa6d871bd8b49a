"""
One call between a simulated Miroir process and a node: latency, loss, late arrival, crashes.

A request travels apart from its caller: a process that gives up, or dies, does not take back what
it has sent. What reaches a node after that is marked `late` there. What is asked is no business of
this file: see `sim_network.py`.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from miroir.core.topology import NodeId
from miroir.errors import NodeRefused
from miroir.node.errors import ApiError
from miroir.ports.node import NodeReply
from tests.support.sim_deadlines import Deadlines, fail
from tests.support.sim_engine import NEW, NEXT
from tests.support.sim_faults import FaultPlan, FaultPoint as F
from tests.support.sim_node import SimNode

TIMEOUT_S = 3.0
_WRITES = {
    "patch_settings", "create_index", "update_index", "delete_index", "probe", "change_commons",
}  # fmt: skip

Handler = Callable[[SimNode, str], Any]
"""Acts on the node; the second argument is the origin, `own` or `late`."""


class Caller(Protocol):
    """The process that calls."""

    @property
    def alive(self) -> bool:
        """False: it is dead, and none of its calls goes on."""
        ...

    @property
    def rules(self) -> bool:
        """False also while another process has taken over: what it sends is nobody's order."""
        ...

    def die(self, why: str) -> None:
        """Die here; the caller's task is cancelled."""
        ...

    def departs(self, node_id: str, name: str, index_uid: str, body: Mapping[str, Any]) -> None:
        """A request that changes something leaves now: a checker looks at it."""
        ...

    async def go_on(self) -> None:
        """Return when the process runs (it may be paused)."""
        ...

    def was_read(self, node_id: str, index_uid: str) -> None:
        """The node has answered a reading of the settings."""
        ...


class Calls:
    """One process's way to all nodes."""

    def __init__(
        self,
        caller: Caller,
        nodes: Mapping[str, SimNode],
        chance: random.Random,
        faults: FaultPlan,
        note: Callable[[str], None],
    ) -> None:
        self._caller = caller
        self._nodes = nodes
        self._chance = chance
        self._faults = faults
        self._note = note
        self._in_flight: dict[str, int] = dict.fromkeys(nodes, 0)
        self._searches: dict[str, dict[asyncio.Future[Any], None]] = {name: {} for name in nodes}
        self._deadlines = Deadlines()

    def in_flight(self, node_id: NodeId) -> int:
        """See `NodeTransport.in_flight`."""
        return self._in_flight[node_id]

    def break_off(self, node_id: NodeId) -> None:
        """See `NodeTransport.break_off`."""
        for answer in list(self._searches[node_id]):
            fail(answer, f"{node_id}: it is down")

    # ---- one call

    async def call(
        self,
        node_id: str,
        name: str,
        act: Handler,
        *,
        timeout_s: float = TIMEOUT_S,
        leaves: Callable[[], None] | None = None,
    ) -> Any:
        """Carry a request to a node and its answer back, or lose one of them."""
        self._die_if(F.MIROIR_CRASHED_BEFORE_CALL, name)
        await self._caller.go_on()
        if not self._caller.alive:
            raise asyncio.CancelledError
        if leaves is not None:
            leaves()
        answer = self._depart(node_id, name, act)
        self._in_flight[node_id] += 1
        if name == "search":
            self._searches[node_id][answer] = None
        self._deadlines.watch(answer, node_id, timeout_s)
        try:
            self._die_if(F.MIROIR_CRASHED_IN_CALL, name)
            result = await answer
        finally:
            if not answer.done():
                answer.cancel()
            self._in_flight[node_id] -= 1
            self._searches[node_id].pop(answer, None)
        self._die_if(F.MIROIR_CRASHED_AFTER_CALL, name)
        if not self._caller.alive:
            raise asyncio.CancelledError
        return result

    def _die_if(self, point: F, name: str) -> None:
        if self._caller.alive and self._faults.strikes(point, name):
            self._caller.die(f"{point.name} {name}")
            raise asyncio.CancelledError

    def _depart(self, node_id: str, name: str, act: Handler) -> "asyncio.Future[Any]":
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        if self._faults.strikes(F.REQUEST_LOST, name):
            self._note(f"lost: {name} to {node_id}")
            return answer
        if self._faults.strikes(F.REQUEST_RESET, name):
            loop.call_later(0.001, fail, answer, f"{node_id}: connection reset")
            return answer
        delay_s = self._latency_s()
        if name == "search" and self._chance.random() < 0.1:
            delay_s += self._chance.uniform(0.0, 2.0)  # It waits its turn on a busy node.
        if name == "check_health" and self._faults.strikes(F.HEALTH_FLAPPED):
            loop.call_later(0.001, fail, answer, f"{node_id}: status 503")
            return answer
        if name in _WRITES and self._faults.strikes(F.BODY_SLOW, name):
            delay_s += TIMEOUT_S * self._chance.uniform(0.1, 0.9)
        if self._faults.strikes(F.REQUEST_LATE, name):
            delay_s += TIMEOUT_S * self._chance.uniform(0.9, 4.0)
            self._note(f"late: {name} to {node_id}")
        loop.call_later(delay_s, self._arrive, node_id, name, act, answer)
        return answer

    def _latency_s(self) -> float:
        return min(0.2, 0.0005 * self._chance.paretovariate(1.5))

    def _searched_s(self) -> float:
        """
        How long a search takes on the settings that were in force when it began.

        With its wait for a turn and the way there and back it stays below the client's time limit.
        """
        kind = self._chance.random()
        if kind < 0.6:
            return 0.0
        return self._chance.uniform(0.0, 0.2) if kind < 0.92 else self._chance.uniform(0.2, 3.4)

    def _arrive(
        self, node_id: str, name: str, act: Handler, answer: "asyncio.Future[Any]"
    ) -> None:
        node = self._nodes[node_id]
        if not node.reachable:
            return  # A black hole: the caller times out.
        if node.stopped:
            node.inbox.append(lambda: self._arrive(node_id, name, act, answer))
            return  # It is in the kernel's queue, and will be served when the node goes on.
        awaited = not answer.done() and self._caller.rules
        if not node.up:
            fail(answer, f"{node_id}: connection refused")
            return
        result, refused = self._acted(node, name, act, "own" if awaited else "late")
        if self._faults.strikes(F.ANSWER_LOST, name):
            self._note(f"answer lost: {name} of {node_id}")
            if self._chance.random() < 0.5:
                fail(answer, f"{node_id}: connection reset by peer")
            return
        if self._crashes(node, name):
            fail(answer, f"{node_id}: connection reset by peer")
            return
        starts = node.starts

        def arrive() -> None:
            if node.starts != starts or not node.up:
                fail(answer, f"{node_id}: connection reset by peer")
            elif not node.mute:
                _answer(answer, result, refused)

        asyncio.get_running_loop().call_later(self._back_s(node, name), arrive)

    def _acted(
        self, node: SimNode, name: str, act: Handler, origin: str
    ) -> tuple[Any, NodeRefused | None]:
        if node.locked and name != "check_health":
            body = ApiError("invalid_api_key", "The provided API key is invalid.").body()
            return None, NodeRefused(403, body)
        if name == "search" and self._faults.strikes(F.SEARCH_REFUSED):
            return NodeReply(503, {}, b'{"code": "too_many_search_requests"}'), None
        try:
            return act(node, origin), None
        except NodeRefused as error:
            return None, error

    def _crashes(self, node: SimNode, name: str) -> bool:
        """Whether the node dies with the request in its queue."""
        point = F.PROBE_NODE_CRASHED if name == "probe" else F.NODE_CRASHED_IN_CALL
        if name not in _WRITES:
            return False
        if node.engine is NEW and self._faults.strikes(F.NODE_UPGRADED, name):
            node.upgrade(NEXT)
            return True
        if not self._faults.strikes(point, name):
            return False
        node.crash()
        node.restart_after(self._chance.uniform(0.1, 8.0))
        return True

    def _back_s(self, node: SimNode, name: str) -> float:
        """How long the answer takes from what it was made of to the caller."""
        now_s = asyncio.get_running_loop().time()
        back_s = self._latency_s()
        if name == "search":
            back_s += self._searched_s()
        if self._faults.strikes(F.ANSWER_SLOW, name):
            back_s += self._chance.uniform(0.2, TIMEOUT_S * 1.1)
        overtaken = now_s < node.batch_ends_s < now_s + TIMEOUT_S * 0.8
        if name == "read_settings" and overtaken and self._faults.strikes(F.READ_OVERTAKEN):
            back_s += node.batch_ends_s - now_s
        return back_s


def _answer(answer: "asyncio.Future[Any]", result: Any, refused: NodeRefused | None) -> None:
    if answer.done():
        return
    if refused is not None:
        answer.set_exception(refused)
    else:
        answer.set_result(result)
