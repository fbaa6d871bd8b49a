"""
All documents of one index in memory, searchable: the door between the server and the engine.

Every method answers at once from memory; errors that a client caused are `ApiError`. Not
thread-safe: the caller locks. What is behind each method is in the file of its noun.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pyroaring import BitMap

from miroir.node.engine.finding import FacetCounter, Finding
from miroir.node.engine.search import Page, Searcher, filtered
from miroir.node.engine.similar import similar
from miroir.node.engine.sort_parser import DOCUMENT_CODE, check_sort, parse_sort
from miroir.node.engine.sorting import sort_documents, sort_values
from miroir.node.engine.store import Document, IndexStore
from miroir.node.engine.types import (
    FacetQuery,
    FacetResult,
    Features,
    SearchQuery,
    SearchResult,
    SimilarQuery,
)


class SearchIndex:
    """The documents and settings of one index, and every question about them."""

    def __init__(
        self, settings: Mapping[str, Any], primary_key: str | None = None, *, quirks: bool = False
    ) -> None:
        """
        Make an empty index.

        Args:
            settings: The complete object that GET /settings answers.
            primary_key: The field with the ids.
            quirks: Let ranking depend on the other documents where Meilisearch's does.
        """
        self._store = IndexStore(settings, primary_key, quirks=quirks)

    def put(self, documents: Iterable[tuple[str, Document]]) -> None:
        """Add documents by canonical external id, or replace those with the same id whole."""
        self._store.put(documents)

    def remove(self, ids: Iterable[str]) -> int:
        """Remove documents; return how many there were. Unknown ids are passed over."""
        return self._store.remove(ids)

    def clear(self) -> None:
        """Remove all documents."""
        self._store.clear()

    def get(self, id: str) -> Document | None:  # noqa: A002 - the name the server knows
        """Return a document as it was put, None if there is none; it must not be changed."""
        number = self._store.number_of.get(id)
        return None if number is None else self._store.contents[number]

    def ids(self) -> list[str]:
        """Return all ids; a replaced document keeps its place."""
        return [self._store.id_of[number] for number in sorted(self._store.id_of)]

    def __len__(self) -> int:
        return len(self._store)

    def reconfigured(self, settings: Mapping[str, Any]) -> "SearchIndex":
        """
        Return the same documents under other settings, re-reading only what the change needs.

        The old object goes on answering, but neither may be written to while both are in use:
        parts that the change does not touch are shared.
        """
        fresh = SearchIndex(settings, self._store.primary_key)
        fresh._store = self._store.reconfigured(settings)
        return fresh

    def match(self, filter: Any, *, code: str, features: Features | None = None) -> list[str]:  # noqa: A002
        """Return the ids that a filter matches, all for None; ApiError with `code`."""
        found = filtered(self._store, filter, features or Features(), code=code)
        return [self._store.id_of[number] for number in found]

    def search(self, query: SearchQuery) -> SearchResult:
        """Run one search; ApiError for what the settings do not allow."""
        return Searcher(self._store).search(query)

    def find(self, query: SearchQuery, *, limit: int, exact_totals: bool) -> Finding:
        """Run one search without showing it; at most the index's `maxTotalHits` documents."""
        searcher = Searcher(self._store)
        limit = min(limit, self._store.settings.total_hits_max)
        found = searcher.find(query, Page(0, limit, exact_totals))
        return Finding(
            found.ranked,
            found.candidates,
            found.kind != "words",
            found.vector,
            searcher.maker(query, found),
            self._store,
        )

    def facets(self) -> FacetCounter:
        """Return what counts the facet values of this index."""
        return FacetCounter(self._store)

    def facet_search(self, query: FacetQuery) -> FacetResult:
        """Search the values of one facet; ApiError if it is not searchable."""
        return Searcher(self._store).facet_search(query)

    def similar(self, query: SimilarQuery) -> SearchResult:
        """Return the neighbours of a document; ApiError for what does not exist."""
        return similar(self._store, query)

    def embeddings(self) -> tuple[int, int]:
        """Return how many vectors there are, and how many documents have any."""
        every = self._store.vectors.of.values()
        documents = BitMap.union(BitMap(), *(found.documents() for found in every))
        return sum(found.count() for found in every), len(documents)

    def sorted_ids(self, sort: Sequence[str], ids: Iterable[str]) -> list[str]:
        """Return known ids in the order of sort expressions; ApiError `invalid_document_sort`."""
        by = parse_sort(sort, code=DOCUMENT_CODE)
        check_sort(by, self._store.settings, code=DOCUMENT_CODE)
        numbers = [self._store.number_of[id_] for id_ in ids if id_ in self._store.number_of]
        ordered = sort_documents(numbers, self._store.facets, by)
        return [self._store.id_of[number] for number in ordered]

    def sort_values(self, sort: Sequence[str], ids: Iterable[str]) -> list[list[dict[str, Any]]]:
        """Return what known ids are sorted by, for whoever merges them with others."""
        by = parse_sort(sort, code=DOCUMENT_CODE)
        numbers = [self._store.number_of[id_] for id_ in ids]
        return sort_values(self._store, numbers, by)

    def fields_with(self, names: set[str]) -> int:
        """Return how many top-level fields there are, with those of `names`, or a few more."""
        return self._store.fields_with(names)

    def field_names(self) -> list[str]:
        """Return the paths of all fields that documents have or had, sorted."""
        return self._store.known_fields()

    def field_distribution(self) -> dict[str, int]:
        """Return how many documents have each top-level field."""
        return self._store.field_distribution()
