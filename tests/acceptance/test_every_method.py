"""
Every method of the official Python client, once, against a 3 x 2 cluster's public address.

A method works (its task succeeds), or it belongs to what Miroir refuses, and then says so. A
method that a newer client has and that is called nowhere here fails the test: somebody has to look
at it.
"""

import inspect
import json
from typing import ClassVar
from uuid import UUID

import meilisearch
import pytest
from meilisearch.errors import MeilisearchApiError
from meilisearch.index import Index
from meilisearch.models.task import TaskInfo

from miroir.cli.layout import Shape

SHAPE = Shape(3, 2)
REFUSED = {
    "add_or_update_networks": "sharding is Miroir's own",
    "get_all_networks": "sharding is Miroir's own",
    "create_chat_completion": "chat",
    "get_chat_workspaces": "chat",
    "get_chat_workspace_settings": "chat",
    "update_chat_workspace_settings": "chat",
    "create_dump": "concerns one node",
    "create_snapshot": "concerns one node",
    "export": "concerns one node",
    "get_dynamic_search_rules": "experimental; their store is a node's own",
    "get_dynamic_search_rule": "experimental; their store is a node's own",
    "update_dynamic_search_rule": "experimental; their store is a node's own",
    "delete_dynamic_search_rule": "experimental; their store is a node's own",
}
"""Methods that answer 501 `miroir_route_not_supported`, and why."""

DOCUMENTS = [
    {"id": n, "title": f"boat {n}", "size": n % 5, "_vectors": {"own": [1.0, n / 10]}}
    for n in range(12)
]
VALUES = {
    "dictionary": ["J. R."],
    "displayed_attributes": ["*"],
    "distinct_attribute": "size",
    "embedders": {"own": {"source": "userProvided", "dimensions": 2}},
    "facet_search_settings": True,
    "faceting_settings": {"maxValuesPerFacet": 50},
    "filterable_attributes": ["size", "title"],
    "foreign_keys": None,
    "localized_attributes": [{"attributePatterns": ["title"], "locales": ["eng"]}],
    "non_separator_tokens": ["@"],
    "pagination_settings": {"maxTotalHits": 500},
    "prefix_search": "indexingTime",
    "proximity_precision": "byWord",
    "ranking_rules": ["words", "typo", "sort", "exactness"],
    "search_cutoff_ms": 800,
    "searchable_attributes": ["title"],
    "separator_tokens": ["&"],
    "sortable_attributes": ["size"],
    "stop_words": ["the"],
    "synonyms": {"boat": ["ship"]},
    "typo_tolerance": {"enabled": True},
}
"""Name in the client's methods -> a value. The foreign keys belong to an experimental feature."""


class Told:
    """Calls through to a client or an index; notes which methods were called, and waits."""

    called: ClassVar[set[str]] = set()

    def __init__(self, inner, client):
        self.inner = inner
        self.client = client

    def __getattr__(self, name):
        method = getattr(self.inner, name)

        def call(*args, **options):
            Told.called.add(name)
            if name in REFUSED:
                with pytest.raises(MeilisearchApiError) as refused:
                    _to_the_end(method(*args, **options))
                assert refused.value.code == "miroir_route_not_supported", name
                return None
            answer = method(*args, **options)
            for task in answer if isinstance(answer, list) else [answer]:
                if isinstance(task, TaskInfo):
                    self.succeeds(name, task.task_uid)
            return answer

        return call

    def succeeds(self, name, task_uid):
        task = self.client.wait_for_task(task_uid, timeout_in_ms=30_000)
        assert task.status == "succeeded", (name, task.error)


def _to_the_end(answer):
    """Read what comes in pieces: its error shows when it is read."""
    return list(answer) if inspect.isgenerator(answer) else answer


@pytest.fixture
def client(cluster):
    key = cluster.local.layout.master_key.reveal()
    return meilisearch.Client(cluster.local.url, key, timeout=30)


@pytest.fixture
def told(client):
    return Told(client, client)


@pytest.fixture
def index(client, told, uid):
    told.create_index(uid, {"primaryKey": "id"})
    made = Told(client.index(uid), client)
    made.update_settings({"filterableAttributes": ["size", "title"]})
    made.add_documents(DOCUMENTS)
    return made


def test_documents(index):
    """Every way in, every way to read, every way out."""
    lines = [{"id": 100 + n, "title": "raft"} for n in range(3)]
    ndjson = "\n".join(json.dumps(line) for line in lines)
    index.add_documents_json(json.dumps(lines).encode())
    index.add_documents_ndjson(ndjson.encode())
    index.add_documents_csv(b"id,title\n110,raft")
    index.add_documents_raw(ndjson.encode(), content_type="application/x-ndjson")
    index.add_documents_in_batches(lines, batch_size=2)
    index.update_documents(lines)
    index.update_documents_json(json.dumps(lines).encode())
    index.update_documents_ndjson(ndjson.encode())
    index.update_documents_csv(b"id,title\n111,raft")
    index.update_documents_raw(ndjson.encode(), content_type="application/x-ndjson")
    index.update_documents_in_batches(lines, batch_size=2)
    assert index.get_document(3).title == "boat 3"
    assert index.get_documents({"limit": 3}).total == len(DOCUMENTS) + len(lines) + 2
    assert index.get_stats().number_of_documents == len(DOCUMENTS) + len(lines) + 2
    index.compact()
    index.delete_document(100)
    with pytest.warns(DeprecationWarning, match="ids"):
        index.delete_documents([101, 102])
    index.delete_documents(filter="size = 4")
    index.delete_all_documents()
    assert index.get_stats().number_of_documents == 0


def test_searches(index, told, uid):
    """Every way to ask."""
    assert len(index.search("boat")["hits"]) == len(DOCUMENTS)
    assert {"value": "boat 3", "count": 1} in index.facet_search("title", "boat")["facetHits"]
    index.update_embedders(VALUES["embedders"])
    assert index.get_similar_documents({"id": 3, "embedder": "own"})["hits"]
    found = told.multi_search([{"indexUid": uid, "q": "boat", "limit": 2}])
    assert len(found["results"][0]["hits"]) == 2
    merged = told.multi_search([{"indexUid": uid, "q": "boat"}], federation={"limit": 4})
    assert len(merged["hits"]) == 4
    fields = index.get_fields()
    assert {"id", "size", "title"} <= {field["name"] for field in fields.results}


@pytest.mark.parametrize("name", VALUES)
def test_a_setting_is_written_read_and_reset(index, told, name):
    """Each has three methods of its own."""
    value = VALUES[name]
    if name == "foreign_keys":
        told.update_experimental_features({"foreignKeys": True})
        value = []
    getattr(index, f"update_{name}")(value)
    shown = getattr(index, f"get_{name}")()
    assert shown is not None
    getattr(index, f"reset_{name}")()
    if name == "foreign_keys":
        told.update_experimental_features({"foreignKeys": False})


def test_all_settings_at_once(index):
    """Written together, read together, reset together."""
    index.update_settings({"stopWords": ["a"], "pagination": {"maxTotalHits": 7}})
    assert index.get_settings()["pagination"] == {"maxTotalHits": 7}
    index.reset_settings()
    assert index.get_settings()["stopWords"] == []


def test_indexes(index, told, client, uid):
    """Made, listed, renamed, swapped, removed."""
    assert index.fetch_info().primary_key == "id"
    assert index.get_primary_key() == "id"
    assert told.get_index(uid).uid == uid
    assert told.get_raw_index(uid)["uid"] == uid
    assert uid in {found.uid for found in told.get_indexes({"limit": 1000})["results"]}
    assert uid in {found["uid"] for found in told.get_raw_indexes({"limit": 1000})["results"]}
    other = f"{uid}-other"
    info = Index.create(client.config, other, {"primaryKey": "id"})
    Told.called.add("create")
    told.succeeds("create", info.task_uid)
    assert told.index(other).uid == other
    told.swap_indexes([{"indexes": [uid, other]}])
    assert Told(client.index(other), client).get_stats().number_of_documents == len(DOCUMENTS)
    Told(client.index(uid), client).update(primary_key="sku")
    Told(client.index(uid), client).delete()
    told.delete_index(other)


def test_tasks_and_batches(index, told):
    """Asked for, waited for, cancelled, forgotten."""
    newest = told.get_tasks({"limit": 1}).results[0]
    assert told.get_task(newest.uid).status == "succeeded"
    assert index.get_task(newest.uid).uid == newest.uid
    assert index.get_tasks().results
    assert told.wait_for_task(newest.uid).uid == newest.uid
    assert index.wait_for_task(newest.uid).uid == newest.uid
    batch = told.get_batches({"limit": 1}).results[0]
    assert told.get_batch(batch.uid).uid == batch.uid
    told.cancel_tasks({"statuses": ["enqueued", "processing"]})
    told.delete_tasks({"uids": [str(newest.uid)]})
    with pytest.raises(MeilisearchApiError):
        told.get_task(newest.uid)


def test_keys_and_tokens(told, client, cluster, index, uid):
    """A key, and a token made of it, open what they say."""
    wanted = {"actions": ["search"], "indexes": [uid], "expiresAt": None, "name": "n"}
    key = told.create_key(wanted)
    assert told.get_key(key.uid).key == key.key
    assert key.uid in {found.uid for found in told.get_keys({"limit": 1000}).results}
    assert told.update_key(key.uid, {"name": "m"}).name == "m"
    only_small = {uid: {"filter": "size = 1"}}
    token = Told(meilisearch.Client(cluster.local.url, key.key), client).generate_tenant_token(
        key.uid, only_small
    )
    tenant = meilisearch.Client(cluster.local.url, token)
    assert {hit["size"] for hit in tenant.index(uid).search("")["hits"]} == {1}
    assert told.delete_key(key.uid) == 204


def test_webhooks(told):
    """Made, shown with its secret masked, changed, removed."""
    wanted = {"url": "http://127.0.0.1:9/", "headers": {"authorization": "TOP-SECRET-VALUE"}}
    made = told.create_webhook(wanted)
    assert "TOP-SECRET-VALUE" not in str(told.get_webhook(made.uuid).headers)
    assert made.uuid in {hook.uuid for hook in told.get_webhooks().results}
    assert told.update_webhook(made.uuid, {"url": "http://127.0.0.1:9/x"}).url.endswith("/x")
    assert told.delete_webhook(made.uuid) == 204


def test_the_whole(told, index, uid):
    """What concerns the cluster, and documents edited by a function."""
    assert told.health() == {"status": "available"}
    assert told.is_healthy() is True
    assert told.version()["pkgVersion"] == told.get_version()["pkgVersion"]
    assert uid in told.get_all_stats()["indexes"]
    told.update_experimental_features({"renderRoute": True})
    template = {"kind": "inlineDocumentTemplate", "inline": "a {{doc.title}}"}
    boat = {"kind": "indexDocument", "id": "3", "indexUid": uid}
    assert told.render_template(template, boat)["rendered"] == "a boat 3"
    told.update_experimental_features({"renderRoute": False})
    told.update_experimental_features({"editDocumentsByFunction": True})
    assert told.get_experimental_features()["editDocumentsByFunction"] is True
    with pytest.raises(MeilisearchApiError) as refused:  # By nodes without a language for it.
        told.update_documents_by_function(uid, {"function": "doc.size = 9"})
    assert refused.value.code == "edit_documents_by_function_error"
    told.update_experimental_features({"editDocumentsByFunction": False})


def test_what_is_refused_says_so(told):
    """501 in Meilisearch's shape, never a 404 or a task that does nothing."""
    some = str(UUID(int=1))
    told.add_or_update_networks({"self": "a"})
    told.get_all_networks()
    told.create_chat_completion("w", [{"role": "user", "content": "?"}])
    told.get_chat_workspaces()
    told.get_chat_workspace_settings("w")
    told.update_chat_workspace_settings("w", {"source": "openAi"})
    told.create_dump()
    told.create_snapshot()
    told.export("http://127.0.0.1:9/")
    told.get_dynamic_search_rules()
    told.get_dynamic_search_rule(some)
    told.update_dynamic_search_rule(some, {})
    told.delete_dynamic_search_rule(some)


def test_no_method_was_left_out():
    """Last in this file: what is called nowhere above is promised by nobody."""
    public = {
        name
        for owner in (meilisearch.Client, Index)
        for name, found in inspect.getmembers(owner)
        if callable(found) and not name.startswith("_")
    }
    assert public - Told.called == set()
