"""The search engine of the embedded node: documents of one index in memory, searchable."""

from miroir.node.engine.errors import EvaluationError
from miroir.node.engine.finding import FacetCounter, Finding
from miroir.node.engine.index import SearchIndex
from miroir.node.engine.types import (
    FacetQuery,
    FacetResult,
    Features,
    HitScore,
    SearchQuery,
    SearchResult,
    Semantic,
    SimilarQuery,
)

__all__ = [
    "EvaluationError",
    "FacetCounter",
    "FacetQuery",
    "FacetResult",
    "Features",
    "Finding",
    "HitScore",
    "SearchIndex",
    "SearchQuery",
    "SearchResult",
    "Semantic",
    "SimilarQuery",
]
