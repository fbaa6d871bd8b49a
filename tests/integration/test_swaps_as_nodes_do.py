"""
Swaps as nodes carry them out: the words of refusals, and what a ticket is worth.

Every test runs against the embedded node and, with MIROIR_MEILISEARCH_BIN, the real one: what
Miroir says itself must be what they say, and what it relies on must hold on both.
"""

import json
import time
import urllib.error
import urllib.request

import pytest
from tests.support.live_cluster import live_cluster
from tests.support.node_process import BINARY, embedded_node, real_node

from miroir.api.swap_body import read_swaps
from miroir.cli.layout import Engine, Shape
from miroir.core import swaps as rules
from miroir.errors import MiroirError

KINDS = [
    pytest.param(embedded_node, id="embedded"),
    pytest.param(
        real_node,
        id="meilisearch",
        marks=[
            pytest.mark.meilisearch,
            pytest.mark.skipif(not BINARY, reason="MIROIR_MEILISEARCH_BIN names no binary"),
        ],
    ),
]
GO, GONE = "_miroir_ticket_1_go_1", "_miroir_ticket_1_gone"
PAIR = {"indexes": ["a", "b"]}
STAMP = {"indexes": [GO, GONE], "rename": True}
BODIES = (
    {}, "doggo", 3, True, -3, 1.5, ["doggo"], [[]], [PAIR, None], [3], [{}],
    [{"indexes": 3}], [{"indexes": None}], [{"indexes": {"a": 1}}], [{"indexes": "a"}],
    [{"indexes": []}], [{"indexes": ["a"]}], [{"indexes": ["a", "b", "c"]}],
    [{"indexes": ["a", 3]}], [{"indexes": ["a", "b d"]}], [{"indexes": ["a", "b d", "c"]}],
    [{"indexes": ["a", ""]}], [{"indexes": ["a", "x" * 401]}],
    [{**PAIR, "rename": 3}], [{**PAIR, "rename": None}], [{**PAIR, "rename": "hello"}],
    [{"rename": 3, "indexes": 2}], [{"indexes": 2, "rename": 3}], [{"rename": True}],
    [{**PAIR, "x": 1}], [{**PAIR, "renam": True}], [{"x": 1}],
    [PAIR, PAIR], [PAIR, {"indexes": ["b", "a"]}], [{"indexes": ["a", "a"]}],
    [PAIR, {"indexes": ["c"]}, {"indexes": ["a", "x"]}],
    [{"indexes": ["b", "a"]}, PAIR, {"indexes": ["c", "c"]}],
    [], [PAIR], [{"indexes": ["a", "nope"]}], [{"indexes": ["n1", "n2"]}],
    [{"indexes": ["n1", "n2"]}, {"indexes": ["n0", "a"]}],
    [{"indexes": ["a", "c"], "rename": True}], [{"indexes": ["nope", "a"], "rename": True}],
    [{"indexes": ["nope", "new"], "rename": True}],
    [{"indexes": ["a", "c"], "rename": True}, {"indexes": ["b", "d"], "rename": True}],
    [{**PAIR, "rename": True}, {"indexes": ["nope", "c"]}],
)  # fmt: skip


@pytest.fixture(scope="module", params=KINDS)
def node(request, tmp_path_factory):
    """One node with the indexes a, b, c and d."""
    with request.param(tmp_path_factory.mktemp("node")) as running:
        for uid in "abcd":
            assert done(running, "POST", "/indexes", {"uid": uid, "primaryKey": f"key-{uid}"})
        yield running


def call(node, method, path, body=None):
    request = urllib.request.Request(
        node.url + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {node.master_key}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def done(node, method, path, body=None):
    """Return the ended task."""
    status, accepted = call(node, method, path, body)
    assert status == 202, accepted
    while True:
        _, task = call(node, "GET", f"/tasks/{accepted['taskUid']}")
        if task["status"] in {"succeeded", "failed"}:
            return task
        time.sleep(0.002)  # Real time: a real node.


def keys(node):
    """Return uid -> primary key: where each index is."""
    _, page = call(node, "GET", "/indexes?limit=100")
    return {index["uid"]: index["primaryKey"] for index in page["results"]}


@pytest.mark.parametrize("body", BODIES, ids=lambda body: json.dumps(body)[:60])
def test_miroir_says_what_a_node_says(node, body):
    """Clients show these words to people, and programs decide by the codes."""
    known = keys(node)
    status, answer = call(node, "POST", "/swap-indexes", body)
    swaps, refused = read(body)
    if refused is not None:
        assert (status, answer) == (refused.http_status, refused.body())
        return
    assert status == 202
    task = done_of(node, answer["taskUid"])
    assert task["details"] == rules.shown(swaps)
    assert task["error"] == rules.fault(swaps, known.__contains__)
    if task["status"] == "succeeded" and swaps:
        done(node, "POST", "/swap-indexes", [swap.back.shown() for swap in swaps])
    assert keys(node) == known


def read(body):
    """Return what Miroir makes of a body: pairs, or a refusal."""
    try:
        return read_swaps(body, lambda _: True), None
    except MiroirError as error:
        return (), error


def done_of(node, uid):
    while True:
        _, task = call(node, "GET", f"/tasks/{uid}")
        if task["status"] in {"succeeded", "failed"}:
            return task
        time.sleep(0.002)  # Real time: a real node.


def test_a_ticket_lets_a_swap_take_place_once(node):
    """Everything rests on this: the second request, late or repeated, changes nothing."""
    before = keys(node)
    assert done(node, "POST", "/indexes", {"uid": GO})["status"] == "succeeded"
    assert done(node, "POST", "/swap-indexes", [PAIR, STAMP])["status"] == "succeeded"
    swapped = {**before, "a": before["b"], "b": before["a"], GONE: None}
    assert keys(node) == swapped

    for body in ([PAIR, STAMP], [STAMP, PAIR]):
        again = done(node, "POST", "/swap-indexes", body)
        assert again["error"]["code"] == "index_not_found"
        assert keys(node) == swapped
    assert done(node, "POST", "/indexes", {"uid": GO})["status"] == "succeeded"
    late = done(node, "POST", "/swap-indexes", [PAIR, STAMP])
    assert late["error"]["code"] == "index_already_exists"
    assert keys(node) == {**swapped, GO: None}

    back = [PAIR, {"indexes": [GO, "_miroir_ticket_1_undone"], "rename": True}]
    assert done(node, "POST", "/swap-indexes", back)["status"] == "succeeded"
    for uid in (GONE, "_miroir_ticket_1_undone"):
        done(node, "DELETE", f"/indexes/{uid}")
    assert keys(node) == before


def test_a_swap_renames_the_tasks_of_the_past(node):
    """So a task is not known by its index, nor a swap by its details."""
    first = done(node, "POST", "/swap-indexes", [PAIR])["uid"]
    done(node, "POST", "/swap-indexes", [{"indexes": ["b", "c"]}])

    _, task = call(node, "GET", f"/tasks/{first}")
    assert task["details"] == {"swaps": [{"indexes": ["a", "c"], "rename": False}]}
    assert call(node, "GET", f"/tasks?indexUids=c&uids={first}")[1]["total"] == 1
    done(node, "POST", "/swap-indexes", [{"indexes": ["b", "c"]}])
    done(node, "POST", "/swap-indexes", [PAIR])


@pytest.mark.meilisearch
@pytest.mark.skipif(not BINARY, reason="MIROIR_MEILISEARCH_BIN names no binary")
def test_a_cluster_of_real_nodes_swaps_and_renames(tmp_path):
    """The embedded node is ours: the proof of the whole is the engine that users run."""
    engine = Engine("meilisearch", BINARY)
    with live_cluster(tmp_path / "c", Shape(2, 1), engine=engine) as cluster:
        cluster.create("a", [{"id": n} for n in range(8)])
        cluster.create("b", [{"id": n, "b": 1} for n in range(5)])
        cluster.do("PATCH", "/indexes/b/settings", {"synonyms": {"car": ["auto"]}})
        cluster.do("POST", "/swap-indexes", [PAIR])
        assert cluster.shown("a", "synonyms") == cluster.everywhere({"car": ["auto"]})
        assert cluster.client.get("/indexes/a/stats")["numberOfDocuments"] == 5
        assert cluster.client.get("/indexes/b/stats")["numberOfDocuments"] == 8
        cluster.do("PATCH", "/indexes/a", {"uid": "z"})
        assert cluster.search("z", {"q": "", "limit": 100}).body["estimatedTotalHits"] == 5
        assert cluster.send("GET", "/indexes/a").status == 404
        assert (cluster.version("b"), cluster.version("z")) == (3, 1)
