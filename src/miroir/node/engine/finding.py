"""
A search before it is shown: for whoever merges several of them into one answer.

Hits are made only for those documents that are asked for. A finding is good until the next write
to its index.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pyroaring import BitMap

from miroir.node.engine.facets import Distribution, Stats, facet_order, facets_of
from miroir.node.engine.fields import matches_pattern
from miroir.node.engine.hits import HitMaker
from miroir.node.engine.ranking import RankedDocument
from miroir.node.engine.store import Document, IndexStore


@dataclass(frozen=True, slots=True)
class Finding:
    """
    What one query found in one index, from the first place on.

    Attributes:
        ranked: The best documents, as many as were asked for.
        candidates: Everything that matched.
        is_semantic: Whether vectors were searched.
        vector: The vector that was used, if one was.
    """

    ranked: list[RankedDocument]
    candidates: BitMap
    is_semantic: bool
    vector: tuple[float, ...] | None
    _maker: HitMaker
    _store: IndexStore

    def hit(self, found: RankedDocument) -> dict[str, Any]:
        """Return a hit as the query wants it shown."""
        return self._maker.hit(found)

    def unshown(self, found: RankedDocument, paths: Iterable[str]) -> dict[str, Any]:
        """Return those of the fields that the hit is not asked to show."""
        return self._maker.unshown(found, paths)

    def content(self, found: RankedDocument) -> Document:
        """Return the whole document; it must not be changed."""
        return self._store.contents[found.document]


@dataclass(frozen=True, slots=True)
class FacetCounter:
    """Counts facet values of an index; `orders` says how each facet is sorted."""

    store: IndexStore

    def counts(self, wanted: Iterable[str], candidates: BitMap) -> tuple[Distribution, Stats]:
        """Return distribution and stats; ApiError for a facet that is not filterable."""
        return facets_of(self.store, tuple(wanted), candidates)

    def named(self, wanted: Iterable[str]) -> list[str]:
        """Return the filterable fields that patterns name."""
        patterns = tuple(wanted)
        found = self.orders(lambda path: any(matches_pattern(one, path) for one in patterns))
        return [path for path, _ in found]

    def orders(self, is_wanted: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
        """Yield the wanted filterable fields, each with `alpha` or `count`."""
        settings = self.store.settings
        for path in self.store.known_fields():
            if is_wanted(path) and settings.is_filterable(path):
                yield path, facet_order(settings, path)
