"""
Golden queries: what must hold for searches on changed nodes before anybody else sees them.

A canary is a list of searches with expectations. Each is put to the half of the nodes that still
serves the old settings and to the half that has the new ones; the two answers are judged here.

    {"queries": [{"name": "brand", "search": {"q": "iphone"}, "expectedIds": ["12"], "top": 10,
                  "minOverlap": 0.6, "maxMs": 50}],
     "maxZeroHitRate": 0.1}

- `expectedIds`: each is among the first `top` hits of the changed half.
- `minOverlap`: this share of the first `top` ids is the same on both halves, in whatever order.
- `maxMs`: the changed half answers within this time, the best of a few tries.
- `maxZeroHitRate`: at most this share of all queries finds nothing on the changed half.

Pure; putting the searches is `services/canaries.py`'s.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from miroir.errors import InvalidCanary

QUERIES_MAX: Final = 200
TOP_MAX: Final = 1000
_TOP: Final = 10


@dataclass(frozen=True)
class Query:
    """
    One golden query.

    Attributes:
        name: For the report; the query string if none was given.
        search: The body of the search, without paging.
        expected_ids: As text, whatever the type of the primary key.
        top: How many hits are looked at.
        min_overlap: 0 to 1, or None: not judged.
        max_ms: None: not judged.
    """

    name: str
    search: Mapping[str, Any]
    expected_ids: tuple[str, ...] = ()
    top: int = _TOP
    min_overlap: float | None = None
    max_ms: float | None = None


@dataclass(frozen=True)
class Canary:
    """
    Everything that is asked.

    Attributes:
        max_zero_hit_rate: 0 to 1, or None: not judged.
    """

    queries: tuple[Query, ...]
    max_zero_hit_rate: float | None = None


@dataclass(frozen=True)
class Outcome:
    """
    What one query found.

    Attributes:
        before: Ids of the first `top` hits on the half with the old settings.
        after: On the changed half; None if it refused the search.
        took_ms: Of the changed half.
        refusal: Why it refused, in its own words.
    """

    before: tuple[str, ...]
    after: tuple[str, ...] | None
    took_ms: float = 0.0
    refusal: str = ""


def read(spec: Any) -> Canary:
    """
    Return a canary as a client wrote it.

    Raises:
        InvalidCanary: With the place and what is wrong there.
    """
    known = _object(spec, "canary", {"queries", "maxZeroHitRate"})
    queries = known.get("queries")
    if not isinstance(queries, list) or not 0 < len(queries) <= QUERIES_MAX:
        _refuse("canary.queries", f"a list of 1 to {QUERIES_MAX} queries")
    return Canary(
        tuple(_query(each, f"canary.queries[{i}]") for i, each in enumerate(queries)),
        _share(known.get("maxZeroHitRate"), "canary.maxZeroHitRate"),
    )


def _query(spec: Any, place: str) -> Query:
    known = _object(spec, place, {"name", "search", "expectedIds", "top", "minOverlap", "maxMs"})
    search = _object(known.get("search"), f"{place}.search", None)
    for paging in ("limit", "offset", "page", "hitsPerPage"):
        if paging in search:
            _refuse(f"{place}.search.{paging}", "not be given: `top` says how many are looked at")
    top = known.get("top", _TOP)
    if type(top) is not int or not 0 < top <= TOP_MAX:
        _refuse(f"{place}.top", f"a whole number from 1 to {TOP_MAX}")
    name = known.get("name", search.get("q") or "")
    if not isinstance(name, str):
        _refuse(f"{place}.name", "a string")
    return Query(
        name=name or place.removeprefix("canary."),
        search=search,
        expected_ids=_ids(known.get("expectedIds", []), f"{place}.expectedIds"),
        top=top,
        min_overlap=_share(known.get("minOverlap"), f"{place}.minOverlap"),
        max_ms=_number(known.get("maxMs"), f"{place}.maxMs"),
    )


def judge(canary: Canary, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """Return what does not hold, in words; empty if all does."""
    assert len(outcomes) == len(canary.queries)
    faults = [
        f"`{query.name}`: {fault}"
        for query, outcome in zip(canary.queries, outcomes, strict=True)
        for fault in _faults(query, outcome)
    ]
    empty = sum(not outcome.after for outcome in outcomes)
    rate, most = empty / len(outcomes), canary.max_zero_hit_rate
    if most is not None and rate > most:
        faults.append(f"{empty} of {len(outcomes)} queries find nothing, at most {most:.0%} may")
    return tuple(faults)


def _faults(query: Query, outcome: Outcome) -> Iterable[str]:
    if outcome.after is None:
        yield f"refused: {outcome.refusal}"
        return
    missing = [each for each in query.expected_ids if each not in outcome.after]
    if missing:
        yield f"{', '.join(missing)} not among the first {query.top}"
    shared = overlap(outcome.before, outcome.after)
    if query.min_overlap is not None and shared < query.min_overlap:
        yield f"{shared:.0%} of the hits stay, at least {query.min_overlap:.0%} should"
    if query.max_ms is not None and outcome.took_ms > query.max_ms:
        yield f"took {outcome.took_ms:.0f} ms, at most {query.max_ms:g} ms are allowed"


def overlap(before: Sequence[str], after: Sequence[str]) -> float:
    """Return the share of hits that both have, 0 to 1; of two empty answers it is 1."""
    longest = max(len(before), len(after))
    return len(set(before) & set(after)) / longest if longest else 1.0


def _object(value: Any, place: str, keys: set[str] | None) -> dict[str, Any]:
    if not isinstance(value, dict):
        _refuse(place, "an object")
    unknown = sorted(value.keys() - keys) if keys is not None else []
    if unknown:
        _refuse(f"{place}.{unknown[0]}", f"one of {', '.join(sorted(keys or ()))}")
    return value


def _ids(value: Any, place: str) -> tuple[str, ...]:
    fits = isinstance(value, list) and all(type(each) in {str, int} for each in value)
    if not fits:
        _refuse(place, "a list of document ids")
    return tuple(str(each) for each in value)


def _number(value: Any, place: str) -> float | None:
    if value is None:
        return None
    if type(value) not in {int, float} or not value > 0:
        _refuse(place, "a number above 0")
    return float(value)


def _share(value: Any, place: str) -> float | None:
    if value is None:
        return None
    if type(value) not in {int, float} or not 0 <= value <= 1:
        _refuse(place, "a share from 0 to 1")
    return float(value)


def _refuse(place: str, wanted: str) -> NoReturn:
    raise InvalidCanary(f"Invalid value at `.{place}`: it must be {wanted}.")
