"""What cannot be merged over three shards is judged by a node first, beside one node."""

import pytest

pytestmark = pytest.mark.slow
SETTINGS = {
    "filterableAttributes": ["kind"],
    "embedders": {"own": {"source": "userProvided", "dimensions": 1}},
    "distinctAttribute": "kind",
}
PLAIN = {"embedders": SETTINGS["embedders"]}


@pytest.fixture(scope="module")
def uid(pair):
    documents = [{"id": n, "kind": n % 3, "_vectors": {"own": [1.0]}} for n in range(9)]
    return pair.load(documents, SETTINGS)


OF_INDEX = [
    ("POST", "search", {"personalize": {"userContext": "x"}}),
    ("POST", "search", {"personalize": {"userContext": 1}}),
    ("POST", "search", {"useNetwork": True}),
    ("POST", "search", {"useNetwork": True, "limit": -1}),
    ("GET", "search?useNetwork=x", None),
    ("GET", "search?useNetwork=false", None),
    ("GET", "search?personalizeUserContext=x", None),
    ("POST", "facet-search", {"facetName": "kind", "useNetwork": True}),
    ("POST", "documents/fetch", {"useNetwork": True}),
    ("POST", "documents/fetch", {"useNetwork": 1}),
    ("GET", "documents?useNetwork=x", None),
    ("GET", "documents?useNetwork=true", None),
    ("POST", "similar", {"id": 1, "embedder": "nobodys"}),
    ("POST", "similar", {"id": 99, "embedder": "own"}),
    ("POST", "similar", {"id": 1, "embedder": "own", "filter": "nope = 1"}),
]


@pytest.mark.parametrize(("method", "route", "body"), OF_INDEX, ids=str)
def test_what_one_node_refuses_is_refused_in_its_words(pair, uid, method, route, body):
    """That several shards could not do it either is nothing to be told then."""
    whole, found = pair.both(method, f"/indexes/{uid}/{route}", body)
    assert whole["status"] in {400, 404}
    assert found == whole


@pytest.mark.parametrize(
    "query",
    [
        {"personalize": {"userContext": "x"}},
        {"useNetwork": True},
        {"useNetwork": True, "filter": "nope = 1"},
    ],
    ids=str,
)
@pytest.mark.parametrize("federation", [None, {}])
def test_so_it_is_in_a_multi_search(pair, uid, query, federation):
    """With the place of the query."""
    body = {"queries": [{"indexUid": uid}, {"indexUid": uid, **query}]}
    if federation is not None:
        body["federation"] = federation
    whole, found = pair.both("POST", "/multi-search", body)
    assert whole["status"] == 400
    assert found == whole


def test_what_one_node_can_do_is_refused_with_our_reason(pair, uid):
    """And with the status that says whose it is."""
    whole, found = pair.both("POST", f"/indexes/{uid}/similar", {"id": 1, "embedder": "own"})
    assert whole["status"] == 200
    assert (found["status"], found["code"]) == (501, "miroir_cannot_merge")


@pytest.mark.parametrize("route", ["search", "similar", "multi-search", "federation"])
def test_the_slowest_node_tells_where_its_time_went(pair, uid, route):
    """The others were ready before it; the names of the steps are the engine's."""
    plain = pair.load([{"id": n, "_vectors": {"own": [1.0]}} for n in range(5)], PLAIN)
    details = {"showPerformanceDetails": True}
    path, body = {
        "search": (f"/indexes/{uid}/search", details),
        "similar": (f"/indexes/{plain}/similar", {"id": 1, "embedder": "own", **details}),
        "multi-search": ("/multi-search", {"queries": [{"indexUid": uid, **details}]}),
        "federation": ("/multi-search", {"queries": [{"indexUid": uid}], "federation": details}),
    }[route]
    answers = pair.both("POST", path, body)
    for answer in answers:
        shown = answer["results"][0] if route == "multi-search" else answer
        assert all(isinstance(time, str) for time in shown["performanceDetails"].values())
        assert shown["performanceDetails"]
