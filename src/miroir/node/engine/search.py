"""
One search from query to result: parse, filter, rank, page.

    filter -> universe of documents -> query parsed -> ranking rules -> page of ranked documents

Errors that depend on the settings are raised here and in the parsers it calls. What hits look like
is decided in `hits.py`, facets in `facets.py`.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from pyroaring import BitMap

from miroir.node.engine.distinct import check_distinct, one_per_value, same_value_of
from miroir.node.engine.facet_search import check_facet, search_values
from miroir.node.engine.facets import facets_of
from miroir.node.engine.filter_eval import FilterEvaluator
from miroir.node.engine.graph import QueryGraph
from miroir.node.engine.hits import HitMaker
from miroir.node.engine.matches import MatchingWords
from miroir.node.engine.query import ParsedQuery, QueryParser
from miroir.node.engine.ranking import RankedDocument, Ranking
from miroir.node.engine.rule_list import Keywords, RuleList
from miroir.node.engine.rules import Part, Rule, Words
from miroir.node.engine.scores import Similarity, global_score, shown
from miroir.node.engine.search_on import restricted_fields
from miroir.node.engine.semantic import (
    Kind,
    Ranked,
    VectorSort,
    embeddings_of,
    is_good_enough,
    kind_of,
    merged,
    require_vector,
)
from miroir.node.engine.sort_parser import check_sort, parse_sort
from miroir.node.engine.store import IndexStore
from miroir.node.engine.terms import Slots
from miroir.node.engine.types import (
    FacetQuery,
    FacetResult,
    Features,
    HitScore,
    SearchQuery,
    SearchResult,
)
from miroir.node.engine.words import WordSource

FILTER_CODE: Final = "invalid_search_filter"
HITS_PER_PAGE: Final = 20


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of the ranking is asked for; `exact_totals` in page mode."""

    offset: int
    limit: int
    exact_totals: bool

    @classmethod
    def of(cls, query: SearchQuery, total_hits_max: int) -> "Page":
        """Read the page of a query, never beyond the maximum of the index."""
        if query.page is None and query.hits_per_page is None:
            offset = min(query.offset, total_hits_max)
            return cls(offset, min(query.limit, total_hits_max - offset), exact_totals=False)
        size = HITS_PER_PAGE if query.hits_per_page is None else query.hits_per_page
        page = 1 if query.page is None else query.page
        offset = min(size * (page - 1), total_hits_max) if page else 0
        limit = min(size, total_hits_max - offset) if page else 0
        return cls(offset, limit, exact_totals=True)


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, before it is shown; `vector` is what it searched by, if it did."""

    ranked: list[RankedDocument]
    candidates: BitMap
    query: ParsedQuery | None
    kind: Kind
    vector: tuple[float, ...] | None = None

    @property
    def semantic_hits(self) -> int | None:
        """The number of hits that were found by vector, None for a search by words."""
        if self.kind == "words":
            return None
        return sum(any(isinstance(d, Similarity) for d in r.details) for r in self.ranked)


class Searcher:
    """Answers searches of one index as it is now."""

    def __init__(self, store: IndexStore) -> None:
        self._store = store

    def search(self, query: SearchQuery) -> SearchResult:
        """Run one search."""
        page = Page.of(query, self._store.settings.total_hits_max)
        found = self.find(query, page)
        maker = self.maker(query, found)
        facets, stats = None, None
        if query.facets is not None:
            facets, stats = facets_of(self._store, query.facets, found.candidates)
        ids = self._store.id_of
        return SearchResult(
            hits=[maker.hit(ranked) for ranked in found.ranked],
            pagination=_pagination(query, len(found.candidates)),
            facet_distribution=facets,
            facet_stats=stats,
            scores=tuple(
                HitScore(ids[r.document], global_score(r.details), shown(r.details))
                for r in found.ranked
            ),
            semantic_hits=found.semantic_hits,
            query_vector=found.vector,
        )

    def maker(self, query: SearchQuery, found: Found) -> HitMaker:
        """Return what makes the hits of a search."""
        terms = () if found.query is None else (*found.query.terms, *found.query.ngrams)
        return HitMaker(self._store, query, MatchingWords(terms))

    def facet_search(self, query: FacetQuery) -> FacetResult:
        """Search the values of a facet among the documents that a query finds."""
        check_facet(self._store.settings, query.facet_name)
        search = SearchQuery(
            q=query.q,
            filter=query.filter,
            matching_strategy=query.matching_strategy,
            attributes_to_search_on=query.attributes_to_search_on,
            ranking_score_threshold=query.ranking_score_threshold,
            locales=query.locales,
            page=0 if query.exhaustive_facet_count else None,
            semantic=query.semantic,
            features=query.features,
        )
        if kind_of(query.q, query.semantic) == "both":  # vectors reach every document
            candidates = self.filtered(search)
        else:  # exact or as far as a first page, as the totals of a search
            page = Page.of(search, self._store.settings.total_hits_max)
            candidates = self.find(search, page).candidates
        hits = search_values(
            self._store, query.facet_name, query.facet_query, candidates, query.locales
        )
        return FacetResult(hits, query.facet_query)

    def find(self, query: SearchQuery, page: Page) -> Found:
        """Find and rank documents, by words, by vector or both; no further than the page needs."""
        kind, semantic = kind_of(query.q, query.semantic), query.semantic
        if kind == "words" or semantic is None:
            return self._by_words(query, page)
        embeddings = embeddings_of(self._store, semantic, "invalid_search_embedder")
        if kind == "vector":
            vector = require_vector(semantic, query.q)
            ranked = self._by_vector(query, page, VectorSort(embeddings, vector))
            return Found(ranked.documents, ranked.candidates, None, kind, semantic.vector)
        everything = Page(0, page.offset + page.limit, page.exact_totals)
        words = self._by_words(query, everything)
        by_words = Ranked(words.ranked, words.candidates)
        wanted, first = everything.limit, page.offset
        if semantic.vector is None or is_good_enough(by_words, wanted, semantic.ratio):
            return replace(words, ranked=words.ranked[first:], kind=kind)
        by_vector = self._by_vector(query, everything, VectorSort(embeddings, semantic.vector))
        same_value = same_value_of(self._store, query.distinct)
        both = merged(by_vector, by_words, semantic.ratio, wanted, same_value)
        return Found(both.documents[first:], both.candidates, words.query, kind, semantic.vector)

    def filtered(self, query: SearchQuery) -> BitMap:
        """Return the documents that the filter of a query leaves."""
        return filtered(self._store, query.filter, query.features, code=FILTER_CODE)

    def _by_vector(self, query: SearchQuery, page: Page, by: VectorSort) -> Ranked:
        """Rank everything that the filter leaves by similarity."""
        store = self._store
        sort = parse_sort(query.sort or ())
        check_distinct(query.distinct, store.settings)
        universe = self.filtered(query)
        check_sort(sort, store.settings)
        rules = RuleList(store.settings, store.facets, sort, None, by).build()
        ranking = self._ranking(query, page, rules)
        ranking.run(universe, [Part(universe)])
        return Ranked(ranking.ranked, self._totals(query, page, ranking))

    def _by_words(self, query: SearchQuery, page: Page) -> Found:
        store = self._store
        sort = parse_sort(query.sort or ())
        check_distinct(query.distinct, store.settings)
        universe = self.filtered(query)
        source = self._source(query)
        parsed = self._parse(query, source)
        if parsed is not None:
            universe -= _excluded(parsed, source)
        check_sort(sort, store.settings)
        keywords = None
        bucket = [Part(universe)]
        if parsed is not None and parsed.terms:
            slots = Slots(source)
            words = Words(QueryGraph(parsed, slots), query.matching_strategy)
            keywords = Keywords(words, slots, source, query.matching_strategy != "all")
            universe = words.universe(universe)
            bucket = [Part(universe)] if keywords.ranks_words else words.readings(universe)
        rules = RuleList(store.settings, store.facets, sort, keywords).build()
        ranking = self._ranking(query, page, rules)
        ranking.has_time = store.settings.raw.get("searchCutoffMs") != 0
        ranking.run(universe, bucket)
        return Found(ranking.ranked, self._totals(query, page, ranking), parsed, "words")

    def _ranking(self, query: SearchQuery, page: Page, rules: list[Rule]) -> Ranking:
        return Ranking(
            rules,
            page.offset,
            page.limit,
            same_value=same_value_of(self._store, query.distinct),
            threshold=query.ranking_score_threshold,
            evaluate_max=self._evaluate_max(query, page),
            quirks=self._store.quirks,
        )

    def _totals(self, query: SearchQuery, page: Page, ranking: Ranking) -> BitMap:
        same_value = same_value_of(self._store, query.distinct)
        if page.exact_totals and same_value is not None:
            return one_per_value(ranking.candidates, same_value)
        return ranking.candidates

    def _evaluate_max(self, query: SearchQuery, page: Page) -> int | None:
        """Return how far to rank when exact totals need the score of every document."""
        if page.exact_totals and query.ranking_score_threshold is not None:
            return max(self._store.settings.total_hits_max, page.limit)
        return None

    def _source(self, query: SearchQuery) -> WordSource:
        store, settings = self._store, self._store.settings
        return WordSource(
            store.inverted,
            restricted=restricted_fields(query.attributes_to_search_on, store.inverted, settings),
            numbers_exact=bool(settings.typos.get("disableOnNumbers")),
            by_attribute=settings.by_attribute,
            quirks=store.quirks,
        )

    def _parse(self, query: SearchQuery, source: WordSource) -> ParsedQuery | None:
        if not query.q:
            return None
        store, restricted = self._store, source.restricted
        paths = (
            f.path for f in store.inverted.fields if restricted is None or f.number in restricted
        )
        is_swedish = store.languages.query_is_swedish(query.locales, paths)
        parser = QueryParser(
            source,
            store.tokenizer.in_swedish() if is_swedish else store.tokenizer,
            typos=store.typos,
            synonyms=store.synonyms,
            prefixes=store.settings.prefixes,
        )
        return parser.parse(query.q)


def filtered(store: IndexStore, value: Any, features: Features, *, code: str) -> BitMap:
    """Return the documents that a filter matches; all without a filter."""
    documents = BitMap(store.contents)
    if value is None:
        return documents
    evaluator = FilterEvaluator(store, documents, code=code)
    return BitMap(evaluator.matching(value, features))


def _excluded(parsed: ParsedQuery, source: WordSource) -> BitMap:
    """Return the documents with a word or phrase that the query excludes."""
    found = [source.documents(word, typed=True) for word in parsed.without_words]
    found.extend(source.phrase_documents(phrase) for phrase in parsed.without_phrases)
    return BitMap.union(*found) if found else BitMap()


def _pagination(query: SearchQuery, total: int) -> dict[str, int]:
    if query.page is None and query.hits_per_page is None:
        return {"limit": query.limit, "offset": query.offset, "estimatedTotalHits": total}
    size = HITS_PER_PAGE if query.hits_per_page is None else query.hits_per_page
    return {
        "hitsPerPage": size,
        "page": 1 if query.page is None else query.page,
        "totalPages": -(-total // size) if size else 0,
        "totalHits": total,
    }
