"""
The experimental features of the cluster: answered from the store, switched on every node.

A node switches a feature at once and without a task, and so does Miroir: the answer comes when
every node that can be reached has been read back.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson

from miroir.core import features as rules
from miroir.core.commons import FEATURES
from miroir.core.features import Features
from miroir.core.topology import NodeId
from miroir.errors import NodeError
from miroir.ports.node import NodeControl, NodeRequest
from miroir.ports.records import IntentKind
from miroir.services.carriers.asking import read_features
from miroir.services.commons import Commons
from miroir.services.health import Health
from miroir.services.registrar import RefusedByNode

_PATH = "/experimental-features"
_JSON = "application/json"


class Flags:
    """Answers and switches features."""

    def __init__(self, *, commons: Commons, control: NodeControl, health: Health) -> None:
        self._commons = commons
        self._control = control
        self._health = health

    @property
    def committed(self) -> Features:
        """What every node should show; empty before it was learnt from them."""
        return self._commons.committed(FEATURES) or {}

    async def all(self) -> Features:
        """Return the flags, as one node would."""
        if self.committed:
            return dict(self.committed)
        reply = await self._commons.ask_one(NodeRequest("GET", _PATH))
        if reply.status != 200:
            raise RefusedByNode(reply)
        shown: Features = orjson.loads(reply.body)
        return shown

    async def change(self, request: NodeRequest) -> Features:
        """
        Switch features on every node; return all of them.

        Raises:
            RefusedByNode: The request is not valid; nothing was touched.
            NotEverywhere: See `Commons.carried`.
        """
        patch = await self._judged(request)
        async with self._commons.lock(FEATURES):
            await self._learn_if_unknown()
            wanted = {**self._commons.wanted(FEATURES), **patch}
            if self._commons.at_rest(FEATURES) and wanted == self.committed:
                return wanted
            intent = await self._commons.open(
                FEATURES, IntentKind.CHANGE, patch, by="client", reason=""
            )
        await self._commons.carried(intent, "Experimental features")
        await self._look_at_classes()
        return dict(self.committed)

    async def adopt(self) -> bool:
        """
        Take over the flags that nodes know and the cluster does not; False if nobody can be asked.

        What most nodes show is taken: at the first start, and for flags that a newer version of
        Meilisearch brings along.
        """
        async with self._commons.lock(FEATURES):
            return await self._learn_if_unknown()

    async def _learn_if_unknown(self) -> bool:
        view = self._commons.cluster.view
        if not view.topology.covers(view.healthy):
            return False
        shown = await self._shown()
        known = self._commons.wanted(FEATURES)
        news = rules.news(shown, known)
        if news:
            reason = "what most nodes showed when they were first asked"
            await self._commons.open(FEATURES, IntentKind.CHANGE, news, by="miroir", reason=reason)
        return True

    async def _shown(self) -> list[Features]:
        view = self._commons.cluster.view
        shown: list[Features] = []
        for node_id in view.topology.node_ids:
            if node_id in view.healthy:
                try:
                    shown.append(await read_features(self._control, node_id))
                except NodeError:
                    continue  # It will be brought there when it answers.
        return shown

    async def _judged(self, request: NodeRequest) -> dict[str, bool]:
        """
        Return what a request switches, after a node has found it valid.

        What can be carried out is asked with every flag as null, which leaves a node alone; what
        cannot be is sent as it came, to be refused in the node's words.
        """
        body = _object(request)
        harmless = request
        if body is not None and all(on is None or isinstance(on, bool) for on in body.values()):
            harmless = NodeRequest("PATCH", _PATH, orjson.dumps(dict.fromkeys(body)), _JSON)
        reply = await self._commons.ask_one(harmless)
        if reply.status != 200 or body is None:
            raise RefusedByNode(reply)
        return {name: on for name, on in body.items() if on is not None}

    async def _look_at_classes(self) -> None:
        """Learn the new engine classes now: until then read-backs cannot be compared."""
        async with asyncio.TaskGroup() as checks:
            for node_id in self._nodes():
                checks.create_task(self._health.check(node_id))

    def _nodes(self) -> tuple[NodeId, ...]:
        view = self._commons.cluster.view
        return tuple(n for n in view.topology.node_ids if n in view.healthy)


def _object(request: NodeRequest) -> Mapping[str, Any] | None:
    announced = (request.content_type or "").split(";", 1)[0].strip().lower()
    if announced != _JSON:
        return None
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None
