"""
The edges of HTTP: who is let in before what is read, browsers, and numbers as nodes read them.

Where a node has an answer of its own, the embedded node behind Miroir is asked, too.
"""

import json
import socket
from urllib.parse import urlsplit

import pytest
from tests.integration.api.asking import JSON, ask, ask_node, assert_error, key_of, send
from tests.support.live_cluster import until

INDEX = "/indexes/edges"
DOCUMENTS = [{"id": 1, "group": "a"}, {"id": 2, "group": "b"}, {"id": "x-y_Z", "group": "a"}]


@pytest.fixture(scope="module")
def edges(cluster):
    """The module's cluster, with an index of its own."""
    cluster.create("edges", DOCUMENTS)
    cluster.do("PATCH", f"{INDEX}/settings", {"filterableAttributes": ["group"]})
    return cluster


def unfinished(edges, method, path, key):
    """Announce a body, send none of it, and return the status line that comes all the same."""
    url = urlsplit(edges.local.url)
    with socket.create_connection((url.hostname, url.port), timeout=5) as connection:
        head = [
            f"{method} {path} HTTP/1.1",
            "Host: miroir",
            f"Authorization: Bearer {key}",
            "Content-Type: application/json",
            "Content-Length: 1000",
        ]
        connection.sendall("\r\n".join([*head, "", "{"]).encode())
        return connection.recv(4096).split(b"\r\n")[0]


@pytest.mark.parametrize("path", ["/indexes", f"{INDEX}/documents", "/_miroir/settings/x/thaw"])
def test_a_wrong_key_is_refused_before_the_body_is_read(edges, path):
    """Else anybody can have Miroir hold as many large bodies as they like."""
    assert unfinished(edges, "POST", path, "wrong").startswith(b"HTTP/1.1 403 ")


def test_a_page_of_another_origin_may_ask_and_read_the_headers(edges):
    """Search boxes in browsers are what most people use a search engine for."""
    page = {"Origin": "https://shop.example"}
    wish = {
        **page,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }

    preflight = send(edges.local.url, None, "OPTIONS", f"{INDEX}/search", headers=wish)
    answer = ask(edges, "POST", f"{INDEX}/search", content=b"{}", headers={**JSON, **page})
    refusal = send(edges.local.url, None, "GET", "/indexes", headers=page)

    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-headers"] == "authorization,content-type"
    assert "POST" in preflight.headers["access-control-allow-methods"]
    for reply in (preflight, answer, refusal):
        assert reply.headers["access-control-allow-origin"] == "*"
    assert "X-Miroir-Settings-Version" in answer.headers["access-control-expose-headers"]


def test_the_admin_side_is_not_for_pages(edges):
    """Without an admin key any page in a browser on the machine could thaw an index."""
    page = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}

    preflight = send(
        edges.local.url, None, "OPTIONS", "/_miroir/settings/edges/thaw", headers=page
    )
    answer = send(edges.local.url, None, "GET", "/_miroir/topology", headers=page)

    assert preflight.status_code == 405
    assert "access-control-allow-origin" not in preflight.headers
    assert "access-control-allow-origin" not in answer.headers


def test_a_method_that_a_path_does_not_take_names_those_that_it_takes(edges):
    """RFC 9110 wants it, and monitors ask with HEAD."""
    for method in ("HEAD", "PUT", "OPTIONS"):
        answer = ask(edges, method, "/indexes")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


HUGE = "9" * 5000


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"/indexes?limit={HUGE}", "invalid_index_limit"),
        ("/indexes?offset=18446744073709551616", "invalid_index_offset"),
        ("/tasks?limit=4294967296", "invalid_task_limit"),
        (f"/tasks?from={HUGE}", "invalid_task_from"),
        ("/tasks?uids=1,a", "invalid_task_uids"),
        ("/tasks?uids=4294967296", "invalid_task_uids"),
        ("/tasks?statuses=succeeded,done", "invalid_task_statuses"),
        ("/tasks?indexUids=a%20b", "invalid_index_uid"),
        ("/tasks?batchUids=a", "invalid_batch_uids"),
        ("/tasks?beforeEnqueuedAt=20200101", "invalid_task_before_enqueued_at"),
        ("/tasks?beforeEnqueuedAt=2020-01-01T00:00:00", "invalid_task_before_enqueued_at"),
        (f"/tasks/{HUGE}", "invalid_task_uids"),
        ("/tasks/4294967296", "invalid_task_uids"),
        ("/tasks/%C2%B2", "invalid_task_uids"),
        (f"{INDEX}/search?limit=%C2%B2", "invalid_search_limit"),
        (f"{INDEX}/documents?limit=%C2%B2", "invalid_document_limit"),
        (f"{INDEX}/search?limit={HUGE}", "invalid_search_limit"),
        ("/indexes/a%20b", "invalid_index_uid"),
        ("/indexes/%C3%A9/documents/1", "invalid_index_uid"),
        ("/indexes/a%20b/search?q=x", "invalid_index_uid"),
    ],
)
def test_what_is_no_number_or_uid_for_a_node_is_none_for_miroir(edges, path, code):
    """A digit that only Python takes for one, or a number that no column holds, is no crash."""
    answer = ask(edges, "GET", path)

    assert_error(answer, 400, code)


@pytest.mark.parametrize("text", [HUGE, "edges=" + HUGE, "²", "+1", "1.0", "edges=1;x=2"])
def test_a_floor_that_cannot_be_read_is_refused(edges, text):
    """A floor that is silently ignored is a promise broken."""
    headers = {"X-Miroir-Min-Settings-Version": text.encode()}

    answer = ask(edges, "GET", f"{INDEX}/search", headers=headers)

    assert_error(answer, 400, "miroir_invalid_settings_version")


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ("uids=", 0),
        ("uids=0,,1", 2),
        ("uids=0,*", None),
        ("statuses=&uids=0", 0),
        ("statuses=SUCCEEDED&uids=0", 1),
        ("indexUids=", 0),
        ("batchUids=0", 1),
        ("batchUids=*", None),
        ("limit=%2B1&uids=0", 1),
        ("afterEnqueuedAt=*", None),
        ("beforeEnqueuedAt=2099-01-01t00:00:00.123456789%2B02:00", None),
    ],
)
def test_lists_of_tasks_are_restricted_as_nodes_do_it(edges, query, total):
    """An empty list matches nothing, an asterisk everything: scripts build both by joining."""
    everything = edges.client.get("/tasks?limit=0")["total"]

    page = ask(edges, "GET", f"/tasks?{query}").json()

    assert page["total"] == (everything if total is None else total)


def test_documents_that_fail_leave_an_index_without_a_key_as_on_one_node(edges):
    """What a client finds after a mistake, and corrects, is an index whose key is still open."""
    for uid, documents in (("nokey", [{"name": "x"}]), ("badid", [{"id": 1}, {"id": "a b"}])):
        accepted = edges.send("POST", f"/indexes/{uid}/documents", documents)

        assert edges.ended(accepted)["status"] == "failed"
        assert edges.client.get(f"/indexes/{uid}")["primaryKey"] is None
    edges.do("POST", "/indexes/badid/documents", [{"id": 1}])
    assert edges.client.get("/indexes/badid")["primaryKey"] == "id"


def test_a_change_of_nothing_succeeds(edges):
    """`PATCH /indexes/{uid}` with an empty object is what a client sends that saves a form."""
    for body in ({}, {"primaryKey": None}):
        edges.do("PATCH", INDEX, body)
    assert edges.client.get(INDEX)["primaryKey"] == "id"
    refused = ask(edges, "PATCH", INDEX, content=b'{"createdAt": 1}', headers=JSON)
    assert_error(refused, 400, "immutable_index_created_at")


def test_a_filter_that_settings_do_not_allow_fails_the_task_and_deletes_nothing(edges):
    """Only syntax is judged at once: the settings may change before the task has its turn."""
    accepted = edges.send("POST", f"{INDEX}/documents/delete", {"filter": "name = x"})

    task = edges.ended(accepted)

    assert (task["status"], task["error"]["code"]) == ("failed", "invalid_document_filter")
    assert len(edges.client.get(f"{INDEX}/documents")["results"]) == len(DOCUMENTS)
    unread = ask(
        edges, "POST", "/indexes/nope/documents/delete", json_body({"filter": "x ="}), JSON
    )
    assert_error(unread, 400, "invalid_document_filter")


def json_body(value):
    return json.dumps(value).encode()


def test_settings_of_an_index_named_settings_are_refused_in_the_nodes_words(edges):
    """The path is cut by its segments: an index may have any name, also one of ours."""
    request = ("PUT", "/indexes/settings/settings/stop-words", b"5", JSON)

    answer = ask(edges, *request)

    assert_error(answer, 400, "invalid_settings_stop_words")
    assert answer.json() == ask_node(edges, *request).json()


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Basic", "Token"])
def test_another_spelling_than_bearer_is_no_token(edges, scheme):
    """Miroir must not let in what the nodes behind it then refuse."""
    headers = {"Authorization": f"{scheme} {key_of(edges)}"}

    answer = send(edges.local.url, None, "GET", "/indexes", headers=headers)

    assert_error(answer, 401, "missing_authorization_header")


@pytest.mark.parametrize(
    ("value", "status", "code"),
    [
        ("Bearer", 403, "invalid_api_key"),
        ("Bearer  {key}", 403, "invalid_api_key"),
        ("Bearer {key} more", 403, "invalid_api_key"),
        ("Bearer {key}", 200, None),
        ("{key}", 401, "missing_authorization_header"),
    ],
)
def test_the_header_is_read_as_nodes_read_it(edges, value, status, code):
    """Who uses a client that works with one node has one that works here."""
    headers = {"Authorization": value.format(key=key_of(edges))}

    answer = send(edges.local.url, None, "GET", "/indexes", headers=headers)
    node = send(edges.local.nodes["n0"].url, None, "GET", "/indexes", headers=headers)

    assert (answer.status_code, answer.json().get("code")) == (status, code)
    assert (node.status_code, node.json().get("code")) == (status, code)


@pytest.mark.parametrize(
    "request_",
    [
        ("GET", "/indexes/unknown/search?limit=x", None, {}),
        ("GET", "/indexes/unknown/search?nope=1", None, {}),
        ("POST", "/indexes/unknown/search", b'{"offset": -1}', JSON),
        ("POST", "/indexes/unknown/search", b"{", JSON),
        ("GET", "/indexes/unknown/documents?limit=x", None, {}),
        ("POST", "/indexes/unknown/documents/fetch", b'{"nope": 1}', JSON),
        ("GET", "/indexes/unknown/documents/1?nope=1", None, {}),
        ("GET", "/indexes/unknown/search?q=fine", None, {}),
        ("POST", "/indexes/unknown/documents/fetch", b"{}", JSON),
    ],
)
def test_a_bad_read_of_an_unknown_index_is_judged_as_one_node_does_it(edges, request_):
    """A client that mistypes both should first hear what it can never get right."""
    method, path, content, headers = request_

    answer = ask(edges, method, path, content=content, headers=headers)
    single = ask_node(edges, method, path, content=content, headers=headers)

    assert (answer.status_code, answer.json()) == (single.status_code, single.json())


@pytest.mark.parametrize("text", ["%2B1", "01", "18446744073709551615", "9223372036854775808"])
def test_every_number_that_a_node_reads_is_merged_by_its_value(edges, text):
    """Passed on as text, it would leave each shard to answer for itself: hits would be missing."""
    shown = min(int(text.removeprefix("%2B")), len(DOCUMENTS))

    for path, name in ((f"{INDEX}/search", "hits"), (f"{INDEX}/documents", "results")):
        limited = ask(edges, "GET", f"{path}?limit={text}").json()
        skipped = ask(edges, "GET", f"{path}?offset={text}").json()

        assert len(limited[name]) == shown
        assert len(skipped[name]) == len(DOCUMENTS) - shown


def test_a_write_whose_client_went_away_is_carried_out_and_reported(edges):
    """A lost connection must not decide what is stored: the next client finds a task that ends."""
    url = urlsplit(edges.local.url)
    body = json_body([{"id": 777, "group": "gone"}])
    head = [
        f"POST {INDEX}/documents HTTP/1.1",
        "Host: miroir",
        f"Authorization: Bearer {key_of(edges)}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    with socket.create_connection((url.hostname, url.port), timeout=5) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode() + body)

    until(
        lambda: ask(edges, "GET", f"{INDEX}/documents/777").status_code == 200,
        "the document is there",
    )
    newest = edges.client.get("/tasks?indexUids=edges&limit=1")["results"][0]
    assert edges.client.wait_task(newest["uid"], timeout_s=10)["status"] == "succeeded"
    edges.do("DELETE", f"{INDEX}/documents/777")
