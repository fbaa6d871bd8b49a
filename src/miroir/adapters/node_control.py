"""
Typed calls to Meilisearch nodes: the `NodeControl` of production, over any `NodeTransport`.

One method, one route (feeds and lists: its pages). An answer is read strictly: 4xx with an error
object is `NodeRefused`; everything that is not what Meilisearch answers is `NodeUnreachable`, for
instance a proxy's page or a 404 without an error object, so that no stranger's answer can pass for
`index_not_found`. No retries and no caching here. Routes and shapes as of Meilisearch 1.50.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import quote

import orjson

from miroir.core.features import engine_class
from miroir.core.secret_places import secret_texts
from miroir.core.swaps import Swaps
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeRefused, NodeUnreachable
from miroir.ports.node import (
    Json,
    NodeIndex,
    NodeReply,
    NodeRequest,
    NodeTask,
    NodeTransport,
    Settings,
)
from miroir.telemetry import KnownSecrets

_PAGES_MAX: Final = 5000
"""Of 200 tasks each: as many as a node keeps (a million)."""

_FEED_TYPES: Final = (
    "settingsUpdate,indexCreation,indexDeletion,indexUpdate,indexSwap,upgradeDatabase"
)


class NodeControlHttp:
    """Typed calls with the transport's master key; see `ports.node.NodeControl`."""

    def __init__(
        self,
        transport: NodeTransport,
        *,
        timeout_s: float = 10.0,
        health_timeout_s: float = 3.0,
        indexes_per_page: int = 1000,
        tasks_per_page: int = 200,
        secrets: KnownSecrets | None = None,
    ) -> None:
        """
        Take what to send with.

        Args:
            transport: For every request.
            timeout_s: For each request; feeds and lists may need several.
            health_timeout_s: For each request of `check_health`.
            indexes_per_page: Asked for at once.
            tasks_per_page: Asked for at once; settings tasks carry their whole patch, so that a
                page of them can be large.
            secrets: Never to be heard from a task that failed; those that are sent are learnt.
        """
        self._secrets = secrets or KnownSecrets()
        self._transport = transport
        self._timeout_s = timeout_s
        self._health_timeout_s = health_timeout_s
        self._indexes_per_page = indexes_per_page
        self._tasks_per_page = tasks_per_page

    async def engine(self, node_id: NodeId) -> str:
        """See `NodeControl.engine`: older nodes have no experimental features to tell."""
        version = await self._version(node_id)
        reply = await self._send(node_id, NodeRequest("GET", "/experimental-features"))
        if reply.status in {404, 405}:
            return version
        return engine_class(version, _object(node_id, _decoded(node_id, reply)))

    async def check_health(self, node_id: NodeId) -> None:
        """See `NodeControl.check_health`: `/health` needs no key, so `/version` is asked too."""
        answer = _object(node_id, await self._soon(node_id, "/health"))
        status = _text(node_id, answer, "status")
        if status != "available":
            raise NodeUnreachable(f"node {node_id}: its status is {status[:50]!r}")
        _text(node_id, _object(node_id, await self._soon(node_id, "/version")), "pkgVersion")

    async def indexes(self, node_id: NodeId) -> tuple[NodeIndex, ...]:
        """See `NodeControl.indexes`."""
        found: dict[str, NodeIndex] = {}
        limit = self._indexes_per_page
        for page in range(_PAGES_MAX):
            answer = await self._get(node_id, f"/indexes?limit={limit}&offset={page * limit}")
            results = _objects(node_id, answer)
            found |= {index.uid: index for index in (_index(node_id, one) for one in results)}
            if len(results) < limit:
                return tuple(found.values())
        raise _unexpected(node_id, "a list of indexes without an end")

    async def index(self, node_id: NodeId, index_uid: IndexUid) -> Mapping[str, Json] | None:
        """See `NodeControl.index`."""
        try:
            return _object(node_id, await self._get(node_id, _path(index_uid)))
        except NodeRefused as refused:
            if refused.error["code"] == "index_not_found":
                return None
            raise

    async def document_count(self, node_id: NodeId, index_uid: IndexUid) -> int:
        """See `NodeControl.document_count`."""
        answer = await self._get(node_id, _path(index_uid) + "/stats")
        return _number(node_id, _object(node_id, answer), "numberOfDocuments")

    async def create_index(
        self, node_id: NodeId, index_uid: IndexUid, primary_key: str | None
    ) -> int:
        """See `NodeControl.create_index`."""
        body = {"uid": index_uid, "primaryKey": primary_key}
        return await self._enqueue(node_id, "POST", "/indexes", body)

    async def update_index(
        self, node_id: NodeId, index_uid: IndexUid, primary_key: str | None
    ) -> int:
        """See `NodeControl.update_index`."""
        body = {"primaryKey": primary_key}
        return await self._enqueue(node_id, "PATCH", _path(index_uid), body)

    async def delete_index(self, node_id: NodeId, index_uid: IndexUid) -> int:
        """See `NodeControl.delete_index`."""
        return await self._enqueue(node_id, "DELETE", _path(index_uid), None)

    async def swap_indexes(self, node_id: NodeId, swaps: Swaps) -> int:
        """See `NodeControl.swap_indexes`."""
        return await self._enqueue(node_id, "POST", "/swap-indexes", [s.shown() for s in swaps])

    async def patch_settings(self, node_id: NodeId, index_uid: IndexUid, patch: Settings) -> int:
        """See `NodeControl.patch_settings`."""
        self._secrets.learn(secret_texts(patch))
        path = _path(index_uid) + "/settings"
        return await self._enqueue(node_id, "PATCH", path, dict(patch))

    async def read_settings(self, node_id: NodeId, index_uid: IndexUid) -> Settings:
        """See `NodeControl.read_settings`."""
        return _object(node_id, await self._get(node_id, _path(index_uid) + "/settings"))

    async def tasks(self, node_id: NodeId, uids: tuple[int, ...]) -> tuple[NodeTask, ...]:
        """See `NodeControl.tasks`."""
        found: list[NodeTask] = []
        for start in range(0, len(uids), self._tasks_per_page):
            part = uids[start : start + self._tasks_per_page]
            wanted = ",".join(map(str, part))
            answer = await self._get(node_id, f"/tasks?uids={wanted}&limit={len(part)}")
            found += self._tasks(node_id, answer)
        return tuple(found)

    async def newest_task_uid(self, node_id: NodeId) -> int:
        """See `NodeControl.newest_task_uid`."""
        newest = self._tasks(node_id, await self._get(node_id, "/tasks?limit=1"))
        return newest[0].uid if newest else -1

    async def feed(self, node_id: NodeId, after_uid: int) -> tuple[NodeTask, ...]:
        """See `NodeControl.feed`: `reverse` lists in ascending order, `from` included."""
        found: list[NodeTask] = []
        query = f"types={_FEED_TYPES}&reverse=true&limit={self._tasks_per_page}"
        start = after_uid + 1
        for _ in range(_PAGES_MAX):
            answer = _object(node_id, await self._get(node_id, f"/tasks?{query}&from={start}"))
            found += self._tasks(node_id, answer)
            following = answer.get("next")
            if following is None:
                return tuple(found)
            if not isinstance(following, int) or following <= start:
                raise _unexpected(node_id, "a list of tasks that does not go on")
            start = following
        raise _unexpected(node_id, "a list of tasks without an end")

    async def forward(self, node_id: NodeId, request: NodeRequest) -> NodeReply:
        """See `NodeControl.forward`."""
        reply = await self._send(node_id, request)
        if reply.status >= 500:
            raise _failed(node_id, reply)
        return reply

    # ------------------------------------------------------------ steps

    def _tasks(self, node_id: NodeId, answer: Json) -> list[NodeTask]:
        return [self._discreet(_task(node_id, one)) for one in _objects(node_id, answer)]

    def _discreet(self, task: NodeTask) -> NodeTask:
        """Return a task whose error quotes no secret."""
        if task.error is None:
            return task
        hide = self._secrets.out_of
        error = {k: hide(v) if isinstance(v, str) else v for k, v in task.error.items()}
        return replace(task, error=error)

    async def _version(self, node_id: NodeId) -> str:
        answer = _object(node_id, await self._get(node_id, "/version"))
        return _text(node_id, answer, "pkgVersion")

    def _send(self, node_id: NodeId, request: NodeRequest) -> Awaitable[NodeReply]:
        return self._transport.send(node_id, request, timeout_s=self._timeout_s)

    async def _get(self, node_id: NodeId, path: str) -> Json:
        return _decoded(node_id, await self._send(node_id, NodeRequest("GET", path)))

    async def _soon(self, node_id: NodeId, path: str) -> Json:
        request = NodeRequest("GET", path)
        sent = self._transport.send(node_id, request, timeout_s=self._health_timeout_s)
        return _decoded(node_id, await sent)

    async def _enqueue(self, node_id: NodeId, method: str, path: str, body: Json) -> int:
        """Send a write; return the node's task uid."""
        request = NodeRequest(method, path)
        if body is not None:
            request = NodeRequest(method, path, orjson.dumps(body), "application/json")
        answer = _object(node_id, _decoded(node_id, await self._send(node_id, request)))
        return _number(node_id, answer, "taskUid")


def _path(index_uid: IndexUid) -> str:
    return "/indexes/" + quote(index_uid, safe="")


# ---------------------------------------------------------------- answers read strictly


def _decoded(node_id: NodeId, reply: NodeReply) -> Json:
    """Return the JSON of a 2xx answer; raise what any other one means."""
    if reply.status >= 500:
        raise _failed(node_id, reply)
    try:
        answer = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        raise _unexpected(node_id, f"status {reply.status} and no JSON") from None
    if 200 <= reply.status < 300:
        return answer
    if reply.status >= 400 and isinstance(answer, dict) and isinstance(answer.get("code"), str):
        raise NodeRefused(reply.status, answer)
    raise _unexpected(node_id, f"status {reply.status} and no error object")


def _failed(node_id: NodeId, reply: NodeReply) -> NodeUnreachable:
    try:
        answer = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        answer = None  # a proxy's page, or nothing: the status has to do
    code = answer.get("code") if isinstance(answer, dict) else None
    detail = f" ({code[:100]})" if isinstance(code, str) else ""
    return NodeUnreachable(f"node {node_id}: status {reply.status}{detail}")


def _unexpected(node_id: NodeId, what: str) -> NodeUnreachable:
    return NodeUnreachable(f"node {node_id}: the answer is not Meilisearch's: {what}")


def _object(node_id: NodeId, answer: Json) -> dict[str, Json]:
    if not isinstance(answer, dict):
        raise _unexpected(node_id, "no object")
    return answer


def _objects(node_id: NodeId, answer: Json) -> list[dict[str, Json]]:
    results = _object(node_id, answer).get("results")
    if not isinstance(results, list) or not all(isinstance(one, dict) for one in results):
        raise _unexpected(node_id, "no list of results")
    return results


def _text(node_id: NodeId, one: dict[str, Json], key: str) -> str:
    value = one.get(key)
    if not isinstance(value, str):
        raise _unexpected(node_id, f"no {key}")
    return value


def _number(node_id: NodeId, one: dict[str, Json], key: str) -> int:
    value = one.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _unexpected(node_id, f"no {key}")
    return value


def _optional_text(node_id: NodeId, one: dict[str, Json], key: str) -> str | None:
    return None if one.get(key) is None else _text(node_id, one, key)


def _optional_object(node_id: NodeId, one: dict[str, Json], key: str) -> dict[str, Json] | None:
    value = one.get(key)
    if value is not None and not isinstance(value, dict):
        raise _unexpected(node_id, f"{key} is no object")
    return value


def _index(node_id: NodeId, one: dict[str, Json]) -> NodeIndex:
    uid = IndexUid(_text(node_id, one, "uid"))
    return NodeIndex(uid, _optional_text(node_id, one, "primaryKey"))


def _task(node_id: NodeId, one: dict[str, Json]) -> NodeTask:
    index_uid = _optional_text(node_id, one, "indexUid")
    return NodeTask(
        uid=_number(node_id, one, "uid"),
        index_uid=None if index_uid is None else IndexUid(index_uid),
        type=_text(node_id, one, "type"),
        status=_text(node_id, one, "status"),
        error=_optional_object(node_id, one, "error"),
        details=_optional_object(node_id, one, "details"),
        started_at=_optional_text(node_id, one, "startedAt"),
        finished_at=_optional_text(node_id, one, "finishedAt"),
        enqueued_at=_optional_text(node_id, one, "enqueuedAt"),
    )
