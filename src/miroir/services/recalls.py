"""
Takes accepted document writes back: before they are sent, or on the nodes that have them.

    asked ─▶ a part that was never sent    ─▶ is not sent: `canceled`, without a node's task
          └▶ a part that nodes have taken  ─▶ each of them is asked to cancel its task

A part that was sent more than once is not taken back, nor is the rest of its write: a node may
hold two copies of it, and cancel one. Nor is a write that some replica in sync has ended already:
its siblings are about to. What nodes make of it is told by their tasks, and judged like any other
end (`tasks.py`): a replica that was too late to cancel what its siblings have cancelled leaves the
in-sync set. On several shards a write is not taken back in one step: where one has ended before
it could be asked, the task is `canceled` and its details count what that shard has done.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from miroir.core.topology import IndexUid
from miroir.errors import NodeError
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl, NodeRequest
from miroir.ports.records import NodeTaskRecord
from miroir.services.cluster import Cluster

_AGAIN_FIRST_S: Final = 0.5
_AGAIN_MAX_S: Final = 10.0
_log = structlog.get_logger(__name__)


class Recall:
    """
    Whether one write is to be taken back.

    Attributes:
        refused: It cannot be: some part of it was sent more than once.
    """

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        self.refused = False

    @property
    def holds(self) -> bool:
        """Whether what was not sent yet is not to be sent."""
        return self._asked.is_set() and not self.refused

    def ask(self) -> None:
        """Somebody wants it back; repetition changes nothing."""
        if self._asked.is_set():
            return
        self._asked.set()
        for listener in self._listeners:
            listener()

    def on_asked(self, listener: Callable[[], None]) -> None:
        """Call `listener()` when it is asked for, or now if it was."""
        self._listeners.append(listener)
        if self._asked.is_set():
            listener()

    async def comes_before(self, waiting: "asyncio.Task[None]") -> bool:
        """
        Wait for the first of the two; whether the write is to be taken back.

        What was waited for is then cancelled, if it has not come.
        """
        asked = asyncio.ensure_future(self._asked.wait())
        try:
            await asyncio.wait({asked, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not self.holds:
                await waiting
        except asyncio.CancelledError:
            waiting.cancel()
            raise
        finally:
            asked.cancel()
        if self.holds and not waiting.done():
            waiting.cancel()
        return self.holds


@dataclass(frozen=True)
class RecallTools:
    """What a recaller works with."""

    control: NodeControl
    cluster: Cluster
    clock: Clock


class Recaller:
    """Has nodes cancel what they have taken."""

    def __init__(self, tools: RecallTools) -> None:
        self._tools = tools

    async def take_back(self, index_uid: IndexUid, shares: Sequence[NodeTaskRecord]) -> bool:
        """
        Ask every node that has a part to cancel it.

        False, and nobody was asked, if it is too late, or if there may be a second copy.

        Returns when all have answered: to be cancelled when nobody waits for them any more.
        """
        sent = [share for share in shares if share.status == "sent"]
        if any(share.repeated for share in shares) or not sent:
            return False
        if any(await _all(self._has_ended(index_uid, share) for share in sent)):
            return False
        _log.info("write_taken_back", index=index_uid, task=sent[0].task_uid)
        await _all(self._cancel(share) for share in sent)
        return True

    async def _has_ended(self, index_uid: IndexUid, share: NodeTaskRecord) -> bool:
        """Whether a replica in sync has done it already; one that does not answer has not."""
        index = self._tools.cluster.view.live(index_uid)
        if index is None or share.node_id in index.out_of_sync:
            return False
        assert share.node_task_uid is not None
        try:
            tasks = await self._tools.control.tasks(share.node_id, (share.node_task_uid,))
        except NodeError as error:
            _log.info("recall_unanswered", node=share.node_id, why=str(error))
            return False
        return any(task.ended and task.status != "canceled" for task in tasks)

    async def _cancel(self, share: NodeTaskRecord) -> bool:
        """Ask until the node has answered; a task that has ended stays as it is."""
        request = NodeRequest("POST", f"/tasks/cancel?uids={share.node_task_uid}")
        pause_s = _AGAIN_FIRST_S
        while True:
            try:
                reply = await self._tools.control.forward(share.node_id, request)
            except NodeError as error:
                _log.info("recall_unanswered", node=share.node_id, why=str(error))
            else:
                return reply.status < 400
            await self._tools.clock.sleep(pause_s)
            pause_s = min(_AGAIN_MAX_S, pause_s * 2)


async def _all(calls: Iterable[Coroutine[Any, Any, bool]]) -> list[bool]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call) for call in calls]
    return [task.result() for task in tasks]
