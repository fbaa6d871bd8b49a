"""
Hits of several queries in one order.

Each query brings its hits best first; heads are compared by weighted score values, or by the
weighted score when those cannot be compared; a tie goes to the query that was named first.
Within one index a document, and a value of the distinct attribute, counts once.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from miroir.node.engine.facet_index import facet_normalized
from miroir.node.engine.fields import walk
from miroir.node.engine.finding import Finding
from miroir.node.engine.ranking import RankedDocument
from miroir.node.engine.scores import Similarity, global_score
from miroir.node.engine.weighted import Weighted, federated_order, told_values, values_of
from miroir.node.json_text import encode_text

FacetKey: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that one query found; its hit is made when it is taken."""

    query: int
    index: str
    score: float
    weight: float
    values: Sequence[Weighted]
    ranked: RankedDocument
    finding: Finding

    def goes_before(self, other: "Candidate") -> bool:
        """Tell whether this one is better."""
        order = federated_order(self.values, other.values)
        if order is None:
            order = (self.score > other.score) - (self.score < other.score)
        return order > 0 or (order == 0 and self.query < other.query)

    def hit(self, for_merging: Sequence[str] | None = None) -> dict[str, Any]:
        """
        Return the hit, with where it comes from in front of what was computed for it.

        Args:
            for_merging: Whoever asks merges hits of several nodes: it is told what they are
                ranked by, and the values of these fields where the hit does not show them.
        """
        hit = self.finding.hit(self.ranked)
        extra = {name: hit.pop(name) for name in _COMPUTED if name in hit}
        hit["_federation"] = {
            "indexUid": self.index,
            "queriesPosition": self.query,
            "weightedRankingScore": self.score,
        }
        if for_merging is not None:
            hit["_federation"] |= {
                "weightedScoreValues": told_values(self.ranked.details, self.weight),
                "extra_document": self.finding.unshown(self.ranked, for_merging),
            }
        return {**hit, **extra}

    @property
    def is_semantic(self) -> bool:
        """Whether it was found by vector."""
        return any(isinstance(detail, Similarity) for detail in self.ranked.details)

    def facet_values(self, field: str) -> set[FacetKey]:
        """Return the values that the document has in a field, by kind."""
        return facet_values(self.finding.content(self.ranked), field)


_COMPUTED = ("_formatted", "_matchesPosition", "_rankingScore", "_rankingScoreDetails")


def candidates_of(finding: Finding, query: int, index: str, weight: float) -> list[Candidate]:
    """Return what a query found as candidates, best first."""
    return [
        Candidate(
            query=query,
            index=index,
            score=global_score(ranked.details) * weight,
            weight=weight,
            values=values_of(ranked.details, weight),
            ranked=ranked,
            finding=finding,
        )
        for ranked in finding.ranked
    ]


def merged(lists: Iterable[Sequence[Candidate]]) -> Iterator[Candidate]:
    """Yield candidates of several lists, each best first, in one order."""
    left = [list(reversed(one)) for one in lists if one]
    while left:
        best = 0
        for at in range(1, len(left)):
            if left[at][-1].goes_before(left[best][-1]):
                best = at
        yield left[best].pop()
        if not left[best]:
            del left[best]


def facet_values(document: dict[str, Any], field: str) -> set[FacetKey]:
    """Return the values of a field as they count for facets and distinct."""
    found = set()
    for path, value, _ in walk(document):
        if path == field and (key := _key(value)) is not None:
            found.add(key)
    return found


def _key(value: Any) -> FacetKey | None:
    if isinstance(value, bool):
        return "text", "true" if value else "false"
    if isinstance(value, str):
        return "text", facet_normalized(value)
    if isinstance(value, int | float):
        return "number", encode_text(value)
    return None
