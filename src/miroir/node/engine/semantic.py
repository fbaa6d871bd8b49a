"""
Searches by vector, and their marriage with searches by words.

    kind        ratio 0 or nothing to search by: words; 1, or no text: vector; else both
    vector      sort rules as asked, similarity where the first word rule would stand
    both        two rankings merged by score, each weighted by its share of the ratio

Words alone answer when they fill the page with good scores, or when no vector was given: this
engine embeds no text. As in Meilisearch 1.50 (milli, search/hybrid.rs and new/vector_sort.rs).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pyroaring import BitMap

from miroir.node.engine.ranking import RankedDocument, SameValue
from miroir.node.engine.rules import Bucket, Part, all_documents
from miroir.node.engine.scores import Detail, Similarity, global_score
from miroir.node.engine.store import IndexStore
from miroir.node.engine.types import Semantic
from miroir.node.engine.vectors import Embeddings, single
from miroir.node.engine.weighted import hybrid_order, values_of
from miroir.node.errors import ApiError

Kind = Literal["words", "vector", "both"]
_GOOD_ENOUGH: Final = 0.45


def kind_of(text: str | None, semantic: Semantic | None) -> Kind:
    """Return how a query is answered."""
    if semantic is None or semantic.ratio == 0:
        return "words"
    has_text = bool(text and text.strip())
    if not has_text and semantic.vector is None:
        return "words"
    return "both" if has_text and semantic.ratio < 1 else "vector"


def embeddings_of(store: IndexStore, semantic: Semantic, code: str) -> Embeddings:
    """Return the vectors to search; ApiError for an unknown embedder or a vector that misfits."""
    found = store.vectors.of.get(semantic.embedder)
    if found is None:
        raise ApiError(code, f"Cannot find embedder with name `{semantic.embedder}`.")
    wanted, vector = found.dimensions, semantic.vector
    if vector is not None and wanted is not None and len(vector) != wanted:
        raise ApiError(
            "invalid_vector_dimensions",
            f"Invalid vector dimensions: expected: `{wanted}`, found: `{len(vector)}`.",
        )
    return found


def require_vector(semantic: Semantic, text: str | None) -> Sequence[float]:
    """Return the query's vector; ApiError when the text would have to be embedded."""
    if semantic.vector is not None:
        return semantic.vector
    raise ApiError(
        "vector_embedding_error",
        "Error while generating embeddings: user error: attempt to embed the following text in a "
        f"configuration where embeddings must be user provided:\n  - `{text}`",
    )


class VectorSort:
    """A rule that orders documents by similarity; those without a vector are last."""

    def __init__(self, embeddings: Embeddings, target: Sequence[float]) -> None:
        self._embeddings = embeddings
        self._target = target

    def split(self, bucket: Bucket) -> Iterator[tuple[Detail, Bucket]]:
        """Yield the documents of each similarity."""
        left = BitMap(all_documents(bucket))
        for similarity, found in self._embeddings.nearest(self._target, left):
            left -= found
            yield Similarity(similarity), [Part(found)]
        if left:
            yield Similarity(None), [Part(left)]


@dataclass(frozen=True, slots=True)
class Ranked:
    """The outcome of one ranking: documents from the first place on, and all that matched."""

    documents: list[RankedDocument]
    candidates: BitMap


def is_good_enough(words: Ranked, wanted: int, ratio: float) -> bool:
    """Tell whether a search by words needs no help of vectors."""
    if len(words.documents) < wanted:
        return False
    scores = (global_score(ranked.details) for ranked in words.documents)
    return all(score * single(1.0 - ratio) >= _GOOD_ENOUGH for score in scores)


def merged(
    by_vector: Ranked, by_words: Ranked, ratio: float, wanted: int, same_value: SameValue | None
) -> Ranked:
    """Merge two rankings by weighted scores, each document and each distinct value once."""
    excluded = BitMap()
    taken: list[RankedDocument] = []
    for ranked in _by_score(by_vector.documents, by_words.documents, ratio):
        if len(taken) == wanted:
            break
        if ranked.document in excluded:
            continue
        excluded.add(ranked.document)
        if same_value is not None:
            excluded |= same_value(ranked.document)
        taken.append(ranked)
    candidates = by_vector.candidates | by_words.candidates
    if same_value is not None:
        candidates = (candidates - excluded) | BitMap(ranked.document for ranked in taken)
    return Ranked(taken, candidates)


def _by_score(
    by_vector: list[RankedDocument], by_words: list[RankedDocument], ratio: float
) -> Iterator[RankedDocument]:
    left, right, rest = 0, 0, single(1.0 - ratio)
    while left < len(by_vector) and right < len(by_words):
        one, other = by_vector[left], by_words[right]
        if hybrid_order(values_of(one.details, ratio), values_of(other.details, rest)) >= 0:
            yield one
            left += 1
        else:
            yield other
            right += 1
    yield from by_vector[left:]
    yield from by_words[right:]
