"""
One search of one index, from a checked body to the members of the answer.

Routes of single searches, of multi-search and the federation share what is here: which parameters
need an experimental feature, the rule of a tenant token, the names in front of errors.
"""

import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from miroir.node.auth import Access
from miroir.node.engine import EvaluationError
from miroir.node.errors import ApiError
from miroir.node.features import require_feature
from miroir.node.foreign import hydrate, resolved_text
from miroir.node.indexes import IndexRow, require_index
from miroir.node.instance import Node
from miroir.node.search_parameters import require_filter, search_query

_METADATA: Final = frozenset({"true", "1"})
PROXY_HEADER: Final = "meili-proxy-search"
"""By its value `true` one node of a network asks another."""


@dataclass(frozen=True)
class Asker:
    """Who searches: the node, the rights, and what headers say."""

    node: Node
    access: Access
    wants_metadata: bool
    merges: bool = False
    """Whether it merges answers of several nodes and wants to know what hits are ranked by."""

    @classmethod
    def of(cls, node: Node, access: Access, headers: Mapping[str, str]) -> "Asker":
        """Read the headers of a request."""
        wanted = headers.get("meili-include-metadata", "").lower() in _METADATA
        return cls(node, access, wanted, headers.get(PROXY_HEADER) == "true")

    def restricted(self, uid: str, filter_: Any) -> Any:
        """Return the filter that also meets the rule of a tenant token."""
        rule = self.access.filter_of(uid)
        if rule is None or filter_ is None:
            return rule if filter_ is None else filter_
        return [
            *(filter_ if isinstance(filter_, list) else [filter_]),
            *(rule if isinstance(rule, list) else [rule]),
        ]


def run_search(asker: Asker, uid: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to one search; ApiError for what the index refuses."""
    started = time.monotonic()
    node = asker.node
    body = {**body, "filter": asker.restricted(uid, body.get("filter"))}
    with node.catalog.lock:
        row = require_index(node.store, uid)
        require_supported(body, node.features)
        require_filter(body["filter"], "invalid_search_filter")
        body["filter"] = resolved_text(node, row, body["filter"])
        try:
            result = node.catalog.engine(row.iid).search(search_query(body, node.features))
        except EvaluationError as error:
            raise ApiError(error.code, f"Index `{uid}`: {error.message}") from error
        hydrate(node, ((row, hit) for hit in result.hits))
    found: dict[str, Any] = {"hits": result.hits, "query": body.get("q") or ""}
    if body.get("retrieveVectors") and result.query_vector is not None:
        found["queryVector"] = list(result.query_vector)
    found |= {"processingTimeMs": int((time.monotonic() - started) * 1000), **result.pagination}
    if result.facet_distribution is not None:
        found["facetDistribution"] = result.facet_distribution
        found["facetStats"] = result.facet_stats or {}
    found["requestUid"] = str(uuid7())
    if asker.wants_metadata:
        found["metadata"] = metadata(row, body.get("q"))
    if body.get("showPerformanceDetails"):
        found["performanceDetails"] = performance(started)
    if result.semantic_hits is not None:
        found["semanticHitCount"] = result.semantic_hits
    return found


def metadata(row: IndexRow, text: str | None) -> dict[str, Any]:
    """Return what the header `Meili-Include-Metadata` asks to know of a query."""
    known = {"indexUid": row.uid, "primaryKey": row.primary_key}
    named = {} if text is None else {"query": text}
    shown = {name: value for name, value in known.items() if value is not None}
    return {**named, "queryUid": str(uuid7()), **shown}


def performance(started: float) -> dict[str, str]:
    """Return the spans of `showPerformanceDetails`; this node measures the whole only."""
    return {"search": f"{(time.monotonic() - started) * 1e6:.2f}µs"}


def require_supported(body: Mapping[str, Any], features: Mapping[str, bool]) -> None:
    """Refuse, as Meilisearch does or plainly, what the embedded node does not do."""
    if body.get("personalize") is not None:
        require_feature(features, "personalization", "reranking search results")
    if body.get("useNetwork") is not None:
        require_feature(features, "network", "passing `useNetwork` in a search query")
    media, vector = body.get("media") is not None, body.get("vector") is not None
    if media and vector:
        message = "both `media` and `vector` parameters are present."
        raise ApiError("invalid_search_media_and_vector", f"Invalid request: {message}")
    if body.get("hybrid") is None and (media or vector):
        message = "missing `hybrid` parameter when `vector` or `media` are present."
        raise ApiError("missing_search_hybrid", f"Invalid request: {message}")
    if media:
        require_feature(features, "multimodal", "passing `media` in a search query")
        raise ApiError(
            "vector_embedding_error",
            "Error while generating embeddings: user error: `media` requested but the "
            "configuration doesn't have source `rest`",
        )


def uuid7() -> uuid.UUID:
    """Return a version 7 UUID: milliseconds since 1970, then random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = milliseconds << 80 | random
    value = value & ~(0xF << 76) | 7 << 76
    return uuid.UUID(int=value & ~(0x3 << 62) | 2 << 62)
