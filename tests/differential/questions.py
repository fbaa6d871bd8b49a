"""Random questions about a world: searches, facets, documents, several searches at once."""

import random
from dataclasses import dataclass
from typing import Any

from tests.differential.worlds import COLORS, WORDS, World

Json = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """
    One request.

    Attributes:
        kind: `search`, `facets`, `documents`, `several`.
    """

    kind: str
    method: str
    path: str
    body: Json


def ask(world: World, seed: int) -> Question:
    """Return the question of a seed."""
    chance = random.Random(f"question {world.seed} {seed}")
    index = f"/indexes/{world.uid}"
    kind = chance.choices(("search", "facets", "documents", "several"), (80, 8, 6, 6))[0]
    if world.distinct and kind == "facets":
        kind = "search"  # Counts of what is distinct differ.
    if kind == "search":
        return Question(kind, "POST", f"{index}/search", _search(chance, world))
    if kind == "facets":
        body = {"facetName": chance.choice(["color", "tags"]), **_words(chance), **_filter(chance)}
        if chance.random() < 0.6:
            body["facetQuery"] = chance.choice(COLORS)[: chance.randint(1, 4)]
        return Question(kind, "POST", f"{index}/facet-search", body)
    if kind == "documents":
        body = {**_filter(chance), "sort": ["own:asc", "stock:desc"], "limit": 200}
        return Question(kind, "POST", f"{index}/documents/fetch", body)
    queries = [{"indexUid": world.uid, **_search(chance, world)} for _ in range(2)]
    return Question(kind, "POST", "/multi-search", {"queries": queries})


def _search(chance: random.Random, world: World) -> Json:
    body = {
        **_words(chance),
        **_filter(chance),
        **_sort(chance),
        **_window(chance),
        **_shown(chance),
        "showRankingScore": True,
        "showRankingScoreDetails": True,
    }
    if chance.random() < 0.3 and not world.distinct:
        body["facets"] = chance.choice([["color"], ["tags", "stock"], ["*"], ["deep.level"]])
    if chance.random() < 0.15:
        body["matchingStrategy"] = "all"
    if chance.random() < 0.1:
        body["attributesToSearchOn"] = ["title"]
    if world.hides:  # Down to the last: what decides before cannot be read off the hits.
        last = chance.choice(["serial:asc", "serial:desc"])
        body["sort"] = [*body.get("sort", ()), last]
    return body


def _words(chance: random.Random) -> Json:
    if chance.random() < 0.2:
        return {}
    words = chance.choices(WORDS, k=chance.choice([1, 1, 1, 2, 2, 3]))
    if chance.random() < 0.3:  # As somebody types.
        words[-1] = words[-1][: chance.randint(1, len(words[-1]))]
    if len(words) == 1 and chance.random() < 0.4:  # Of several: see exactness.md, proximity.
        words[0] = _mistyped(chance, words[0])
    text = " ".join(words)
    return {"q": f'"{text}"' if chance.random() < 0.08 else text}


def _mistyped(chance: random.Random, word: str) -> str:
    at = chance.randrange(1, len(word)) if len(word) > 1 else 0
    return word[:at] + chance.choice("xz") + word[at + 1 :]


def _filter(chance: random.Random) -> Json:
    return {"filter": _condition(chance, 2)} if chance.random() < 0.4 else {}


def _condition(chance: random.Random, depth: int) -> str:
    if depth and chance.random() < 0.5:
        left, right = (_condition(chance, depth - 1) for _ in range(2))
        return f"({left}) {chance.choice(['AND', 'OR'])} ({right})"
    if chance.random() < 0.15:
        return f"NOT ({_condition(chance, 0)})"
    return chance.choice(
        [
            f"stock > {chance.randrange(20)}",
            f"price <= {chance.choice([1, 10, 300])}",
            f"color = {chance.choice(COLORS)}",
            f"tags IN [{', '.join(chance.sample(COLORS, k=2))}]",
            f"stock {chance.randrange(5)} TO {chance.randint(5, 15)}",
            "open = true",
            "price EXISTS",
            "color IS NULL",
            "tags IS EMPTY",
            f"deep.level != {chance.randrange(5)}",
            f"_geoRadius({chance.randint(-50, 50)}, {chance.randint(-99, 99)}, 4000000)",
        ]
    )


def _sort(chance: random.Random) -> Json:
    if chance.random() < 0.65:
        return {}
    fields = chance.sample(
        ["price", "stock", "color", "deep.level", "own"], k=chance.randint(1, 2)
    )
    sort = [f"{field}:{chance.choice(['asc', 'desc'])}" for field in fields]
    if chance.random() < 0.2:
        place = f"_geoPoint({chance.randint(-50, 50)}, {chance.randint(-99, 99)})"
        sort.insert(0, f"{place}:{chance.choice(['asc', 'desc'])}")
    return {"sort": sort}


def _window(chance: random.Random) -> Json:
    if chance.random() < 0.25:
        return {"page": chance.randint(1, 4), "hitsPerPage": chance.choice([1, 5, 20])}
    return {"offset": chance.choice([0, 0, 0, 3, 25]), "limit": chance.choice([1, 10, 20, 60])}


def _shown(chance: random.Random) -> Json:
    return chance.choice(
        [
            {},
            {},
            {"attributesToHighlight": ["*"]},
            {"attributesToCrop": ["text"], "cropLength": 4},
            {"showMatchesPosition": True},
        ]
    )
