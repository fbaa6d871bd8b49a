"""
What the server and the search engine say to each other: queries in, results out.

A query arrives with every parameter already checked for its JSON type by the server; what needs
the index or its settings to judge (is the attribute filterable?) is judged by the engine. Results
are JSON-ready. Names follow POST /search of Meilisearch 1.50 in snake_case.

Plain values only: no behaviour, no import of any other engine file.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

MatchingStrategy = Literal["last", "all", "frequency"]


@dataclass(frozen=True, slots=True)
class Features:
    """Experimental features that change what the engine accepts; all off on a new server."""

    contains_filter: bool = False
    foreign_keys: bool = False
    multimodal: bool = False


@dataclass(frozen=True, slots=True)
class Semantic:
    """The parameter `hybrid`, and `vector`; `ratio` is the share of the vector's results."""

    embedder: str
    ratio: float = 0.5
    vector: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """
    One search of one index.

    `page` or `hits_per_page` not None selects the page mode (exact totals), as in Meilisearch;
    then offset and limit are ignored. `attributes_to_highlight`, `attributes_to_crop` and
    `attributes_to_retrieve` hold the request's strings untouched (`*`, `field:30` included).
    """

    q: str | None = None
    offset: int = 0
    limit: int = 20
    page: int | None = None
    hits_per_page: int | None = None
    attributes_to_retrieve: tuple[str, ...] | None = None
    retrieve_vectors: bool = False
    attributes_to_crop: tuple[str, ...] | None = None
    crop_length: int = 10
    crop_marker: str = "…"
    attributes_to_highlight: tuple[str, ...] | None = None
    highlight_pre_tag: str = "<em>"
    highlight_post_tag: str = "</em>"
    show_matches_position: bool = False
    filter: Any = None
    sort: tuple[str, ...] | None = None
    distinct: str | None = None
    facets: tuple[str, ...] | None = None
    matching_strategy: MatchingStrategy = "last"
    attributes_to_search_on: tuple[str, ...] | None = None
    ranking_score_threshold: float | None = None
    show_ranking_score: bool = False
    show_ranking_score_details: bool = False
    locales: tuple[str, ...] | None = None
    semantic: Semantic | None = None
    features: Features = field(default_factory=Features)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """
    The answer to one search.

    `hits` are complete JSON objects in Meilisearch's key order. `pagination` is the block of the
    mode that was asked for: limit, offset, estimatedTotalHits; or hitsPerPage, page, totalPages,
    totalHits. Facets are None unless the query asked for them. `scores` holds, hit for hit, the
    ranking score and its details whether or not they are shown. `semantic_hits` counts the hits
    found by vector, None when vectors were not asked; `query_vector` is the one that was used.
    """

    hits: list[dict[str, Any]]
    pagination: dict[str, int]
    facet_distribution: dict[str, dict[str, int]] | None = None
    facet_stats: dict[str, dict[str, float]] | None = None
    scores: tuple["HitScore", ...] = ()
    semantic_hits: int | None = None
    query_vector: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class HitScore:
    """The ranking of one hit: document id, score in 0..1, and details in the shape of the API."""

    id: str
    score: float
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SimilarQuery:
    """One search for the neighbours of a document; `allowed` narrows which one it may be."""

    id: str
    embedder: str
    offset: int = 0
    limit: int = 20
    filter: Any = None
    allowed: Any = None
    attributes_to_retrieve: tuple[str, ...] | None = None
    retrieve_vectors: bool = False
    show_ranking_score: bool = False
    show_ranking_score_details: bool = False
    ranking_score_threshold: float | None = None
    features: Features = field(default_factory=Features)


@dataclass(frozen=True, slots=True)
class FacetQuery:
    """One facet search: values of `facet_name` that begin with `facet_query`."""

    facet_name: str
    facet_query: str | None = None
    q: str | None = None
    filter: Any = None
    matching_strategy: MatchingStrategy = "last"
    attributes_to_search_on: tuple[str, ...] | None = None
    ranking_score_threshold: float | None = None
    locales: tuple[str, ...] | None = None
    semantic: Semantic | None = None
    exhaustive_facet_count: bool = False
    features: Features = field(default_factory=Features)


@dataclass(frozen=True, slots=True)
class FacetResult:
    """`hits` are `{"value": highlighted spelling, "count": n}` in the order of the answer."""

    hits: list[dict[str, Any]]
    facet_query: str | None
