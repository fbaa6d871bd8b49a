"""The search engine of the embedded node: documents of one index in memory, searchable."""

from miroir.node.engine.errors import EvaluationError
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
    "EvaluationError",
    "FacetQuery",
    "FacetResult",
    "Features",
    "HitScore",
    "SearchIndex",
    "SearchQuery",
    "SearchResult",
]
