"""
Score details -> a key that sorts hits of different shards as one node would sort them.

Rule by rule, in the order in which the node applied them, smaller is better:

    words         more matching words                typo       fewer typos (absolute counts:
    proximity, attributeRank, wordPosition  score                the maxima differ per node)
    attribute     ranking order, then word distance  exactness  kind of match, then words
    field:asc|desc    numbers, then strings, then nothing, in both directions
    _geoPoint(..):asc|desc  distance, then nothing   vectorSort similarity
    skipped       worst: the node ran out of time before this rule

`_rankingScore` is of no use: it leaves out `sort`, geo and custom rules, and overflows on long
queries. Every slot of a key begins with a number, so that "skipped" (infinity) compares with
any rule. A rule that appears twice is shown once by nodes, where it stood first.

What cannot be compared is refused (`Incomparable`): a hidden value that nobody looked up, pinned
documents, hits ranked by different rules (keyword and vector hits of one hybrid search).

Source: milli's score_details.rs; except that geo distances honour asc, which upstream's own merge
does not.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from miroir.core.merge.known_rules import Key, KeyOf, key_reader

_INFINITY: Final = float("inf")
_MATCH_TYPES: Final = frozenset({"exactMatch", "matchesStart"})
_USUAL: Final = (
    "words", "typo", "proximity", "attributeRank", "wordPosition", "exactness",
)  # fmt: skip
_HIDDEN: Final = "<hidden>"


class Incomparable(Exception):
    """These hits cannot be put in order; the text says why. Never leaves core.merge."""


class Rule(msgspec.Struct, frozen=True):
    """One entry of `_rankingScoreDetails`; each rule fills its own fields."""

    order: int
    score: float = 0.0
    matching_words: int = msgspec.field(name="matchingWords", default=0)
    typo_count: int = msgspec.field(name="typoCount", default=0)
    attribute_score: float = msgspec.field(name="attributeRankingOrderScore", default=0.0)
    distance_score: float = msgspec.field(name="queryWordDistanceScore", default=0.0)
    match_type: str = msgspec.field(name="matchType", default="noExactMatch")
    value: Any = None
    distance: float | None = None
    similarity: float | None = None
    hidden: str = ""
    """The direction of a rule whose attribute is not displayed; its value was found out."""


Details = Mapping[str, Rule]
_Slots = Callable[[Rule], Key]

_decode = msgspec.json.Decoder(dict[str, Rule]).decode


def decode_details(raw: bytes | memoryview | msgspec.Raw) -> Details:
    """
    Read the value of `_rankingScoreDetails`.

    Raises:
        msgspec.DecodeError: It is not of the expected shape.
    """
    return _decode(raw)


class Ranking:
    """
    The comparison of one search's hits; the rules are found in the first hit and hold for all.

    The only mutable object of the package: it remembers, within one merge, how the rules of the
    hits that it saw are to be read.
    """

    __slots__ = ("_names", "_plans", "_reader")

    def __init__(self) -> None:
        self._names: tuple[str, ...] | None = None
        self._plans: dict[tuple[str, ...], list[tuple[str, _Slots]]] = {}
        self._reader: KeyOf | None = key_reader(_USUAL)

    def read(self, text: bytes) -> Key | None:
        """
        Return the sort key of a hit with the rules of those before it, or None if it has others.

        The first hit is looked at for the rules that an index has by default.

        Args:
            text: The tail of the hit (hits.py).
        """
        reader = self._reader
        key = None if reader is None else reader(text)
        if key is not None and self._names is None:
            self._names = _USUAL
        return key

    def key(self, details: Details) -> Key:
        """
        Return the sort key of a hit.

        Raises:
            Incomparable: A rule cannot be compared over shards, or the hits have different rules.
        """
        names = tuple(details)
        plan = self._plans.get(names)
        if plan is None:
            plan = self._plans[names] = self._new_plan(details)
        key: list[Any] = []
        for name, slots in plan:
            key += slots(details[name])
        return tuple(key)

    def _new_plan(self, details: Details) -> list[tuple[str, _Slots]]:
        names = _applied_order(details)
        if self._names is None or self._names[-1:] == ("skipped",):
            self._names = names
            self._reader = key_reader(names) if _is_complete(details) else None
        _check_same(self._names, names)
        return [(name, _slots(name, details[name])) for name in names]


def _applied_order(details: Details) -> tuple[str, ...]:
    """
    Return the rules as they were applied.

    `order` tells, unless a number is missing: then a repeated rule overwrote its first entry, in
    place, with its later number, and the place in the object is right.
    """
    if _is_complete(details):
        return tuple(sorted(details, key=lambda name: details[name].order))
    return tuple(details)


def _is_complete(details: Details) -> bool:
    """Whether the rules are numbered without a gap."""
    return {rule.order for rule in details.values()} == set(range(len(details)))


def _check_same(known: tuple[str, ...], names: tuple[str, ...]) -> None:
    """Let the rules of a hit end early with "skipped", and differ in no other way."""
    if names[-1:] == ("skipped",):
        names = names[:-1]
        known = known[: len(names)]
    elif known[-1:] == ("skipped",):
        known = known[:-1]
        names = names[: len(known)]
    if names != known:
        raise Incomparable(
            "the hits were ranked by different rules (keyword and semantic hits of one search), "
            "which cannot be merged over several shards"
        )


def _slots(name: str, rule: Rule) -> _Slots:
    if name in _FIXED:
        return _FIXED[name]
    if rule.hidden:
        return _sort_asc if rule.hidden == "asc" else _sort_desc
    if name.startswith("<hidden-rule-") and rule.value == _HIDDEN:
        raise Incomparable(
            "sorting by an attribute that is not displayed cannot be merged over several shards"
        )
    field, _, direction = name.rpartition(":")
    if not field or direction not in {"asc", "desc"}:
        raise Incomparable(f"the ranking rule `{name}` cannot be merged over several shards")
    if field.startswith("_geoPoint("):
        return _geo_asc if direction == "asc" else _geo_desc
    return _sort_asc if direction == "asc" else _sort_desc


_FIXED: Final[Mapping[str, _Slots]] = {
    "words": lambda rule: (-rule.matching_words,),
    "typo": lambda rule: (rule.typo_count,),
    "proximity": lambda rule: (-rule.score,),
    "attributeRank": lambda rule: (-rule.score,),
    "wordPosition": lambda rule: (-rule.score,),
    "attribute": lambda rule: (-rule.attribute_score, -rule.distance_score),
    "exactness": lambda rule: (0, _match_type(rule), -rule.matching_words),
    "vectorSort": lambda rule: (-(rule.similarity or 0.0),),
    "skipped": lambda _: (_INFINITY,),
}


def _match_type(rule: Rule) -> str:
    """Return the kind of match; the better one comes first in the alphabet."""
    return rule.match_type if rule.match_type in _MATCH_TYPES else "noExactMatch"


class _Reversed(str):
    """A string that sorts backwards."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)

    def __gt__(self, other: str) -> bool:
        return str.__lt__(self, other)


def _sort_asc(rule: Rule) -> Key:
    value = rule.value
    if isinstance(value, str):
        return (1, value)
    return (2, 0) if value is None else (0, value)


def _sort_desc(rule: Rule) -> Key:
    value = rule.value
    if isinstance(value, str):
        return (1, _Reversed(value))
    return (2, 0) if value is None else (0, -value)


def _geo_asc(rule: Rule) -> Key:
    return (1, 0) if rule.distance is None else (0, rule.distance)


def _geo_desc(rule: Rule) -> Key:
    return (1, 0) if rule.distance is None else (0, -rule.distance)
