"""
Whether two queries rank by rules that can be compared, and the words for when they do not.

    words, typo, sort=[price:asc], exactness   ->   relevancy, ascending sort, relevancy

Rules are first made canonical: doubles go, `words` is put in front, what a placeholder search
does not run is left out. Then runs of rules by relevancy count as one. Two queries fit when their
lists are equal as far as the shorter one goes. Source: Meilisearch 1.50, search/ranking_rules.rs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from miroir.node.engine.sorting import SortBy, SortField
from miroir.node.errors import ApiError

Ranked = Literal["placeholder", "keyword", "vector"]
_WORDS: Final = frozenset({
    "words", "typo", "proximity", "attribute", "attributeRank", "wordPosition", "exactness",
})  # fmt: skip
_CODE: Final = "invalid_multi_search_query_ranking_rules"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a rule comes from: ranking rules `first` to `last`, or an item of `sort`."""

    first: int
    last: int
    sort: int | None = None

    def position(self) -> str:
        """Return the place in words."""
        if self.sort is not None:
            return f"#{self.sort} in `query.sort` (as `sort` is #{self.first} in ranking rules)"
        return f"#{self.first} in ranking rules"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as it is compared."""

    kind: str
    source: Source


@dataclass(slots=True)
class Rules:
    """The canonical rules of one query, and notes on what was changed to get there."""

    query: int
    index: str
    criteria: Sequence[str]
    sort: Sequence[SortBy] | None
    all_words: bool
    how: Ranked
    names: list[str] = field(default_factory=list)
    sorts: list[SortBy] | None = None
    notes: list[str] = field(default_factory=list)
    _seen: dict[str, Source | None] = field(default_factory=dict)
    _sorted: dict[str, Source] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the rules canonical."""
        for at, name in enumerate(self.criteria):
            if name in _WORDS:
                if not self._of_words(at, name):
                    break
            elif name == "sort":
                self._of_sort(at)
            else:
                self._of_field(at, name)

    def _of_words(self, at: int, name: str) -> bool:
        """Take a rule by relevancy; False when nothing after it counts."""
        if self.how == "placeholder":
            reason = 'the query is a placeholder search (`q`: "")'
            self._removed(f"relevancy rule `{name}`", at, reason)
            return True
        if self.how == "vector":
            return self._of_vector(at, name)
        if name == "words":
            self._of_words_itself(at)
            return True
        if not self.all_words and "words" not in self._seen:
            self._note(
                f"Prepended rule `words` before first relevancy rule `{name}` at position "
                f"{Source(at, at).position()}"
            )
            self.names.append("words")
            self._seen["words"] = None
        if (earlier := self._seen.get(name)) is not None:
            self._doubled(name, Source(at, at), earlier)
        else:
            self._seen[name] = Source(at, at)
            self.names.append(name)
        return True

    def _of_words_itself(self, at: int) -> None:
        if self.all_words:
            self._removed("rule `words`", at, "`query.matchingWords` is set to `all`")
            return
        if "words" in self._seen:
            earlier = self._seen["words"]
            if earlier is not None:
                self._doubled("words", Source(at, at), earlier)
                return
            self._removed("rule `words`", at, "it was previously prepended")
        self._seen["words"] = Source(at, at)
        self.names.append("words")

    def _of_vector(self, at: int, name: str) -> bool:
        vector = self._seen.get("vector")
        if vector is None:
            self._seen["vector"] = Source(at, at)
            self.names.append(name)
            return True
        here = Source(at, at).position()
        inserted = f"inserted at position {vector.position()}"
        if not self._sorted:
            self._note(
                f"Removed relevancy rule `{name}` at position {here} because the query is a "
                f"vector search and `vector` was already {inserted}"
            )
            return True
        self._note(
            f"Truncated relevancy rule `{name}` at position {here} and later rules because the "
            f"query is a vector search and `vector` was {inserted}"
        )
        return False

    def _of_sort(self, at: int) -> None:
        if (earlier := self._seen.get("sort")) is not None:
            self._doubled("sort", Source(at, at), earlier)
        elif self.sort is None:
            self._note(
                f"Removed rule `sort` at position {Source(at, at).position()} because "
                "`query.sort` is empty",
                indent="   ",
            )
        else:
            self._seen["sort"] = Source(at, at)
            self.names.append("sort")
            self.sorts = list(self._sorts(at, self.sort))

    def _sorts(self, at: int, sort: Sequence[SortBy]) -> Iterator[SortBy]:
        geo: Source | None = None
        for number, by in enumerate(sort):
            source = Source(at, at, number)
            earlier = self._sorted.get(by.field) if isinstance(by, SortField) else geo
            if earlier is not None:
                self._doubled(_sort_name(by), source, earlier)
                continue
            if isinstance(by, SortField):
                self._sorted[by.field] = source
            else:
                geo = source
            yield by

    def _of_field(self, at: int, name: str) -> None:
        attribute = name.rpartition(":")[0]
        if (earlier := self._sorted.get(attribute)) is not None:
            self._doubled(name, Source(at, at), earlier)
        else:
            self._sorted[attribute] = Source(at, at)
            self.names.append(name)

    def _doubled(self, name: str, removed: Source, earlier: Source) -> None:
        if earlier.sort is not None and self.sort is not None:
            name = _sort_name(self.sort[earlier.sort])
        elif earlier.sort is None:
            name = self.criteria[earlier.first]
        self._note(
            f"Removed duplicate rule `{name}` at position {removed.position()} as it already "
            f"appears at position {earlier.position()}"
        )

    def _removed(self, what: str, at: int, reason: str) -> None:
        self._note(f"Removed {what} at position {Source(at, at).position()} because {reason}")

    def _note(self, text: str, indent: str = "    ") -> None:
        self.notes.append(f"{indent}{len(self.notes) + 1}. {text}\n")

    def compared(self) -> list[Rule]:
        """Return the rules as they are compared, runs by relevancy as one."""
        rules: list[Rule] = []
        for rule in self._singles():
            last = rules[-1] if rules else None
            if last is not None and last.kind == rule.kind == "relevancy":
                rules[-1] = Rule("relevancy", Source(last.source.first, rule.source.last))
            else:
                rules.append(rule)
        return rules

    def _singles(self) -> Iterator[Rule]:
        for at, name in enumerate(self.names):
            if name == "sort":
                for number, by in enumerate(self.sorts or ()):
                    direction = "ascending" if by.ascending else "descending"
                    geo = "" if isinstance(by, SortField) else " geo"
                    yield Rule(f"{direction}{geo} sort", Source(at, at, number))
            elif name in _WORDS:
                yield Rule("relevancy", Source(at, at))
            else:
                attribute, _, direction = name.rpartition(":")
                kind = "ascending" if direction == "asc" else "descending"
                geo = " geo" if attribute == "_geo" else ""
                yield Rule(f"{kind}{geo} sort", Source(at, at))

    def described(self, rule: Rule) -> str:
        """Return a rule with its place in the request and in the settings."""
        source, where = rule.source, f"`queries[{self.query}]`"
        settings = f"`{self.index}.rankingRules[{source.first}]`"
        names = ", ".join(self.names[source.first : source.last + 1])
        if source.sort is not None:
            where = f"`queries[{self.query}].sort[{source.sort}]`"
            by = (self.sorts or ())[source.sort]
            names = f"on field `{by.field}`" if isinstance(by, SortField) else "default"
        elif source.first != source.last:
            settings = f"`{self.index}.rankingRules[{source.first}..={source.last}]`"
        return f"{where}, {settings}: {rule.kind} rule(s) {names}"


def _sort_name(by: SortBy) -> str:
    name = by.field if isinstance(by, SortField) else "_geo(..)"
    return f"{name}:{'asc' if by.ascending else 'desc'}"


def require_comparable(rules: Rules, previous: Rules | None) -> Rules:
    """
    Return which of two queries later ones must fit: the one with more rules.

    Raises:
        ApiError: `invalid_multi_search_query_ranking_rules`.
    """
    if previous is None:
        return rules
    mine, theirs = rules.compared(), previous.compared()
    for here, there in zip(mine, theirs, strict=False):
        if here.kind != there.kind:
            raise _incompatible(previous, there, rules, here)
    return previous if len(theirs) > len(mine) else rules


def _incompatible(previous: Rules, there: Rule, rules: Rules, here: Rule) -> ApiError:
    message = (
        f"The results of queries #{previous.query} and #{rules.query} are incompatible: \n"
        f"  1. {previous.described(there)}\n  2. {rules.described(here)}\n"
        f"  - {_reason(there.kind, here.kind)}\n"
    )
    for found in (previous, rules):
        if found.notes:
            message += (
                f"  - note: The ranking rules of query #{found.query} were modified during "
                f"canonicalization:\n{''.join(found.notes)}"
            )
    return ApiError(_CODE, message)


def _reason(one: str, other: str) -> str:
    kinds = {one, other}
    geo = [" geo " in kind for kind in kinds]
    if "relevancy" in kinds:
        what = "geosort" if any(geo) else "sort"
        return f"cannot compare a relevancy rule with a {what} rule"
    if all(geo):
        return "cannot compare two geosort rules in opposite directions"
    if any(geo):
        return "cannot compare a sort rule with a geosort rule"
    return "cannot compare two sort rules in opposite directions"
