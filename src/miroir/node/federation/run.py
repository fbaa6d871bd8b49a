"""
A federated search from its checked body to its answer.

Queries are taken index by index, in the order of their names, under one hold of the catalog's
lock, so that all of them see the same documents. Errors name the query they belong to.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pyroaring import BitMap

from miroir.node.engine import EvaluationError, FacetCounter, SearchQuery
from miroir.node.engine.filter_eval import require_features
from miroir.node.engine.filter_parser import parse_filter
from miroir.node.engine.semantic import kind_of
from miroir.node.engine.sort_parser import parse_sort
from miroir.node.errors import ApiError
from miroir.node.features import require_feature
from miroir.node.federation.facets import FacetOrders, IndexFacets, added_up, shown_by_index
from miroir.node.federation.merge import Candidate, FacetKey, candidates_of, merged
from miroir.node.federation.rules import Ranked, Rules, require_comparable
from miroir.node.foreign import hydrate, resolved_together
from miroir.node.indexes import IndexRow, require_index
from miroir.node.json_text import encode_text
from miroir.node.search_parameters import engine_features, require_filter, search_query
from miroir.node.searching import Asker, metadata, performance, require_supported, uuid7
from miroir.node.settings import engine_form

_HITS_PER_PAGE: Final = 20
_CODE: Final = "invalid_search_filter"
_PAGING: Final = ("offset", "limit", "page", "hitsPerPage")


@dataclass(frozen=True, slots=True)
class Query:
    """One query: its place in the request, its index, its parameters and its weight."""

    position: int
    index: str
    body: dict[str, Any]
    weight: float

    def under(self, filter_: Any) -> "Query":
        """Return the same query under another filter."""
        return replace(self, body={**self.body, "filter": filter_})


@dataclass(frozen=True, slots=True)
class Pages:
    """Which part of the merged list is wanted."""

    skip: int
    take: int
    is_exact: bool
    page: int
    size: int

    @classmethod
    def of(cls, federation: dict[str, Any]) -> "Pages":
        """Read the page of a request."""
        page, size = federation.get("page"), federation.get("hitsPerPage")
        if page is None and size is None:
            skip, take = federation.get("offset", 0), federation.get("limit", _HITS_PER_PAGE)
            return cls(skip, take, is_exact=False, page=0, size=0)
        page = 1 if page is None else page
        size = _HITS_PER_PAGE if size is None else size
        skip, take = ((page - 1) * size, size) if page else (0, 0)
        return cls(skip, take, is_exact=True, page=page, size=size)

    def shown(self, total: int) -> dict[str, int]:
        """Return the members of the answer that tell about pages."""
        if not self.is_exact:
            return {"limit": self.take, "offset": self.skip, "estimatedTotalHits": total}
        return {
            "hitsPerPage": self.size,
            "page": self.page,
            "totalPages": -(-total // self.size) if self.size else 0,
            "totalHits": total,
        }


def require_network(features: Mapping[str, bool]) -> None:
    """Refuse what nodes of a network say to each other; ApiError unless it is enabled."""
    require_feature(features, "network", "Performing a remote federated search")


@contextmanager
def inside(position: int | None, *, bad_index: bool = True) -> Iterator[None]:
    """Put the place of a query in front of its errors; an unknown index is a bad request."""
    try:
        yield
    except ApiError as error:
        status = 400 if bad_index and error.code == "index_not_found" else None
        place = "" if position is None else f"Inside `.queries[{position}]`: "
        raise ApiError(error.code, f"{place}{error.message}", status=status) from error


@contextmanager
def _about_facets(uid: str, note: str = "") -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        status = 400 if error.code == "index_not_found" else None
        message = f"Inside `.federation.facetsByIndex.{uid}`: {error.message}{note}"
        raise ApiError(error.code, message, status=status) from error


@dataclass(slots=True)
class FederatedSearch:
    """One request while it is answered."""

    asker: Asker
    federation: dict[str, Any]
    facets: dict[str, IndexFacets] = field(default_factory=dict)
    orders: FacetOrders = field(default_factory=FacetOrders)
    vectors: dict[str, list[float]] = field(default_factory=dict)
    is_semantic: bool = False
    total: int = 0
    _rows: dict[str, IndexRow] = field(default_factory=dict)
    _rules: Rules | None = None

    def answer(self, bodies: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the answer to the queries; ApiError for the first that is refused."""
        started = time.monotonic()
        queries = self._checked(bodies)
        pages = Pages.of(self.federation)
        with self.asker.node.catalog.lock:
            if not self.asker.merges:
                given = ((query.index, query.body["filter"]) for query in queries)
                filters = resolved_together(self.asker.node, given)
                queries = [query.under(f) for query, f in zip(queries, filters, strict=True)]
            lists = [
                self._of_index(uid, [query for query in queries if query.index == uid], pages)
                for uid in sorted({query.index for query in queries})
            ]
            self._check_unused_facets({query.index for query in queries})
            hits, semantic_hits = self._merged(lists, pages)
            shown = self._shown(hits)
        found: dict[str, Any] = {"hits": shown}
        if any(query.body.get("retrieveVectors") for query in queries):
            found["queryVectors"] = dict(sorted(self.vectors.items(), key=lambda v: int(v[0])))
        elapsed = int((time.monotonic() - started) * 1000)
        found |= {"processingTimeMs": elapsed, **pages.shown(self.total), **self._shown_facets()}
        found["requestUid"] = str(uuid7())
        if self.asker.wants_metadata:
            found["metadata"] = [
                metadata(self._rows[query.index], query.body.get("q")) for query in queries
            ]
        if self.is_semantic:
            found["semanticHitCount"] = semantic_hits
        if self.federation.get("showPerformanceDetails"):
            found["performanceDetails"] = performance(started)
        return found

    def _shown(self, hits: Sequence[Candidate]) -> list[dict[str, Any]]:
        """Return hits as they are shown; for whoever merges them they stay as they are found."""
        if self.asker.merges:
            return [candidate.hit(self._compared(candidate.index)) for candidate in hits]
        shown = [candidate.hit() for candidate in hits]
        rows = (self._rows[candidate.index] for candidate in hits)
        hydrate(self.asker.node, zip(rows, shown, strict=True))
        return shown

    def _compared(self, uid: str) -> list[str]:
        """Return the fields of an index that are needed to merge hits by `distinct`."""
        distinct = self.federation.get("distinct")
        if distinct is None:
            return []
        counter = self.asker.node.catalog.engine(self._rows[uid].iid).facets()
        wanted = (self.federation.get("facetsByIndex") or {}).get(uid) or ()
        return [distinct, *counter.named(wanted)]

    def _checked(self, bodies: list[dict[str, Any]]) -> list[Query]:
        """Refuse what needs no index: rights, filters, then the other parameters."""
        for position, body in enumerate(bodies):
            with inside(position):
                self.asker.access.require(body["indexUid"])
        if self.asker.merges:
            require_network(self.asker.node.features)
        queries = []
        for position, body in enumerate(bodies):
            uid = body["indexUid"]
            options = body.get("federationOptions") or {}
            filter_ = self.asker.restricted(uid, body.get("filter"))
            with inside(position):
                require_filter(filter_, _CODE)
                if filter_ is not None and (root := parse_filter(filter_, code=_CODE)):
                    require_features(root, engine_features(self.asker.node.features))
            own = {**body, "filter": filter_}
            queries.append(Query(position, uid, own, options.get("weight", 1.0)))
        for query in queries:
            with inside(query.position):
                self._require_fit(query.body)
        return queries

    def _require_fit(self, body: dict[str, Any]) -> None:
        _require_no_single_options(body)
        if body.get("distinct") is not None and self.federation.get("distinct") is not None:
            raise ApiError(
                "invalid_multi_search_distinct",
                "Using `distinct` options is not allowed in federated queries when it also "
                "appears in `.federation.distinct`.\n"
                " - Hint: remove `distinct` from the query or remove `federation` from the "
                "request\n  - Note: `distinct` at the query level is discouraged in federated "
                "search.",
            )
        features = self.asker.node.features
        options = body.get("federationOptions") or {}
        if options.get("remote") is not None:
            require_network(features)
            name = options["remote"]
            message = f"Invalid `.federation_options.remote`: remote `{name}` is not registered"
            raise ApiError("invalid_multi_search_remote", message)
        if options.get("queryPosition") is not None:
            require_feature(features, "network", "Using `federationOptions.queryPosition`")

    def _of_index(self, uid: str, queries: list[Query], pages: Pages) -> list[Candidate]:
        """Return the best of an index, each document once; counts its facets and totals."""
        node, first = self.asker.node, queries[0].position
        with inside(first):
            row = self._rows[uid] = require_index(node.store, uid)
        engine = node.catalog.engine(row.iid)
        wanted = (self.federation.get("facetsByIndex") or {}).get(uid)
        with inside(first), _about_facets(uid):
            self._check_order(uid, engine.facets(), wanted)
        total_max = engine_form(row.settings)["pagination"]["maxTotalHits"]
        limit = min(pages.skip + pages.take, total_max)
        lists, candidates = [], BitMap()
        for query in queries:
            with inside(query.position):
                asked = self._engine_query(query, row)
                try:
                    found = engine.find(asked, limit=limit, exact_totals=pages.is_exact)
                except EvaluationError as error:
                    message = f"Index `{uid}`: {error.message}"
                    raise ApiError(error.code, message) from error
            if query.body.get("retrieveVectors") and found.vector is not None:
                self.vectors[str(query.position)] = list(found.vector)
            candidates |= found.candidates
            self.is_semantic |= found.is_semantic
            lists.append(candidates_of(found, query.position, uid, query.weight))
        best = self._once_each(merged(lists), candidates, limit)
        self.total += len(candidates)
        if wanted is not None:
            with inside(first), _about_facets(uid):
                self.facets[uid] = IndexFacets(*engine.facets().counts(wanted, candidates))
        return best

    def _engine_query(self, query: Query, row: IndexRow) -> SearchQuery:
        """Return the query for the engine, once its rules fit those of the others."""
        node = self.asker.node
        body = query.body
        require_supported(body, node.features)
        asked = search_query(body, node.features)
        how: Ranked = "keyword" if asked.q and asked.q.strip() else "placeholder"
        if kind_of(asked.q, asked.semantic) == "vector":
            how = "vector"
        rules = Rules(
            query=query.position,
            index=query.index,
            criteria=engine_form(row.settings)["rankingRules"],
            sort=None if asked.sort is None else parse_sort(asked.sort),
            all_words=asked.matching_strategy == "all",
            how=how,
        )
        self._rules = require_comparable(rules, self._rules)
        distinct = self.federation.get("distinct")
        return asked if distinct is None else replace(asked, distinct=distinct)

    def _once_each(
        self, ordered: Iterator[Candidate], candidates: BitMap, limit: int
    ) -> list[Candidate]:
        distinct, values = self.federation.get("distinct"), set[FacetKey]()
        seen, best = BitMap(), list[Candidate]()
        for candidate in ordered:
            if len(best) == limit:
                break
            document = candidate.ranked.document
            if document in seen:
                continue
            seen.add(document)
            if distinct is not None:
                own = candidate.facet_values(distinct)
                if own & values:
                    candidates.discard(document)
                    continue
                values |= own
            best.append(candidate)
        return best

    def _merged(self, lists: list[list[Candidate]], pages: Pages) -> tuple[list[Candidate], int]:
        """Return the page over all indexes, and how many of its hits were found by vector."""
        distinct, values = self.federation.get("distinct"), set[FacetKey]()
        kept: list[Candidate] = []
        rejected: dict[str, list[Candidate]] = {}
        for candidate in merged(lists):
            if distinct is None and len(kept) == pages.skip + pages.take:
                break
            if distinct is not None:
                own = candidate.facet_values(distinct)
                if own & values:
                    rejected.setdefault(candidate.index, []).append(candidate)
                    self.total = max(self.total - 1, 0)
                    continue
                values |= own
            kept.append(candidate)
        for uid, gone in rejected.items():
            if uid in self.facets:
                self.facets[uid] = self.facets[uid].without(gone)
        page = kept[pages.skip : pages.skip + pages.take]
        return page, sum(candidate.is_semantic for candidate in page)

    def _check_order(self, uid: str, counter: FacetCounter, wanted: list[str] | None) -> None:
        if self.federation.get("mergeFacets") is not None and wanted is not None:
            self.orders.check(uid, counter, wanted)

    def _check_unused_facets(self, used: set[str]) -> None:
        """Refuse bad facets also of indexes that no query searches."""
        node = self.asker.node
        for uid, wanted in sorted((self.federation.get("facetsByIndex") or {}).items()):
            if uid in used:
                continue
            with _about_facets(uid, f"\n - Note: index `{uid}` is not used in queries"):
                counter = node.catalog.engine(require_index(node.store, uid).iid).facets()
                self._check_order(uid, counter, wanted)
                if wanted is not None:
                    counter.counts(wanted, BitMap())

    def _shown_facets(self) -> dict[str, Any]:
        merge = self.federation.get("mergeFacets")
        if merge is None:
            return {"facetsByIndex": shown_by_index(self.facets)} if self.facets else {}
        total = added_up(self.facets, self.orders, merge.get("maxValuesPerFacet"))
        if total is None:
            return {}
        return {"facetDistribution": total.distribution, "facetStats": total.stats}


def _require_no_single_options(body: dict[str, Any]) -> None:
    """Refuse parameters that belong to the whole request instead of one of its queries."""
    remove = "from the query or remove `federation` from the request"
    for name in _PAGING:
        if body.get(name) is not None:
            raise ApiError(
                "invalid_multi_search_query_pagination",
                "Using pagination options is not allowed in federated queries.\n"
                f" - Hint: remove `{name}` {remove}\n - Hint: pass `federation.limit` and "
                "`federation.offset` for pagination in federated search",
            )
    if body.get("facets"):
        shown = ", ".join(encode_text(name) for name in body["facets"])
        raise ApiError(
            "invalid_multi_search_query_facets",
            "Using facet options is not allowed in federated queries.\n"
            f" - Hint: remove `facets` {remove}\n - Hint: pass "
            f"`federation.facetsByIndex.{body['indexUid']}: [{shown}]` for facets in federated "
            "search",
        )
    if body.get("personalize") is not None:
        raise ApiError(
            "invalid_multi_search_query_personalization",
            "Using `.personalize` is not allowed in federated queries.\n"
            f" - Hint: remove `personalize` {remove}\n - Hint: pass `federation.personalize` for "
            "personalization in federated search",
        )
    if body.get("showPerformanceDetails") is not None:
        raise ApiError(
            "invalid_multi_search_query_show_performance_details",
            "Using `.showPerformanceDetails` is not allowed in federated queries.\n"
            f" - Hint: remove `showPerformanceDetails` {remove}",
        )
