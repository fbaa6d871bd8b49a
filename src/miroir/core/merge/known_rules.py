"""
Score details of rules that were seen before -> the sort key, in one step.

Hits of one search have the same rules, nearly always built-in ones whose fields are known. For
such a list of rules a decoder is made, once, that reads what the key needs and nothing else:

    {"_rankingScore":0.9,
     "_rankingScoreDetails":{"words":{"order":0,"matchingWords":2,..},
                             "proximity":{"order":1,"score":0.9}}}      ->  (-2, -0.9)

It takes exactly these rules with exactly these `order`s; on any other text it says None, and
ranking.py reads it the general way and judges. Keys are the same either way, value by value.

Only names of the table below may get a decoder: sort attributes and geo points are the clients'
words, without a limit to their number.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, Literal, cast

import msgspec

Key = tuple[Any, ...]
KeyOf = Callable[[bytes], Key | None]

_Slot = tuple[str, int]
"""A field of a rule, and how it counts: -1 where more is better, 1 where less is, 0 as a zero."""

_READER: Final = """
def key_of(text):
    try:
        d = decode(text).d
    except DecodeError:
        return None
    return ({values},)
"""
_TEXTS: Final = {-1: "-d.r{0}.{1}", 1: "d.r{0}.{1}", 0: "0"}
_SCORE: Final[tuple[_Slot, ...]] = (("score", -1),)
_SLOTS: Final[Mapping[str, tuple[_Slot, ...]]] = {
    "words": (("matchingWords", -1),),
    "typo": (("typoCount", 1),),
    "proximity": _SCORE,
    "attributeRank": _SCORE,
    "wordPosition": _SCORE,
    "attribute": (("attributeRankingOrderScore", -1), ("queryWordDistanceScore", -1)),
    # Begins with a number like every rule, and the kind of match is in the order of the alphabet.
    "exactness": (("order", 0), ("matchType", 1), ("matchingWords", -1)),
}
_TYPES: Final[Mapping[str, Any]] = {
    "matchingWords": int,
    "typoCount": int,
    "score": float,
    "attributeRankingOrderScore": float,
    "queryWordDistanceScore": float,
    "matchType": Literal["exactMatch", "matchesStart", "noExactMatch"],
}
_DEFAULTS: Final[Mapping[tuple[str, str], int]] = {("exactness", "matchingWords"): 0}
"""An exact match has no count."""


@lru_cache(maxsize=64)
def key_reader(names: tuple[str, ...]) -> KeyOf | None:
    """
    Return what reads keys of these rules, named in the order in which they were applied.

    What it returns takes the tail of a hit (hits.py) and gives the key, or None if the text is not
    of these rules. None if one of them is not in the table.
    """
    if not names or not all(name in _SLOTS for name in names):
        return None
    rules = [(f"r{at}", _rule(name, at)) for at, name in enumerate(names)]
    renamed = {f"r{at}": name for at, name in enumerate(names)}
    details = msgspec.defstruct(
        "_Details", rules, rename=renamed, forbid_unknown_fields=True, gc=False
    )
    tail = msgspec.defstruct(
        "_Tail",
        [("score", float), ("d", details)],
        rename={"score": "_rankingScore", "d": "_rankingScoreDetails"},
        forbid_unknown_fields=True,
        gc=False,
    )
    slots = (
        _TEXTS[sign].format(at, f) for at, name in enumerate(names) for f, sign in _SLOTS[name]
    )
    # Text of ours alone, made into code as `dataclass` does: three times as fast as any table.
    known = {"decode": msgspec.json.Decoder(tail).decode, "DecodeError": msgspec.DecodeError}
    exec(_READER.format(values=", ".join(slots)), known)  # noqa: S102
    return cast("KeyOf", known["key_of"])


def _rule(name: str, order: int) -> type[msgspec.Struct]:
    fields: list[Any] = [("order", Literal[order])]
    for field, _ in _SLOTS[name]:
        if field == "order":
            continue
        default = _DEFAULTS.get((name, field))
        kind = _TYPES[field]
        fields.append((field, kind) if default is None else (field, kind, default))
    return msgspec.defstruct("_Rule", fields, gc=False)
