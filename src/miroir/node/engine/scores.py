"""
Score details: what each ranking rule says of a document, and the score that follows.

Every rule that ranks by words gives a rank of a maximum. The score of a document folds them in
order into one mixed-radix number: rank = (rank - 1) * next.maximum + next.rank, over the product
of the maxima. Sorts and distances are shown, but are no part of the number.

Shapes and key order as of Meilisearch 1.50 (milli, score_details.rs). Who computes the ranks is
`rules.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

MATCH_TYPES: Final = ("noExactMatch", "matchesStart", "exactMatch")


@dataclass(frozen=True, slots=True)
class Rank:
    """The result of one ranking rule: `rank` of `maximum`, at least 1; greater is better."""

    rule: str
    rank: int
    maximum: int

    @property
    def score(self) -> float:
        """The rank as a number in 0..1."""
        return self.rank / self.maximum


@dataclass(frozen=True, slots=True)
class SortValue:
    """The value by which a document was sorted; None comes last. Hidden fields show no value."""

    field: str
    ascending: bool
    value: Any
    hidden: bool


@dataclass(frozen=True, slots=True)
class GeoDistance:
    """The point by which a document was sorted, and its distance in metres to the target."""

    target: tuple[float, float]
    ascending: bool
    point: tuple[float, float] | None
    distance_m: float | None


@dataclass(frozen=True, slots=True)
class Similarity:
    """How near the vector of a document is to the query's; None without a vector."""

    value: float | None


SKIPPED: Final = Rank("skipped", 0, 1)
"""In the place of all rules for which there was no time."""

Detail = Rank | SortValue | GeoDistance | Similarity


def folded(ranks: Iterable[Rank]) -> float:
    """Return the score of nested ranks."""
    rank = maximum = 1
    for inner in ranks:
        rank = (rank - 1) * inner.maximum + inner.rank
        maximum *= inner.maximum
    return rank / maximum


def global_score(details: Iterable[Detail]) -> float:
    """Return `_rankingScore`; a similarity goes before ranks."""
    similarity, ranks = None, []
    for detail in details:
        if isinstance(detail, Rank):
            ranks.append(detail)
        elif isinstance(detail, Similarity):
            similarity = detail.value or 0.0
    return folded(ranks) if similarity is None else similarity


def shown(details: Sequence[Detail]) -> dict[str, Any]:
    """Return `_rankingScoreDetails`; a second detail of the same name replaces the first."""
    result: dict[str, Any] = {}
    order = 0
    for at, detail in enumerate(details):
        match detail:
            case Rank(rule="queryWordDistance"):
                _add_to_attribute(result, details[at - 1], detail)
            case Rank(rule="exactWords"):
                _add_to_exactness(result, details[at - 1], detail)
            case Rank():
                name, entry = _of_rank(detail)
                result[name] = {"order": order, **entry}
                order += 1
            case SortValue():
                name, entry = _of_sort(detail, order)
                result[name] = {"order": order, **entry}
                order += 1
            case GeoDistance():
                name, entry = _of_geo(detail)
                result[name] = {"order": order, **entry}
                order += 1
            case Similarity():
                result["vectorSort"] = {"order": order, "similarity": detail.value}
                order += 1
    return result


def _of_rank(detail: Rank) -> tuple[str, dict[str, Any]]:
    rank, maximum = detail.rank, detail.maximum
    match detail.rule:
        case "words":
            counts = {"matchingWords": rank, "maxMatchingWords": maximum}
            return "words", {**counts, "score": detail.score}
        case "typo":
            counts = {"typoCount": maximum - rank, "maxTypoCount": maximum - 1}
            return "typo", {**counts, "score": detail.score}
        case "attributeRankingOrder":
            return "attribute", {"attributeRankingOrderScore": detail.score}
        case "skipped":
            return "skipped", {}
        case "exactAttribute":
            return "exactness", {"matchType": MATCH_TYPES[rank - 1], "score": detail.score}
        case name:
            return name, {"score": detail.score}


def _add_to_attribute(result: dict[str, Any], order: Detail, distance: Rank) -> None:
    assert isinstance(order, Rank), "the position rule follows the attribute rule"
    entry = result["attribute"]
    entry["queryWordDistanceScore"] = distance.score
    entry["score"] = folded((order, distance))


def _add_to_exactness(result: dict[str, Any], attribute: Detail, words: Rank) -> None:
    assert isinstance(attribute, Rank), "the exact words rule follows the exact attribute rule"
    if attribute.rank != 1:
        return
    entry = result["exactness"]
    del entry["score"]
    entry["matchingWords"] = words.rank - 1
    entry["maxMatchingWords"] = words.maximum - 1
    entry["score"] = folded((attribute, words))


def _of_sort(detail: SortValue, order: int) -> tuple[str, dict[str, Any]]:
    if detail.hidden:
        return f"<hidden-rule-{order}>", {"value": "<hidden>"}
    return f"{detail.field}:{_direction(detail.ascending)}", {"value": detail.value}


def _of_geo(detail: GeoDistance) -> tuple[str, dict[str, Any]]:
    lat, lng = detail.target
    name = f"_geoPoint({_plain(lat)}, {_plain(lng)}):{_direction(detail.ascending)}"
    point = None if detail.point is None else {"lat": detail.point[0], "lng": detail.point[1]}
    return name, {"value": point, "distance": detail.distance_m}


def _direction(ascending: bool) -> str:  # noqa: FBT001 - a word for a boolean is its whole job
    return "asc" if ascending else "desc"


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else repr(number)
