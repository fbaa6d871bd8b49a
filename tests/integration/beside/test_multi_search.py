"""`multi-search` over three shards, beside one node that holds everything."""

import base64
import hashlib
import hmac
import json
import random

import pytest

pytestmark = pytest.mark.slow
PATH = "/multi-search"
WORDS = ["red", "blue", "shoe", "hat", "coat", "winter", "wool"]
SETTINGS = {"filterableAttributes": ["size"], "sortableAttributes": ["rank"]}


def documents(seed: int) -> list[dict]:
    chance = random.Random(seed)
    return [
        {
            "id": number,
            "title": " ".join(chance.choices(WORDS, k=4)),
            "size": number % 4,
            "rank": chance.random(),
        }
        for number in range(80)
    ]


@pytest.fixture(scope="module")
def uids(pair):
    return [pair.load(documents(seed), SETTINGS) for seed in (1, 2)]


def asking(uids: list[str], *queries: dict) -> dict:
    """Return a body; the queries are put to the indexes in turn."""
    return {
        "queries": [
            {"indexUid": uids[place % len(uids)], **query} for place, query in enumerate(queries)
        ]
    }


def test_each_result_is_that_of_one_node(pair):
    """Members and their order too; sorted, since ties come in an order of their own."""
    sort_first = ["sort", "words", "typo", "proximity", "attribute", "exactness"]
    uids = [pair.load(documents(s), {**SETTINGS, "rankingRules": sort_first}) for s in (3, 4)]
    sort = {"sort": ["rank:asc"], "matchingStrategy": "all"}
    body = asking(
        uids,
        {**sort, "q": "red", "limit": 5, "facets": ["size"], "rankingScoreThreshold": None},
        {**sort, "q": "", "page": 2, "hitsPerPage": 7},
        {**sort, "filter": "size = 1", "offset": 3, "limit": None},
        {**sort, "distinct": "size", "attributesToRetrieve": ["id"]},
        {**sort, "q": "nothing at all"},
    )
    whole, found = pair.both("POST", PATH, body)
    totals = [r.pop("estimatedTotalHits") for r in (whole["results"][3], found["results"][3])]
    assert found == whole
    assert totals[0] <= totals[1]  # distinct: see docs/reference/exactness.md
    assert [list(r) for r in found["results"]] == [list(r) for r in whole["results"]]


def test_hybrid_queries_are_answered_as_one_by_one(pair):
    """Among others, with vectors of the client's; some are good enough by keywords."""
    chance = random.Random(11)
    vectors = [
        {**document, "_vectors": {"own": [chance.uniform(-1, 1), chance.uniform(-1, 1)]}}
        for document in documents(11)
    ]
    embedders = {"own": {"source": "userProvided", "dimensions": 2}}
    uid = pair.load(vectors, {**SETTINGS, "embedders": embedders})
    queries = [
        {
            "q": chance.choice(WORDS),
            "vector": [chance.uniform(-1, 1), chance.uniform(-1, 1)],
            "hybrid": {"embedder": "own", "semanticRatio": ratio},
            "limit": chance.choice([1, 5, 20]),
            "showRankingScore": True,
        }
        for ratio in (0.1, 0.3, 0.5, 0.7, 0.9, 0.0, 1.0)
    ]
    queries.insert(3, {"q": "red", "limit": 3, "showRankingScore": True})
    whole, found = pair.both("POST", PATH, asking([uid], *queries))
    assert len({result.get("semanticHitCount") for result in found["results"]}) > 2
    for theirs, ours in zip(whole["results"], found["results"], strict=True):
        scores = [[hit["_rankingScore"] for hit in r.pop("hits")] for r in (theirs, ours)]
        assert scores[1] == pytest.approx(scores[0])
        assert ours == theirs


def test_no_queries_have_no_results(pair):
    """As on one node."""
    whole, found = pair.both("POST", PATH, {"queries": []})
    assert found == whole == {"status": 200, "results": []}


def test_one_request_has_one_uid(pair, uids):
    """All results of a request carry it."""
    found = pair.through("POST", PATH, asking(uids, {}, {}, {})).json()
    assert len({result["requestUid"] for result in found["results"]}) == 1


@pytest.mark.parametrize(
    "queries",
    [
        [{}, {"limt": 1}],
        [{}, {"limit": -1}],
        [{}, {"filter": "colour = red"}, {"filter": "other = red"}],
        [{}, {}, {"filter": "size ="}],
        [{"federationOptions": {"weight": 2}}],
        [{}, {"indexUid": "nowhere"}],
        [{}, {"filter": "colour = red"}, {"indexUid": "nowhere"}],
        [{"indexUid": "nowhere"}, {"filter": "colour = red"}],
        [{"indexUid": "no uid"}],
        [{"indexUid": 7}],
        [{"indexUid": "nowhere"}, {"sort": 7}],
        [{}, {"indexUid": "_miroir_probe"}],
        [{"vector": [1.0]}],
        [{"showRankingScore": None}],
        [{"q": "a", "sort": ["colour:asc"]}, {"facets": ["colour"]}],
    ],
    ids=str,
)
def test_the_first_fault_is_told_as_one_node_tells_it(pair, uids, queries):
    """With the place of the query, and nothing of the others' results."""
    whole, found = pair.both("POST", PATH, asking(uids, *queries))
    assert whole["status"] >= 400
    assert found == whole


@pytest.mark.parametrize(
    "body", [{}, [], {"queries": 7}, {"queries": [], "limit": 1}, b"{", b"", {"queries": [[]]}]
)
def test_a_body_that_is_none_is_refused_in_a_nodes_words(pair, body):
    """Nothing of it can be sent on."""
    headers = {"Content-Type": "application/json"}
    whole, found = pair.both("POST", PATH, body, headers=headers)
    assert whole["status"] >= 400
    assert found == whole


def test_what_cannot_be_merged_names_its_query(pair, uids):
    """As every fault does."""
    settings = {"displayedAttributes": ["title"], "filterableAttributes": ["kind"]}
    hidden = pair.load([{"id": 1, "title": "boat", "kind": "a"}], settings)
    queries = [{"indexUid": uids[0]}, {"indexUid": hidden, "distinct": "kind"}]
    answer = pair.through("POST", PATH, {"queries": queries})
    assert answer.status_code == 501
    assert answer.json()["message"].startswith("Inside `.queries[1]`: `id` is the primary key")


def test_the_answer_tells_the_version_of_each_index(pair, uids):
    """And a floor holds for the index that it names."""
    body = asking(uids, {}, {}, {})
    answer = pair.through("POST", PATH, body)
    versions = {uid: pair.cluster.version(uid) for uid in uids}
    shown = answer.headers["x-miroir-settings-version"]
    assert shown == ",".join(f"{uid}={version}" for uid, version in versions.items())
    for floor, status in (
        (shown, 200),
        (f"{uids[1]}={versions[uids[1]] + 1}", 503),
        ("another=99", 200),
        ("99", 503),
        ("x", 400),
    ):
        headers = {"X-Miroir-Min-Settings-Version": floor}
        assert pair.through("POST", PATH, body, headers=headers).status_code == status


def key_for(pair, indexes: list[str], actions: list[str]) -> tuple[str, str]:
    body = {"indexes": indexes, "actions": actions, "expiresAt": None}
    made = pair.through("POST", "/keys", body).json()
    return made["key"], made["uid"]


def test_every_index_in_the_body_must_be_open_to_the_key(pair, uids):
    """Nodes are asked with the master key, so they would open all of them."""
    key, _ = key_for(pair, [uids[0]], ["search"])
    bearer = {"headers": {"Authorization": f"Bearer {key}"}}
    assert pair.through("POST", PATH, asking(uids[:1], {}), **bearer).status_code == 200
    for federation in ({}, {"federation": {}}):
        refused = pair.through("POST", PATH, {**asking(uids, {}, {}), **federation}, **bearer)
        assert refused.status_code == 403
        assert refused.json()["message"] == (
            "Inside `.queries[1]`: The provided API key is invalid."
        )
    worse = pair.through("POST", PATH, asking(uids, {}, {"limit": -1}), **bearer)
    assert worse.json()["code"] == "invalid_search_limit"
    unknown = pair.through("POST", PATH, asking(["nowhere"], {}), **bearer)
    assert unknown.status_code == 403
    key, _ = key_for(pair, ["*"], ["documents.get"])
    bearer = {"headers": {"Authorization": f"Bearer {key}"}}
    assert pair.through("POST", PATH, asking(uids, {}), **bearer).status_code == 403


def token(key: str, uid: str, rules: object) -> str:
    parts = [{"alg": "HS256", "typ": "JWT"}, {"apiKeyUid": uid, "searchRules": rules}]
    coded = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in parts]
    signed = b".".join(coded)
    signature = hmac.new(key.encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def test_a_tenant_token_filters_each_index_by_its_own_rule(pair, uids):
    """Tenants must not see each other's documents, whichever route they come by."""
    key, uid = key_for(pair, ["*"], ["search"])
    rules = {uids[0]: {"filter": "size = 1"}, uids[1]: {"filter": "size = 2"}}
    bearer = {"headers": {"Authorization": f"Bearer {token(key, uid, rules)}"}}
    found = pair.through("POST", PATH, asking(uids, {}, {}), **bearer).json()["results"]
    assert [{hit["size"] for hit in result["hits"]} for result in found] == [{1}, {2}]
    first = {"headers": {"Authorization": f"Bearer {token(key, uid, [uids[0]])}"}}
    refused = pair.through("POST", PATH, asking(uids, {}, {}), **first)
    assert refused.status_code == 403
    assert refused.json()["message"] == "Inside `.queries[1]`: The provided API key is invalid."
