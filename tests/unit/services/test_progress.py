"""How far nodes are is asked of them, seldom, and whatever they answer."""

from typing import Any

import orjson
import pytest
from tests.support.virtual_loop import VirtualClock, run_virtual

from miroir.core.broadcast_types import Broadcast, NodeState, Phase, Progress
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeUnreachable
from miroir.ports.node import NodeReply, NodeRequest
from miroir.ports.records import Intent, IntentKind
from miroir.services.progress import ProgressReader

A, B = NodeId("a"), NodeId("b")


def intent(number: int, uid: str, phase: Phase = Phase.PROPOSING, **tasks: int | None) -> Intent:
    """Return a change whose nodes are at work on these tasks."""
    nodes = {
        NodeId(name): Progress(NodeState.UNTOUCHED if task is None else NodeState.SENT, task)
        for name, task in tasks.items()
    }
    column = tuple(nodes)
    state = Broadcast(IndexUid(uid), (column,), (column,), phase=phase, nodes=nodes)
    return Intent(
        index_uid=IndexUid(uid),
        kind=IntentKind.CHANGE,
        patch={},
        target={},
        undo={},
        primary_key=None,
        state=state,
        by="me",
        reason="",
        at_ms=0,
        intent_id=number,
        base_version=1,
        task_uid=None,
        revision=0,
        committed_version=None,
    )


class Nodes:
    """Answers GET /batches, and counts."""

    def __init__(self, clock: VirtualClock, bodies: dict[NodeId, Any]) -> None:
        self.clock, self.bodies = clock, bodies
        self.asked: list[tuple[NodeId, str]] = []

    async def forward(self, node_id: NodeId, request: NodeRequest) -> NodeReply:
        self.asked.append((node_id, request.path))
        body = self.bodies[node_id]
        if isinstance(body, float):
            await self.clock.sleep(body)
        if isinstance(body, Exception):
            raise body
        if isinstance(body, int):
            return NodeReply(body, {}, b"{}")
        return NodeReply(200, {}, orjson.dumps(body))


def batch(percentage: float, index: str = "movies", kind: str = "settingsUpdate") -> Any:
    steps = [{"currentStep": "indexing", "finished": 1, "total": 2}, {"currentStep": "words"}]
    progress = {"steps": steps, "percentage": percentage}
    stats = {"indexUids": {index: 1}, "types": {kind: 1}}
    return {"results": [{"uid": 5, "progress": progress, "stats": stats}]}


def test_a_node_is_asked_for_our_tasks_once_however_many_look() -> None:
    """A page that is open in ten browsers must not be a load on the nodes."""

    async def main(loop: Any) -> None:
        clock = VirtualClock(loop)
        nodes: Any = Nodes(clock, {A: batch(40.0), B: {"results": []}})
        reader = ProgressReader(control=nodes, clock=clock)
        open_ = (intent(1, "movies", a=7, b=None), intent(2, "books", a=9, b=3))
        found = await reader.of(open_)
        assert {pair: seen.percentage for pair, seen in found.items()} == {(1, A): 40.0}
        assert found[1, A].step == "indexing > words"
        path = "/batches?statuses=processing&limit=1"
        assert sorted(nodes.asked) == [(A, path), (B, path)]
        await reader.of(open_)
        assert len(nodes.asked) == 2, "too soon for another question"
        await clock.sleep(0.6)
        nodes.bodies[A] = batch(70.0)
        found = await reader.of(open_)
        assert (len(nodes.asked), round(found[1, A].left_s or 0, 2)) == (4, 0.6)

    run_virtual(main)


@pytest.mark.parametrize(
    "answer", [404, NodeUnreachable("gone"), 60.0, {"results": 1}, {"results": [{"progress": {}}]}]
)
def test_a_node_that_does_not_tell_holds_nobody_up(answer: Any) -> None:
    """Old, gone, slow, or of another form: the change is shown without a percentage."""

    async def main(loop: Any) -> None:
        clock = VirtualClock(loop)
        nodes: Any = Nodes(clock, {A: answer})
        began_s = clock.monotonic_s()
        reader = ProgressReader(control=nodes, clock=clock)
        assert await reader.of((intent(1, "movies", a=7),)) == {}
        assert clock.monotonic_s() - began_s < 3

    run_virtual(main)


@pytest.mark.parametrize("other", [batch(9.0, "books"), batch(9.0, kind="dumpCreation")])
def test_a_batch_of_something_else_is_not_taken_for_ours(other: Any) -> None:
    """Our task waits behind it; its percentage says nothing of the change."""

    async def main(loop: Any) -> None:
        clock = VirtualClock(loop)
        nodes: Any = Nodes(clock, {A: other})
        assert (
            await ProgressReader(control=nodes, clock=clock).of((intent(1, "movies", a=7),)) == {}
        )

    run_virtual(main)


def test_a_closed_change_is_not_asked_about() -> None:
    """The list of intents is long, and nearly all of them have ended."""

    async def main(loop: Any) -> None:
        clock = VirtualClock(loop)
        nodes: Any = Nodes(clock, {})
        done = intent(1, "movies", Phase.CONVERGED, a=7)
        assert await ProgressReader(control=nodes, clock=clock).of((done,)) == {}
        assert nodes.asked == []

    run_virtual(main)
