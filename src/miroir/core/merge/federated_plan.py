"""
What the nodes of each index are asked for a federated search, and what was asked for.

    plan_federated -> per index: its queries, federated, up to the window's end, to every shard;
                      a hybrid query: the searches of federated_hybrid.py

Positions of queries are the client's in the answer and count per index in what nodes are asked.
May not be put here: anything about answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from miroir.core.merge.federated_hybrid import HybridPart, plan_part
from miroir.core.merge.hidden import Hidden
from miroir.core.merge.multi_search import MultiSearch
from miroir.core.merge.query import (
    Asked,
    CannotMerge,
    SearchSettings,
    refused_parameter,
    rewrite_search,
    window_of,
)
from miroir.core.merge.sort_rules import splits_relevancy
from miroir.core.merge.weighted import head_of

_PAGING: Final = ("offset", "limit", "page", "hitsPerPage")
_DETAILS: Final = "showPerformanceDetails"
_MEMBERS: Final = frozenset(
    {*_PAGING, "facetsByIndex", "mergeFacets", "distinct", "personalize", _DETAILS}
)


@dataclass(frozen=True)
class FederatedPlan:
    """
    What is asked, and what was asked for.

    Attributes:
        bodies: For each index what every shard is asked, but for those of hybrid queries.
        hybrid: For each index whose query is hybrid what is asked for it.
        places: For each index the places of its queries.
        asked: For each query what its hits must look like.
        window: The page, as of a single search.
        merge_facets: How facets of all indexes become one; None: they do not.
        distinct: Whether a value of an attribute may come once in all hits of all queries.
        by_values: Whether hits can be compared only by what nodes tell each other in a network.
    """

    bodies: Mapping[str, Mapping[str, Any]]
    places: Mapping[str, Sequence[int]]
    asked: Sequence[Asked]
    settings: Mapping[str, SearchSettings]
    window: Asked
    merge_facets: Mapping[str, Any] | None
    distinct: bool = False
    by_values: bool = False
    hybrid: Mapping[str, HybridPart] = field(default_factory=dict)

    @property
    def hides(self) -> frozenset[str]:
        """The indexes whose hits are ordered by what they do not show."""
        return frozenset(
            uid for uid, places in self.places.items() if any(self.asked[p].hidden for p in places)
        )

    def hidden_of(self, index_uid: str, raw: bytes) -> Hidden | None:
        """Return what the query hides that has found this raw hit of an index."""
        place = self.places[index_uid][head_of(raw).queries_position]
        return self.asked[place].hidden


def plan_federated(
    search: MultiSearch, settings: Mapping[str, SearchSettings]
) -> FederatedPlan | CannotMerge | None:
    """Return what every shard of each index is asked; None if only a node can judge it."""
    federation = search.federation
    assert federation is not None, "the caller has looked"
    if not _is_readable(federation):
        return None
    if (reason := refused_parameter(federation)) is not None:
        return CannotMerge(reason)
    rewritten = _rewritten(search, settings)
    if isinstance(rewritten, CannotMerge):
        return rewritten
    queries = [query for query, _ in rewritten]
    window = window_of(federation, SearchSettings())
    facets, distinct = federation.get("facetsByIndex") or {}, federation.get("distinct")
    once: dict[str, Any] = {} if distinct is None else {"distinct": distinct}
    of_all = _up_to(window) | once
    hybrid = _hybrid(search, settings, of_all, facets)
    if isinstance(hybrid, CannotMerge):
        return hybrid
    of_all |= {name: True for name in (_DETAILS,) if federation.get(name)}
    bodies: dict[str, dict[str, Any]] = {
        uid: {
            "queries": [queries[place] for place in places],
            "federation": of_all | {"facetsByIndex": {uid: facets.get(uid)}},
        }
        for uid, places in search.by_index.items()
        if uid not in hybrid
    }
    return FederatedPlan(
        bodies,
        search.by_index,
        [asked for _, asked in rewritten],
        settings,
        window,
        federation.get("mergeFacets"),
        distinct=distinct is not None,
        by_values=_is_by_values(search, settings),
        hybrid=hybrid,
    )


def _hybrid(
    search: MultiSearch,
    settings: Mapping[str, SearchSettings],
    of_all: Mapping[str, Any],
    facets: Mapping[str, Any],
) -> dict[str, HybridPart] | CannotMerge:
    """Return the hybrid queries, by index."""
    found: dict[str, HybridPart] = {}
    for query in search.queries:
        uid = query["indexUid"]
        patterns = {} if facets.get(uid) is None else {"facets": facets[uid]}
        part = plan_part(query, settings[uid], {**of_all, **patterns})
        if part is None:
            continue
        if isinstance(part, CannotMerge):
            return part
        if len(search.by_index[uid]) > 1:
            return CannotMerge(
                "a hybrid query of a federated search, beside others of its index, cannot be "
                "merged over several shards"
            )
        if part.plan.ranked is not None and len(search.queries) > 1:
            return CannotMerge(
                "a hybrid query of a federated search, sorted in the midst of other rules, cannot "
                "be merged over several shards"
            )
        found[uid] = part
    return found


def _is_by_values(search: MultiSearch, settings: Mapping[str, SearchSettings]) -> bool:
    return len(search.queries) > 1 and any(
        query.get("q") and splits_relevancy(query.get("sort"), rules)
        for query in search.queries
        for rules in (settings[query["indexUid"]].ranking_rules,)
    )


def _is_readable(federation: Mapping[str, Any]) -> bool:
    """Whether all that is not passed on to nodes is as they take it."""
    facets, merge = federation.get("facetsByIndex", {}), federation.get("mergeFacets")
    most = merge.get("maxValuesPerFacet") if isinstance(merge, dict) else None
    return (
        federation.keys() <= _MEMBERS
        and all(_is_count(federation.get(name, 0)) for name in ("offset", "limit"))
        and all(_is_count(federation.get(n) or 0) for n in ("page", "hitsPerPage"))
        and isinstance(facets, dict)
        and isinstance(merge, dict | None)
        and (merge is None or merge.keys() <= {"maxValuesPerFacet"})
        and (most is None or _is_count(most))
        and isinstance(federation.get(_DETAILS, False), bool)
        and isinstance(federation.get("distinct"), str | None)
        and federation.get("personalize", True) not in ({}, [], "", 0)
    )


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _rewritten(
    search: MultiSearch, settings: Mapping[str, SearchSettings]
) -> list[tuple[dict[str, Any], Asked]] | CannotMerge:
    """Return what is asked instead of each query: no window, which nodes refuse in a query."""
    found: list[tuple[dict[str, Any], Asked]] = []
    of_all = (search.federation or {}).get("distinct")
    for query in search.queries:
        once = {} if of_all is None else {"distinct": of_all}
        # With one shard several indexes are merged like several shards.
        rewritten = rewrite_search({**query, **once}, 2, settings[query["indexUid"]])
        if isinstance(rewritten, CannotMerge):
            return rewritten
        several = len(search.by_index[query["indexUid"]]) > 1
        if rewritten.asked.distinct and several and of_all is None:
            return CannotMerge(
                "several federated queries of one index with a distinct attribute cannot be merged"
            )
        refused = (*_PAGING, _DETAILS, *once)
        body = {name: value for name, value in rewritten.body.items() if name not in refused}
        body |= {name: query[name] for name in refused if name in query}
        found.append((body, rewritten.asked))
    return found


def _up_to(window: Asked) -> dict[str, Any]:
    end = window.offset + window.limit if window.limit else 0
    if window.page is None:
        return {"offset": 0, "limit": end}
    return {"page": 1, "hitsPerPage": end}
