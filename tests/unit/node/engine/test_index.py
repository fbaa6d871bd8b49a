"""The index as a container: what is put, replaced, removed, and in which order it stays."""

import pytest
from tests.unit.node.engine.world import found, index_of, query_of, settings

from miroir.node.engine import EvaluationError, FacetQuery
from miroir.node.errors import ApiError

DOCUMENTS = [
    {"id": 0, "title": "red moon", "rank": 2, "tags": ["a", "b"]},
    {"id": 1, "title": "blue moon", "rank": 1, "tags": []},
    {"id": 2, "title": "red sun", "rank": 3, "tags": ["b"], "nested": {"deep": None}},
]


def test_a_freed_place_is_taken_by_the_next_document():
    """Ties are broken by internal numbers, and Meilisearch uses the smallest free one."""
    index = index_of({"id": n} for n in range(5))
    assert index.remove(["1", "3", "unknown"]) == 2
    index.put((str(n), {"id": n}) for n in (9, 8, 7))
    assert index.ids() == ["0", "9", "2", "8", "4", "7"]
    assert len(index) == 6


def test_a_replaced_document_keeps_its_place():
    """An update must not move a document behind its equals."""
    index = index_of(DOCUMENTS)
    index.put([("0", {"id": 0, "title": "green"})])
    assert index.ids() == ["0", "1", "2"]
    assert found(index, "red") == [2]
    assert found(index, "green") == [0]
    assert index.get("0") == {"id": 0, "title": "green"}
    assert index.get("7") is None


def test_a_cleared_index_still_knows_its_fields():
    """Meilisearch never forgets a field; facets of an empty index list it with no values."""
    index = index_of(DOCUMENTS, filterableAttributes=["tags", "unseen"])
    index.clear()
    assert (len(index), index.ids(), found(index)) == (0, [], [])
    result = index.search(query_of({"facets": ["*"]}))
    assert result.facet_distribution == {"tags": {}}
    index.put([("5", DOCUMENTS[0])])
    assert index.ids() == ["5"]


def test_fields_are_counted_at_the_top_level():
    """GET /stats counts documents per field, vectors aside."""
    index = index_of([*DOCUMENTS, {"id": 3, "_vectors": {}, "_geo": {"lat": 1, "lng": 2}}])
    assert index.field_distribution() == {
        "_geo": 1, "id": 4, "nested": 1, "rank": 3, "tags": 3, "title": 3,
    }  # fmt: skip


def test_the_old_index_answers_by_the_old_settings():
    """Searches go on while a settings task runs, and see what was committed before it."""
    index = index_of(DOCUMENTS, stopWords=["red"])
    changed = index.reconfigured(settings(sortableAttributes=["rank"]))
    assert found(index, "red") == []
    assert found(changed, "red ") == [0, 2]
    assert found(changed, None, sort=["rank:desc"]) == [2, 0, 1]
    with pytest.raises(EvaluationError, match="not sortable"):
        found(index, None, sort=["rank:desc"])


def test_documents_are_sorted_without_a_search():
    """Document fetches sort by the same rules, with a code of their own."""
    index = index_of(DOCUMENTS, sortableAttributes=["rank", "nested"])
    assert index.sorted_ids(["rank:asc"], ["2", "1", "0", "gone"]) == ["1", "0", "2"]
    with pytest.raises(EvaluationError) as refused:
        index.sorted_ids(["title:asc"], ["1"])
    assert refused.value.code == "invalid_document_sort"
    with pytest.raises(ApiError, match="ending by `:asc` or `:desc`, found `rank`"):
        index.sorted_ids(["rank"], ["1"])


def test_facet_search_can_be_switched_off():
    """The setting refuses before anything is looked up."""
    off = index_of(DOCUMENTS, filterableAttributes=["tags"], facetSearch=False)
    with pytest.raises(ApiError) as refused:
        off.facet_search(FacetQuery("tags", "a"))
    assert refused.value.code == "facet_search_disabled"
    with pytest.raises(ApiError) as hidden:
        index_of(DOCUMENTS).facet_search(FacetQuery("tags", "a"))
    assert hidden.value.code == "invalid_facet_search_facet_name"


def test_facet_values_come_by_the_order_of_the_setting():
    """Menus show the most frequent first when asked to; at most so many values are shown."""
    changes = {"filterableAttributes": ["tags", "rank"]}
    by_count = {"sortFacetValuesBy": {"*": "alpha", "tags": "count"}}
    index = index_of(DOCUMENTS, **changes, faceting=by_count)
    facets = index.search(query_of({"facets": ["tags", "rank"]})).facet_distribution
    assert facets is not None
    assert list(facets["tags"].items()) == [("b", 2), ("a", 1)]
    assert list(facets["rank"]) == ["1", "2", "3"]
    capped = index_of(DOCUMENTS, **changes, faceting={"maxValuesPerFacet": 1})
    one = capped.search(query_of({"facets": ["tags"]})).facet_distribution
    assert one == {"tags": {"a": 1}}


def test_hits_end_where_the_setting_says():
    """pagination.maxTotalHits caps what can be reached, not what is counted."""
    index = index_of(DOCUMENTS, pagination={"maxTotalHits": 2})
    result = index.search(query_of({"limit": 10}))
    assert [hit["id"] for hit in result.hits] == [0, 1]
    assert result.pagination["estimatedTotalHits"] == 3
    assert index.search(query_of({"offset": 2})).hits == []
