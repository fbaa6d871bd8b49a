"""
Waits for node tasks: one request per node and tick, however many tasks are awaited.

The tick is short while tasks are young and grows with their age, since a reindex takes hours and
metadata takes milliseconds. There is no deadline while the node answers; when it has not answered
for `node_silence_s`, the wait ends with `NodeSilenceError`.
"""

import asyncio
from dataclasses import dataclass, field

from miroir.core.topology import NodeId
from miroir.errors import NodeError, NodeUnreachable
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl, NodeTask

_TICK_MIN_S = 0.005
_TICK_MAX_S = 1.0
_TICK_SHARE_OF_AGE = 0.1
_UIDS_PER_REQUEST_MAX = 100


class NodeSilenceError(NodeUnreachable):
    """The node has not answered for `node_silence_s`."""


@dataclass
class _Wait:
    future: "asyncio.Future[NodeTask | None]"
    since_s: float


@dataclass
class _Desk:
    """What is awaited of one node."""

    waits: dict[int, list[_Wait]] = field(default_factory=dict)
    last_answer_s: float = 0.0
    poller: "asyncio.Task[None] | None" = None


class TaskWatcher:
    """Polls each node while somebody waits for one of its tasks."""

    def __init__(self, *, control: NodeControl, clock: Clock, node_silence_s: float) -> None:
        self._control = control
        self._clock = clock
        self._node_silence_s = node_silence_s
        self._desks: dict[NodeId, _Desk] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Give the pollers a home until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await asyncio.get_running_loop().create_future()  # For ever.

    async def ended(self, node_id: NodeId, task_uid: int) -> NodeTask | None:
        """
        Return the task when it has ended; None if the node no longer knows it.

        Raises:
            NodeSilenceError: The node has not answered for `node_silence_s`.
        """
        assert self._group is not None, "run() comes first"
        desk = self._desks.setdefault(node_id, _Desk())
        now_s = self._clock.monotonic_s()
        wait = _Wait(asyncio.get_running_loop().create_future(), now_s)
        desk.waits.setdefault(task_uid, []).append(wait)
        if desk.poller is None:
            desk.last_answer_s = now_s
            desk.poller = self._group.create_task(self._poll(node_id, desk))
        try:
            return await wait.future
        finally:
            self._forget(desk, task_uid, wait)

    async def _poll(self, node_id: NodeId, desk: _Desk) -> None:
        while desk.waits:
            await self._clock.sleep(self._tick_s(desk))
            uids = tuple(sorted(desk.waits))[:_UIDS_PER_REQUEST_MAX]
            if not uids:
                break
            try:
                tasks = await self._control.tasks(node_id, uids)
            except NodeError:
                self._check_silence(node_id, desk)
                continue
            desk.last_answer_s = self._clock.monotonic_s()
            known = {task.uid: task for task in tasks}
            for uid in uids:
                task = known.get(uid)
                if task is None or task.ended:
                    self._resolve(desk, uid, task)
        desk.poller = None

    def _tick_s(self, desk: _Desk) -> float:
        youngest_s = max(wait.since_s for waits in desk.waits.values() for wait in waits)
        age_s = self._clock.monotonic_s() - youngest_s
        return min(_TICK_MAX_S, max(_TICK_MIN_S, age_s * _TICK_SHARE_OF_AGE))

    def _check_silence(self, node_id: NodeId, desk: _Desk) -> None:
        """End the waits that have lasted, without any answer, for `node_silence_s`."""
        until_s = self._clock.monotonic_s() - self._node_silence_s
        if desk.last_answer_s > until_s:
            return
        for uid, waits in list(desk.waits.items()):
            for wait in waits:
                if wait.since_s <= until_s and not wait.future.done():
                    wait.future.set_exception(NodeSilenceError(f"{node_id} does not answer"))
            desk.waits[uid] = [wait for wait in waits if not wait.future.done()]
            if not desk.waits[uid]:
                del desk.waits[uid]

    @staticmethod
    def _resolve(desk: _Desk, uid: int, task: NodeTask | None) -> None:
        for wait in desk.waits.pop(uid, ()):
            if not wait.future.done():
                wait.future.set_result(task)

    @staticmethod
    def _forget(desk: _Desk, uid: int, wait: _Wait) -> None:
        waits = desk.waits.get(uid)
        if waits and wait in waits:
            waits.remove(wait)
            if not waits:
                del desk.waits[uid]
