"""Documents of another index, over three shards, beside one node that holds everything."""

import pytest

pytestmark = pytest.mark.slow
AUTHORS = [{"id": f"a{number}", "name": f"Author {number}"} for number in range(12)]
BOOKS = [{"id": number, "author": f"a{number}"} for number in range(12)]
FILTER = {"filter": "_foreign(author, name = 'Author 1')"}


@pytest.fixture(scope="module")
def books(pair):
    for ask in (pair.one_node, pair.through):
        ask("PATCH", "/experimental-features", {"foreignKeys": True}).raise_for_status()
    authors = pair.load(AUTHORS, {"filterableAttributes": ["name"]})
    keys = [{"foreignIndexUid": authors, "fieldName": "author"}]
    yield pair.load(BOOKS, {"filterableAttributes": ["author"], "foreignKeys": keys})
    pair.through("DELETE", "/indexes/" + authors)
    for ask in (pair.one_node, pair.through):
        ask("PATCH", "/experimental-features", {"foreignKeys": False}).raise_for_status()


def test_hits_are_filled_in_with_what_their_shard_holds(pair, books):
    """An author on another shard is an empty object, as one that is not there is on one node."""
    whole, found = pair.both("POST", f"/indexes/{books}/search", {})
    assert [hit["author"] for hit in whole["hits"]] == AUTHORS
    shown = [hit["author"] for hit in found["hits"]]
    assert [hit["id"] for hit in found["hits"]] == [book["id"] for book in BOOKS]
    assert all(author in (wanted, {}) for author, wanted in zip(shown, AUTHORS, strict=True))
    assert {} in shown


@pytest.mark.parametrize("route", ["search", "facet-search"])
def test_filters_on_another_index_are_refused(pair, books, route):
    """Each node would look for authors among its own alone, and find too few books."""
    body = {**FILTER, **({"facetName": "author"} if route == "facet-search" else {})}
    whole, found = pair.both("POST", f"/indexes/{books}/{route}", body)
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
