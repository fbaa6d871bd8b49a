"""
Facets of a federated search: one distribution for each index, or all of them added up.

Added up, every index must sort a facet in the same way. Hits that `distinct` threw out after the
counting are taken out again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from miroir.node.engine.facet_index import facet_normalized
from miroir.node.engine.fields import matches_pattern
from miroir.node.engine.finding import FacetCounter
from miroir.node.errors import ApiError
from miroir.node.federation.merge import Candidate

_ORDERS: Final = {"alpha": "alphabetically", "count": "by count"}


@dataclass(frozen=True, slots=True)
class IndexFacets:
    """The facets of one index."""

    distribution: dict[str, dict[str, int]]
    stats: dict[str, dict[str, float]]

    def without(self, rejected: Iterable[Candidate]) -> "IndexFacets":
        """Return these facets without the values of some documents."""
        gone = list(rejected)
        if not gone:
            return self
        fewer = {name: _fewer(name, counts, gone) for name, counts in self.distribution.items()}
        return IndexFacets(fewer, self.stats)


def _fewer(name: str, counts: dict[str, int], gone: list[Candidate]) -> dict[str, int]:
    left = dict(counts)
    spelled = {facet_normalized(value): value for value in counts}
    for candidate in gone:
        for kind, value in candidate.facet_values(name):
            key = spelled.get(value, value) if kind == "text" else value
            if key in left:
                left[key] = max(left[key] - 1, 0)
    return {value: count for value, count in left.items() if count}


@dataclass(slots=True)
class FacetOrders:
    """How each facet is sorted, as the first index that has it says."""

    of: dict[str, tuple[str, str]] = field(default_factory=dict)

    def check(self, index: str, counter: FacetCounter, wanted: list[str]) -> None:
        """Refuse an index that sorts a facet otherwise (`invalid_multi_search_facet_order`)."""
        for facet, order in counter.orders(
            lambda path: any(matches_pattern(pattern, path) for pattern in wanted)
        ):
            first, known = self.of.setdefault(facet, (index, order))
            if known != order:
                raise ApiError(
                    "invalid_multi_search_facet_order",
                    f"Inconsistent order for values in facet `{facet}`: index `{first}` orders "
                    f"{_ORDERS[known]}, but index `{index}` orders {_ORDERS[order]}.\n"
                    " - Hint: Remove `federation.mergeFacets` or change "
                    "`faceting.sortFacetValuesBy` to be consistent in settings.",
                )

    def sorted(self, facet: str, counts: dict[str, int]) -> list[tuple[str, int]]:
        """Return counts in the order of their facet."""
        items = sorted(counts.items())
        if self.of.get(facet, ("", "alpha"))[1] == "count":
            items.sort(key=lambda item: -item[1])
        return items


def added_up(
    facets: Mapping[str, IndexFacets], orders: FacetOrders, count_max: int | None
) -> IndexFacets | None:
    """Return all facets as one; None when no index has any."""
    if not facets:
        return None
    distribution: dict[str, dict[str, int]] = {}
    stats: dict[str, dict[str, float]] = {}
    for of_index in facets.values():
        for facet, counts in of_index.distribution.items():
            total = distribution.setdefault(facet, {})
            for value, count in counts.items():
                total[value] = total.get(value, 0) + count
        for facet, bounds in of_index.stats.items():
            known = stats.setdefault(facet, dict(bounds))
            known["min"] = min(known["min"], bounds["min"])
            known["max"] = max(known["max"], bounds["max"])
    shown = {
        facet: dict(orders.sorted(facet, counts)[:count_max])
        for facet, counts in sorted(distribution.items())
    }
    return IndexFacets(shown, dict(sorted(stats.items())))


def shown_by_index(facets: Mapping[str, IndexFacets]) -> dict[str, Any]:
    """Return the facets of each index as the answer shows them."""
    return {
        uid: {"distribution": found.distribution, "stats": found.stats}
        for uid, found in sorted(facets.items())
    }
