"""Hits ordered by what is not displayed, over three shards, beside one node with everything."""

import random

import pytest

pytestmark = pytest.mark.slow
WORDS = ("red", "blue", "shoe", "hat", "coat", "winter", "wool")
SETTINGS = {
    "displayedAttributes": ["id", "title", "inner.shown"],
    "filterableAttributes": ["brand", "size", "inner.brand"],
    "sortableAttributes": ["price", "size", "name", "inner.rank", "mixed", "title"],
    "embedders": {"own": {"source": "userProvided", "dimensions": 2}},
}


def documents(seed: int) -> list[dict]:
    """Return documents that no two rules rank equal where `price` is among them."""
    chance = random.Random(seed)
    prices = chance.sample(range(1000), 80)
    return [
        {
            "id": number,
            "title": " ".join(chance.choices(WORDS, k=chance.randint(1, 4))),
            "price": prices[number] / 4,
            "size": chance.choice([1, 2, 3, None]),
            "name": chance.choice(["Ärger", "arg", " Zoo", "zebra", "x" * 500 + "b", "", "éa"]),
            "brand": chance.choice(["Puma", "puma ", "Nike", "Asics", "Fila"]),
            "inner": {"rank": prices[number], "shown": number, "brand": chance.choice("abcdef")},
            "mixed": chance.choice([7, "7", [3, "b"], ["b", "a"], True, None, []]),
            "_vectors": {"own": [chance.uniform(-1, 1), chance.uniform(-1, 1)]},
        }
        for number in range(80)
    ]


@pytest.fixture(scope="module")
def uid(pair):
    return pair.load(documents(1), SETTINGS)


@pytest.mark.parametrize(
    "sort",
    [
        ["price:asc"],
        ["price:desc"],
        ["size:asc", "price:desc"],
        ["name:asc", "price:asc"],
        ["name:desc", "price:asc"],
        ["mixed:asc", "price:asc"],
        ["mixed:desc", "price:asc"],
        ["inner.rank:asc"],
        ["price:asc", "title:asc", "price:desc"],
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"q": "red shoe", "offset": 3, "limit": 9},
        {"page": 2, "hitsPerPage": 11, "facets": ["size"]},
        {"attributesToRetrieve": ["title"], "showRankingScoreDetails": True},
        {"attributesToRetrieve": ["title"], "attributesToHighlight": ["*"], "q": "red"},
    ],
    ids=str,
)
def test_hits_sorted_by_what_is_not_displayed_are_those_of_one_node(pair, uid, sort, extra):
    """The client sees the order, and no more than a node shows."""
    body = {"sort": sort, "limit": 80, "matchingStrategy": "all", **extra}
    if "page" in body:
        del body["limit"]
    whole, found = pair.both("POST", f"/indexes/{uid}/search", body)
    assert whole["hits"]
    assert found == whole
    assert not {"price", "name", "mixed"} & set(str(found["hits"]).split("'"))


def test_custom_rules_by_what_is_not_displayed_are_merged_in_their_place(pair):
    """They need not be sortable, and stand before the words here."""
    rules = ["size:desc", "words", "sort", "price:asc"]
    uid = pair.load(
        documents(2), {**SETTINGS, "sortableAttributes": ["name"], "rankingRules": rules}
    )
    for body in ({"q": "red shoe"}, {"q": ""}, {"q": "hat", "sort": ["name:desc"]}):
        whole, found = pair.both("POST", f"/indexes/{uid}/search", {"limit": 80, **body})
        assert whole["hits"]
        assert found == whole


def test_a_query_string_asks_the_same(pair, uid):
    """Several expressions, one of them a place that needs no comma of its own."""
    question = "sort=size:desc,price:asc&limit=30&attributesToRetrieve=title"
    whole, found = pair.both("GET", f"/indexes/{uid}/search?{question}")
    assert found == whole
    assert [set(hit) for hit in found["hits"]] == [{"title"}] * 30


@pytest.mark.parametrize("distinct", ["brand", "inner.brand"])
def test_a_distinct_attribute_that_is_not_displayed_keeps_one_hit_of_each_value(
    pair, uid, distinct
):
    """As compared by nodes: without case, and without blanks around it."""
    body = {"distinct": distinct, "sort": ["price:asc"], "limit": 80}
    whole, found = pair.both("POST", f"/indexes/{uid}/search", body)
    assert 1 < len(whole["hits"]) < 10
    assert found["hits"] == whole["hits"]


def test_hybrid_hits_sorted_by_what_is_not_displayed_are_those_of_one_node(pair):
    """Both lists are looked up; `sort` comes first, as the scores before it are in no answer."""
    rules = ["sort", "words", "typo", "proximity", "attribute", "exactness"]
    uid = pair.load(documents(3), {**SETTINGS, "rankingRules": rules})
    body = {
        "q": "red",
        "vector": [0.4, -0.7],
        "hybrid": {"embedder": "own", "semanticRatio": 0.8},
        "sort": ["size:asc", "price:desc"],
        "limit": 30,
        "showRankingScoreDetails": True,
    }
    whole, found = pair.both("POST", f"/indexes/{uid}/search", body)
    assert [hit["id"] for hit in found["hits"]] == [hit["id"] for hit in whole["hits"]]
    assert found["semanticHitCount"] == whole["semanticHitCount"] > 0
    names = [list(hit["_rankingScoreDetails"])[:2] for hit in found["hits"]]
    assert names == [["<hidden-rule-0>", "<hidden-rule-1>"]] * 30


def test_queries_of_a_multi_search_are_looked_up_each_for_itself(pair, uid):
    """One of them sorts by what everybody may see, too."""
    queries = [
        {"indexUid": uid, "sort": ["price:asc"], "limit": 12},
        {"indexUid": uid, "sort": ["title:asc", "inner.rank:asc"], "limit": 7},
        {"indexUid": uid, "sort": ["inner.rank:desc"], "attributesToRetrieve": ["inner.shown"]},
    ]
    whole, found = pair.both("POST", "/multi-search", {"queries": queries})
    assert found == whole


def test_federated_hits_sorted_by_what_is_not_displayed_are_those_of_one_node(pair):
    """Of several queries and indexes; one of them hides nothing."""
    rules = ["sort", "words", "typo", "proximity", "attribute", "exactness"]
    shown = {**SETTINGS, "displayedAttributes": ["*"], "rankingRules": rules}
    uids = [
        pair.load(documents(4), {**SETTINGS, "rankingRules": rules}),
        pair.load(documents(5), shown),
    ]
    queries = [
        {"indexUid": uid, "q": q, "sort": ["price:asc"]} for uid in uids for q in ("red", "hat")
    ]
    for window in ({"limit": 60}, {"page": 2, "hitsPerPage": 9}):
        whole, found = pair.both(
            "POST", "/multi-search", {"queries": queries, "federation": window}
        )
        assert whole["hits"]
        hits = [
            [(h["_federation"]["indexUid"], h["id"]) for h in a["hits"]] for a in (whole, found)
        ]
        assert hits[0] == hits[1]


def test_without_the_key_of_a_hit_nothing_can_be_looked_up(pair):
    """A clear refusal beats a wrong answer."""
    uid = pair.load(documents(6), {**SETTINGS, "displayedAttributes": ["title"]})
    refused = pair.through("POST", f"/indexes/{uid}/search", {"sort": ["price:asc"]})
    assert (refused.status_code, refused.json()["code"]) == (501, "miroir_cannot_merge")
    assert pair.through("POST", f"/indexes/{uid}/search", {"q": "red"}).status_code == 200


def test_what_a_node_refuses_is_refused_in_its_words(pair, uid):
    """What cannot be sorted by, among what is not displayed."""
    for sort in (["brand:asc"], ["nothing:asc"], ["price:up"], "price:asc", [7]):
        whole, found = pair.both("POST", f"/indexes/{uid}/search", {"sort": sort})
        assert found == whole
        assert found["status"] == 400
