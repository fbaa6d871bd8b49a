"""Documents of another index, over three shards, beside one node that holds everything."""

from urllib.parse import quote

import pytest

pytestmark = pytest.mark.slow
AUTHORS = [{"id": f"a{n}", "name": f"Author {n}", "secret": n} for n in range(12)]
BOOKS = [
    {
        "id": number,
        "title": f"book {number}",
        "author": f"a{number}" if number else "nobody we know",
        "authors": [f"a{(number * 7) % 12}", f"a{number + 5}", None, 3],
        "by": {"id": f"a{11 - number}", "since": number},
    }
    for number in range(12)
]
FILTERABLE = ("id", "author", "authors", "by.id")
FILTER = {"filter": "_foreign(author, name = 'Author 1')"}


@pytest.fixture(scope="module")
def books(pair):
    for ask in (pair.one_node, pair.through):
        ask("PATCH", "/experimental-features", {"foreignKeys": True}).raise_for_status()
    shown = {"filterableAttributes": ["name"], "displayedAttributes": ["id", "name"]}
    authors = pair.load(AUTHORS, shown)
    fields = ("author", "authors", "by.id")
    keys = [{"foreignIndexUid": authors, "fieldName": name} for name in fields]
    yield pair.load(BOOKS, {"filterableAttributes": list(FILTERABLE), "foreignKeys": keys})
    pair.through("DELETE", "/indexes/" + authors)
    for ask in (pair.one_node, pair.through):
        ask("PATCH", "/experimental-features", {"foreignKeys": False}).raise_for_status()


QUERIES = [
    {},
    {"attributesToRetrieve": ["author"], "limit": 3},
    {
        "attributesToRetrieve": ["title", "authors"],
        "attributesToHighlight": ["title"],
        "q": "book",
    },
    {"attributesToHighlight": ["*"], "q": "book", "offset": 2, "limit": 5},
    {"attributesToRetrieve": ["by.id"], "attributesToCrop": ["title"], "showRankingScore": True},
    {"attributesToRetrieve": ["title"]},
    {"filter": "nope = 1"},
]


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_hits_are_filled_in_as_by_one_node(pair, books, query):
    """With the author wherever the author lies, and nothing that was not asked for."""
    whole, found = pair.both("POST", f"/indexes/{books}/search", query)
    assert found == whole


def test_a_query_string_asks_the_same(pair, books):
    """Its lists are texts."""
    path = f"/indexes/{books}/search?attributesToRetrieve=author,title&limit=4"
    whole, found = pair.both("GET", path)
    assert "name" in whole["hits"][1]["author"]
    assert found == whole


def test_each_result_of_a_multi_search_is_filled_in(pair, books):
    """Beside those of indexes that have no foreign keys."""
    other = pair.load([{"id": 1, "author": "a1"}], {})
    queries = [{"indexUid": books, **query} for query in QUERIES[:4]]
    body = {"queries": [*queries, {"indexUid": other}]}
    whole, found = pair.both("POST", "/multi-search", body)
    assert whole["status"] == 200
    assert found == whole


def test_hits_of_a_federation_are_filled_in(pair, books):
    """Each by the index that it is from."""
    other = pair.load([{"id": 1, "author": "a1", "title": "book"}], {})
    queries = [
        {"indexUid": books, "q": "book", "attributesToRetrieve": ["author"]},
        {"indexUid": other, "q": "book"},
    ]
    body = {"queries": queries, "federation": {"limit": 30}}
    whole, found = pair.both("POST", "/multi-search", body)
    assert whole["status"] == 200
    assert sorted(map(str, found["hits"])) == sorted(map(str, whole["hits"]))


def test_with_the_feature_off_hits_stay_as_they_are(pair, books):
    """Nodes leave them alone, and so does Miroir."""
    for on in (False, True):
        for ask in (pair.one_node, pair.through):
            ask("PATCH", "/experimental-features", {"foreignKeys": on}).raise_for_status()
        whole, found = pair.both("POST", f"/indexes/{books}/search", {})
        assert isinstance(whole["hits"][1]["author"], dict) is on
        assert found == whole


FILTERS = [
    FILTER,
    {"filter": ["_foreign(author, name = 'Author 1' OR name = 'Author 7')", "id > 3"]},
    {"filter": "NOT _foreign(by.id, name = 'Author 1') AND id < 5", "limit": 3},
    {"filter": "_foreign(authors, name = nobody)"},
    {**FILTER, "attributesToRetrieve": ["author"], "facets": ["author"]},
]


@pytest.mark.parametrize("query", FILTERS, ids=str)
def test_filters_on_another_index_find_what_one_node_finds(pair, books, query):
    """Whichever shards hold the authors."""
    whole, found = pair.both("POST", f"/indexes/{books}/search", query)
    assert whole["status"] == 200
    assert found == whole


@pytest.mark.parametrize(
    "filter_", [FILTER["filter"], "[\"_foreign(author, name = 'Author 1')\"]"]
)
def test_a_query_string_may_filter_so_too(pair, books, filter_):
    """As text, or as a list of texts."""
    whole, found = pair.both("GET", f"/indexes/{books}/search?filter={quote(filter_)}")
    assert [hit["id"] for hit in whole["hits"]] == [1]
    assert found == whole


@pytest.mark.parametrize("federation", [None, {}])
def test_each_query_of_a_multi_search_may_filter_so(pair, books, federation):
    """Its results alone, or in one list."""
    queries = [{"indexUid": books, "q": "book", **query} for query in FILTERS[:2]]
    body = {"queries": queries} | ({} if federation is None else {"federation": federation})
    whole, found = pair.both("POST", "/multi-search", body)
    assert whole["status"] == 200
    assert found == whole


@pytest.mark.parametrize("place", [None, 1])
def test_a_filter_that_finds_too_many_documents_is_refused_in_a_nodes_words(pair, books, place):
    """Of all shards together."""
    settings = {"filterableAttributes": ["name"]}
    many = pair.load([{"id": number, "name": "x"} for number in range(130)], settings)
    keys = [{"foreignIndexUid": many, "fieldName": "who"}]
    settings = {"filterableAttributes": ["who"], "foreignKeys": keys}
    uid = pair.load([{"id": 1, "who": 3}], settings)
    path, body = f"/indexes/{uid}/search", {"filter": "_foreign(who, name = x)"}
    if place is not None:
        queries = [{"indexUid": books}, {"indexUid": uid, **body}]
        path, body = "/multi-search", {"queries": queries}
    whole, found = pair.both("POST", path, body)
    assert whole["status"] == 400
    assert found == whole


def test_facets_are_not_searched_by_filters_on_another_index(pair, books):
    """Each node would look for authors among its own alone, and count too few."""
    body = {**FILTER, "facetName": "author"}
    whole, found = pair.both("POST", f"/indexes/{books}/facet-search", body)
    if whole["status"] == 200:
        assert (found["status"], found["code"]) == (501, "miroir_cannot_merge")
    else:
        assert found == whole


def test_a_filter_that_one_node_refuses_is_refused_in_its_words(pair, books):
    """About the client's own mistake."""
    body = {"filter": "_foreign(nothing, name = 'Author 1')"}
    whole, found = pair.both("POST", f"/indexes/{books}/search", body)
    assert whole["status"] == 400
    assert found == whole
