"""Documents of about 1 KB and search answers of about 30 KB, as nodes write them; seeded."""

import random
from typing import Any, Final

import orjson

WORDS: Final = [
    "lorem", "ipsum", "dolor", "sit", "amet", "consectetur", "adipiscing", "elit", "sed",
]  # fmt: skip
Json = dict[str, Any]


def document(chance: random.Random, number: int, words: int) -> Json:
    """Return a film, `words` words long."""
    return {
        "id": number,
        "title": " ".join(chance.choices(WORDS, k=5)),
        "overview": " ".join(chance.choices(WORDS, k=words)),
        "genres": chance.choices(["Drama", "Action", "Comedy"], k=2),
        "poster": f"https://images.example.org/{chance.getrandbits(128):032x}.jpg",
        "release": 1262304000 + number,
        "rating": round(chance.random() * 10, 1),
        "cast": [
            {"name": " ".join(chance.choices(WORDS, k=2)), "role": chance.choice(WORDS)}
            for _ in range(4)
        ],
    }


def documents(seed: int, count: int, *, first: int = 0) -> list[Json]:
    """Return documents of 1 KB each, numbered from `first`."""
    chance = random.Random(seed)
    return [document(chance, first + number, 85) for number in range(count)]


def search_answer(seed: int) -> bytes:
    """Return 20 hits with score details, 30 KB; lists of different seeds interleave evenly."""
    chance = random.Random(seed)
    hits = []
    for number, score in enumerate(sorted((chance.random() for _ in range(20)), reverse=True)):
        rules: dict[str, Json] = {
            "words": {"matchingWords": 2, "maxMatchingWords": 2, "score": 1.0},
            "typo": {"typoCount": 0, "maxTypoCount": 2, "score": 1.0},
            "proximity": {"score": score},
            "attributeRank": {"score": 1.0},
            "wordPosition": {"score": 0.9},
            "exactness": {"matchType": "noExactMatch", "matchingWords": 1, "score": 0.2},
        }
        details = {name: {"order": i, **rule} for i, (name, rule) in enumerate(rules.items())}
        scores = {"_rankingScore": score, "_rankingScoreDetails": details}
        hits.append(document(chance, number, 115) | scores)
    numbers = {"processingTimeMs": 3, "limit": 20, "offset": 0, "estimatedTotalHits": 1234}
    return orjson.dumps({"hits": hits, "query": "lorem ipsum", **numbers})
