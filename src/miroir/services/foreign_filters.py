"""
Answers conditions on other indexes within filters (core/merge/foreign_filters.py), over shards.

Asked with the cluster's own key, as nodes look into another index. Whether a filter is right, a
node has said before: what is left to refuse is what only the whole of the other index can show.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec
import orjson
from msgspec import Raw

from miroir.core.merge.foreign_filters import Condition, conditions, resolved
from miroir.core.merge.joins import Join, id_of
from miroir.core.topology import IndexUid
from miroir.errors import BadParameter
from miroir.ports.node import NodeRequest
from miroir.services.cluster import Cluster, IndexView
from miroir.services.registrar import RefusedByNode
from miroir.services.scatter import Scatter, Wish

_DOCUMENTS_MAX: Final = 100
"""What a condition may find, as on one node."""


class _Page(msgspec.Struct):
    results: list[Raw]
    total: int


_page: Final = msgspec.json.Decoder(_Page).decode


class ForeignFilters:
    """Puts ids in the place of conditions."""

    def __init__(self, *, scatter: Scatter, cluster: Cluster, timeout_s: float) -> None:
        self._scatter = scatter
        self._cluster = cluster
        self._timeout_s = timeout_s

    async def without(self, index: IndexView, query: Mapping[str, Any]) -> dict[str, Any]:
        """
        Return a query whose filter is about its own index alone.

        Raises:
            BadParameter: A condition finds too many documents.
            RefusedByNode: A node refuses a condition.
            Unavailable: See `Scatter.ask`.
        """
        given = query.get("filter")
        keys = (index.record.settings or {}).get("foreignKeys") or ()
        uids = {key["fieldName"]: key["foreignIndexUid"] for key in keys}
        found: dict[Condition, list[str]] = {}
        for condition in conditions(given):
            if condition.path in uids and condition not in found:
                found[condition] = await self._ids(uids[condition.path], condition.inner)
        if not found:
            return dict(query)
        return {**query, "filter": resolved(given, found.__getitem__)}

    async def _ids(self, index_uid: str, inner: str) -> list[str]:
        index = self._cluster.view.live(index_uid)
        key = None if index is None else index.record.primary_key
        if key is None:
            return []
        body = {"filter": inner, "fields": [key], "limit": _DOCUMENTS_MAX}
        path = f"/indexes/{quote(index_uid)}/documents/fetch"
        request = NodeRequest("POST", path, orjson.dumps(body), "application/json")
        wish = Wish(IndexUid(index_uid), request, timeout_s=self._timeout_s)
        gathered = await self._scatter.ask(wish)
        if gathered.refusal is not None:
            raise RefusedByNode(gathered.refusal)
        pages = [_page(reply.body) for reply in gathered.replies]
        if sum(page.total for page in pages) > _DOCUMENTS_MAX:
            raise BadParameter(
                "invalid_search_filter",
                f"Index `{index_uid}`: Foreign filter is retrieving too many documents, foreign "
                f"filters can't retrieve more than {_DOCUMENTS_MAX} documents per index",
            )
        named = Join(key, {})
        ids = (id_of(raw, named) for page in pages for raw in page.results)
        return sorted(name for name in ids if name is not None)
