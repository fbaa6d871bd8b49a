"""
What one simulated Miroir process asks the nodes, and what they answer.

Implements `NodeControl` and as much of `NodeTransport` as searches need. How a call travels, and
what may happen to it, is in `sim_calls.py`.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any

import orjson

from miroir.core.swaps import Swaps
from miroir.core.topology import IndexUid, NodeId
from miroir.ports.node import NodeIndex, NodeReply, NodeRequest, NodeTask, Settings
from tests.support.sim_calls import Calls, Handler
from tests.support.sim_node import PROBE, SimNode
from tests.support.sim_routes import serve

_SETTINGS_TASKS = {"settingsUpdate", "indexCreation", "indexUpdate", "indexDeletion", "indexSwap"}


class SimNetwork(Calls):
    """The typed calls, and searches."""

    # ---- NodeControl

    async def engine(self, node_id: NodeId) -> str:
        """See `NodeControl.engine`."""
        version: str = await self.call(node_id, "engine", lambda n, _: n.engine.version)
        return version

    async def check_health(self, node_id: NodeId) -> None:
        """See `NodeControl.check_health`."""
        await self.call(node_id, "check_health", lambda _n, _o: None)

    async def indexes(self, node_id: NodeId) -> tuple[NodeIndex, ...]:
        """See `NodeControl.indexes`."""
        found: tuple[NodeIndex, ...] = await self.call(
            node_id,
            "indexes",
            lambda n, _: tuple(
                NodeIndex(IndexUid(uid), i.primary_key) for uid, i in n.disk.indexes.items()
            ),
        )
        return found

    async def index(self, node_id: NodeId, index_uid: IndexUid) -> Mapping[str, Any] | None:
        """See `NodeControl.index`."""

        def act(node: SimNode, _origin: str) -> Mapping[str, Any] | None:
            found = node.disk.indexes.get(index_uid)
            return {"uid": index_uid, "primaryKey": found.primary_key} if found else None

        row: Mapping[str, Any] | None = await self.call(node_id, "index", act)
        return row

    async def document_count(self, node_id: NodeId, index_uid: IndexUid) -> int:
        """See `NodeControl.document_count`; there are no documents here."""
        await self.call(node_id, "document_count", lambda n, _: n.index(index_uid))
        return 0

    async def create_index(
        self, node_id: NodeId, index_uid: IndexUid, primary_key: str | None
    ) -> int:
        """See `NodeControl.create_index`."""
        return await self._write(
            node_id,
            "create_index",
            index_uid,
            {},
            lambda n, o: n.handle_create(index_uid, primary_key, o),
        )

    async def update_index(
        self, node_id: NodeId, index_uid: IndexUid, primary_key: str | None
    ) -> int:
        """See `NodeControl.update_index`."""
        return await self._write(
            node_id,
            "update_index",
            index_uid,
            {},
            lambda n, o: n.handle_update(index_uid, primary_key, o),
        )

    async def delete_index(self, node_id: NodeId, index_uid: IndexUid) -> int:
        """See `NodeControl.delete_index`."""
        return await self._write(
            node_id, "delete_index", index_uid, {}, lambda n, o: n.handle_delete(index_uid, o)
        )

    async def swap_indexes(self, node_id: NodeId, swaps: Swaps) -> int:
        """See `NodeControl.swap_indexes`."""
        wanted = [swap.shown() for swap in swaps]
        return await self._write(
            node_id, "swap_indexes", PROBE, {}, lambda n, o: n.handle_swap(wanted, o)
        )

    async def patch_settings(self, node_id: NodeId, index_uid: IndexUid, patch: Settings) -> int:
        """See `NodeControl.patch_settings`."""
        body = orjson.loads(orjson.dumps(patch))
        name = "patch_settings" if index_uid != PROBE else "probe"
        return await self._write(
            node_id,
            name,
            index_uid,
            body,
            lambda n, o: n.handle_settings_patch(index_uid, body, o),
        )

    async def _write(
        self, node_id: str, name: str, index_uid: str, body: Mapping[str, Any], act: Handler
    ) -> int:
        def leaves() -> None:
            self._caller.departs(node_id, name, index_uid, body)

        uid: int = await self.call(node_id, name, act, leaves=leaves)
        return uid

    async def read_settings(self, node_id: NodeId, index_uid: IndexUid) -> Settings:
        """See `NodeControl.read_settings`."""

        def act(node: SimNode, _origin: str) -> Settings:
            shown = node.handle_read(index_uid)
            self._caller.was_read(node_id, index_uid)
            return shown

        name = "read_settings" if index_uid != PROBE else "read_probe"
        settings: Settings = await self.call(node_id, name, act)
        return settings

    async def tasks(self, node_id: NodeId, uids: tuple[int, ...]) -> tuple[NodeTask, ...]:
        """See `NodeControl.tasks`."""

        def act(node: SimNode, _origin: str) -> tuple[NodeTask, ...]:
            known = node.disk.tasks
            return tuple(known[uid].as_port() for uid in uids if node.known(uid))

        found: tuple[NodeTask, ...] = await self.call(node_id, "tasks", act)
        return found

    async def newest_task_uid(self, node_id: NodeId) -> int:
        """See `NodeControl.newest_task_uid`."""
        uid: int = await self.call(node_id, "newest_task_uid", lambda n, _: len(n.disk.tasks) - 1)
        return uid

    async def feed(self, node_id: NodeId, after_uid: int) -> tuple[NodeTask, ...]:
        """See `NodeControl.feed`."""
        found: tuple[NodeTask, ...] = await self.call(
            node_id,
            "feed",
            lambda n, _: tuple(
                t.as_port()
                for t in n.disk.tasks[after_uid + 1 :]
                if t.type in _SETTINGS_TASKS and t.status != "deleted"
            ),
        )
        return found

    async def forward(self, node_id: NodeId, request: NodeRequest) -> NodeReply:
        """See `NodeControl.forward`."""
        reply: NodeReply = await self.call(
            node_id, _name_of(request), lambda n, origin: serve(n, request, origin)
        )
        return reply

    # ---- NodeTransport

    def send(
        self, node_id: NodeId, request: NodeRequest, *, timeout_s: float
    ) -> Awaitable[NodeReply]:
        """See `NodeTransport.send`; the request is written when the answer is first awaited."""
        asked_s = asyncio.get_running_loop().time()
        return self.call(
            node_id,
            "search",
            lambda n, o: serve(n, request, o, asked_s=asked_s),
            timeout_s=timeout_s,
        )


def _name_of(request: NodeRequest) -> str:
    if not request.path.startswith(("/keys", "/experimental-features")):
        return "forward"
    return "read_commons" if request.method == "GET" else "change_commons"
