"""
CPU of the data plane's pure core: merging answers, splitting documents.

    merge_search / orjson.loads of the same answers
    split        / orjson decode, regroup, encode of the same payload
"""

from collections.abc import Iterator

import orjson
from xxhash import xxh3_64_intdigest

from benchmarks.figures import Figure, cpu_us, medians
from benchmarks.samples import documents, search_answer
from miroir.core.documents import check_ids, find_primary_key, parse_payload, split
from miroir.core.merge import NodeQuery, SearchSettings, merge_search, rewrite_search
from miroir.core.routing import SLOT_COUNT, slot_table

SHARDS = 3
ROUNDS = 15


def figures() -> Iterator[Figure]:
    """Yield those of merging, then those of splitting."""
    yield from _merging()
    yield from _splitting()


def _merging() -> Iterator[Figure]:
    answers = [search_answer(seed) for seed in range(SHARDS)]
    size = sum(map(len, answers)) // 1000 // SHARDS
    for name, query, settings in (
        ("merge", {}, None),
        ("merge, distinct", {}, SearchSettings(distinct_attribute="poster")),
        ("merge, scores shown", {"showRankingScoreDetails": True}, None),
    ):
        rewritten = rewrite_search(query, SHARDS, settings)
        assert isinstance(rewritten, NodeQuery)
        asked = rewritten.asked
        spent = medians(
            {
                "ours": lambda asked=asked: cpu_us(
                    lambda: merge_search(answers, asked, "id"), 100
                ),
                "decode": lambda: cpu_us(lambda: [orjson.loads(a) for a in answers], 100),
            },
            ROUNDS,
        )
        yield Figure(
            name,
            spent["ours"] / spent["decode"],
            "orjson.loads",
            f"{spent['ours']:.0f} us / {spent['decode']:.0f} us, {SHARDS} answers of {size} kB",
        )


def regrouped(body: bytes, shards: int) -> list[bytes]:
    """Split a payload the plain way: decode everything, hash, encode everything."""
    table = slot_table(shards)
    parts: list[list] = [[] for _ in range(shards)]
    ndjson = body[:1] == b"{"
    for one in map(orjson.loads, body.split(b"\n")) if ndjson else orjson.loads(body):
        slot = xxh3_64_intdigest(str(one["id"]).encode()) % SLOT_COUNT
        parts[table.shards[slot]].append(one)
    return [orjson.dumps(part) for part in parts]


def _ours(body: bytes, content_type: str) -> object:
    payload = parse_payload(body, content_type)
    primary_key = find_primary_key(payload, None, None)
    assert isinstance(primary_key, str)
    ids = check_ids(payload, primary_key)
    assert isinstance(ids, list)
    return split(payload, ids, slot_table(SHARDS))


def _splitting() -> Iterator[Figure]:
    films = documents(2, 1000)
    texts = {
        "application/json": orjson.dumps(films),
        "application/x-ndjson": b"\n".join(map(orjson.dumps, films)),
    }
    for content_type, body in texts.items():
        spent = medians(
            {
                "ours": lambda body=body, mime=content_type: cpu_us(lambda: _ours(body, mime), 20),
                "plain": lambda body=body: cpu_us(lambda: regrouped(body, SHARDS), 20),
            },
            ROUNDS,
        )
        yield Figure(
            f"split {content_type}",
            spent["ours"] / spent["plain"],
            "orjson decode + regroup + encode",
            f"{len(body) / spent['ours']:.0f} MB/s / {len(body) / spent['plain']:.0f} MB/s, "
            f"{len(body) // 1000} kB",
        )
