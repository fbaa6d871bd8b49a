"""The end of an index while a node is away, and what later writes are recognized by on nodes."""

from tests.support.live_cluster import until


def holds(cluster, name, uid):
    """Ask a node directly whether it has an index."""
    found = cluster.on_node(name).get("/indexes?limit=1000")["results"]
    return uid in {index["uid"] for index in found}


def test_a_node_that_was_away_when_an_index_was_deleted_loses_it_when_it_is_back(cluster, uid):
    """Deleted documents must not stay on a disk, and must not come back."""
    cluster.create(uid, [{"id": n} for n in range(30)])
    before = cluster.metric("miroir_leftover_indexes_deleted_total") or 0
    cluster.kill("n4")
    cluster.do("DELETE", f"/indexes/{uid}")

    cluster.revive("n4")

    until(lambda: not holds(cluster, "n4", uid), "the leftover is gone")
    assert (cluster.metric("miroir_leftover_indexes_deleted_total") or 0) > before


def test_a_name_is_used_again_at_once_and_the_node_that_was_away_gets_the_new_index(cluster, uid):
    """It comes back with documents of another index under the same name."""
    cluster.create(uid, [{"id": n, "old": True} for n in range(30)])
    cluster.kill("n4")
    cluster.do("DELETE", f"/indexes/{uid}")
    cluster.do("POST", "/indexes", {"uid": uid, "primaryKey": "key"})
    cluster.do("POST", f"/indexes/{uid}/documents", [{"key": n} for n in range(30)])

    cluster.revive("n4")

    until(lambda: cluster.states(uid)["n4"] == "synced", "filled")
    keys = [
        sorted(d["key"] for d in cluster.on_node(name).get(f"/indexes/{uid}/documents")["results"])
        for name in cluster.column(1)
    ]
    assert keys[0] == keys[1] != []
    page = cluster.client.get(f"/indexes/{uid}/documents?limit=100")
    assert sorted(document["key"] for document in page["results"]) == list(range(30))


def test_parts_of_a_write_are_tagged_on_the_nodes_and_the_client_sees_its_own_metadata(
    cluster, uid
):
    """A part that comes late is recognized by its tag; the client's word is not used up for it."""
    cluster.create(uid)
    path = f"/indexes/{uid}/documents"
    task = cluster.do("POST", f"{path}?customMetadata=mine", [{"id": n} for n in range(30)])
    assert task["customMetadata"] == "mine"

    for shard in range(3):
        for name in cluster.column(shard):
            (part,) = cluster.node_tasks(name, uid, "documentAdditionOrUpdate")
            assert part["customMetadata"] == f"miroir:{task['uid']}:{shard}"
