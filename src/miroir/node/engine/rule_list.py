"""
Which ranking rules a search runs, from the setting `rankingRules` and the `sort` parameter.

`words` is put before the first rule that needs it; each rule runs once; a field that is sorted
already is not sorted again; a placeholder search has only the sorting rules. `attribute` excludes
`attributeRank` and `wordPosition`, whichever comes first. As in Meilisearch 1.50 (milli,
search/new/mod.rs).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from miroir.node.engine.facet_index import FacetIndex
from miroir.node.engine.index_settings import WORD_RULES, IndexSettings
from miroir.node.engine.measures import (
    AttributeRank,
    ExactAttribute,
    ExactWords,
    Proximity,
    WordPosition,
)
from miroir.node.engine.rules import Rule, Typo, Words
from miroir.node.engine.sorting import GeoSort, Sort, SortBy, SortField, SortPoint
from miroir.node.engine.terms import Slots
from miroir.node.engine.words import WordSource


@dataclass(frozen=True, slots=True)
class Keywords:
    """What the rules that rank by words need; absent in a placeholder search."""

    words: Words
    slots: Slots
    source: WordSource
    ranks_words: bool  # False when all words must match anyway


@dataclass(slots=True)
class RuleList:
    """Builds the rules of one search."""

    settings: IndexSettings
    facets: FacetIndex
    sort: Sequence[SortBy]
    keywords: Keywords | None
    by_vector: Rule | None = None  # takes the place of the rules that rank by words
    _seen: set[str] = field(default_factory=set)

    def build(self) -> list[Rule]:
        """Return the rules in order."""
        rules: list[Rule] = []
        for name in self.settings.ranking_rules:
            if name in WORD_RULES:
                rules.extend(self._of_words(name))
            elif name == "sort":
                rules.extend(self._of_sort())
            else:
                attribute, _, direction = name.rpartition(":")
                rules.extend(self._sorted(SortField(attribute, direction == "asc")))
        return rules

    def _of_words(self, name: str) -> Iterator[Rule]:
        keywords = self.keywords
        if self.by_vector is not None and "vector" not in self._seen:
            self._seen.add("vector")
            yield self.by_vector
        if keywords is None:
            return
        if "words" not in self._seen:
            self._seen.add("words")
            if keywords.ranks_words:
                yield keywords.words
        if name in self._seen:
            return
        self._seen.add(name)
        match name:
            case "typo":
                is_first = not self._seen & (WORD_RULES - {"words", "typo"})
                glued = () if keywords.ranks_words or not is_first else keywords.words.ngrams
                yield Typo(keywords.slots, glued)
            case "proximity":
                yield Proximity(by_attribute=keywords.source.by_attribute)
            case "exactness":
                yield ExactAttribute(keywords.slots, keywords.source)
                yield ExactWords(keywords.slots, keywords.source)
            case _:
                yield from self._of_attributes(name, keywords)

    def _of_attributes(self, name: str, keywords: Keywords) -> Iterator[Rule]:
        index, source = keywords.source.index, keywords.source
        others = {"attributeRank", "wordPosition"}
        if name == "attribute" and not others & self._seen:
            yield AttributeRank(index, source, name="attributeRankingOrder")
            yield WordPosition(name="queryWordDistance")
        elif name == "attributeRank" and "attribute" not in self._seen:
            yield AttributeRank(index, source, name="attributeRank")
        elif name == "wordPosition" and "attribute" not in self._seen:
            yield WordPosition(name="wordPosition")

    def _of_sort(self) -> Iterator[Rule]:
        if "sort" in self._seen:
            return
        self._seen.add("sort")
        for by in self.sort:
            if isinstance(by, SortPoint):
                yield GeoSort(self.facets, by)
            else:
                yield from self._sorted(by)

    def _sorted(self, by: SortField) -> Iterator[Rule]:
        name = f"field {by.field}"
        if name not in self._seen:
            self._seen.add(name)
            shown = self.settings.displayed is None or by.field in self.settings.displayed
            yield Sort(self.facets, by, hidden=not shown)
