"""
Bad input: the right status, Meilisearch's words, and nothing changed anywhere.

Every request is sent to Miroir and, where a single node has an answer of its own, to a node, too:
the two answers must be the same. Afterwards no node may have a task more than before.
"""

import gzip
import json

import httpx
import pytest
from tests.integration.api.conftest import BODY_BYTES_MAX
from tests.support.live_cluster import PROBE

from miroir.api.public_system import UNSUPPORTED

DOCUMENTS = [{"id": 1, "name": "boat"}, {"id": 2, "name": "ferry"}, {"id": 3, "name": "train"}]
JSON = {"Content-Type": "application/json"}
INDEX = "/indexes/movies"


@pytest.fixture(scope="module")
def cluster(running):
    """A cluster with one index that has documents and settings."""
    running.create("movies", DOCUMENTS)
    running.do("PATCH", f"{INDEX}/settings", {"filterableAttributes": ["name"]})
    return running


def everything(cluster):
    """All that a bad request could have changed."""
    tasks = cluster.client.get("/tasks?limit=1000")
    return {
        "miroir": cluster.client.get("/indexes"),
        "tasks": tasks["total"],
        "settings": cluster.client.get(f"{INDEX}/settings"),
        "version": cluster.version("movies"),
        "node tasks": cluster.all_tasks(),
        "documents": {name: cluster.documents(name, "movies") for name in cluster.nodes},
        "indexes": {
            name: sorted(i["uid"] for i in cluster.on_node(name).get("/indexes")["results"])
            for name in cluster.nodes
        },
    }


def send(url, key, method, path, content=None, headers=None):
    authorization = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        headers = {**authorization, **(headers or {})}
        return client.request(method, path, content=content, headers=headers)


def ask(cluster, *request, **more):
    """Send to Miroir."""
    return send(cluster.local.url, key_of(cluster), *request, **more)


def ask_node(cluster, *request, **more):
    """Send to the node that holds the first shard."""
    return send(cluster.local.nodes["n0"].url, key_of(cluster), *request, **more)


def key_of(cluster):
    return cluster.local.layout.master_key.reveal()


def assert_error(answer, status, code):
    body = answer.json()
    assert (answer.status_code, body.get("code")) == (status, code), body
    assert set(body) == {"message", "code", "type", "link"}
    assert body["message"]
    assert body["link"].endswith(code)
    assert answer.headers["content-type"] == "application/json"


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
        "index_primary_key_no_candidate_found", "POST", "/indexes/fresh/documents", [{"a": 1}],
    ),
    "documents with two candidates for the primary key": (
        "index_primary_key_multiple_candidates_found", "POST", "/indexes/fresh/documents",
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


@pytest.mark.parametrize("name", FAILED_TASKS)
def test_what_fails_as_a_task_on_one_node_fails_as_a_task_here(cluster, name):
    """A 202 is the promise of a task with an outcome, also of one that cannot succeed."""
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


GUARDED = [
    ("GET", "/indexes"),
    ("POST", "/indexes"),
    ("GET", INDEX),
    ("DELETE", INDEX),
    ("GET", f"{INDEX}/documents"),
    ("POST", f"{INDEX}/documents"),
    ("DELETE", f"{INDEX}/documents"),
    ("POST", f"{INDEX}/search"),
    ("GET", f"{INDEX}/settings"),
    ("PATCH", f"{INDEX}/settings"),
    ("PUT", f"{INDEX}/settings/stop-words"),
    ("GET", f"{INDEX}/stats"),
    ("GET", "/stats"),
    ("GET", "/tasks"),
    ("GET", "/version"),
    ("GET", "/_miroir/topology"),
]


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_nothing_is_done_without_a_key_or_with_a_wrong_one(cluster, method, path):
    """A wrong key must be told from a missing one, and neither may learn what exists."""
    before = everything(cluster)
    content, headers = (b"[]", JSON) if method in {"POST", "PUT", "PATCH"} else (None, None)

    missing = send(cluster.local.url, None, method, path, content=content, headers=headers)
    wrong = send(cluster.local.url, "wrong", method, path, content=content, headers=headers)
    basic = {**(headers or {}), "Authorization": f"Basic {key_of(cluster)}"}
    other = send(cluster.local.url, None, method, path, content=content, headers=basic)

    assert_error(missing, 401, "missing_authorization_header")
    assert_error(wrong, 403, "invalid_api_key")
    assert_error(other, 401, "missing_authorization_header")
    assert missing.json()["type"] == wrong.json()["type"] == "auth"
    assert everything(cluster) == before


def test_health_needs_no_key(cluster):
    """Load balancers have none."""
    assert send(cluster.local.url, None, "GET", "/health").json() == {"status": "available"}


def pieces(size):
    yield b'[{"id": 8, "name": "'
    for _ in range(size // 1024):
        yield b"x" * 1024
    yield b'"}]'


@pytest.mark.parametrize("way", ["announced", "in pieces", "compressed"])
def test_a_body_that_is_too_large_is_refused(cluster, way):
    """The limit is on what must be held in memory, however the client sends it."""
    before = everything(cluster)
    whole = b"".join(pieces(BODY_BYTES_MAX + 1024))
    content, headers = {
        "announced": (whole, JSON),
        "in pieces": (pieces(BODY_BYTES_MAX + 1024), JSON),
        "compressed": (gzip.compress(whole), {**JSON, "Content-Encoding": "gzip"}),
    }[way]

    answer = ask(cluster, "POST", f"{INDEX}/documents", content=content, headers=headers)

    assert_error(answer, 413, "payload_too_large")
    assert "64 KiB" in answer.json()["message"]
    assert everything(cluster) == before


def test_a_body_of_the_largest_size_is_taken(cluster):
    """The limit itself is not beyond the limit."""
    head, tail = b'[{"id": 8, "name": "', b'"}]'
    body = head + b"x" * (BODY_BYTES_MAX - len(head) - len(tail)) + tail
    reply = cluster.client.request("POST", "/indexes/large/documents", body)
    assert cluster.ended(reply)["status"] == "succeeded"
    cluster.do("DELETE", "/indexes/large")


@pytest.mark.parametrize(
    ("content", "coding", "status", "code"),
    [
        (b"no gzip at all", "gzip", 400, "malformed_payload"),
        (gzip.compress(b"[]" * 99)[:-9], "gzip", 400, "malformed_payload"),
        (b"[]", "zstd-of-tomorrow", 415, "unsupported_media_type"),
    ],
)
def test_a_broken_content_coding_is_refused(cluster, content, coding, status, code):
    """What cannot be undone cannot be checked, and must not be passed on."""
    before = everything(cluster)
    headers = {**JSON, "Content-Encoding": coding}
    answer = ask(cluster, "POST", f"{INDEX}/documents", content=content, headers=headers)
    assert_error(answer, status, code)
    assert everything(cluster) == before


@pytest.mark.parametrize(
    "floor", ["abc", "-1", "1.5", "", "movies", "movies=", "=3", "movies=x", "movies=1,", "٣"]
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", f"{INDEX}/search"), ("GET", f"{INDEX}/documents")]
)
def test_a_floor_that_is_no_number_is_refused(cluster, floor, method, path):
    """Ignoring it would answer a pinned client from any version."""
    content = b"{}" if method == "POST" else None
    headers = {**JSON, "X-Miroir-Min-Settings-Version": floor.encode()}
    answer = ask(cluster, method, path, content=content, headers=headers)
    assert_error(answer, 400, "miroir_invalid_settings_version")


@pytest.mark.parametrize("path", ["/", "/nope", "/indexes/movies/nope", "/_miroir/nope", "//"])
def test_an_unknown_route_is_not_found(cluster, path):
    """A typing error must not look like an empty answer."""
    assert_error(ask(cluster, "GET", path), 404, "miroir_route_not_found")


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/indexes"), ("POST", "/version"), ("PATCH", f"{INDEX}/search")]
)
def test_a_method_that_a_route_does_not_take_is_refused(cluster, method, path):
    """And the answer says which it takes."""
    answer = ask(cluster, method, path, content=b"{}", headers=JSON)
    assert_error(answer, 405, "miroir_method_not_allowed")


@pytest.mark.parametrize(("method", "path"), [(m, p) for m, p, _ in UNSUPPORTED])
def test_a_route_that_is_not_offered_says_so_by_name(cluster, method, path):
    """Never a wrong result: a clear no that names the route."""
    concrete = "/".join("x" if part.startswith("{") else part for part in path.split("/"))
    before = cluster.all_tasks()

    answer = ask(cluster, method, concrete, content=b"{}", headers=JSON)

    assert_error(answer, 501, "miroir_route_not_supported")
    assert f"`{method} {path}`" in answer.json()["message"]
    assert cluster.all_tasks() == before


def test_a_key_never_comes_back_in_an_error(cluster):
    """Errors are copied into tickets."""
    key = "a-secret-that-was-mistyped"
    answer = send(cluster.local.url, key, "GET", "/indexes")
    assert key not in answer.text + json.dumps(dict(answer.headers))
    assert key not in cluster.local.miroir.command.log.read_text()
