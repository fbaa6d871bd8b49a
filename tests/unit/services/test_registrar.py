"""A change is judged for what it is itself, whatever becomes of those before it."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

from miroir.core import settings as rules
from miroir.core.broadcast_types import Broadcast
from miroir.core.topology import GroupId, IndexUid, Node, NodeId, ShardId, Topology
from miroir.ports.node import NodeRequest
from miroir.ports.records import IndexRecord, Intent, IntentKind
from miroir.services.cluster import Cluster
from miroir.services.registrar import Registrar, SettingsWrite

MOVIES, A = IndexUid("movies"), NodeId("a")
WAITING = Intent(
    index_uid=MOVIES, kind=IntentKind.CHANGE, patch={}, primary_key=None, undo={}, by="client",
    target={**rules.defaults(), "searchCutoffMs": 1}, reason="", at_ms=0, intent_id=6,
    state=Broadcast(MOVIES, columns=((A,),), waves=((A,),)), base_version=3, task_uid=None,
    revision=0, committed_version=None,
)  # fmt: skip


class Outside:
    """Intake and prober in one; what waits is refused while the prober is asked for defaults."""

    def __init__(self):
        topology = Topology(1, 1, 1, (Node(A, ShardId(0), GroupId(0), "http://x:1"),))
        self.cluster = Cluster(topology)
        record = IndexRecord(MOVIES, "id", 3, rules.defaults(), {}, None, False, 0, 0)
        self.cluster.apply_record(record)
        rests = self.cluster.view
        waits = replace(rests.indexes[MOVIES], intent=WAITING)
        self.cluster = SimpleNamespace(view=replace(rests, indexes={MOVIES: waits}))
        self.rests = rests
        self.asked = []

    async def defaults(self):
        self.cluster.view = self.rests
        return {}

    async def refusal(self, target, _touched, _request, *, alone):
        self.asked.append((target["searchCutoffMs"], alone))

    async def known_forms(self, _target):
        return {"1.50.0": "another"}

    def lock(self, _index_uid):
        return asyncio.Lock()

    def will_exist(self, _index_uid):
        return True

    def task(self, index_uid, *_):
        return SimpleNamespace(index_uid=index_uid)

    async def accept(self, *_):
        return None


def test_what_rests_on_a_change_that_is_refused_meanwhile_is_not_judged_as_if_alone():
    """Its target has the other's settings in; a no to those says nothing of its own."""
    outside = Outside()
    request = NodeRequest("PATCH", "/settings", b"{}")
    write = SettingsWrite(MOVIES, {"stopWords": None}, request, resets=False)

    asyncio.run(Registrar(intake=outside, prober=outside).change_settings(write))

    assert outside.asked == [(1, False)]
