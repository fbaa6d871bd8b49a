"""Hybrid searches over three shards, beside one node that holds everything."""

import random

import pytest

WORDS = (
    *("boat", "ship", "raft", "river", "lake", "sea"),
    *("sail", "oar", "anchor", "harbour", "island", "storm"),
)
EMBEDDERS = {"own": {"source": "userProvided", "dimensions": 3}}
SETTINGS = {
    "searchableAttributes": ["title", "text"],
    "filterableAttributes": ["group", "size"],
    "sortableAttributes": ["size"],
    "embedders": EMBEDDERS,
}


def documents(seed: int) -> list[dict]:
    chance = random.Random(seed)
    return [
        {
            "id": number,
            "title": " ".join(chance.choices(WORDS, k=2)),
            "text": " ".join(chance.choices(WORDS, k=8)),
            "group": chance.choice(["a", "b", "c"]),
            "size": chance.randrange(50),
            "_vectors": {"own": vector(chance) if number % 7 else None},
        }
        for number in range(90)
    ]


def vector(chance: random.Random) -> list[float]:
    return [round(chance.uniform(-1, 1), 3) for _ in range(3)]


@pytest.fixture(scope="module")
def uid(pair):
    return pair.load(documents(1), SETTINGS)


def asked(pair, uid, body):
    return pair.both("POST", f"/indexes/{uid}/search", {"showRankingScore": True, **body})


def alike(whole, found):
    """All but the order, and the choice at the window's end, of hits that are worth the same."""
    assert {k: v for k, v in whole.items() if k != "hits"} == {
        k: v for k, v in found.items() if k != "hits"
    }
    scores = [[round(h["_rankingScore"], 6) for h in a["hits"]] for a in (whole, found)]
    assert scores[0] == scores[1]
    cut = scores[0][-1] if scores[0] else None
    assert _by_score(whole, cut) == _by_score(found, cut)


def _by_score(answer, cut):
    groups: dict[float, list] = {}
    for hit in answer["hits"]:
        groups.setdefault(round(hit["_rankingScore"], 6), []).append(hit)
    kept = {score: hits for score, hits in groups.items() if score != cut}
    return {score: sorted(hits, key=lambda h: h["id"]) for score, hits in kept.items()}


@pytest.mark.parametrize("seed", range(60))
def test_hits_are_those_of_one_node(pair, uid, seed):
    """Each shard would decide by its own hits which of its lists is better."""
    chance = random.Random(seed)
    body = {
        "q": " ".join(chance.choices(WORDS, k=chance.randint(1, 3))),
        "vector": vector(chance),
        "hybrid": {
            "embedder": "own",
            "semanticRatio": chance.choice([0.1, 0.3, 0.5, 0.7, 0.9, 0.99]),
        },
        "limit": chance.choice([1, 3, 10, 20, 40]),
        "offset": chance.choice([0, 0, 0, 2, 15]),
        **chance.choice([{}, {}, {"filter": "group = a"}, {"filter": "size > 20"}]),
        **chance.choice([{}, {}, {"facets": ["group", "size"]}]),
        **chance.choice([{}, {}, {"attributesToRetrieve": ["title"]}]),
    }
    whole, found = asked(pair, uid, {**body, "attributesToRetrieve": ["id", "title"]})
    alike(whole, found)
    if "attributesToRetrieve" in body:
        bare = pair.through("POST", f"/indexes/{uid}/search", body).json()
        assert [set(hit) for hit in bare["hits"]] == [{"title"}] * len(found["hits"])


@pytest.mark.parametrize("seed", range(10))
def test_pages_are_those_of_one_node(pair, uid, seed):
    """Totals count what either list has found."""
    chance = random.Random(100 + seed)
    body = {
        "q": chance.choice(WORDS),
        "vector": vector(chance),
        "hybrid": {"embedder": "own", "semanticRatio": 0.6},
        "hitsPerPage": 7,
        "page": chance.randint(1, 4),
    }
    alike(*asked(pair, uid, body))


def test_keywords_that_do_need_no_vector(pair, uid):
    """One hit that is worth more than any similarity could be: nobody is asked for meaning."""
    body = {
        "q": "boat",
        "vector": [1, 0, 0],
        "hybrid": {"embedder": "own", "semanticRatio": 0.2},
        "limit": 1,
    }
    whole, found = asked(pair, uid, body)
    assert found["semanticHitCount"] == 0
    alike(whole, found)


def test_words_are_highlighted_in_hits_by_meaning_too(pair, uid):
    """A hit that was found by its vector may hold the words all the same."""
    body = {
        "q": "boat storm",
        "vector": [0.2, 0.9, -0.4],
        "hybrid": {"embedder": "own", "semanticRatio": 0.9},
        "attributesToHighlight": ["text"],
        "limit": 30,
    }
    whole, found = asked(pair, uid, body)
    assert any("<em>" in hit["_formatted"]["text"] for hit in found["hits"])
    alike(whole, found)


def test_a_query_string_asks_the_same(pair, uid):
    """GET has names of its own for it."""
    question = "q=boat&vector=0.5,0.1,-0.2&hybridEmbedder=own&hybridSemanticRatio=0.6"
    whole, found = pair.both(
        "GET", f"/indexes/{uid}/search?{question}&limit=15&showRankingScore=true"
    )
    alike(whole, found)


@pytest.mark.parametrize(
    "body",
    [
        {"hybrid": {"embedder": "none"}},
        {"hybrid": {"embedder": "own", "semanticRatio": 2}},
        {"hybrid": {"embedder": "own", "semanticRatio": "x"}},
        {"hybrid": {"embedder": "own"}, "vector": [1, 2]},
        {"hybrid": {}},
        {"vector": [1, 2, 3]},
    ],
)
def test_what_a_node_refuses_is_refused_in_its_words(pair, uid, body):
    """Errors are part of the API."""
    whole, found = pair.both("POST", f"/indexes/{uid}/search", {"q": "boat", **body})
    assert found == whole
    assert found["status"] == 400


def test_a_distinct_value_comes_once_in_both_lists(pair):
    """The other list may hold a second document of the same value."""
    uid = pair.load(documents(2), {**SETTINGS, "distinctAttribute": "group"})
    for seed in range(12):
        chance = random.Random(seed)
        body = {
            "q": chance.choice(WORDS),
            "vector": vector(chance),
            "hybrid": {"embedder": "own", "semanticRatio": 0.5},
        }
        whole, found = asked(pair, uid, body)
        assert [h["_rankingScore"] for h in found["hits"]] == pytest.approx(
            [h["_rankingScore"] for h in whole["hits"]]
        )
        groups = [hit["group"] for hit in found["hits"]]
        assert len(groups) == len(set(groups))


def test_what_nodes_do_not_show_is_refused(pair, uid):
    """A sort between the rules of relevancy: the score before it is in no answer."""
    body = {
        "q": "boat",
        "vector": [1, 0, 0],
        "hybrid": {"embedder": "own"},
        "sort": ["size:asc"],
    }
    refused = pair.through("POST", f"/indexes/{uid}/search", body)
    assert (refused.status_code, refused.json()["code"]) == (501, "miroir_cannot_merge")
