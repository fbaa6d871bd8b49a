"""
Documents similar to a document: the nearest neighbours of its vectors.

The document itself is never among them; one without a vector has no neighbours. Of several
vectors the first is compared, as in Meilisearch.
"""

from collections.abc import Iterator

from pyroaring import BitMap

from miroir.node.engine.hits import HitMaker
from miroir.node.engine.matches import MatchingWords
from miroir.node.engine.ranking import RankedDocument
from miroir.node.engine.scores import Similarity
from miroir.node.engine.search import filtered
from miroir.node.engine.semantic import embeddings_of
from miroir.node.engine.store import IndexStore
from miroir.node.engine.types import SearchQuery, SearchResult, Semantic, SimilarQuery
from miroir.node.engine.vectors import Embeddings
from miroir.node.errors import ApiError

_CODE = "invalid_similar_filter"


def similar(store: IndexStore, query: SimilarQuery) -> SearchResult:
    """Return the neighbours; ApiError for an unknown document, embedder or a bad filter."""
    semantic = Semantic(query.embedder)
    embeddings = embeddings_of(store, semantic, "invalid_similar_embedder")
    allowed = filtered(store, query.allowed, query.features, code=_CODE)
    document = store.number_of.get(query.id)
    if document is None or document not in allowed:
        raise ApiError("not_found_similar_id", f"Document `{query.id}` not found.")
    universe = filtered(store, query.filter, query.features, code=_CODE) - BitMap([document])
    ranked, candidates = _page(query, universe, _neighbours(embeddings, document, universe))
    show = SearchQuery(
        attributes_to_retrieve=query.attributes_to_retrieve,
        retrieve_vectors=query.retrieve_vectors,
        show_ranking_score=query.show_ranking_score,
        show_ranking_score_details=query.show_ranking_score_details,
    )
    maker = HitMaker(store, show, MatchingWords(()))
    return SearchResult(
        hits=[maker.hit(found) for found in ranked],
        pagination={
            "limit": query.limit,
            "offset": query.offset,
            "estimatedTotalHits": len(candidates),
        },
    )


def _neighbours(
    embeddings: Embeddings, document: int, universe: BitMap
) -> Iterator[tuple[int, float]]:
    vectors = embeddings.vectors(document)
    if vectors:
        for similarity, found in embeddings.nearest(vectors[0], universe):
            for number in found:
                yield number, similarity


def _page(
    query: SimilarQuery, universe: BitMap, neighbours: Iterator[tuple[int, float]]
) -> tuple[list[RankedDocument], BitMap]:
    """Return the page, and what is left of the universe by the score threshold."""
    ranked: list[RankedDocument] = []
    seen = BitMap()
    for at, (document, similarity) in enumerate(neighbours):
        if len(ranked) == query.limit:
            break
        seen.add(document)
        if at < query.offset:
            continue
        threshold = query.ranking_score_threshold
        if threshold is not None and similarity < threshold:
            return ranked, (universe & seen) - BitMap([document])
        ranked.append(RankedDocument(document, (Similarity(similarity),)))
    return ranked, universe
