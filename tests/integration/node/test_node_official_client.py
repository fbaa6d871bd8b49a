"""The official Python client works against the embedded node as against Meilisearch."""

from collections.abc import Callable

import meilisearch
import pytest
from meilisearch.errors import MeilisearchApiError
from tests.integration.node.running import RunningNode

MASTER_KEY = "a-master-key-of-tests"


def test_the_quick_start_of_the_official_client(start: Callable[..., RunningNode]):
    """If this fails, nothing that Miroir shows with the embedded node means anything."""
    with start(master_key=MASTER_KEY) as node:
        client = meilisearch.Client(node.url, MASTER_KEY)
        assert client.is_healthy()
        assert client.get_version()["pkgVersion"] == "1.50.0"
        books = client.index("books")
        task = books.add_documents(
            [
                {"id": 1, "title": "Pride and Prejudice", "year": 1813},
                {"id": 2, "title": "Emma", "year": 1815},
                {"id": 3, "title": "Pride", "year": 2000},
            ]
        )
        done = client.wait_for_task(task.task_uid)
        assert (done.status, done.details["indexedDocuments"]) == ("succeeded", 3)
        assert [hit["id"] for hit in books.search("pride")["hits"]] == [3, 1]
        client.wait_for_task(books.update_filterable_attributes(["year"]).task_uid)
        client.wait_for_task(books.update_settings({"stopWords": ["and"]}).task_uid)
        settings = books.get_settings()
        assert (settings["stopWords"], settings["filterableAttributes"]) == (["and"], ["year"])
        assert books.get_document(2).title == "Emma"
        assert books.get_stats().number_of_documents == 3
        assert [index.uid for index in client.get_indexes()["results"]] == ["books"]
        key = client.create_key(
            {"actions": ["search"], "indexes": ["books"], "expiresAt": None, "uid": None}
            | {"uid": "4bc0887a-0e41-4f3b-935d-0c451dcee9c8"}
        )
        searcher = meilisearch.Client(node.url, key.key)
        assert searcher.index("books").search("emma")["hits"][0]["id"] == 2
        with pytest.raises(MeilisearchApiError, match="API key is invalid"):
            searcher.index("books").get_documents()
        client.wait_for_task(client.delete_index("books").task_uid)
        with pytest.raises(MeilisearchApiError, match="Index `books` not found"):
            books.get_stats()
