"""
The search engines in memory, one for each index, and the lock that guards them.

Rules: an engine is touched only under `lock`; a change of an engine and the commit of the same
change to the store happen under one hold of the lock, so that no search sees a half-applied task,
and whoever saw a task succeed finds its effect. When a commit fails, the engine is rebuilt from
the store, which is the truth. `Engine` is the seam: what this server needs of an engine, and no
more.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from miroir.node.documents.table import stored_documents
from miroir.node.engine import (
    FacetCounter,
    FacetQuery,
    FacetResult,
    Features,
    Finding,
    SearchQuery,
    SearchResult,
    SimilarQuery,
)
from miroir.node.indexes import IndexRow, all_indexes, find_index
from miroir.node.json_text import decode
from miroir.node.settings import engine_form
from miroir.node.store import Store


class Engine(Protocol):
    """The documents of one index, ready to be searched. Not safe for threads."""

    def put(self, documents: Iterable[tuple[str, dict[str, Any]]], /) -> None:
        """Add or replace documents by their external ids."""

    def remove(self, ids: Iterable[str], /) -> object:
        """Remove documents; unknown ids are ignored."""

    def clear(self) -> None:
        """Remove every document."""

    def ids(self) -> list[str]:
        """Return every external id, in order of insertion."""

    def reconfigured(self, settings: Mapping[str, Any], /) -> "Engine":
        """Return an engine of the same documents under other settings; this one stays usable."""

    def match(
        self, filter_: Any, /, *, code: str, features: Features | None = None
    ) -> Iterable[str]:
        """Return the ids that meet a filter; a bad filter raises an `ApiError` with `code`."""

    def search(self, query: SearchQuery, /) -> SearchResult:
        """Return the answer to a query."""

    def find(self, query: SearchQuery, /, *, limit: int, exact_totals: bool) -> Finding:
        """Return what a query finds, before it is shown."""

    def facets(self) -> FacetCounter:
        """Return what counts facet values."""

    def similar(self, query: SimilarQuery, /) -> SearchResult:
        """Return the neighbours of a document."""

    def embeddings(self) -> tuple[int, int]:
        """Return the number of vectors, and of documents that have any."""

    def facet_search(self, query: FacetQuery, /) -> FacetResult:
        """Return the facet values that meet a query."""

    def field_names(self) -> list[str]:
        """Return the paths of all fields."""

    def field_distribution(self) -> dict[str, int]:
        """Return how many documents have each field."""

    def sorted_ids(self, sort: Sequence[str], ids: Iterable[str], /) -> list[str]:
        """Return the ids in the order of sort expressions."""

    def sort_values(
        self, sort: Sequence[str], ids: Iterable[str], /
    ) -> list[list[dict[str, Any]]]:
        """Return what known ids are sorted by."""
        ...

    def fields_with(self, names: set[str], /) -> int:
        """Return how many top-level fields there are, with those of `names`."""
        ...

    def __len__(self) -> int:
        """Return the number of documents."""


NewEngine: TypeAlias = Callable[[dict[str, Any], str | None], Engine]


class Catalog:
    """
    Every index's engine.

    Args:
        store: Where the truth is.
        new_engine: Makes an empty engine from complete settings and a primary key.
    """

    def __init__(self, store: Store, new_engine: NewEngine) -> None:
        self.lock = threading.RLock()
        self._store = store
        self._new_engine = new_engine
        self._engines: dict[int, Engine] = {}

    def load(self) -> None:
        """Build every engine from the store."""
        with self.lock:
            self._engines = {row.iid: self.built(row) for row in all_indexes(self._store)}

    def built(self, row: IndexRow, settings: Mapping[str, Any] | None = None) -> Engine:
        """Return a new engine with an index's stored documents, under other settings if given."""
        stored = row.settings if settings is None else settings
        engine = self._new_engine(engine_form(stored), row.primary_key)
        engine.put(self._documents(row))
        return engine

    def empty(self, row: IndexRow, primary_key: str | None) -> Engine:
        """Return a new engine without documents for an index and a primary key."""
        return self._new_engine(engine_form(row.settings), primary_key)

    def reconfigured(self, row: IndexRow, settings: Mapping[str, Any]) -> Engine:
        """
        Return an engine of the same documents under other stored settings.

        Runs without the lock, beside searches of the old engine: only the scheduler's thread
        changes engines, and it is the one that calls this.
        """
        return self._engines[row.iid].reconfigured(engine_form(settings))

    def _documents(self, row: IndexRow) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, raw in stored_documents(self._store, row.iid):
            yield name, decode(raw)

    def engine(self, iid: int) -> Engine:
        """Return the engine of an index. The caller holds the lock."""
        return self._engines[iid]

    def put(self, iid: int, engine: Engine) -> None:
        """Set the engine of an index. The caller holds the lock."""
        self._engines[iid] = engine

    def drop(self, iid: int) -> None:
        """Forget the engine of an index. The caller holds the lock."""
        self._engines.pop(iid, None)

    def reload(self, uid: str) -> None:
        """Rebuild the engine of an index from the store. The caller holds the lock."""
        if (row := find_index(self._store, uid)) is not None:
            self._engines[row.iid] = self.built(row)
