"""
Whatever is sent: an answer of Meilisearch's form, never a 500, and an index that still answers.

Requests are made from the real names of parameters and from values of every JSON type, near
misses of filters and sorts, and broken text. One node takes them all, so that a request that
breaks something is found out by those after it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings as limits, strategies as st
from tests.integration.node.running import RunningNode

SEARCH = (
    "q", "offset", "limit", "page", "hitsPerPage", "attributesToRetrieve", "attributesToCrop",
    "cropLength", "cropMarker", "attributesToHighlight", "highlightPreTag", "filter", "sort",
    "distinct", "facets", "matchingStrategy", "attributesToSearchOn", "rankingScoreThreshold",
    "locales", "hybrid", "vector", "retrieveVectors", "showRankingScore",
    "showRankingScoreDetails", "showMatchesPosition", "showPerformanceDetails",
)  # fmt: skip
WORDS = st.sampled_from([
    "*", "", "a", "title", "genre", "n", "_geo", "_vectors", "m", "title:3", "n:asc", "n:desc",
    "genre:asc", "_geoPoint(1,2):asc", "_geoPoint(1, 2", "last", "all", "frequency", "eng",
    "quick", "“quick brown", '"the quick"', "-fox", "jumsp ovr", "日本語 text",
    "\u0000", "ÀÉ", "x" * 300,
])  # fmt: skip
PIECES = st.sampled_from([
    "n", "genre", "title", "_geo", "_vectors.m", "=", "!=", ">", "<=", "TO", "IN", "[a, b]", "[",
    "]", "(", ")", "AND", "OR", "NOT", "EXISTS", "IS NULL", "IS NOT EMPTY", "CONTAINS", "1",
    "-1.5", "1e400", "'it'", '"q\\"', "_geoRadius(1,2,3)", "_geoBoundingBox([2,2],[1,1])",
    "_geoRadius(", "STARTS WITH", "_foreign(a, n = 1)", "_geoPolygon([1,1],[1,2],[2,2])", "é", "",
])  # fmt: skip
FILTERS = st.lists(PIECES, max_size=9).map(" ".join)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 30),
    st.sampled_from([2**63, -(2**64), 2**64 - 1, 1e308]),
    st.floats(-2, 2),
    WORDS,
    FILTERS,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)
    ),
    max_leaves=6,
)
LIKELY = {
    "filter": st.one_of(FILTERS, st.lists(st.one_of(FILTERS, st.lists(FILTERS, max_size=2)))),
    "sort": st.lists(WORDS, max_size=3),
    "facets": st.lists(WORDS, max_size=3),
    "hybrid": st.fixed_dictionaries(
        {"embedder": st.sampled_from(["m", "x"])}, optional={"semanticRatio": st.floats(0, 1)}
    ),
    "vector": st.lists(st.floats(-2, 2, width=32), min_size=2, max_size=2),
    "q": WORDS,
}
BODIES = st.fixed_dictionaries(
    {}, optional={name: st.one_of(LIKELY.get(name, VALUES), VALUES) for name in SEARCH}
)
DOCUMENTS = st.lists(
    st.dictionaries(st.sampled_from(["id", "title", "genre", "n", "_geo", "_vectors"]), VALUES),
    max_size=3,
)
SETTINGS = (
    "displayedAttributes", "searchableAttributes", "filterableAttributes", "sortableAttributes",
    "rankingRules", "stopWords", "synonyms", "distinctAttribute", "typoTolerance", "faceting",
    "pagination", "embedders", "separatorTokens", "dictionary", "localizedAttributes",
)  # fmt: skip
FUZZED = limits(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
KNOWN = [
    {"id": 1, "title": "The quick brown fox", "genre": "a", "n": 1, "_geo": {"lat": 1, "lng": 2}},
    {"id": 2, "title": "jumps over", "genre": ["b", "a"], "n": 2.5, "_vectors": {"m": [1, 2]}},
    {"id": 3, "title": None, "n": "x", "deep": {"er": [1, {"a": "b"}]}},
]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """One node for all, with an index that has a little of everything."""
    folder: Path = tmp_path_factory.mktemp("fuzzed") / "node"
    with RunningNode(folder) as running:
        running.ask("PATCH", "/experimental-features", {"containsFilter": True})
        settings = {
            "filterableAttributes": ["genre", "n", "_geo"],
            "sortableAttributes": ["n", "genre", "_geo"],
            "embedders": {"m": {"source": "ollama", "model": "m", "dimensions": 2}},
        }
        for path in ("/indexes/known", "/indexes/wild"):
            running.ended(running.ask("PATCH", f"{path}/settings", settings).json()["taskUid"])
            running.ended(running.ask("POST", f"{path}/documents", KNOWN).json()["taskUid"])
        yield running


def refused_or_right(node: RunningNode, method: str, path: str, body: Any) -> dict[str, Any]:
    """Send a request; return the answer's body, which must not blame the server."""
    text = json.dumps(body).encode() if not isinstance(body, bytes) else body
    headers = {"Content-Type": "application/json"}
    answer = node.client.request(method, path, content=text, headers=headers)
    assert answer.status_code < 500, (method, path, body, answer.text)
    found = answer.json() if answer.content else {}
    if answer.status_code >= 400 and found:
        assert set(found) == {"message", "code", "type", "link"}
    return found if isinstance(found, dict) else {}


def still_answers(node: RunningNode) -> None:
    """The index that nobody writes to must answer as before."""
    found = node.ask("POST", "/indexes/known/search", {"q": "quick", "filter": "n = 1"}).json()
    assert [hit["id"] for hit in found["hits"]] == [1]


@FUZZED
@given(body=BODIES)
def test_any_search_is_answered_or_refused(node, body: dict[str, Any]):
    """A search box passes on whatever people type."""
    refused_or_right(node, "POST", "/indexes/known/search", body)
    still_answers(node)


@FUZZED
@given(bodies=st.lists(BODIES, max_size=3), federation=st.one_of(st.none(), st.just({}), VALUES))
def test_any_multi_search_is_answered_or_refused(node, bodies: list[Any], federation: Any):
    """Queries of several boxes come together, each as wild as one alone."""
    queries = [{"indexUid": "known", **body} for body in bodies]
    body = {"queries": queries, "federation": federation}
    refused_or_right(node, "POST", "/multi-search", body)


@FUZZED
@given(filter_=FILTERS)
def test_any_filter_is_read_or_refused_with_its_place(node, filter_: str):
    """A filter that hangs or breaks the parser takes the node with it."""
    for path in ("search", "documents/fetch", "facet-search"):
        body = {"filter": filter_, **({"facetName": "genre"} if path == "facet-search" else {})}
        refused_or_right(node, "POST", f"/indexes/known/{path}", body)


@FUZZED
@given(text=st.one_of(st.binary(max_size=40), VALUES.map(lambda v: json.dumps(v).encode()[:-1])))
def test_broken_bodies_are_refused_everywhere(node, text: bytes):
    """Half a body arrives when a connection breaks."""
    for method, path in (
        ("POST", "/indexes/known/search"), ("POST", "/indexes"), ("POST", "/multi-search"),
        ("PATCH", "/indexes/wild/settings"), ("POST", "/swap-indexes"), ("POST", "/webhooks"),
        ("POST", "/indexes/known/similar"), ("PATCH", "/experimental-features"),
    ):  # fmt: skip
        refused_or_right(node, method, path, text)


@FUZZED
@given(query=st.dictionaries(st.sampled_from([*SEARCH, "from", "uids", "types"]), WORDS))
def test_any_query_string_is_read_or_refused(node, query: dict[str, str]):
    """Links are edited by hand."""
    for path in ("/indexes/known/search", "/indexes/known/documents", "/tasks", "/batches"):
        answer = node.client.get(path, params=query)
        assert answer.status_code < 500, (path, query, answer.text)


@limits(parent=FUZZED, max_examples=25)
@given(
    changes=st.fixed_dictionaries({}, optional=dict.fromkeys(SETTINGS, VALUES)),
    documents=DOCUMENTS,
)
def test_any_write_ends_and_leaves_an_index_that_answers(
    node, changes: dict[str, Any], documents: list[dict[str, Any]]
):
    """A task that crashes or never ends blocks every other one behind it."""
    for path, method, body in (
        ("/indexes/wild/settings", "PATCH", changes),
        ("/indexes/wild/documents", "PUT", documents),
    ):
        found = refused_or_right(node, method, path, body)
        if "taskUid" in found:
            task = node.ended(found["taskUid"])
            error = task["error"] or {"code": ""}
            is_vectors = "expected a map" in error.get("message", "")
            assert error["code"] != "internal" or is_vectors, (body, error)
    refused_or_right(node, "POST", "/indexes/wild/search", {"q": "quick", "facets": ["*"]})
    still_answers(node)
