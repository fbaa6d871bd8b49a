"""
A simulated node whose indexes can be swapped, and one process's way to it.

As nasty as the true one: a swap is made durable apart from the end of its task, so that a node
that crashes in between swaps again; earlier tasks are found under the new uids; a task takes all
its pairs or none. A request may reach the node long after its caller has given up.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from miroir.core.swaps import Swaps
from miroir.core.topology import IndexUid, NodeId
from miroir.node.errors import ApiError
from miroir.ports.node import NodeTask
from tests.support.docs_node import DocsNetwork, DocsNode
from tests.support.sim_calls import Handler
from tests.support.sim_disk import SimTask
from tests.support.sim_faults import FaultPoint as F
from tests.support.sim_node import SimNode

TICKET = "_miroir_ticket_"
_FEED = {"settingsUpdate", "indexCreation", "indexUpdate", "indexDeletion", "indexSwap"}


class SwapsNode(DocsNode):
    """
    One server.

    Attributes:
        swapped: How often it has exchanged or renamed anything.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.swapped = 0
        self._refused: set[str] = set()

    def handle_swap(self, swaps: Any, origin: str) -> int:
        return self._enqueue("", "indexSwap", {"swaps": swaps}, origin)

    def pending(self, index_uid: str | None) -> list[SimTask]:
        """Return the tasks of an index that have not ended; a swap is a task of each of its."""
        mine = super().pending(index_uid)
        if index_uid is None:
            return mine
        swaps = [t for t in super().pending("") if index_uid in _uids(t)]
        return sorted(mine + swaps, key=lambda task: -task.uid)

    def port_task(self, uid: int) -> NodeTask:
        task = self.disk.tasks[uid]
        at = f"moment {uid} of {self.node_id}"
        if task.type != "indexSwap":
            return replace(super().port_task(uid), enqueued_at=at)
        details = {"swaps": task.body["swaps"]}
        return NodeTask(uid, None, task.type, task.status, task.error, details, enqueued_at=at)

    def _applied(self, batch: list[SimTask]) -> Mapping[str, Any] | None:
        """A swap that a crash has made run again is carried out again: nobody noted the first."""
        if batch[0].type != "indexSwap":
            return super()._applied(batch)
        if self._will_not(batch[0]):
            return ApiError("internal", "no space left for this").body()
        try:
            self._swap_all(batch[0])
        except ApiError as error:
            self.noted(f"{self.node_id} refuses task {batch[0].uid}: {error}")
            return error.body()
        return None

    def _will_not(self, task: SimTask) -> bool:
        """Whether it fails this swap: now, or whenever it is sent, but never the way back."""
        if self._faults.strikes(F.TASK_FAILED, "swap"):
            return True
        stamp = str(task.body["swaps"][-1]["indexes"][0])
        if "_go_" not in stamp:
            return False
        if self._faults.strikes(F.TASK_FAILED, "stubborn"):
            self._refused.add(stamp.split("_go_", maxsplit=1)[0])
        return stamp.split("_go_", maxsplit=1)[0] in self._refused

    def _swap_all(self, task: SimTask) -> None:
        pairs = [(*swap["indexes"], swap["rename"]) for swap in task.body["swaps"]]
        for left, right, rename in pairs:
            if left not in self.disk.indexes or (right in self.disk.indexes) == rename:
                raise ApiError("index_not_found", f"`{left}` and `{right}` cannot be swapped.")
        names: dict[str, str] = {}
        for left, right, _ in pairs:
            names |= {left: right, right: left}
        for table in (self.disk.indexes, self.documents, self.births):
            self._rename_keys(table, names)
        self._rename_tasks(task.uid, names)
        self.swapped += 1
        self.noted(f"{self.node_id} has swapped {pairs}")

    @staticmethod
    def _rename_keys(table: dict[str, Any], names: Mapping[str, str]) -> None:
        moved = {names.get(uid, uid): value for uid, value in table.items()}
        table.clear()
        table.update(moved)

    def _rename_tasks(self, before: int, names: Mapping[str, str]) -> None:
        for task in self.disk.tasks[:before]:
            body = task.body
            if task.type == "indexSwap":
                pairs = [
                    {**s, "indexes": [names.get(u, u) for u in s["indexes"]]}
                    for s in body["swaps"]
                ]
                body = {"swaps": pairs}
            uid = names.get(task.index_uid, task.index_uid)
            self.disk.tasks[task.uid] = replace(task, index_uid=uid, body=body)


def _uids(task: SimTask) -> set[str]:
    return {uid for swap in task.body.get("swaps", ()) for uid in swap["indexes"]}


class SwapsNetwork(DocsNetwork):
    """One process's way to nodes whose indexes can be swapped; what is for tickets has a name."""

    def _depart(self, node_id: str, name: str, act: Handler) -> "asyncio.Future[Any]":
        """Send, or lose the node over a swap; the request may come when the node is back."""
        strikes = self._faults.strikes
        if name == "swap_indexes" and strikes(F.REQUEST_LATE, "held up"):
            return self._lose(node_id, name, act, late=True)
        if name == "swap_back" and strikes(F.REQUEST_LATE, "lost on the way back"):
            return self._lose(node_id, name, act, late=self._chance.random() < 0.3)
        return super()._depart(node_id, name, act)

    def _lose(self, node_id: str, name: str, act: Handler, *, late: bool) -> "asyncio.Future[Any]":
        loop, node = asyncio.get_running_loop(), self._nodes[node_id]
        answer: asyncio.Future[Any] = loop.create_future()
        self._note(f"{node_id} is lost over {name}, late {late}")
        node.reachable = False
        back_s = self._chance.uniform(16.0, 30.0)
        loop.call_later(back_s, setattr, node, "reachable", True)
        if late:
            late_s = back_s + self._chance.uniform(0.0, 15.0)
            loop.call_later(late_s, self._arrive, node_id, name, act, answer)
        return answer

    async def swap_indexes(self, node_id: NodeId, swaps: Swaps) -> int:
        """See `NodeControl.swap_indexes`."""
        wanted = [swap.shown() for swap in swaps]

        def act(node: SimNode, origin: str) -> int:
            assert isinstance(node, SwapsNode)
            return node.handle_swap(wanted, origin)

        name = "swap_back" if "_back_" in str(swaps[-1].left) else "swap_indexes"
        return await self._write(node_id, name, "", {"swaps": wanted}, act)

    async def create_index(
        self, node_id: NodeId, index_uid: IndexUid, primary_key: str | None
    ) -> int:
        """See `NodeControl.create_index`."""
        name = "issue_ticket" if index_uid.startswith(TICKET) else "create_index"
        return await self._write(
            node_id, name, index_uid, {}, lambda n, o: n.handle_create(index_uid, primary_key, o)
        )

    async def delete_index(self, node_id: NodeId, index_uid: IndexUid) -> int:
        """See `NodeControl.delete_index`."""
        name = "withdraw_ticket" if index_uid.startswith(TICKET) else "delete_index"
        return await self._write(
            node_id, name, index_uid, {}, lambda n, o: n.handle_delete(index_uid, o)
        )

    async def feed(self, node_id: NodeId, after_uid: int) -> tuple[NodeTask, ...]:
        """See `NodeControl.feed`."""

        def act(node: SimNode, _origin: str) -> tuple[NodeTask, ...]:
            assert isinstance(node, SwapsNode)
            tasks = node.disk.tasks[after_uid + 1 :]
            return tuple(node.port_task(t.uid) for t in tasks if t.type in _FEED)

        found: tuple[NodeTask, ...] = await self.call(node_id, "feed", act)
        return found
