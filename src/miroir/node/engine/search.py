"""
One search from query to result: parse, filter, rank, page.

    filter -> universe of documents -> query parsed -> ranking rules -> page of ranked documents

Errors that depend on the settings are raised here and in the parsers it calls. What hits look like
is decided in `hits.py`, facets in `facets.py`.
"""

from dataclasses import dataclass

from pyroaring import BitMap

from miroir.node.engine.graph import QueryGraph
from miroir.node.engine.query import ParsedQuery, QueryParser
from miroir.node.engine.ranking import RankedDocument, Ranking
from miroir.node.engine.rule_list import Keywords, RuleList
from miroir.node.engine.rules import Part, Words
from miroir.node.engine.scores import global_score, shown
from miroir.node.engine.sort_parser import check_sort, parse_sort
from miroir.node.engine.store import IndexStore
from miroir.node.engine.terms import Slots
from miroir.node.engine.types import HitScore, SearchQuery, SearchResult
from miroir.node.engine.words import WordSource


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
        size = 20 if query.hits_per_page is None else query.hits_per_page
        page = 1 if query.page is None else query.page
        offset = min(size * (page - 1), total_hits_max) if page else 0
        limit = min(size, total_hits_max - offset) if page else 0
        return cls(offset, limit, exact_totals=True)


@dataclass(frozen=True, slots=True)
class Matched:
    """What a search found, before it is shown."""

    ranked: list[RankedDocument]
    candidates: BitMap
    query: ParsedQuery | None
    source: WordSource


class Searcher:
    """Answers searches of one index as it is now."""

    def __init__(self, store: IndexStore) -> None:
        self._store = store

    def search(self, query: SearchQuery) -> SearchResult:
        """Run one search."""
        page = Page.of(query, self._store.settings.total_hits_max)
        found = self.match(query, page)
        ids = self._store.id_of
        hits = [dict(self._store.contents[r.document]) for r in found.ranked]
        scores = tuple(
            HitScore(ids[r.document], global_score(r.details), shown(r.details))
            for r in found.ranked
        )
        return SearchResult(hits=hits, pagination={}, scores=scores)

    def match(self, query: SearchQuery, page: Page) -> Matched:
        """Find and rank documents; no further than the page needs."""
        store = self._store
        sort = parse_sort(query.sort or ())
        check_sort(sort, store.settings)
        universe = BitMap(store.contents)
        source = self._source(query)
        parsed = self._parse(query, source)
        if parsed is not None:
            universe -= _excluded(parsed, source)
        keywords = None
        if parsed is not None and parsed.terms:
            slots = Slots(source)
            words = Words(QueryGraph(parsed, slots), query.matching_strategy)
            keywords = Keywords(words, slots, source, query.matching_strategy != "all")
            universe = words.universe(universe)
        rules = RuleList(store.settings, store.facets, sort, keywords).build()
        bucket = [Part(universe)]
        if keywords is not None and not keywords.ranks_words:
            bucket = keywords.words.readings(universe)
        ranking = Ranking(rules, page.offset, page.limit, threshold=query.ranking_score_threshold)
        ranking.run(universe, bucket)
        return Matched(ranking.ranked, ranking.candidates, parsed, source)

    def _source(self, query: SearchQuery) -> WordSource:
        store = self._store
        return WordSource(
            store.inverted,
            restricted=None,
            numbers_exact=bool(store.settings.typos.get("disableOnNumbers")),
            by_attribute=store.settings.by_attribute,
        )

    def _parse(self, query: SearchQuery, source: WordSource) -> ParsedQuery | None:
        if not query.q:
            return None
        store = self._store
        parser = QueryParser(
            source,
            store.tokenizer,
            typos=store.typos,
            synonyms=store.synonyms,
            prefixes=store.settings.prefixes,
        )
        return parser.parse(query.q)


def _excluded(parsed: ParsedQuery, source: WordSource) -> BitMap:
    """Return the documents with a word or phrase that the query excludes."""
    found = [source.documents(word, typed=True) for word in parsed.without_words]
    found.extend(source.phrase_documents(phrase) for phrase in parsed.without_phrases)
    return BitMap.union(*found) if found else BitMap()
