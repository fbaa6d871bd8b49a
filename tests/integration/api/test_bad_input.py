"""
Bad input: the right status, Meilisearch's words, and nothing changed anywhere.

Every request is sent to Miroir and, where a single node has an answer of its own, to a node, too:
the two answers must be the same. Afterwards no node may have a task more than before.
"""

import pytest
from tests.integration.api.asking import INDEX, JSON, ask, ask_node, assert_error, everything
from tests.support.live_cluster import PROBE

MALFORMED = b'{"q": [1, 2'
LIKE_ONE_NODE = {
    "get of an unknown index": (404, "index_not_found", "GET", "/indexes/nope"),
    "search in an unknown index": (
        404, "index_not_found", "POST", "/indexes/nope/search", b"{}", JSON,
    ),
    "GET search in an unknown index": (404, "index_not_found", "GET", "/indexes/nope/search?q=a"),
    "documents of an unknown index": (404, "index_not_found", "GET", "/indexes/nope/documents"),
    "a document of an unknown index": (404, "index_not_found", "GET", "/indexes/nope/documents/1"),
    "settings of an unknown index": (404, "index_not_found", "GET", "/indexes/nope/settings"),
    "a setting of an unknown index": (
        404, "index_not_found", "GET", "/indexes/nope/settings/synonyms",
    ),
    "stats of an unknown index": (404, "index_not_found", "GET", "/indexes/nope/stats"),
    "an unknown document": (404, "document_not_found", "GET", f"{INDEX}/documents/99"),
    "an unknown task": (404, "task_not_found", "GET", "/tasks/987654"),
    "malformed documents": (
        400, "malformed_payload", "POST", f"{INDEX}/documents", b'[{"id": 7}, {]', JSON,
    ),
    "malformed NDJSON": (
        400, "malformed_payload", "POST", f"{INDEX}/documents", b'{"id": 7}\n{"id"\n',
        {"Content-Type": "application/x-ndjson"},
    ),
    "no documents": (400, "missing_payload", "POST", f"{INDEX}/documents", b"", JSON),
    "malformed search": (400, "malformed_payload", "POST", f"{INDEX}/search", MALFORMED, JSON),
    "malformed settings": (
        400, "malformed_payload", "PATCH", f"{INDEX}/settings", MALFORMED, JSON,
    ),
    "malformed setting": (
        400, "malformed_payload", "PUT", f"{INDEX}/settings/stop-words", b'["the"', JSON,
    ),
    "malformed index": (400, "malformed_payload", "POST", "/indexes", MALFORMED, JSON),
    "documents without a content type": (
        415, "missing_content_type", "POST", f"{INDEX}/documents", b"[]",
    ),
    "documents of an unknown content type": (
        415, "invalid_content_type", "POST", f"{INDEX}/documents", b"[]",
        {"Content-Type": "text/plain"},
    ),
    "settings without a content type": (
        415, "missing_content_type", "PATCH", f"{INDEX}/settings", b"{}",
    ),
    "search of an unknown content type": (
        415, "invalid_content_type", "POST", f"{INDEX}/search", b"{}",
        {"Content-Type": "text/plain"},
    ),
    "an index uid with a space": (
        400, "invalid_index_uid", "POST", "/indexes", b'{"uid": "a b"}', JSON,
    ),
    "an index without a uid": (400, "missing_index_uid", "POST", "/indexes", b"{}", JSON),
    "documents for an impossible index": (
        400, "invalid_index_uid", "POST", "/indexes/a%20b/documents", b'[{"id": 1}]', JSON,
    ),
    "an unknown setting": (
        400, "bad_request", "PATCH", f"{INDEX}/settings", b'{"sinonyms": {}}', JSON,
    ),
    "a setting of another type": (
        400, "invalid_settings_synonyms", "PATCH", f"{INDEX}/settings", b'{"synonyms": 3}', JSON,
    ),
    "a setting of its own route of another type": (
        400, "invalid_settings_stop_words", "PUT", f"{INDEX}/settings/stop-words", b'"the"', JSON,
    ),
    "an unknown ranking rule": (
        400, "invalid_settings_ranking_rules", "PATCH", f"{INDEX}/settings",
        b'{"stopWords": ["the"], "rankingRules": ["wrds"]}', JSON,
    ),
    "a settings body that is no object": (
        400, "bad_request", "PATCH", f"{INDEX}/settings", b"[1]", JSON,
    ),
    "an unknown search parameter": (
        400, "bad_request", "POST", f"{INDEX}/search", b'{"qq": "a"}', JSON,
    ),
    "a filter on an attribute that is not filterable": (
        400, "invalid_search_filter", "POST", f"{INDEX}/search", b'{"filter": "id = 1"}', JSON,
    ),
    "a filter that cannot be read": (
        400, "invalid_search_filter", "POST", f"{INDEX}/search", b'{"filter": "name ="}', JSON,
    ),
    "deletion by a filter that cannot be read": (
        400, "invalid_document_filter", "POST", f"{INDEX}/documents/delete",
        b'{"filter": "name ="}', JSON,
    ),
    "deletion without a filter in an unknown index": (
        400, "missing_document_filter", "POST", "/indexes/nope/documents/delete", b"{}", JSON,
    ),
    "deletion by a filter in a body that is no object": (
        400, "bad_request", "POST", "/indexes/nope/documents/delete", b"[1]", JSON,
    ),
    "deletion by a filter without a content type": (
        415, "missing_content_type", "POST", f"{INDEX}/documents/delete",
        b'{"filter": "name = boat"}',
    ),
    "deletion without a filter": (
        400, "missing_document_filter", "POST", f"{INDEX}/documents/delete", b"{}", JSON,
    ),
    "a limit that is no number": (400, "invalid_task_limit", "GET", "/tasks?limit=many"),
    "an unknown task status": (400, "invalid_task_statuses", "GET", "/tasks?statuses=done"),
    "an unknown parameter": (400, "bad_request", "GET", "/indexes?page=2"),
    "an unknown field of an index": (
        400, "bad_request", "POST", "/indexes", b'{"uid": "a", "primarykey": "id"}', JSON,
    ),
    "an unknown parameter of a write": (
        400, "bad_request", "POST", f"{INDEX}/documents?primarykey=id", b"[]", JSON,
    ),
    "a delimiter of two characters": (
        400, "invalid_document_csv_delimiter", "POST", f"{INDEX}/documents?csvDelimiter=%3B%3B",
        b"id;name\n1;a\n", {"Content-Type": "text/csv"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LIKE_ONE_NODE)
def test_a_request_that_one_node_refuses_is_refused_in_its_words(cluster, name):
    """Clients branch on codes and show messages: neither may depend on what is asked."""
    status, code, *request = LIKE_ONE_NODE[name]
    content, headers = (*request[2:], None, None)[:2]
    before = everything(cluster)

    answer = ask(cluster, *request[:2], content=content, headers=headers)

    assert_error(answer, status, code)
    assert everything(cluster) == before
    single = ask_node(cluster, *request[:2], content=content, headers=headers)
    assert (single.status_code, single.json()) == (status, answer.json())


REFUSED_DOCUMENTS = {
    "an id with a space": ("invalid_document_id", {"id": "a b"}),
    "an id that is a fraction": ("invalid_document_id", {"id": 1.5}),
    "an id that is an object": ("invalid_document_id", {"id": {}}),
    "no id": ("missing_document_id", {"name": "nameless"}),
    "an id that is too long": ("invalid_document_id", {"id": "x" * 512}),
}


@pytest.mark.parametrize("name", REFUSED_DOCUMENTS)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_one_bad_id_in_a_batch_refuses_the_whole_batch(cluster, name, method):
    """Half a batch would be a state that no client asked for and none can find out about."""
    code, bad = REFUSED_DOCUMENTS[name]
    good = [{"id": number, "name": "new"} for number in range(1000, 1040)]
    batch = [*good[:20], bad, *good[20:]]
    before = everything(cluster)

    accepted = cluster.send(method, f"{INDEX}/documents", batch)
    task = cluster.ended(accepted)

    assert (task["status"], task["error"]["code"]) == ("failed", code)
    assert set(task["error"]) == {"message", "code", "type", "link"}
    assert task["details"] == {"receivedDocuments": 41, "indexedDocuments": 0}
    assert everything(cluster) == {**before, "tasks": before["tasks"] + 1}


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("application/x-ndjson", b'{"id": 50}\n{"id": "x y"}\n{"id": 51}\n'),
        ("text/csv", b"id,name\n50,a\nx y,b\n51,c\n"),
    ],
)
def test_a_bad_id_refuses_the_batch_in_every_format(cluster, content_type, content):
    """The formats are cut differently; the promise is the same."""
    before = everything(cluster)

    reply = cluster.client.request(
        "POST", f"{INDEX}/documents", content, content_type=content_type
    )
    task = cluster.ended(reply)

    assert (task["status"], task["error"]["code"]) == ("failed", "invalid_document_id")
    assert everything(cluster) == {**before, "tasks": before["tasks"] + 1}


FAILED_TASKS = {
    "documents from which no primary key can be guessed": (
        "index_primary_key_no_candidate_found", "POST", "/indexes/keyless/documents", [{"a": 1}],
    ),
    "documents with two candidates for the primary key": (
        "index_primary_key_multiple_candidates_found", "POST", "/indexes/keyless/documents",
        [{"a_id": 1, "b_id": 2}],
    ),
    "deletion of an unknown index": ("index_not_found", "DELETE", "/indexes/nope", None),
    "another key for an unknown index": (
        "index_not_found", "PATCH", "/indexes/nope", {"primaryKey": "id"},
    ),
    "an index that exists": ("index_already_exists", "POST", "/indexes", {"uid": "movies"}),
    "deletion of documents of an unknown index": (
        "index_not_found", "DELETE", "/indexes/nope/documents/1", None,
    ),
    "deletion by filter in an unknown index": (
        "index_not_found", "POST", "/indexes/nope/documents/delete", {"filter": "name = boat"},
    ),
    "resetting settings of an unknown index": (
        "index_not_found", "DELETE", "/indexes/nope/settings", None,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def keyless(cluster):
    """An index whose key is still open: failed documents would make it, as on one node."""
    cluster.do("POST", "/indexes", {"uid": "keyless"})
    return cluster


@pytest.mark.parametrize("name", FAILED_TASKS)
def test_what_fails_as_a_task_on_one_node_fails_as_a_task_here(keyless, name):
    """A 202 is the promise of a task with an outcome, also of one that cannot succeed."""
    cluster = keyless
    code, method, path, body = FAILED_TASKS[name]
    before = everything(cluster)

    task = cluster.ended(cluster.send(method, path, body))

    assert (task["status"], task["error"]["code"]) == ("failed", code)
    assert everything(cluster) == {**before, "tasks": before["tasks"] + 1}


def test_an_unknown_setting_reaches_no_queue_but_perhaps_the_probes(cluster):
    """Validity is asked of an index that nobody uses."""
    before = everything(cluster)
    probes = {name: len(cluster.node_tasks(name, PROBE)) for name in cluster.nodes}

    answer = cluster.change("fresh", {"stopWords": ["the"], "nonsense": True})

    assert (answer.status, answer.body["code"]) == (400, "bad_request")
    assert "nonsense" in answer.body["message"]
    assert everything(cluster) == before
    assert {name: len(cluster.node_tasks(name, PROBE)) for name in cluster.nodes} == probes
