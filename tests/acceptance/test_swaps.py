"""
Swaps and renames of indexes: what a uid holds changes on every node, once, whatever breaks.

The nodes are asked directly for documents and settings.
"""

import meilisearch
import pytest

from miroir.cli.layout import Shape
from tests.support.live_cluster import PROBE, until

SHAPE = Shape(2, 2)
SETTINGS = {"settings_broadcast": {"node_silence_s": 3}}
HELD = "n3"


@pytest.fixture
def pair(cluster, uid):
    """Two indexes of the test's own that differ in everything."""
    left, right = f"{uid}-a", f"{uid}-b"
    cluster.create(left, [{"id": n, "of": left} for n in range(8)])
    cluster.do("POST", "/indexes", {"uid": right, "primaryKey": "key"})
    cluster.do("POST", f"/indexes/{right}/documents", [{"key": f"k{n}"} for n in range(5)])
    cluster.do("PATCH", f"/indexes/{right}/settings", {"synonyms": {"car": ["auto"]}})
    yield left, right
    until(lambda: not tickets(cluster), "no tickets on any node")


def tickets(cluster):
    """Return what Miroir's swaps have left on nodes that run."""
    found = []
    for name in cluster.nodes:
        if cluster.local.nodes[name].running:
            page = cluster.on_node(name).get("/indexes?limit=1000")["results"]
            found += [i["uid"] for i in page if i["uid"].startswith("_miroir_ticket_")]
    return found


def held(cluster, uid):
    """Return how many documents of which primary key each column holds, from every node."""
    counts = {}
    for name in cluster.nodes:
        page = cluster.on_node(name).get(f"/indexes/{uid}/documents?limit=1000")
        counts[name] = {tuple(sorted(document)) for document in page["results"]}, page["total"]
    return counts


def total(cluster, uid):
    """Return how many documents there are, by the first group and by the second."""
    counts = held(cluster, uid)
    shards = cluster.local.layout.shape.shards
    names = cluster.nodes
    return [sum(counts[n][1] for n in names[i : i + shards]) for i in range(0, len(names), shards)]


def swap(*pairs):
    """Return the body of a swap."""
    return [{"indexes": list(uids)} for uids in pairs]


def assert_swapped(cluster, left, right):
    """Everything of the right one is under the left uid now, and the other way round."""
    assert total(cluster, left) == [5, 5]
    assert total(cluster, right) == [8, 8]
    assert cluster.shown(left, "synonyms") == cluster.everywhere({"car": ["auto"]})
    assert cluster.shown(right, "synonyms") == cluster.everywhere({})
    assert cluster.client.get(f"/indexes/{left}")["primaryKey"] == "key"
    assert cluster.client.get(f"/indexes/{right}")["primaryKey"] == "id"


def assert_untouched(cluster, left, right):
    """As it was."""
    assert total(cluster, left) == [8, 8]
    assert total(cluster, right) == [5, 5]
    assert cluster.shown(right, "synonyms") == cluster.everywhere({"car": ["auto"]})


def in_use(cluster, *uids):
    """Wait until every node serves these indexes at their committed version."""
    for uid in uids:
        until(
            lambda uid=uid: cluster.states(uid) == cluster.everywhere("synced"),
            f"every node in use for {uid}",
        )


def test_two_indexes_exchange_documents_settings_and_primary_keys(cluster, pair):
    """The way to put a new version of an index into service at once."""
    left, right = pair
    before = cluster.version(left), cluster.version(right)

    task = cluster.do("POST", "/swap-indexes", swap(pair))

    assert (task["type"], task["indexUid"]) == ("indexSwap", None)
    assert task["details"] == {"swaps": [{"indexes": [left, right], "rename": False}]}
    assert_swapped(cluster, left, right)
    assert (cluster.version(left), cluster.version(right)) == (before[0] + 1, before[1] + 1)
    for uid in pair:
        newest = cluster.look(uid)["history"][0]
        assert (newest["kind"], newest["version"]) == ("swap", cluster.version(uid))
        answer = cluster.search(uid, floor=cluster.version(uid))
        assert answer.status == 200
        assert answer.headers["x-miroir-settings-version"] == str(cluster.version(uid))
        assert "x-miroir-settings-inconsistent" not in answer.headers
    cluster.do("POST", f"/indexes/{left}/documents", [{"key": "late"}])
    assert total(cluster, left) == [6, 6]


def test_the_history_of_tasks_goes_with_the_index(cluster, pair):
    """As on one node: what was done to the documents is found where they are."""
    left, right = pair
    written = {
        uid: [t["uid"] for t in cluster.client.get(f"/tasks?indexUids={uid}")["results"]]
        for uid in pair
    }
    done = cluster.do("POST", "/swap-indexes", swap(pair))["uid"]
    swaps = cluster.client.get("/tasks?types=indexSwap")["results"]
    assert swaps[0]["uid"] == done
    for uid, other in ((left, right), (right, left)):
        found = [t["uid"] for t in cluster.client.get(f"/tasks?indexUids={uid}")["results"]]
        assert found == written[other]  # A swap is about no single index.


def test_several_pairs_move_together_or_not_at_all(cluster, pair, uid):
    """One node takes all pairs of a request or none; so does a cluster."""
    left, right = pair
    third = f"{uid}-c"
    cluster.create(third, [{"id": 1}])
    body = [*swap(pair), {"indexes": [third, f"{uid}-d"], "rename": True}]
    failed = cluster.ended(cluster.send("POST", "/swap-indexes", [*body, *swap(("no", "never"))]))
    assert failed["error"]["message"] == "Indexes `never`, `no` not found."
    assert_untouched(cluster, left, right)

    cluster.do("POST", "/swap-indexes", body)
    assert_swapped(cluster, left, right)
    assert total(cluster, f"{uid}-d") == [1, 1]
    assert cluster.send("GET", f"/indexes/{third}").status == 404
    assert cluster.search(third).status == 404


def test_a_renamed_index_is_found_under_its_new_uid_alone(cluster, pair, uid):
    """And its versions go on from the last one that the new uid has ever had."""
    left, right = pair
    new = f"{uid}-new"
    cluster.create(new)
    cluster.do("PATCH", f"/indexes/{new}/settings", {"stopWords": ["the"]})
    cluster.do("DELETE", f"/indexes/{new}")

    task = cluster.do("PATCH", f"/indexes/{right}", {"uid": new})

    assert task["details"] == {"primaryKey": None, "oldIndexUid": right, "newIndexUid": new}
    assert cluster.version(new) == 3
    assert total(cluster, new) == [5, 5]
    assert cluster.shown(new, "synonyms") == cluster.everywhere({"car": ["auto"]})
    assert cluster.send("GET", f"/indexes/{right}").status == 404
    assert cluster.look(new)["history"][0]["kind"] == "rename"
    cluster.create(right, [{"id": 1}])
    assert total(cluster, right) == [1, 1]
    taken = cluster.ended(cluster.send("PATCH", f"/indexes/{new}", {"uid": left}))
    assert taken["error"]["code"] == "index_already_exists"


def test_writes_and_changes_around_a_swap_keep_their_order(cluster, pair):
    """What was accepted before goes with the old content of a uid, what comes later not."""
    left, right = pair
    sent = [
        cluster.send("POST", f"/indexes/{left}/documents", [{"id": 100}]),
        cluster.change(right, {"stopWords": ["before"]}),
        cluster.send("POST", "/swap-indexes", swap(pair)),
        cluster.change(left, {"synonyms": {"bike": ["cycle"]}}),
        cluster.send("POST", f"/indexes/{left}/documents", [{"key": "after"}]),
        cluster.send("POST", f"/indexes/{right}/documents", [{"id": 101}]),
    ]
    assert {cluster.ended(one)["status"] for one in sent} == {"succeeded"}
    cluster.settle(left)
    cluster.settle(right)

    assert total(cluster, left) == [6, 6]
    assert total(cluster, right) == [10, 10]
    assert cluster.shown(left, "stopWords") == cluster.everywhere(["before"])
    assert cluster.shown(left, "synonyms") == cluster.everywhere({"bike": ["cycle"]})
    assert cluster.shown(right, "stopWords") == cluster.everywhere([])


def test_a_node_that_was_down_is_filled_with_what_its_uids_hold_now(cluster, pair):
    """Under both uids it holds another index's documents: served, they would be wrong answers."""
    left, right = pair
    cluster.kill(HELD)
    cluster.do("POST", "/swap-indexes", swap(pair))
    for uid in pair:
        assert cluster.look(uid)["nodes"][HELD] == {"version": None, "state": "down"}
    cluster.revive(HELD)
    in_use(cluster, *pair)

    assert_swapped(cluster, left, right)


def test_a_refusal_of_one_node_takes_the_swap_back_everywhere(cluster, pair):
    """Half of a swap is worse than none."""
    left, right = pair
    before = cluster.version(left), cluster.version(right)
    cluster.faults(HELD, {"fault": "task_fail", "type": "indexSwap", "message": "no disk"})
    task = cluster.ended(cluster.send("POST", "/swap-indexes", swap(pair)))

    assert task["status"] == "failed"
    assert task["error"]["message"] == "no disk"
    assert (cluster.version(left), cluster.version(right)) == before
    assert_untouched(cluster, left, right)
    cluster.faults(HELD)
    in_use(cluster, *pair)
    cluster.do("POST", "/swap-indexes", swap(pair))
    assert_swapped(cluster, left, right)


@pytest.mark.parametrize("fault", ["lost_response", "status"])
def test_an_answer_that_is_lost_does_not_make_a_second_swap(cluster, pair, fault):
    """Sent again blindly, it would be undone on that node alone."""
    left, right = pair
    rule = {"fault": fault, "method": "POST", "path": "/swap-indexes$", "times": 1}
    rule |= {"status": 503} if fault == "status" else {}
    for name in cluster.nodes[:3]:
        cluster.faults(name, rule)
    cluster.do("POST", "/swap-indexes", swap(pair))

    assert all(cluster.matches(name) for name in cluster.nodes[:3])
    assert_swapped(cluster, left, right)
    in_use(cluster, *pair)


@pytest.mark.parametrize("moment", ["task_start", "task_commit", "task_end"])
def test_a_node_that_dies_over_the_swap_has_swapped_once(cluster, pair, moment):
    """It runs the task again when it is back."""
    left, right = pair
    cluster.faults(HELD, {"fault": "crash", "at": moment, "type": "indexSwap", "times": 1})
    accepted = cluster.send("POST", "/swap-indexes", swap(pair))
    until(lambda: not cluster.local.nodes[HELD].running, "the node is dead")
    cluster.local.nodes[HELD].start()
    assert cluster.ended(accepted)["status"] == "succeeded"
    in_use(cluster, *pair)

    assert_swapped(cluster, left, right)


def test_a_swap_that_miroir_died_over_is_finished_once(cluster, pair):
    """A restarted process does not know which nodes have swapped; they do."""
    left, right = pair
    rule = {"fault": "task_stall", "type": "indexSwap"}
    cluster.faults(HELD, rule)
    accepted = cluster.send("POST", "/swap-indexes", swap(pair))
    until(lambda: cluster.matches(HELD) == 1, "the node has its task")
    cluster.kill_miroir()
    cluster.start_miroir()
    cluster.faults(HELD)

    assert cluster.ended(accepted)["status"] == "succeeded"
    assert_swapped(cluster, left, right)
    in_use(cluster, *pair)


def test_bad_bodies_are_refused_at_once(cluster):
    """In the engine's words; the whole table is compared with the real one elsewhere."""
    for body, code in (
        ([{"indexes": ["a", "a"]}], "invalid_swap_duplicate_index_found"),
        ([{"indexes": ["a"]}], "invalid_swap_indexes"),
        ([{"rename": True}], "missing_swap_indexes"),
        ([{"indexes": ["a", PROBE]}], "invalid_swap_indexes"),
    ):
        refused = cluster.send("POST", "/swap-indexes", body)
        assert (refused.status, refused.body["code"]) == (400, code)
    assert cluster.send("PATCH", "/indexes/a", {"uid": "b c"}).body["code"] == "invalid_index_uid"


def test_the_official_client_swaps(cluster, pair):
    """Its users must not notice that there is no single node."""
    left, right = pair
    client = meilisearch.Client(cluster.local.url, cluster.local.layout.master_key.reveal())
    task = client.swap_indexes([{"indexes": [left, right]}])
    assert client.wait_for_task(task.task_uid).status == "succeeded"
    assert client.index(left).get_stats().number_of_documents == 5
    assert client.index(right).search("").get("estimatedTotalHits") == 8
