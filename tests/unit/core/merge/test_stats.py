"""Statistics over shards."""

import json

import pytest

from miroir.core.merge.stats import human_size, merge_index_stats, merge_stats
from miroir.errors import NodeAnswerUnreadable

# The members of a 1.50 node's answer, in its order.
ONE = {
    "numberOfDocuments": 8,
    "rawDocumentDbSize": 4096,
    "avgDocumentSize": 500,
    "isIndexing": False,
    "numberOfEmbeddings": 1,
    "numberOfEmbeddedDocuments": 1,
    "fieldDistribution": {"id": 8, "title": 7},
}
OTHER = {
    "numberOfDocuments": 2,
    "rawDocumentDbSize": 100,
    "avgDocumentSize": 50,
    "isIndexing": True,
    "numberOfEmbeddings": 2,
    "numberOfEmbeddedDocuments": 2,
    "fieldDistribution": {"extra": 1, "id": 2},
}
BOTH = {
    "numberOfDocuments": 10,
    "rawDocumentDbSize": 4196,
    "avgDocumentSize": 410,
    "isIndexing": True,
    "numberOfEmbeddings": 3,
    "numberOfEmbeddedDocuments": 3,
    "fieldDistribution": {"extra": 1, "id": 10, "title": 7},
}


def encoded(*values: dict) -> list[bytes]:
    return [json.dumps(value).encode() for value in values]


def test_counts_add_up_and_averages_are_weighted():
    """The average of averages would be wrong as soon as shards differ in size."""
    assert json.dumps(json.loads(merge_index_stats(encoded(ONE, OTHER)))) == json.dumps(BOTH)


def test_empty_shards_have_no_average():
    """No division by nothing."""
    empty = {"numberOfDocuments": 0, "avgDocumentSize": 0}
    assert json.loads(merge_index_stats(encoded(empty, empty)))["avgDocumentSize"] == 0


def test_global_statistics_list_every_index_once():
    """An index that only some shards have been asked to fill is still one index."""
    parts = encoded(
        {
            "databaseSize": 10,
            "usedDatabaseSize": 5,
            "lastUpdate": "2026-01-01T00:00:00.1Z",
            "indexes": {"m": ONE},
        },
        {
            "databaseSize": 20,
            "usedDatabaseSize": 6,
            "lastUpdate": "2026-01-01T00:00:00.14Z",
            "indexes": {"m": OTHER, "b": OTHER},
        },
    )
    assert json.dumps(json.loads(merge_stats(parts))) == json.dumps(
        {
            "databaseSize": 30,
            "usedDatabaseSize": 11,
            "lastUpdate": "2026-01-01T00:00:00.14Z",
            "indexes": {"b": OTHER, "m": BOTH},
        }
    )


def test_a_cluster_without_any_update_has_none():
    """A fresh node says null."""
    fresh = {"databaseSize": 1, "usedDatabaseSize": 1, "lastUpdate": None, "indexes": {}}
    assert json.loads(merge_stats(encoded(fresh, fresh)))["lastUpdate"] is None


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1280, "1.25 KiB"),
        (20480, "20 KiB"),
        (5 * 1024**2, "5 MiB"),
        (1024**6, "1024 PiB"),
    ],
)
def test_sizes_are_told_in_words_as_nodes_tell_them(size, words):
    """In the largest unit of which there is one."""
    assert human_size(size) == words


def test_sizes_are_added_up_before_they_are_told_in_words():
    """Words do not add up."""
    one = ONE | {"internalDatabaseSizes": {"main": 1024, "documents": 512}}
    both = encoded(one, OTHER | {"internalDatabaseSizes": {"documents": 512}})
    found = json.loads(merge_index_stats(both, in_words=True))
    assert found["internalDatabaseSizes"] == {"main": "1 KiB", "documents": "1 KiB"}
    assert (found["rawDocumentDbSize"], found["avgDocumentSize"]) == ("4.1 KiB", "410 B")
    empty = merge_index_stats(encoded(ONE, ONE | {"internalDatabaseSizes": {}}))
    assert json.loads(empty)["internalDatabaseSizes"] == {}
    parts = [{"databaseSize": 1000, "usedDatabaseSize": 24, "indexes": {"m": one}}] * 2
    whole = json.loads(merge_stats(encoded(*parts), in_words=True))
    assert (whole["databaseSize"], whole["usedDatabaseSize"]) == ("1.95 KiB", "48 B")
    assert whole["indexes"]["m"]["internalDatabaseSizes"]["main"] == "2 KiB"


@pytest.mark.parametrize("merge", [merge_stats, merge_index_stats])
def test_an_answer_to_another_question_names_its_shard(merge):
    """See merge_search."""
    with pytest.raises(NodeAnswerUnreadable, match="not statistics") as error:
        merge([b"{}", b"[]"])
    assert error.value.position == 1
