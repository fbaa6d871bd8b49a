"""
Random documents over 1..4 shards, merged, against one list sorted another way.

The reference (tests/support/search_answers.py) decodes everything and compares pair by pair.
"""

import json

from hypothesis import given, strategies as st
from tests.support.search_answers import answer, hit, reference_order

from miroir.core.merge import Asked, SearchSettings, merge_search

scores = st.sampled_from([0.0, 0.25, 0.5, 1.0])
small = st.integers(0, 2)
values = (
    st.none()
    | st.sampled_from(["", "a", "b", "é", "10"])
    | st.integers(-2, 2)
    | st.sampled_from([0.5, 10.0])
)
distances = st.none() | st.sampled_from([0.0, 1.5, 1000.25])

RULES = {
    "words": st.fixed_dictionaries({"matchingWords": small}),
    "typo": st.fixed_dictionaries({"typoCount": small, "maxTypoCount": small, "score": scores}),
    "proximity": st.fixed_dictionaries({"score": scores}),
    "attributeRank": st.fixed_dictionaries({"score": scores}),
    "attribute": st.fixed_dictionaries(
        {"attributeRankingOrderScore": scores, "queryWordDistanceScore": scores}
    ),
    "exactness": st.one_of(
        st.sampled_from([{"matchType": "exactMatch"}, {"matchType": "matchesStart"}]),
        st.builds(lambda n: {"matchType": "noExactMatch", "matchingWords": n}, small),
    ),
    "price:asc": st.fixed_dictionaries({"value": values}),
    "price:desc": st.fixed_dictionaries({"value": values}),
    "_geoPoint(1, 2):asc": st.fixed_dictionaries({"distance": distances}),
    "_geoPoint(1, 2):desc": st.fixed_dictionaries({"distance": distances}),
    "vectorSort": st.fixed_dictionaries({"similarity": st.none() | scores}),
}
documents = st.dictionaries(
    st.sampled_from(["title", "nested", "_rankingScoreX"]),
    st.sampled_from(
        ["x", 1.5, {"_rankingScore": 1, "_rankingScoreDetails": {}}, ',"_rankingScore":1']
    ),
)


@st.composite
def searches(draw: st.DrawFn) -> tuple[list[list[dict]], int, int]:
    """Return the sorted hits of each shard, and a window."""
    rules = draw(st.lists(st.sampled_from(sorted(RULES)), unique=True, max_size=4))
    shards: list[list[dict]] = [[] for _ in range(draw(st.integers(1, 4)))]
    for number in range(draw(st.integers(0, 14))):
        applied = [(name, draw(RULES[name])) for name in rules]
        if rules and draw(st.integers(0, 9)) == 0:
            applied = [*applied[: draw(st.integers(0, len(rules) - 1))], ("skipped", {})]
        found = hit({"id": number, **draw(documents)}, *applied)
        shards[draw(st.integers(0, len(shards) - 1))].append(found)
    window = draw(st.integers(0, 6)), draw(st.integers(0, 15))
    return [reference_order(hits) for hits in shards], *window


@given(searches())
def test_merged_hits_are_the_sorted_whole(search):
    """Ties included: they stand in the order of shards, and of the shard's own list."""
    shards, offset, limit = search
    whole = reference_order([found for hits in shards for found in hits])
    asked = Asked(offset=offset, limit=limit, show_score=True, show_details=True)
    found = merge_search([answer(hits) for hits in shards], asked)
    assert isinstance(found, bytes), found
    assert json.loads(found)["hits"] == whole[offset : offset + limit]


@given(searches())
def test_equals_that_came_in_the_order_of_their_ids_are_shown_as_by_one_node(search):
    """Nobody knows which shard got its document first, but ids that are counted up tell."""
    shards, offset, limit = search
    came = sorted((found for hits in shards for found in hits), key=lambda found: found["id"])
    settings = SearchSettings(primary_key="id")
    asked = Asked(offset=offset, limit=limit, settings=settings)
    found = json.loads(merge_search([answer(hits) for hits in shards], asked))
    wanted = [one["id"] for one in reference_order(came)][offset : offset + limit]
    assert [one["id"] for one in found["hits"]] == wanted


@given(searches(), st.randoms(use_true_random=False))
def test_pages_put_together_are_the_whole_list(search, chance):
    """Whoever turns pages meets every hit once."""
    shards, _, _ = search
    total = sum(map(len, shards))
    size = chance.randint(1, 5)
    answers = [answer(hits, totalHits=len(hits)) for hits in shards]
    seen: list[int] = []
    for page in range(1, -(-total // size) + 1):
        asked = Asked(offset=(page - 1) * size, limit=size, page=page, hits_per_page=size)
        seen += [one["id"] for one in json.loads(merge_search(answers, asked))["hits"]]
    assert sorted(seen) == list(range(total))


@given(searches(), st.lists(st.sampled_from(["a", "A", "b", 1, None]), min_size=14, max_size=14))
def test_no_value_of_the_distinct_attribute_is_shown_twice(search, groups):
    """And the best hit of each value is the one that is shown."""
    shards, _, _ = search
    hits = [[{"g": groups[one["id"]], **one} for one in shard] for shard in shards]
    whole = reference_order([one for shard in hits for one in shard])
    seen: set = set()
    wanted = []
    for one in whole:
        value = one["g"].lower() if isinstance(one["g"], str) else one["g"]
        if value is None or value not in seen:
            seen.add(value)
            wanted.append(one["id"])
    asked = Asked(limit=20, distinct="g", settings=SearchSettings(distinct_attribute="g"))
    found = json.loads(merge_search([answer(shard) for shard in hits], asked))
    assert [one["id"] for one in found["hits"]] == wanted
