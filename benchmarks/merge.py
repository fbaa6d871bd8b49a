"""
CPU of the data plane's pure core, as ratios to a plain decoder in the same run.

    python benchmarks/merge.py

One line per figure: the ratio first, then what it was made of. Ratios below 1 mean cheaper than
the comparison. Run on an idle machine; the smallest of many rounds counts.
"""

import random
import time
from collections.abc import Callable

import orjson
from xxhash import xxh3_64_intdigest

from miroir.core.documents import check_ids, find_primary_key, parse_payload, split
from miroir.core.merge import NodeQuery, SearchSettings, merge_search, rewrite_search
from miroir.core.routing import SLOT_COUNT, slot_table

SHARDS = 3
ROUNDS = 200
WORDS = ["lorem", "ipsum", "dolor", "sit", "amet", "consectetur", "adipiscing", "elit", "sed"]


def document(chance: random.Random, number: int, words: int) -> dict:
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


def search_answer(chance: random.Random) -> bytes:
    hits = []
    for number, score in enumerate(sorted((chance.random() for _ in range(20)), reverse=True)):
        rules = {
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


def cpu_us(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best * 1e6


def merging() -> None:
    chance = random.Random(1)
    answers = [search_answer(chance) for _ in range(SHARDS)]
    decode = cpu_us(lambda: [orjson.loads(answer) for answer in answers])
    for name, query, settings in (
        ("merge_search", {}, None),
        ("merge_search, distinct", {}, SearchSettings(distinct_attribute="poster")),
        ("merge_search, scores shown", {"showRankingScoreDetails": True}, None),
    ):
        rewritten = rewrite_search(query, SHARDS, settings)
        assert isinstance(rewritten, NodeQuery)
        asked = rewritten.asked
        merged = cpu_us(lambda asked=asked: merge_search(answers, asked, "request-uid"))
        size = sum(map(len, answers)) // 1000
        print(
            f"{merged / decode:5.2f}  {name}: {merged:.0f} us, "
            f"orjson.loads {decode:.0f} us, {SHARDS} answers of {size // SHARDS} kB"
        )


def splitting() -> None:
    chance = random.Random(2)
    documents = [document(chance, number, 85) for number in range(1000)]
    table = slot_table(SHARDS)
    texts = {
        "application/json": orjson.dumps(documents),
        "application/x-ndjson": b"\n".join(map(orjson.dumps, documents)),
    }

    def decoded(body: bytes) -> list[bytes]:
        parts: list[list] = [[] for _ in range(SHARDS)]
        lines = body.split(b"\n") if body[:1] == b"{" else [body]
        for one in orjson.loads(body) if len(lines) == 1 else map(orjson.loads, lines):
            slot = xxh3_64_intdigest(str(one["id"]).encode()) % SLOT_COUNT
            parts[table.shards[slot]].append(one)
        return [orjson.dumps(part) for part in parts]

    def raw(body: bytes, content_type: str) -> object:
        payload = parse_payload(body, content_type)
        primary_key = find_primary_key(payload, None, None)
        assert isinstance(primary_key, str)
        ids = check_ids(payload, primary_key)
        assert isinstance(ids, list)
        return split(payload, ids, table)

    for content_type, body in texts.items():
        ours = cpu_us(lambda body=body, mime=content_type: raw(body, mime), 50)
        theirs = cpu_us(lambda body=body: decoded(body), 50)
        print(
            f"{ours / theirs:5.2f}  split {content_type}: {len(body) / ours:.0f} MB/s, "
            f"orjson decode + regroup + encode {len(body) / theirs:.0f} MB/s, "
            f"{len(body) // 1000} kB"
        )


if __name__ == "__main__":
    merging()
    splitting()
