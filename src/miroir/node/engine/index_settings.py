"""
The settings of an index as the engine reads them, from the object that GET /settings answers.

Complete input is a contract: the server fills in defaults. What a setting means is with who uses
it; here are the names, the ranking rules parsed, and the rules of filterable attributes.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from miroir.node.engine.fields import covers, matches_pattern, meet

WORD_RULES: Final = frozenset(
    {"words", "typo", "proximity", "attribute", "attributeRank", "wordPosition", "exactness"}
)


@dataclass(frozen=True, slots=True)
class FilterableRule:
    """
    One entry of `filterableAttributes`.

    A plain string is a name, not a pattern: it means the field and what is below it, and has
    everything switched on.
    """

    patterns: tuple[str, ...]
    facet_search: bool
    equality: bool
    comparison: bool
    is_name: bool = False

    @property
    def is_filterable(self) -> bool:
        """Tell whether any filter operator is allowed."""
        return self.equality or self.comparison

    def matches(self, path: str) -> bool:
        """Tell whether the rule is about this field."""
        if self.is_name:
            return covers(self.patterns[0], path)
        return any(matches_pattern(pattern, path) for pattern in self.patterns)

    def meets(self, pattern: str) -> bool:
        """Tell whether a field may exist that both the rule and the pattern mean."""
        if self.is_name:
            name = self.patterns[0]
            return matches_pattern(pattern, name) or covers(pattern, name) or covers(name, pattern)
        return any(meet(pattern, own) for own in self.patterns)

    @classmethod
    def of(cls, value: Any) -> "FilterableRule":
        """Read one entry."""
        if isinstance(value, str):
            return cls((value,), facet_search=True, equality=True, comparison=True, is_name=True)
        features = value.get("features") or {}
        operators = features.get("filter") or {}
        return cls(
            tuple(value["attributePatterns"]),
            facet_search=features.get("facetSearch", False),
            equality=operators.get("equality", True),
            comparison=operators.get("comparison", False),
        )


class IndexSettings:
    """A reading of one settings object."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw
        self.ranking_rules: tuple[str, ...] = tuple(raw["rankingRules"])
        self.filterable = tuple(FilterableRule.of(v) for v in raw.get("filterableAttributes", ()))
        self.sortable: tuple[str, ...] = tuple(raw.get("sortableAttributes", ()))
        self.distinct: str | None = raw.get("distinctAttribute")
        displayed = tuple(raw.get("displayedAttributes") or ())
        self.displayed: tuple[str, ...] | None = None if "*" in displayed else displayed
        self.by_attribute = raw.get("proximityPrecision") == "byAttribute"
        self.prefixes = raw.get("prefixSearch") != "disabled"
        self.facet_search: bool = raw.get("facetSearch", True)
        self.values_per_facet_max: int = raw["faceting"]["maxValuesPerFacet"]
        self.facet_order: Mapping[str, str] = raw["faceting"].get("sortFacetValuesBy") or {}
        self.total_hits_max: int = raw["pagination"]["maxTotalHits"]

    @property
    def typos(self) -> Mapping[str, Any]:
        """The setting `typoTolerance`."""
        found: Mapping[str, Any] = self.raw.get("typoTolerance") or {}
        return found

    def filterable_rule(self, path: str) -> tuple[int, FilterableRule] | None:
        """Return the first rule about a field, with its number."""
        for number, rule in enumerate(self.filterable):
            if rule.matches(path):
                return number, rule
        return None

    def is_filterable(self, path: str) -> bool:
        """Tell whether a field can be filtered by any operator."""
        found = self.filterable_rule(path)
        return found is not None and found[1].is_filterable

    def filterable_patterns(self, wanted: Callable[[FilterableRule], bool]) -> list[str]:
        """Return the patterns of all rules that allow something, sorted."""
        return sorted({p for rule in self.filterable if wanted(rule) for p in rule.patterns})

    def is_sortable(self, path: str) -> bool:
        """Tell whether a field or a parent of it is sortable."""
        return any(covers(attribute, path) for attribute in self.sortable)

    def is_displayed(self, path: str) -> bool:
        """Tell whether a field is shown, by its own name or a parent's."""
        return self.displayed is None or any(covers(shown, path) for shown in self.displayed)

    def without_hidden(self, names: Iterable[str]) -> tuple[list[str], bool]:
        """Return the names that may be told to a client, sorted, and whether some are hidden."""
        every = set(names)
        if self.displayed is None:
            return sorted(every), False
        shown = every & set(self.displayed)
        return sorted(shown), len(shown) < len(every)

    def needs_values(self, path: str) -> bool:
        """
        Tell whether values of a field must be kept for filters, sorts, facets or distinct.

        Documents are walked from the top: below a field that is neither kept nor named as a
        parent nobody looks, whatever a pattern like `*name` may mean.
        """
        if not self._is_kept(path):
            return False
        above = (path[:at] for at, char in enumerate(path) if char == ".")
        return all(self._is_kept(parent) or self._leads_on(parent) for parent in above)

    def _is_kept(self, path: str) -> bool:
        found = self.filterable_rule(path)
        if found is not None and (found[1].is_filterable or found[1].facet_search):
            return True
        if path == self.distinct:
            return True
        return self.is_sortable(path) or any(covers(f, path) for f in self._custom_fields())

    def _leads_on(self, path: str) -> bool:
        """Tell whether some setting names a field below this one."""
        wanted = (rule for rule in self.filterable if rule.is_filterable or rule.facet_search)
        named = [pattern for rule in wanted for pattern in rule.patterns]
        named += [*self.sortable, *self._custom_fields(), self.distinct or ""]
        return any(covers(path, name) for name in named)

    def _custom_fields(self) -> list[str]:
        return [rule.rsplit(":", 1)[0] for rule in self.ranking_rules if ":" in rule]
