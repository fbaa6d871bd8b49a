"""
Settings patches as clients send them: valid ones of every kind, no-ops, invalid ones.

Every valid patch is valid whatever is in force, so that a refusal or a failed task in a calm run
is a bug. Invalid ones are of both kinds: refused by a node at once, and found only by its task.
"""

import random
from typing import Any, Final

from tests.support.sim_checker import SECRET

_WORDS: Final = ("the", "The", "à", "a\u0300", "of", "Ünder", "und", "ﬁn")


def valid_patch(chance: random.Random) -> dict[str, Any]:
    """Return one to three keys with valid values."""
    keys = chance.sample(sorted(_VALID), chance.choice((1, 1, 1, 2, 3)))
    keys += [key for key in ("embedders", "stopWords") if chance.random() < 0.15]
    return {key: _VALID[key](chance) for key in keys}


def invalid_patch(chance: random.Random) -> dict[str, Any]:
    """Return a patch that no node takes, next to one that any would."""
    return {**valid_patch(chance), **chance.choice(_INVALID)}


def rotated_key(chance: random.Random) -> dict[str, Any]:
    """Return a patch after which everything that is shown may be as before."""
    return {"embedders": {"other": {"source": "openAi", "apiKey": _key(chance, 3)}}}


def _key(chance: random.Random, more: int) -> str:
    """What the mask shows is the same for all: only a comparison of true secrets can tell."""
    return f"sk-ab{SECRET}{chance.randrange(3)}{'x' * more}"


def _some(chance: random.Random, values: Any, up_to: int = 3) -> list[Any]:
    return [chance.choice(values) for _ in range(chance.randrange(up_to + 1))]


def _embedder(chance: random.Random, name: str) -> dict[str, Any]:
    if name == "default":
        return chance.choice(
            (
                {"source": "userProvided", "dimensions": chance.choice((2, 3))},
                {"source": "userProvided", "dimensions": 3, "distribution": _SHIFT},
                {"source": "userProvided", "dimensions": 3, "distribution": None},
            )
        )
    key = _key(chance, chance.choice((3, 20)))
    return chance.choice(
        (
            {"source": "openAi", "apiKey": key},
            {"source": "openAi", "apiKey": None, "documentTemplate": "{{doc.title}}"},
            {"source": "openAi", "model": "text-embedding-3-large", "documentTemplate": None},
            {
                "source": "rest",
                "apiKey": key,
                "dimensions": 3,  # Else a node asks the embedder, for as long as it takes.
                "url": "http://localhost:1/",
                "request": {"input": "{{text}}"},
                "response": {"data": "{{embedding}}"},
                "headers": {"X-A": chance.choice("ab")},
            },
        )
    )


def _embedders(chance: random.Random) -> Any:
    name = chance.choice(("default", "other", "other"))
    return chance.choice(
        (
            None,
            {name: None},
            {name: _embedder(chance, name)},
            {name: _embedder(chance, name)},
            {each: _embedder(chance, each) for each in ("default", "other")},
        )
    )


def _typo(chance: random.Random) -> Any:
    return chance.choice(
        (
            None,
            {"enabled": chance.random() < 0.5},
            {"enabled": None, "disableOnNumbers": True},
            {"disableOnWords": _some(chance, _WORDS)},
            {"disableOnAttributes": _some(chance, ("b", "a"))},
            {"minWordSizeForTypos": {"oneTypo": chance.choice((2, 4, None))}},
            {"minWordSizeForTypos": {"twoTypos": chance.choice((10, 12, None))}},
            {"minWordSizeForTypos": None},
        )
    )


def _filterable(chance: random.Random) -> Any:
    rules = (
        "genre",
        {"attributePatterns": ["a*"]},
        {"attributePatterns": ["b"], "features": {"facetSearch": True}},
        {"attributePatterns": ["c"], "features": {"filter": {"comparison": True}}},
    )
    return chance.choice((None, _some(chance, rules)))


_SHIFT: Final = {"mean": 0.7, "sigma": 0.3}
_FIELDS: Final = ("title", "body", "year")
_VALID: Final[dict[str, Any]] = {
    "stopWords": lambda c: c.choice((None, [], _some(c, _WORDS), _some(c, _WORDS))),
    "synonyms": lambda c: c.choice((None, {}, {"a": ["b"]}, {"the": ["of"], "b": ["c", "c"]})),
    "searchableAttributes": lambda c: c.choice((None, ["*"], ["title", "*"], _some(c, _FIELDS))),
    "displayedAttributes": lambda c: c.choice((None, ["*"], _some(c, _FIELDS))),
    "sortableAttributes": lambda c: c.choice((None, _some(c, _FIELDS))),
    "filterableAttributes": _filterable,
    "rankingRules": lambda c: c.choice((None, ["words", "typo"], ["year:desc", "words"])),
    "distinctAttribute": lambda c: c.choice((None, "title", "year")),
    "typoTolerance": _typo,
    "faceting": lambda c: c.choice(
        (
            None,
            {"maxValuesPerFacet": c.choice((10, 100, None))},
            {"sortFacetValuesBy": {"genre": "count"}},
            {"sortFacetValuesBy": c.choice((None, {"*": "count"}))},
        )
    ),
    "pagination": lambda c: c.choice((None, {"maxTotalHits": c.choice((500, 1000, None))})),
    "embedders": _embedders,
    "localizedAttributes": lambda c: c.choice(
        (None, [], [{"attributePatterns": ["*_en"], "locales": c.choice((["en"], ["eng"]))}])
    ),
    "searchCutoffMs": lambda c: c.choice((None, 100, 1500)),
    "proximityPrecision": lambda c: c.choice((None, "byWord", "byAttribute")),
    "dictionary": lambda c: c.choice((None, [], ["J. R. R.", "abc"])),
    "separatorTokens": lambda c: c.choice((None, ["|", "&"], ["&"])),
}
_INVALID: Final = (
    {"rankingRules": ["no such rule"]},
    {"pagination": {"maxTotalHits": 0}},
    {"unknownKey": 1},
    {"stopWords": "not a list"},
    {"typoTolerance": {"minWordSizeForTypos": {"oneTypo": 200, "twoTypos": 3}}},
    {"typoTolerance": {"minWordSizeForTypos": {"oneTypo": 60}}},
    {"embedders": {"default": {"source": "userProvided", "url": "http://a/", "dimensions": 2}}},
    {"embedders": {"broken": {"source": "ollama", "model": "m", "url": "http://a/b"}}},
)
