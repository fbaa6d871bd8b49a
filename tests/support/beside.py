"""
A cluster of several shards beside one node that holds everything, to be asked the same.

Nothing here knows a test. What only a clock or a dice can say of an answer is taken out of both.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from miroir.cli.layout import Engine, Shape
from tests.support.live_cluster import LiveCluster, live_cluster
from tests.support.node_process import KEY, embedded_node, real_node

SHARDS: Final = 3
Json = Any
_EACH_TIME_ANOTHER: Final = {"processingTimeMs", "requestUid", "queryUid"}


class Beside:
    """
    Both of them.

    Attributes:
        cluster: Miroir and its shards.
        engine: What the nodes run.
    """

    def __init__(
        self, cluster: LiveCluster, through: httpx.Client, whole: httpx.Client, engine: Engine
    ) -> None:
        self.cluster = cluster
        self.engine = engine
        self._through = through
        self._whole = whole
        self._count = 0

    def load(self, documents: list[Json], settings: Json, *, uid: str | None = None) -> str:
        """Make an index of documents on both; return its uid, which is new unless given."""
        self._count += 1
        uid = uid or f"index{self._count}"
        for method, path, body in (
            ("POST", "/indexes", {"uid": uid, "primaryKey": "id"}),
            ("PATCH", f"/indexes/{uid}/settings", settings),
            ("POST", f"/indexes/{uid}/documents", documents),
        ):
            self.cluster.do(method, path, body)
            task = self._whole.request(method, path, json=body).raise_for_status().json()
            while task.get("status") not in {"succeeded", "failed"}:
                task = self._whole.get(f"/tasks/{task.get('taskUid', task.get('uid'))}").json()
            assert task["status"] == "succeeded", task
        return uid

    def one_node(self, method: str, path: str, body: Json = None, **more: Any) -> httpx.Response:
        """Ask the one node."""
        return self._whole.request(method, path, **_with(body), **more)

    def through(self, method: str, path: str, body: Json = None, **more: Any) -> httpx.Response:
        """Ask Miroir."""
        return self._through.request(method, path, **_with(body), **more)

    def both(self, method: str, path: str, body: Json = None, **more: Any) -> tuple[Json, Json]:
        """Return what both answer, status included: the one node, and Miroir."""
        answers = (ask(method, path, body, **more) for ask in (self.one_node, self.through))
        whole, found = ({"status": a.status_code, **lasting(a.json())} for a in answers)
        return whole, found


def _client(url: str, key: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False)


def _with(body: Json) -> dict[str, Any]:
    if isinstance(body, bytes):
        return {"content": body}
    return {} if body is None else {"json": body}


def lasting(value: Json) -> Json:
    """Return an answer without what is another each time."""
    if isinstance(value, Mapping):
        return {
            name: "another each time" if name in _EACH_TIME_ANOTHER else lasting(inner)
            for name, inner in value.items()
        }
    return [lasting(inner) for inner in value] if isinstance(value, list) else value


@contextmanager
def beside(
    folder: Path, engine: Engine, shards: int = SHARDS, groups: int = 1
) -> Iterator[Beside]:
    """Run both."""
    alone = folder / "whole"
    alone.mkdir(parents=True)
    start = real_node if engine.kind == "meilisearch" else embedded_node
    with (
        live_cluster(folder / "c", Shape(shards, groups), engine=engine) as cluster,
        start(alone) as node,
        _client(node.url, KEY) as whole,
        _client(cluster.local.url, cluster.local.layout.master_key.reveal()) as through,
    ):
        yield Beside(cluster, through, whole, engine)
