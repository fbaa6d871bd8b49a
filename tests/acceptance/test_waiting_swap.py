"""A swap that needs a node which is away: what it waits for is told, and it can be taken back."""

import pytest

from miroir.cli.layout import Shape
from tests.support.command_line import CommandLine
from tests.support.live_cluster import until

SHAPE = Shape(1, 1)
ADMIN = "/_miroir/intents"


@pytest.fixture
def waiting(cluster, uid):
    """A swap that waits for the only node."""
    other = f"{uid}-other"
    for each in (uid, other):
        cluster.create(each)
    (node,) = cluster.nodes
    cluster.kill(node)
    until(lambda: not cluster.healthy(), "the node is seen to be away")
    swap = cluster.send("POST", "/swap-indexes", [{"indexes": [uid, other]}])
    assert swap.status == 202, swap
    waits = until(lambda: [i for i in cluster.intents(uid) if i["waitsFor"]], "the swap waits")[0]
    assert waits["taskUid"] == swap.body["taskUid"]
    yield waits
    cluster.revive(node)


def test_a_swap_that_waits_for_a_node_is_shown_and_can_be_cancelled(cluster, waiting):
    """Else two indexes take no change until somebody finds the machine that is gone."""
    assert (waiting["kind"], waiting["waitsFor"]) == ("swap", list(cluster.nodes))
    withdrawn = cluster.admin("POST", f"{ADMIN}/{waiting['id']}/cancel")
    assert (withdrawn.status, withdrawn.body["waitsFor"]) == (200, []), withdrawn
    assert cluster.send("GET", f"/tasks/{waiting['taskUid']}").body["status"] == "canceled"

    again = cluster.admin("POST", f"{ADMIN}/{waiting['id']}/cancel")
    assert (again.status, again.body["code"]) == (409, "miroir_intent_not_withdrawable"), again
    assert cluster.admin("POST", f"{ADMIN}/999999/cancel").status == 404


def test_who_works_on_the_command_line_sees_it_and_takes_it_back(cluster, waiting, tmp_path):
    """Nobody should have to write HTTP by hand while indexes stand still."""
    admin_key = cluster.local.layout.admin_key.reveal()
    miroir = CommandLine(tmp_path, {"MIROIR_URL": cluster.local.url, "MIROIR_KEY": admin_key})
    number, index, (node,) = waiting["id"], waiting["index"], cluster.nodes
    seen = miroir("settings", "watch", "--once")
    assert f"{index}  swap {number} by client, waits for {node}  queued" in seen.out, seen

    cancelled = miroir("settings", "cancel", number, "-o", "json")
    assert (cancelled.document["index"], cancelled.document["done"]) == (index, "canceled")
    assert cluster.send("GET", f"/tasks/{waiting['taskUid']}").body["status"] == "canceled"

    again = miroir("settings", "cancel", number)
    assert (again.status, "has ended (canceled)" in again.err) == (2, True), again
    nobody = miroir("settings", "cancel", 999999)
    assert (nobody.status, "`999999` not found" in nobody.err) == (2, True), nobody
