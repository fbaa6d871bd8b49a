"""Admin routes of the commons: features and keys, node by node. No value of a key is shown."""

from collections.abc import Mapping
from typing import Any

from miroir.api.edge import Edge
from miroir.api.http import Reply, Request, reply_json
from miroir.api.router import Access, Route
from miroir.core.commons import FEATURES, KEYS
from miroir.core.topology import IndexUid
from miroir.services.cluster import IndexView


def routes(edge: Edge) -> tuple[Route, ...]:
    """Return the rows of these routes."""
    commons = CommonsRoutes(edge)
    return (
        Route("GET", "/_miroir/features", commons.features, Access.ADMIN),
        Route("GET", "/_miroir/keys", commons.keys, Access.ADMIN),
    )


class CommonsRoutes:
    """Shows what every node should have, and which node is proved to have it."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def features(self, _request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /_miroir/features`: the flags, their version, and where each node stands."""
        flags = dict(self._edge.flags.committed)
        return reply_json({**self._standing(FEATURES), "features": flags})

    async def keys(self, _request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /_miroir/keys`: the keys of the cluster, and those that nodes have besides."""
        live = self._edge.ring.live()
        body = {
            **self._standing(KEYS),
            "keys": [{"uid": uid, **key} for uid, key in sorted(live.items())],
            "unmanaged": await self._unmanaged(),
        }
        return reply_json(body)

    async def _unmanaged(self) -> dict[str, list[dict[str, Any]] | None]:
        """Keys that are not the cluster's, by node; None for a node that could not be asked."""
        view = self._edge.cluster.view
        found: dict[str, list[dict[str, Any]] | None] = dict.fromkeys(view.topology.node_ids)
        for node_id in view.topology.node_ids:
            if node_id in view.healthy:
                keys = await self._edge.ring.unmanaged(node_id)
                found[node_id] = (
                    None if keys is None else [{"uid": u, **k} for u, k in sorted(keys.items())]
                )
        return found

    def _standing(self, uid: IndexUid) -> dict[str, Any]:
        view = self._edge.commons.view
        index = view.indexes.get(uid)
        return {
            "version": index.record.version if index is not None else 0,
            "phase": index.intent.state.phase.value if index and index.intent else "idle",
            "nodes": {
                node_id: {
                    "version": index.proved.get(node_id) if index is not None else None,
                    "state": _state(index, healthy=node_id in view.healthy, node_id=node_id),
                }
                for node_id in view.topology.node_ids
            },
        }


def _state(index: IndexView | None, *, healthy: bool, node_id: Any) -> str:
    if not healthy:
        return "down"
    proved = index.proved.get(node_id) if index is not None else None
    if index is None or proved is None:
        return "unproved"
    return "synced" if proved == index.record.version else "behind"
