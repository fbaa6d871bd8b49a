"""
The state of one index: documents, settings, and the structures made from both.

Documents keep a small internal number for life; a replaced document keeps its number, a number
freed by a removal is used again, and numbers are the last tie-break of every order, as in
Meilisearch. Nothing is stored on disk here, and no question is answered here: see `search.py`.
"""

import heapq
from collections.abc import Iterable, Mapping
from typing import Any, Final

from miroir.node.engine.facet_index import FacetIndex
from miroir.node.engine.fields import Searchable, walk
from miroir.node.engine.index_settings import IndexSettings
from miroir.node.engine.inverted import InvertedIndex
from miroir.node.engine.languages import Languages
from miroir.node.engine.query import TypoRules
from miroir.node.engine.synonyms import Synonyms
from miroir.node.engine.tokenize import Tokenizer
from miroir.node.engine.vectors import VectorStore

Document = dict[str, Any]
FIELDS_MAX: Final = 65_536
"""How many top-level fields the documents of an index may have together."""

# The settings that each part is built from; a part is kept when none of its settings changed.
_TEXT_SETTINGS: Final = (
    "searchableAttributes", "stopWords", "separatorTokens", "nonSeparatorTokens", "dictionary",
    "localizedAttributes",
)  # fmt: skip
_VALUE_SETTINGS: Final = (
    "filterableAttributes", "sortableAttributes", "distinctAttribute", "rankingRules",
)  # fmt: skip


class IndexStore:
    """The documents and settings of one index."""

    def __init__(
        self, settings: Mapping[str, Any], primary_key: str | None = None, *, quirks: bool = False
    ) -> None:
        self.primary_key = primary_key
        self.quirks = quirks
        self.settings = IndexSettings(settings)
        self.tokenizer = Tokenizer.of(settings)
        self.display_tokenizer = Tokenizer.of({**settings, "stopWords": ()})
        self.synonyms = Synonyms(self.tokenizer, settings.get("synonyms") or {})
        self.typos = TypoRules.of(settings)
        self.languages = Languages(settings)
        self.inverted = InvertedIndex(_searchable(settings), self.tokenizer, self.languages)
        self.facets = FacetIndex(self.settings.needs_values)
        self.vectors = VectorStore(settings)
        self.contents: dict[int, Document] = {}
        self.id_of: dict[int, str] = {}
        self.number_of: dict[str, int] = {}
        self._free: list[int] = []
        self._known: set[str] = set()

    def put(self, documents: Iterable[tuple[str, Document]]) -> None:
        """Add documents, or replace those with the same id whole."""
        for id_, content in documents:
            number = self.number_of.get(id_)
            if number is None:
                number = heapq.heappop(self._free) if self._free else len(self.id_of)
                self.number_of[id_], self.id_of[number] = number, id_
            else:
                self._forget(number)
            self.contents[number] = content
            self._index(number, content)

    def remove(self, ids: Iterable[str]) -> int:
        """Remove documents; return how many there were. Unknown ids are passed over."""
        removed = 0
        for id_ in ids:
            number = self.number_of.pop(id_, None)
            if number is None:
                continue
            self._forget(number)
            del self.contents[number], self.id_of[number]
            heapq.heappush(self._free, number)
            removed += 1
        return removed

    def clear(self) -> None:
        """Remove all documents."""
        self.inverted = InvertedIndex(self.inverted.searchable, self.tokenizer, self.languages)
        self.facets = FacetIndex(self.settings.needs_values)
        self.vectors = VectorStore(self.settings.raw)
        self.contents, self.id_of, self.number_of, self._free = {}, {}, {}, []

    def __len__(self) -> int:
        return len(self.contents)

    def reconfigured(self, settings: Mapping[str, Any]) -> "IndexStore":
        """
        Return the same documents under other settings.

        The old object goes on answering; neither may be written to while both are in use, since
        parts that the change does not touch are shared.
        """
        fresh = IndexStore(settings, self.primary_key, quirks=self.quirks)
        fresh.contents, fresh.id_of = dict(self.contents), dict(self.id_of)
        fresh.number_of, fresh._free = dict(self.number_of), list(self._free)
        fresh._known = set(self._known)
        old = self.settings.raw
        if not _changed(old, settings, _TEXT_SETTINGS) and _exact(old) == _exact(settings):
            fresh.inverted = self.inverted
        else:
            for number in sorted(fresh.contents):
                fresh.inverted.add(number, fresh.contents[number])
        if not _changed(old, settings, _VALUE_SETTINGS):
            fresh.facets = self.facets
        else:
            for number in sorted(fresh.contents):
                fresh.facets.add(number, fresh.contents[number])
        if not _changed(old, settings, ("embedders",)):
            fresh.vectors = self.vectors
        else:
            for number, content in fresh.contents.items():
                fresh.vectors.put(number, content)
        return fresh

    def field_distribution(self) -> dict[str, int]:
        """Return how many documents have each top-level field."""
        counts: dict[str, int] = {}
        for content in self.contents.values():
            for key in content:
                if key != "_vectors":
                    counts[key] = counts.get(key, 0) + 1
        return dict(sorted(counts.items()))

    def knows(self, path: str) -> bool:
        """Tell whether any document ever had this field; nested fields go by their path."""
        return path in self._known

    def fields_with(self, names: set[str]) -> int:
        """Return how many top-level fields there are, with those of `names`, or a few more."""
        most = len(names) + len(self._known)
        return most if most <= FIELDS_MAX else len(names.union(*self.contents.values()))

    def known_fields(self) -> list[str]:
        """Return the paths of all fields that any document ever had, sorted."""
        return sorted(self._known)

    def _index(self, number: int, content: Document) -> None:
        self.inverted.add(number, content)
        self.facets.add(number, content)
        self.vectors.put(number, content)
        self._known.update(path for path, _, _ in walk(content))

    def _forget(self, number: int) -> None:
        self.inverted.remove(number, self.contents[number])
        self.facets.remove(number)
        self.vectors.remove(number)


def _searchable(settings: Mapping[str, Any]) -> Searchable:
    return Searchable(settings.get("searchableAttributes") or (), _exact(settings))


def _exact(settings: Mapping[str, Any]) -> tuple[str, ...]:
    typos = settings.get("typoTolerance") or {}
    return tuple(typos.get("disableOnAttributes") or ())


def _changed(old: Mapping[str, Any], new: Mapping[str, Any], names: Iterable[str]) -> bool:
    return any(old.get(name) != new.get(name) for name in names)
