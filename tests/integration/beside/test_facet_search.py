"""`facet-search` over three shards, beside one node that holds everything."""

import random
import string

import pytest
from tests.support.beside import SHARDS

from miroir.core.routing import shard_of, slot_table

pytestmark = pytest.mark.slow
SETTINGS = {
    "filterableAttributes": ["tags", "kind", "price"],
    "faceting": {"sortFacetValuesBy": {"kind": "count"}},
}
COUNT = {"*": "count"}
NAMES = ["Red", "red ", "Été", "etf", "etz", "æz", "af", "Bluish", "blue", "black", "œz", "of"]


def documents(seed: int) -> list[dict]:
    chance = random.Random(seed)
    return [
        {
            "id": number,
            "title": " ".join(chance.choices(["shoe", "hat", "coat"], k=3)),
            "tags": chance.sample(NAMES, k=chance.randint(0, 4)),
            "kind": chance.choice(["a", "b", "c", "B ", None]),
            "price": number % 5,
        }
        for number in range(90)
    ]


@pytest.fixture(scope="module")
def uid(pair):
    return pair.load(documents(3), SETTINGS)


def shown(answer: dict) -> list[tuple[str, int]]:
    return [(hit["value"].strip().lower(), hit["count"]) for hit in answer["facetHits"]]


@pytest.mark.parametrize(
    "body",
    [
        {"facetName": "tags"},
        {"facetName": "tags", "facetQuery": ""},
        {"facetName": "tags", "facetQuery": "bl"},
        {"facetName": "tags", "facetQuery": "blck"},
        {"facetName": "tags", "facetQuery": "e"},
        {"facetName": "tags", "facetQuery": "nothing"},
        {"facetName": "tags", "q": "shoe", "filter": "price > 1"},
        {"facetName": "kind", "limit": 1},
        {"facetName": "kind", "facetQuery": "b", "q": "hat coat", "matchingStrategy": "all"},
        {"facetName": "price"},
    ],
    ids=str,
)
def test_values_and_counts_are_those_of_one_node(pair, uid, body):
    """In its order: alphabetical for tags, most frequent first for kinds."""
    whole, found = pair.both("POST", f"/indexes/{uid}/facet-search", body)
    assert shown(found) == shown(whole)
    assert list(found) == list(whole)
    assert found["facetQuery"] == whole["facetQuery"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"facetName": "colour"},
        {"facetName": 7},
        {"facetName": "tags", "filter": "colour = red"},
        {"facetName": "tags", "facetQuery": ["a"]},
        {"facetName": "tags", "matchingStrategy": "some"},
        [],
        b"{",
        b"",
    ],
    ids=str,
)
def test_what_one_node_refuses_is_refused_in_its_words(pair, uid, body):
    """Whoever handles a node's errors can handle ours."""
    headers = {"Content-Type": "application/json"}
    whole, found = pair.both("POST", f"/indexes/{uid}/facet-search", body, headers=headers)
    assert whole["status"] >= 400
    assert found == whole


def test_an_unknown_index_is_not_found(pair):
    """After the body has been judged, as on one node."""
    for body in ({"facetName": "f"}, {}):
        whole, found = pair.both("POST", "/indexes/nowhere/facet-search", body)
        assert found == whole


def test_the_first_values_of_all_are_among_the_first_of_each_shard(pair):
    """Alphabetical order is exact however few values a node shows."""
    letters = random.Random(1).sample(string.ascii_lowercase, k=26)
    values = [{"id": number, "tags": [letter]} for number, letter in enumerate(letters)]
    settings = {**SETTINGS, "faceting": {"maxValuesPerFacet": 4}}
    cut = pair.load(values, settings)
    for query in (None, ""):
        body = {"facetName": "tags", "facetQuery": query}
        whole, found = pair.both("POST", f"/indexes/{cut}/facet-search", body)
        assert shown(found) == shown(whole) == [(letter, 1) for letter in "abcd"]


def test_the_answer_tells_the_version_behind_it(pair, uid):
    """And meets a floor, like any search."""
    path, body = f"/indexes/{uid}/facet-search", {"facetName": "tags"}
    version = pair.cluster.version(uid)
    answer = pair.through("POST", path, body)
    assert answer.headers["x-miroir-settings-version"] == str(version)
    floor = {"X-Miroir-Min-Settings-Version": f"{uid}={version + 1}"}
    assert pair.through("POST", path, body, headers=floor).status_code == 503


def test_a_frequent_value_that_no_shard_shows_is_missed(pair):
    """By count no shard can tell which of its values the others make frequent."""
    shard_of_id = slot_table(SHARDS)
    by_shard = [[n for n in range(200) if shard_of(str(n), shard_of_id) == s] for s in range(3)]
    documents = []
    for shard, own in enumerate(by_shard):
        kinds = [f"only{shard}"] * 5 + ["everywhere"] * 4
        documents += [{"id": n, "kind": kind} for n, kind in zip(own, kinds, strict=False)]
    settings = {**SETTINGS, "faceting": {"maxValuesPerFacet": 1, "sortFacetValuesBy": COUNT}}
    cut = pair.load(documents, settings)
    whole, found = pair.both("POST", f"/indexes/{cut}/facet-search", {"facetName": "kind"})
    assert shown(whole) == [("everywhere", 12)]
    assert shown(found) == [("only2", 5)]
