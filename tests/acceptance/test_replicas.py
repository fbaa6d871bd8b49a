"""
Document writes: every node of a column ends with the same documents, each on exactly one shard.

The nodes are asked directly, after the tasks have ended.
"""

import random

import pytest

from miroir.core.routing import shard_of, slot_table
from tests.support.live_cluster import until

SHARDS = 3


def expected_on(cluster, wanted):
    """What each node must hold, by the rule that documents are addressed by."""
    table = slot_table(SHARDS)
    by_shard = [
        {i: d for i, d in wanted.items() if shard_of(str(i), table) == shard}
        for shard in range(SHARDS)
    ]
    return {name: by_shard[shard] for shard in range(SHARDS) for name in cluster.column(shard)}


def assert_held(cluster, uid, wanted):
    held = {name: cluster.documents(name, uid) for name in cluster.nodes}
    assert held == expected_on(cluster, wanted)
    assert cluster.client.get(f"/indexes/{uid}/stats")["numberOfDocuments"] == len(wanted)
    page = cluster.client.get(f"/indexes/{uid}/documents?limit=1000")
    assert page["total"] == len(wanted)
    assert {document["id"]: document for document in page["results"]} == wanted


def test_added_updated_and_deleted_documents_are_the_same_on_every_replica(cluster, uid):
    """A replica that differs answers differently, depending on who asks when."""
    path = f"/indexes/{uid}/documents"
    wanted = {n: {"id": n, "name": f"name {n}", "kind": n % 3} for n in range(200)}
    cluster.create(uid, list(wanted.values()))
    cluster.do("PATCH", f"/indexes/{uid}/settings", {"filterableAttributes": ["kind"]})
    assert_held(cluster, uid, wanted)
    assert all(expected_on(cluster, wanted).values()), "every shard has something"

    cluster.do("PUT", path, [{"id": n, "kind": 7} for n in range(40)])
    for n in range(40):
        wanted[n] = {**wanted[n], "kind": 7}
    cluster.do("POST", path, [{"id": n, "name": "whole"} for n in range(30, 60)])
    for n in range(30, 60):
        wanted[n] = {"id": n, "name": "whole"}
    cluster.do("DELETE", f"{path}/3")
    cluster.do("POST", f"{path}/delete-batch", [5, "6", 7777])
    for n in (3, 5, 6):
        del wanted[n]
    cluster.do("POST", f"{path}/delete", {"filter": "kind = 7"})
    wanted = {n: d for n, d in wanted.items() if d.get("kind") != 7}
    assert_held(cluster, uid, wanted)

    cluster.do("DELETE", path)
    assert_held(cluster, uid, {})


def test_ids_as_text_and_as_numbers_lie_on_the_same_shard(cluster, uid):
    """42 and "42" are one document to a node; on two shards they would be two."""
    cluster.create(uid, [{"id": n, "name": "number"} for n in range(20)])
    cluster.do(
        "POST", f"/indexes/{uid}/documents", [{"id": str(n), "name": "text"} for n in range(20)]
    )

    held = [cluster.documents(name, uid) for name in cluster.nodes]

    assert sorted(i for documents in held for i in documents) == sorted(
        2 * list(map(str, range(20)))
    )
    assert {d["name"] for documents in held for d in documents.values()} == {"text"}


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        (
            "application/x-ndjson",
            b'{"id": "a", "n": 1}\n{"id": "b", "n": 2}\n{"id": "c", "n": 3}\n',
        ),
        ("text/csv", b"id,n:number\na,1\nb,2\nc,3\n"),
    ],
    ids=["NDJSON", "CSV"],
)
def test_every_format_is_spread_alike(cluster, uid, content_type, content):
    """The place of a document may not depend on how it came."""
    cluster.create(uid)
    path = f"/indexes/{uid}/documents"
    reply = cluster.client.request("POST", path, content, content_type=content_type)
    assert cluster.ended(reply)["details"] == {"receivedDocuments": 3, "indexedDocuments": 3}
    assert_held(cluster, uid, {i: {"id": i, "n": n} for i, n in (("a", 1), ("b", 2), ("c", 3))})


def test_writes_sent_without_waiting_end_in_one_order_everywhere(cluster, uid):
    """Two writes to one document, in different orders on two replicas, would never agree again."""
    cluster.create(uid)
    chance = random.Random(6)
    wanted, accepted = {}, []
    for turn in range(60):
        n = chance.randrange(8)
        if chance.random() < 0.25:
            accepted.append(cluster.send("DELETE", f"/indexes/{uid}/documents/{n}"))
            wanted.pop(n, None)
        else:
            document = {"id": n, "turn": turn}
            accepted.append(cluster.send("POST", f"/indexes/{uid}/documents", [document]))
            wanted[n] = document

    assert {cluster.ended(reply)["status"] for reply in accepted} == {"succeeded"}

    assert_held(cluster, uid, wanted)


def test_a_replica_that_missed_writes_serves_nothing_until_it_has_them(cluster, uid):
    """Acknowledged documents that come and go with the node that is asked are lost documents."""
    first = {n: {"id": n} for n in range(50)}
    cluster.create(uid, list(first.values()))
    cluster.kill("n4")
    more = {n: {"id": n} for n in range(50, 100)}
    cluster.do("POST", f"/indexes/{uid}/documents", list(more.values()))
    cluster.do("DELETE", f"/indexes/{uid}/documents/1")
    wanted = {n: d for n, d in (first | more).items() if n != 1}

    cluster.revive("n4")

    while cluster.states(uid)["n4"] != "synced":
        page = cluster.client.get(f"/indexes/{uid}/documents?limit=1000")
        assert sorted(document["id"] for document in page["results"]) == sorted(wanted)
    until(lambda: cluster.documents("n4", uid) == cluster.documents("n1", uid), "filled up")
    assert_held(cluster, uid, wanted)


FAILURES = {
    "loses its answer": {"fault": "lost_response", "method": "POST", "path": "/documents"},
    "refuses the connection": {"fault": "reset", "method": "POST", "path": "/documents"},
    "answers 503": {"fault": "status", "method": "POST", "path": "/documents", "status": 503},
    "fails the task": {"fault": "task_fail", "type": "documentAdditionOrUpdate"},
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_replica_that_ends_a_write_differently_is_brought_up(cluster, uid, failure):
    """Accepted is not applied: what counts is that both replicas have the same in the end."""
    wanted = {n: {"id": n} for n in range(60)}
    cluster.create(uid, list(wanted.values()))
    cluster.faults("n4", {"times": 1, **FAILURES[failure]})

    wanted |= {n: {"id": n, "more": True} for n in range(50, 110)}
    cluster.do("POST", f"/indexes/{uid}/documents", list(wanted.values()))

    for _ in range(4):
        page = cluster.client.get(f"/indexes/{uid}/documents?limit=1000")
        assert {document["id"]: document for document in page["results"]} == wanted
    assert cluster.matches("n4") >= 1, "it never failed"
    until(lambda: set(cluster.states(uid).values()) == {"synced"}, "every replica complete")
    assert_held(cluster, uid, wanted)


def test_the_last_complete_replica_of_a_shard_is_waited_for_not_dropped(cluster, uid):
    """With it the only copy of acknowledged documents would go."""
    wanted = {n: {"id": n} for n in range(60)}
    cluster.create(uid)
    cluster.kill("n4")
    cluster.do("POST", f"/indexes/{uid}/documents", list(wanted.values()))
    assert cluster.look(uid)["nodes"]["n4"]["state"] == "down"
    cluster.faults("n1", {"fault": "reset", "method": "POST", "path": "/documents", "times": 3})

    wanted |= {n: {"id": n} for n in range(60, 120)}
    cluster.do("POST", f"/indexes/{uid}/documents", list(wanted.values()))

    assert cluster.matches("n1") == 4, "three refusals, then taken"
    until(lambda: cluster.states(uid)["n1"] == "synced", "n1 serving")
    cluster.revive("n4")
    until(lambda: set(cluster.states(uid).values()) == {"synced"}, "every replica complete")
    assert_held(cluster, uid, wanted)


def test_a_write_that_no_replica_of_a_shard_can_take_is_refused(cluster, uid):
    """Half a batch would be written, and nobody told."""
    cluster.create(uid, [{"id": n} for n in range(20)])
    cluster.kill("n1")
    cluster.kill("n4")
    tasks = {name: len(cluster.node_tasks(name)) for name in cluster.healthy()}

    answer = cluster.send("POST", f"/indexes/{uid}/documents", [{"id": n} for n in range(40)])

    assert (answer.status, answer.body["code"]) == (503, "miroir_no_covering_set")
    assert {name: len(cluster.node_tasks(name)) for name in cluster.healthy()} == tasks
