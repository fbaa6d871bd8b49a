"""The search engine of the embedded node: documents of one index in memory, searchable."""

from miroir.node.engine.index import SearchIndex
from miroir.node.engine.types import (
    FacetQuery,
    FacetResult,
    Features,
    HitScore,
    SearchQuery,
    SearchResult,
)

__all__ = [
    "FacetQuery",
    "FacetResult",
    "Features",
    "HitScore",
    "SearchIndex",
    "SearchQuery",
    "SearchResult",
]
