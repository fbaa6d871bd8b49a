"""
Random documents and settings, each from a seed.

Only what docs/reference/exactness.md calls exact: words that are no two others glued together, so
that no node splits or joins any; values that no spelling divides. Some worlds hide the fields by
which hits are sorted.
"""

import random
from dataclasses import dataclass
from typing import Any, Final

Json = dict[str, Any]

WORDS: Final = (
    *("harbour", "granite", "velvet", "orchard", "lantern", "meadow", "cobalt", "thunder"),
    *("pilgrim", "saffron", "glacier", "marble", "willow", "compass", "ember", "falcon"),
    *("juniper", "kestrel", "quarry", "tundra"),
)
COLORS: Final = ("amber", "blue", "crimson", "dun")
FIRST_RULES: Final = ("words", "typo", "proximity")
"""In this order: behind any other rule a node measures proximity by its own documents."""
RULES: Final = ("attributeRank", "sort", "wordPosition", "exactness")
_TEXTS: Final = ("title", "text")


@dataclass(frozen=True)
class World:
    """
    One index.

    Attributes:
        uid: Its name.
    """

    seed: int
    uid: str
    documents: list[Json]
    settings: Json

    @property
    def distinct(self) -> str | None:
        """The distinct attribute, if it has one."""
        found: str | None = self.settings.get("distinctAttribute")
        return found

    @property
    def hides(self) -> bool:
        """Whether hits do not show what they are sorted by."""
        return "displayedAttributes" in self.settings


def make(seed: int) -> World:
    """Return the world of a seed."""
    chance = random.Random(f"world {seed}")
    documents = [_document(chance, number) for number in range(chance.randint(40, 160))]
    return World(seed, f"world-{seed}", documents, _settings(chance))


def _document(chance: random.Random, number: int) -> Json:
    fields: Json = {
        "id": number if chance.random() < 0.7 else f"doc-{number}",
        "title": _words(chance, 1, 3),
        "text": _words(chance, 0, 10),
        "price": chance.choice([0, 1, 5, 9.5, 10, 250, 1999.99, -3]),
        "stock": chance.randrange(20),
        "color": chance.choice(COLORS),
        "tags": chance.sample(COLORS, k=chance.randint(0, 3)),
        "open": chance.choice([True, False]),
        "deep": {"level": chance.randrange(5), "name": _words(chance, 1, 1)},
        "big": 2**60 + chance.randrange(3),
        "own": number % 30,
        "serial": number * 37 % 1009,
    }
    if chance.random() < 0.4:
        place = {"lat": chance.randint(-60, 60), "lng": chance.randint(-170, 170)}
        fields["_geo"] = place
    for name in ("price", "color", "stock"):
        if chance.random() < 0.1:
            fields[name] = None
        elif chance.random() < 0.1:
            del fields[name]
    return fields


def _words(chance: random.Random, least: int, most: int) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randint(least, most)))


def _settings(chance: random.Random) -> Json:
    rules = list(RULES)
    if chance.random() < 0.3:
        chance.shuffle(rules)
    if chance.random() < 0.3:
        rules.insert(chance.randrange(len(rules) + 1), chance.choice(["stock:asc", "own:desc"]))
    rules = [*FIRST_RULES, *rules]
    settings: Json = {
        "rankingRules": rules,
        "searchableAttributes": chance.choice(
            [["*"], list(_TEXTS), ["text", "title", "deep.name"]]
        ),
        "filterableAttributes": [
            *("price", "stock", "color", "tags", "open", "deep.level", "_geo", "own", "id"),
        ],
        "sortableAttributes": ["price", "stock", "color", "deep.level", "_geo", "own", "serial"],
        "faceting": {
            "maxValuesPerFacet": 300,  # More than there are: beyond it shards differ.
            "sortFacetValuesBy": {"*": chance.choice(["alpha", "count"])},
        },
        "pagination": {"maxTotalHits": chance.choice([1000, 1000, 30])},
    }
    if chance.random() < 0.4:
        settings["stopWords"] = chance.sample(WORDS, k=2)
    if chance.random() < 0.4:
        one, other = chance.sample(WORDS, k=2)
        settings["synonyms"] = {one: [other], other: [one]}
    if chance.random() < 0.3:
        settings["typoTolerance"] = {"disableOnWords": chance.sample(WORDS, k=2)}
    if chance.random() < 0.2:
        settings["proximityPrecision"] = "byAttribute"
    if chance.random() < 0.2:
        settings["distinctAttribute"] = "own"
    if chance.random() < 0.3:
        settings["displayedAttributes"] = ["id", "title", "text", "tags"]
    return settings
